//! Options: on the command line, in the environment and in a file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use interop::socket;
use rustix::process::Signal;

use super::{ANYWHERE, directory};
use crate::support::{Program, run, text};

fn write(directory: &Path, lines: &str) {
    std::fs::write(directory.join("broker.toml"), lines).unwrap();
}

fn run_with(directory: &Path, environment: &[(&str, &str)], args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_broker"))
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(directory)
        .output()
        .unwrap()
}

/// The lines that `broker config` prints of some options.
fn shown(output: &Output, names: &[&str]) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let is_meant =
        |line: &&str| names.iter().any(|name| line.split([' ', '#']).any(|word| word == *name));
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text(&output.stdout).lines().filter(is_meant).map(squeeze).collect()
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let directory = directory();
    write(
        directory.path(),
        "# Mine\nlease = 2.5\nmax-strikes = 4\nfrontend = [\"ipc://a\", \"ipc://b\"]\nmax-attempts = 9\n",
    );
    let environment =
        [("BROKER_LEASE", "3"), ("BROKER_MAX_STRIKES", "5"), ("BROKER_CONFIG", "broker.toml")];
    let output = run_with(directory.path(), &environment, &["config", "--max-strikes", "6"]);
    let names = ["frontend", "backend", "lease", "max-strikes", "max-attempts", "journal"];
    assert_eq!(
        shown(&output, &names),
        [
            "frontend = [\"ipc://a\", \"ipc://b\"] # broker.toml:4",
            "backend = \"ipc://backend.ipc\" # default",
            "max-attempts = 9 # broker.toml:5",
            "lease = 3 # BROKER_LEASE",
            "max-strikes = 6 # command line",
            "# journal is not set # default",
        ]
    );
}

#[test]
fn a_variable_that_is_called_nearly_as_an_option_is_told_of_and_no_other() {
    let directory = directory();
    // Kubernetes sets the last ones for a service that is called so, and `broker work` the first.
    let environment = ["REQUEST_FROM", "LEASES", "SERVICE_HOST", "PORT", "PORT_5555_TCP_ADDR"]
        .map(|name| (format!("BROKER_{name}"), "1"));
    let environment = environment.each_ref().map(|(name, value)| (name.as_str(), *value));
    let output = run_with(directory.path(), &environment, &["config"]);
    let said =
        "broker: BROKER_LEASES: there is no option of this name; did you mean BROKER_LEASE?\n";
    assert_eq!((text(&output.stderr), output.status.success()), (said, true));
    let args = [&["serve"], &ANYWHERE[..]].concat();
    let program = Program::start_with(directory.path(), &args, &environment);
    assert!(program.error().starts_with("WARN  BROKER_LEASES: there is no option"));
}

#[test]
fn what_is_shown_is_a_file_that_sets_the_same() {
    let directory = directory();
    let options =
        ["--error-reply", "a \"quoted\"\tword", "--frontend", "tcp://[::1]:5555", "--heartbeat"];
    let output = run(directory.path(), &[&["config"], &options[..]].concat());
    write(directory.path(), text(&output.stdout));
    let output = run(directory.path(), &["check", "broker.toml"]);
    assert!(text(&output.stdout).ends_with("options, nothing wrong\n"), "{output:?}");
    let output = run(directory.path(), &["config", "--config", "broker.toml"]);
    let lines = shown(&output, &["error-reply", "frontend", "heartbeat"]);
    let starts = [
        "frontend = \"tcp://[::1]:5555\"",
        "heartbeat = 2.5",
        "error-reply = \"a \\\"quoted\\\"\\u0009word\"",
    ];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start) && line.contains("# broker.toml:"), "{line}");
    }
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_with_its_lines_and_nothing_starts() {
    let directory = directory();
    write(
        directory.path(),
        "frontned = \"ipc://f\"\nmax-waiting = 0\n\nheartbeat = { every = 1 }\nconfig = \"x\"\nhelp = 1\nquite = \"else\"\n\
         lease = [1, 2]\ncontrol = true\nmax-attempts = 99999999999999999999\n",
    );
    let expected = "broker: broker.toml:1: there is no option frontned; did you mean frontend?\n\
                    broker: broker.toml:2: invalid value '0' for '--max-waiting <N>': 0 is not in 1..=4294967295\n\
                    broker: broker.toml:4: heartbeat cannot be a table; give a string, a number or a list of these\n\
                    broker: broker.toml:5: a file cannot name another\n\
                    broker: broker.toml:6: there is no option help; `broker help serve` lists all\n\
                    broker: broker.toml:7: there is no option quite; `broker help serve` lists all\n\
                    broker: broker.toml:8: the argument '--lease <S>' cannot be used multiple times\n\
                    broker: broker.toml:9: control cannot be a boolean; give a string, a number or a list of these\n\
                    broker: broker.toml:10: max-attempts cannot be as much as 99999999999999999999\n";
    for args in [&["check", "broker.toml"][..], &["serve", "--config", "broker.toml"]] {
        let output = run(directory.path(), args);
        assert_eq!((text(&output.stderr), output.status.success()), (expected, false));
    }
    write(directory.path(), "lease = 1\nlease = 2\nnot toml\n");
    let output = run(directory.path(), &["check", "broker.toml"]);
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(lines[0], "broker: broker.toml:2: duplicate key lease");
    assert!(lines[1].starts_with("broker: broker.toml:3: "), "{lines:?}");
    let output = run(directory.path(), &["serve", "--config", "nowhere.toml"]);
    assert_eq!(
        text(&output.stderr),
        "broker: nowhere.toml: No such file or directory (os error 2)\n"
    );
}

#[test]
fn options_that_make_no_sense_together_are_refused_and_odd_ones_told_of() {
    let directory = directory();
    write(
        directory.path(),
        "frontend = [\"tcp://127.0.0.1:5555\", \"ipc://a\", \"tcp://127.0.0.1:0\"]\n\
         backend = [\"tcp://127.0.0.1:5555\", \"tcp://127.0.0.1:0\"]\n\
         journal = \"a\"\ncontrol = \"./a\"\nhttp = \"127.0.0.1:5555\"\n",
    );
    let output = run(directory.path(), &["check", "broker.toml"]);
    let expected = "broker: broker.toml:2: frontend and backend are both 127.0.0.1:5555\n\
                    broker: broker.toml:3: frontend and journal are both a\n\
                    broker: broker.toml:4: frontend and control are both a\n\
                    broker: broker.toml:5: frontend and http are both 127.0.0.1:5555\n";
    assert_eq!((text(&output.stderr), output.status.success()), (expected, false));
    let args = ["serve", "--frontend", "ipc://x", "ipc://x", "--config", "broker.toml"];
    write(directory.path(), "backend = []\n");
    let output = run(directory.path(), &args);
    assert_eq!(
        text(&output.stderr),
        "broker: backend has no endpoint\nbroker: frontend has x twice\n"
    );
    write(directory.path(), "at-limit = \"reject\"\nhttp = \"0.0.0.0:0\"\n");
    let odd = [
        "a client whose request is rejected hears nothing, for there is no error-reply",
        "whoever reaches 0.0.0.0:0 sees what the queue is at, over HTTP",
    ];
    let output = run(directory.path(), &["check", "broker.toml"]);
    let expected =
        format!("broker: broker.toml:1: {}\nbroker: broker.toml:2: {}\n", odd[0], odd[1]);
    assert_eq!((text(&output.stderr), output.status.success()), (&*expected, true));
    let (program, _) =
        Program::serve(directory.path(), &[&ANYWHERE[..], &["--config", "broker.toml"]].concat());
    for what in odd {
        assert_eq!(program.error(), format!("WARN  {what}"));
    }
}

#[test]
fn what_is_wrong_elsewhere_is_said_with_its_place() {
    let directory = directory();
    let output = run_with(directory.path(), &[("BROKER_LEASE", "soon")], &["serve"]);
    let expected = "broker: BROKER_LEASE: invalid value 'soon' for '--lease <S>': not a number of seconds such as 2 or 0.5\n";
    assert_eq!(text(&output.stderr), expected);
    let output = run(directory.path(), &["serve", "--max-waitin", "5"]);
    let expected =
        "broker: unexpected argument '--max-waitin' found; did you mean --max-waiting?\n";
    assert_eq!(text(&output.stderr), expected);
    for (args, expected) in [
        (&["serv"][..], "unrecognized subcommand 'serv'; did you mean serve?"),
        (
            &["work", "--connect", "ipc://b", "./convert"],
            "unexpected argument './convert' found; the command comes behind `--`",
        ),
        (
            &["serve", "--max-waiting", "-5"],
            "invalid value '-5' for '--max-waiting <N>': -5 is not in 1..=4294967295",
        ),
    ] {
        let output = run(directory.path(), args);
        assert_eq!(text(&output.stderr), format!("broker: {expected}\n"));
    }
}

#[test]
fn what_is_wrong_is_json_where_the_log_is_to_be() {
    let directory = directory();
    let json = [("BROKER_LOG", "json")];
    for (environment, args) in [
        (&[][..], &["serve", "--lease", "soon", "--log", "json"][..]),
        (&[], &["serve", "--log=json", "--lease", "soon"]),
        (&json, &["serve", "--lease", "soon"]),
        (&json, &["serve", "--journal", "/dev/null/j"]),
    ] {
        let output = run_with(directory.path(), environment, args);
        let line: serde_json::Value = serde_json::from_str(text(&output.stderr)).unwrap();
        assert_eq!(line["level"], "ERROR", "{line}");
        assert!(line["message"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn socket_files_have_the_permissions_that_are_asked_for() {
    let directory = directory();
    write(directory.path(), "ipc-mode = \"0620\"\n");
    let (_program, _) = Program::serve(directory.path(), &["--config", "broker.toml"]);
    for name in ["frontend.ipc", "backend.ipc"] {
        let mode = directory.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o620, "{name}");
    }
    // 0o660 is 432 to whoever reads a file of this kind.
    write(directory.path(), "ipc-mode = 0o660\n");
    let output = run(directory.path(), &["check", "broker.toml"]);
    assert!(text(&output.stderr).ends_with(": not permissions such as \"0660\"\n"), "{output:?}");
}

#[test]
fn a_hangup_says_what_comes_before_that_which_has_changed_in_the_file() {
    let directory = directory();
    write(directory.path(), "lease = 9\nmax-attempts = 4\n");
    let args = [&["serve"], &ANYWHERE[..], &["--config", "broker.toml", "--max-attempts", "3"]];
    let environment = [("BROKER_LEASE", "7")];
    let program = Program::start_with(directory.path(), &args.concat(), &environment);
    program.endpoints();
    write(directory.path(), "lease = 10\nmax-attempts = 5\n");
    program.signal(Signal::HUP);
    let mut said = [program.error(), program.error()];
    said.sort();
    let before = "which comes before broker.toml:";
    assert_eq!(
        said,
        [
            format!("INFO  lease is 7 by BROKER_LEASE, {before}1, where it is 10"),
            format!("INFO  max-attempts is 3 by the command line, {before}2, where it is 5"),
        ]
    );
    program.signal(Signal::HUP);
    assert_eq!(program.error(), "INFO  no option has changed");
}

#[test]
fn a_hangup_changes_what_can_change_and_says_what_cannot() {
    let directory = directory();
    write(directory.path(), "max-worker-kills = 5\n");
    let args = [&ANYWHERE[..], &["--config", "broker.toml"]].concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    write(directory.path(), "max-worker-kills = 1\nerror-reply = \"sorry\"\ndrain = 3\n");
    program.signal(Signal::HUP);
    let mut said: Vec<_> = (0..3).map(|_| program.error()).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "INFO  drain is 10 until the next start, and not 3",
            "INFO  error-reply was not set and is sorry",
            "INFO  max-worker-kills was 5 and is 1",
        ]
    );
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&endpoints[0]).unwrap();
    client.send("poison", 0).unwrap();
    let worker = socket(&context, zmq::REQ, "W");
    worker.connect(&endpoints[1]).unwrap();
    worker.send("READY", 0).unwrap();
    worker.recv_multipart(0).unwrap();
    drop(worker);
    assert_eq!(client.recv_string(0).unwrap().unwrap(), "sorry");
    assert!(program.error().contains("has left with request 1"));
    assert!(program.error().contains("gave up request 1 of client C"));
    write(directory.path(), "max-worker-kills = 0\n");
    program.signal(Signal::HUP);
    assert!(program.error().starts_with("ERROR broker.toml:1: invalid value '0'"));
    assert_eq!(program.error(), "WARN  the options are as they were");
}
