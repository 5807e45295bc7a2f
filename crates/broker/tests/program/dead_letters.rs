//! Requests that are given up, from the outside.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use interop::{Place, Transport, socket};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{ANYWHERE, directory};
use crate::support::{Program, ask_over, run, text};

/// A worker that dies of its request.
fn die_of_a_request(backend: &str, name: &str) {
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::REQ, name);
    worker.connect(backend).unwrap();
    worker.send("READY", 0).unwrap();
    worker.recv_multipart(0).unwrap();
}

#[test]
fn a_request_that_was_given_up_is_kept_shown_and_sent_again() {
    let directory = directory();
    let args =
        [&ANYWHERE[..], &["--dead-letters", "letters", "--error-reply", "sorry", "--control"]]
            .concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    let args =
        ["request", "--connect", &endpoints[0], "--identity", "ME", "poison", "of two frames"];
    let client = Program::start(directory.path(), &args);
    for name in ["FIRST", "SECOND"] {
        die_of_a_request(&endpoints[1], name);
        let line = program.error();
        assert!(line.starts_with(&format!("WARN  worker {name} at ")), "{line}");
    }
    assert_eq!(client.line(), "sorry");
    assert_eq!(
        program.error(),
        "WARN  gave up request 1 of client ME: too many workers left while they had it; it is dead letter 1"
    );

    let output = run(directory.path(), &["dead-letters", "list", "letters"]);
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert!(
        lines[0].contains("NUMBER") && lines[1].contains("poison | of two frames"),
        "{lines:?}"
    );
    assert!(lines[1].trim_end().ends_with('-'), "it has not been sent again");
    let output = run(directory.path(), &["dead-letters", "show", "letters", "1"]);
    for expected in ["ME", "FIRST: the worker left", "SECOND: the worker left", "of two frames"] {
        assert!(text(&output.stdout).contains(expected), "{expected}: {output:?}");
    }

    let worker = ["worker", "--connect", &endpoints[1], "--reply", "cured"];
    let _worker = Program::start(directory.path(), &worker);
    let resubmit = ["dead-letters", "resubmit"];
    let output = run(directory.path(), &resubmit);
    assert_eq!(text(&output.stdout), "1: cured\n", "{output:?}");
    let output = run(directory.path(), &["dead-letters", "list", "letters"]);
    assert!(text(&output.stdout).trim_end().ends_with('Z'), "it has been sent again: {output:?}");
    let output = run(directory.path(), &resubmit);
    assert_eq!(text(&output.stdout), "no request is left to be sent again\n");
}

#[test]
fn letters_go_on_in_a_new_file_when_theirs_was_moved_away_or_removed() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--dead-letters", "letters", "--max-worker-kills", "1"]].concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    let path = |name: &str| directory.path().join(name);
    let give_up = |request: &str| {
        let ask = ["request", "--connect", &endpoints[0], request];
        let _client = Program::start(directory.path(), &ask);
        die_of_a_request(&endpoints[1], request);
        while !program.error().contains("it is dead letter") {}
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();
        [read("letters"), read("letters.1")].map(|text| text.lines().count())
    };
    assert_eq!(give_up("FIRST"), [1, 0]);
    std::fs::rename(path("letters"), path("letters.1")).unwrap();
    assert_eq!(give_up("SECOND"), [1, 1]);
    assert_eq!(give_up("THIRD"), [2, 1]);
    std::fs::remove_file(path("letters")).unwrap();
    assert_eq!(give_up("FOURTH"), [1, 1]);
    let output = run(directory.path(), &["dead-letters", "show", "letters", "4"]);
    assert!(text(&output.stdout).contains("FOURTH"), "numbers go on: {output:?}");
}

#[test]
fn a_file_with_lines_that_are_no_letters_is_told_of_and_one_without_any_is_refused() {
    let directory = directory();
    let path = directory.path().join("letters");
    let letter = r#"{"letter":7,"at":"","client":"C","reason":"","attempts":[],"request":["x"]}"#;
    let args = [&["serve"], &ANYWHERE[..], &["--dead-letters", "letters"]].concat();
    let write = |lines: &str| {
        std::fs::write(&path, lines).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("a diary\n");
    let output = run(directory.path(), &args);
    let told = "the dead letters in letters: it holds something else; give a file of its own\n";
    assert!(text(&output.stderr).ends_with(told), "{output:?}");
    write(&format!("{letter}\nspoilt\n{letter}\n{}", &letter[..20]));
    let program = Program::start(directory.path(), &args);
    let said = program.error();
    assert_eq!(said, "WARN  the dead letters in letters: lines that are none: [2]");
}

#[test]
fn letters_that_bring_no_reply_end_it_with_why() {
    let directory = directory();
    let args =
        [&ANYWHERE[..], &["--dead-letters", "letters", "--control", "--max-worker-kills", "1"]]
            .concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    let ask = ["request", "--connect", &endpoints[0], "poison"];
    let _clients = [(); 2].map(|()| Program::start(directory.path(), &ask));
    for name in ["FIRST", "SECOND"] {
        die_of_a_request(&endpoints[1], name);
        assert!(program.error().contains("has left with request"));
        assert!(program.error().contains("it is dead letter"));
    }
    let resubmit = ["dead-letters", "resubmit", "--timeout", "0.1"];
    let output = run(directory.path(), &resubmit);
    let expected = format!(
        "broker: dead letter 1: no reply from {} within 0.1 s; 1 more were not sent\n",
        endpoints[0]
    );
    assert_eq!((text(&output.stderr), text(&output.stdout)), (&*expected, ""));
    assert!(!output.status.success());
    for bad in ["number=1&number=two", "number=", "timeout=soon", "timeout=-1", "nubmer=1"] {
        let control = UnixStream::connect(directory.path().join("broker.control")).unwrap();
        let (code, body) = ask_over(control, &format!("POST /resubmit?{bad}"), "broker");
        assert!(code == 400 && body.contains("?timeout="), "{bad}: {code} {body}");
    }
}

#[test]
fn what_is_wrong_with_dead_letters_is_said_in_a_sentence() {
    let directory = directory();
    let args = ["dead-letters", "list", "nowhere"];
    let output = run(directory.path(), &args);
    let expected = "broker: the dead letters in nowhere: No such file or directory (os error 2)\n";
    assert_eq!(text(&output.stderr), expected);
    std::fs::write(directory.path().join("letters"), "not one\n").unwrap();
    let output = run(directory.path(), &["dead-letters", "list", "letters"]);
    let expected = "broker: line 1 of letters is not a dead letter\n\
                    broker: letters has no dead letters; give the file of `serve --dead-letters`\n";
    assert_eq!((text(&output.stderr), output.status.success()), (expected, false));
    for (file, told) in [
        ("letters", "`chmod 600` the file"),
        ("nowhere/letters", "No such file or directory (os error 2); make the directory first"),
    ] {
        let args = [&["serve"][..], &ANYWHERE, &["--dead-letters", file]].concat();
        let output = run(directory.path(), &args);
        assert!(text(&output.stderr).trim_end().ends_with(told), "{output:?}");
    }
}

#[test]
fn letters_for_which_there_is_no_room_are_kept_until_there_is() {
    let place = Place::new();
    let [frontend, backend] = ["f", "b"].map(|name| place.endpoint(Transport::Ipc, name));
    // Files of 512 or 1024 bytes, by the shell.
    let mut shell = Command::new("sh");
    let script = "ulimit -S -f 1; exec \"$0\" \"$@\"";
    shell
        .args(["-c", script, env!("CARGO_BIN_EXE_broker"), "serve"])
        .args(["--frontend", &frontend, "--backend", &backend, "--dead-letters", "letters"])
        .args(["--max-worker-kills", "1"])
        .current_dir(place.directory())
        .stderr(Stdio::piped());
    let program = Program::spawn(&mut shell);
    program.endpoints();
    let context = zmq::Context::new();
    let give_up = |worker: &str, request: &str| {
        let client = socket(&context, zmq::REQ, "");
        client.connect(&frontend).unwrap();
        client.send(request, 0).unwrap();
        die_of_a_request(&backend, worker);
        assert!(program.error().contains("has left with request"));
        program.error()
    };
    for (number, worker, request) in [(1, "FIRST", "x".repeat(2000)), (2, "SECOND", "y".into())] {
        let line = give_up(worker, &request);
        let told = format!("it is dead letter {number}, which is in memory only");
        assert!(line.starts_with("ERROR gave up request") && line.contains(&told), "{line}");
    }
    let file = place.directory().join("letters");
    assert_eq!(file.metadata().unwrap().len(), 0, "no half line");
    let process = Pid::from_raw(program.pid().try_into().unwrap());
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    prlimit(process, Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    let line = give_up("THIRD", "z");
    assert!(line.ends_with("it is dead letter 3"), "{line}");
    let output = run(place.directory(), &["dead-letters", "list", "letters"]);
    assert_eq!((text(&output.stderr), text(&output.stdout).lines().count()), ("", 4));
}

#[test]
fn a_letter_that_is_given_up_again_is_the_same_letter() {
    for error_reply in [&[][..], &["--error-reply", "sorry"]] {
        let directory = directory();
        let options = ["--dead-letters", "letters", "--control", "--max-worker-kills", "1"];
        let args = [&ANYWHERE[..], &options, error_reply].concat();
        let (program, endpoints) = Program::serve(directory.path(), &args);
        let ask = ["request", "--connect", &endpoints[0], "--identity", "ANN", "poison"];
        let _client = Program::start(directory.path(), &ask);
        for worker in ["FIRST", "SECOND", "THIRD"] {
            let resubmit = ["dead-letters", "resubmit"];
            let again = (worker != "FIRST").then(|| Program::start(directory.path(), &resubmit));
            die_of_a_request(&endpoints[1], worker);
            assert!(program.error().contains("has left with request"));
            let line = program.error();
            assert!(line.ends_with("it is dead letter 1"), "{line}");
            if let Some(again) = again {
                let told = "broker: dead letter 1: given up again: too many workers left";
                let line = again.error();
                assert!(line.starts_with(told), "{line}");
                assert!(!again.wait().success());
            }
        }
        let output = run(directory.path(), &["dead-letters", "list", "letters"]);
        let lines: Vec<_> = text(&output.stdout).lines().collect();
        assert!(lines.len() == 2 && lines[1].contains("ANN"), "{lines:?}");
        assert!(lines[1].trim_end().ends_with('-'), "it has not been answered: {lines:?}");
        let output = run(directory.path(), &["dead-letters", "show", "letters", "1"]);
        for worker in ["FIRST", "SECOND", "THIRD"] {
            assert!(text(&output.stdout).contains(&format!("{worker}: the worker left")));
        }
    }
}
