//! The program from the outside: what it prints, how it ends, what it does with nonsense.

mod bench;
mod config;
mod control;
mod dead_letters;
mod http;
mod journal;
mod log;
mod patience;
mod stopped;
mod support;
mod systemd;
mod upgrade;
mod work;

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::time::{Duration, Instant};

use interop::{Place, Transport};
use rustix::process::Signal;
use support::{Program, run, text, untimed};

/// Frontend and backend on free ports.
const ANYWHERE: [&str; 4] = ["--frontend", "tcp://127.0.0.1:0", "--backend", "tcp://127.0.0.1:0"];

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_demo_shows_the_seeds_run() {
    let directory = directory();
    let output = run(directory.path(), &["demo"]);
    assert!(output.status.success());
    let mut busy = HashMap::new();
    let mut asked = HashSet::new();
    let mut answered = HashSet::new();
    let mut first_replies_at = None;
    for (i, line) in text(&output.stdout).lines().enumerate() {
        let (who, what) = line.split_once(": ").unwrap();
        assert!(who.len() >= 11, "right-aligned to eleven columns: {line:?}");
        let who = who.trim_start();
        if let Some(rest) = what.strip_prefix("REQ ") {
            let (work, client) = rest.split_once(" from ").unwrap();
            assert!([" 1", " 2", " 3"].contains(&work), "{line:?}");
            assert!(asked.insert(client.to_owned()), "{client} asked twice");
            busy.insert(who.to_owned(), client.to_owned());
        } else {
            let worker = what.strip_prefix("REP OK from ").unwrap();
            assert!(worker.starts_with("PROCESSOR-"), "{line:?}");
            assert!(asked.contains(who) && answered.insert(who.to_owned()), "{line:?}");
            first_replies_at.get_or_insert((i, busy.len()));
        }
    }
    let clients: HashSet<_> = (0..10).map(|i| format!("CLIENT-{i}")).collect();
    assert_eq!((&asked, &answered), (&clients, &clients));
    let (line, workers) = first_replies_at.unwrap();
    assert!(line >= 3 && workers == 3, "three workers are busy before the first reply");
    assert!(text(&output.stderr).starts_with("broker: 10 requests answered by 3 workers in"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn the_demo_takes_other_numbers_of_clients_and_workers() {
    let output = run(directory().path(), &["demo", "--clients", "4", "--workers", "8"]);
    let lines = text(&output.stdout).lines();
    assert_eq!(lines.filter(|line| line.contains(": REP OK from PROCESSOR-")).count(), 4);
}

#[test]
fn serve_listens_on_the_seeds_endpoints_and_removes_its_files_at_the_end() {
    let directory = directory();
    for signal in [Signal::TERM, Signal::INT] {
        let (program, endpoints) = Program::serve(directory.path(), &[]);
        assert_eq!(endpoints, ["ipc://frontend.ipc", "ipc://backend.ipc"]);
        assert!(directory.path().join("frontend.ipc").exists());
        program.signal(signal);
        assert!(program.wait().success());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn serve_shows_the_ports_that_the_system_chose_for_any_number_of_endpoints() {
    let args = [&ANYWHERE[..], &["--frontend", "ipc://f.ipc", "--backend", "ipc://b.ipc"]].concat();
    let (_program, endpoints) = Program::serve(directory().path(), &args);
    let ports = endpoints.iter().filter_map(|endpoint| endpoint.strip_prefix("tcp://127.0.0.1:"));
    assert!(ports.clone().all(|port| port.parse::<u16>().unwrap() > 0));
    assert_eq!((ports.count(), endpoints.len()), (2, 4));
}

#[test]
fn request_prints_the_reply_one_frame_a_line() {
    let directory = directory();
    let (_program, endpoints) = Program::serve(directory.path(), &ANYWHERE);
    let worker = Program::start(
        directory.path(),
        &["worker", "--connect", &endpoints[1], "--identity", "W", "--count", "2"],
    );
    let args = ["request", "--connect", &endpoints[0], "--identity", "ME", "one", "", "two words"];
    let output = run(directory.path(), &args);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "one\n\ntwo words\n");
    assert_eq!(worker.line(), "          W: REQ one  two words from ME");
    run(directory.path(), &["request", "--connect", &endpoints[0], "again"]);
    assert!(worker.wait().success(), "two answers and no more");
}

#[test]
fn a_worker_answers_what_it_is_told_to_and_takes_its_time() {
    let directory = directory();
    let (_program, endpoints) = Program::serve(directory.path(), &ANYWHERE);
    let args = ["worker", "--connect", &endpoints[1], "--reply", "OK from W", "--sleep", "0.2"];
    let _worker = Program::start(directory.path(), &args);
    let start = Instant::now();
    let output = run(directory.path(), &["request", "--connect", &endpoints[0], "x"]);
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(text(&output.stdout), "OK from W\n");
}

#[test]
fn request_gives_up_after_its_timeout() {
    let directory = directory();
    let (_program, endpoints) = Program::serve(directory.path(), &ANYWHERE);
    for endpoint in [&endpoints[0], "ipc://nobody.ipc"] {
        let args = ["request", "--connect", endpoint, "--timeout", "0.2", "x"];
        let output = run(directory.path(), &args);
        assert_eq!(output.status.code(), Some(1));
        let complaint = format!("broker: no reply from {endpoint} within 0.2 s");
        assert!(text(&output.stderr).starts_with(&complaint), "{output:?}");
        // Nobody answers, or nobody is there.
        let unreachable = text(&output.stderr).contains("cannot connect: No such file");
        assert_eq!(unreachable, endpoint == "ipc://nobody.ipc", "{output:?}");
    }
}

#[test]
fn serve_waits_for_what_is_in_flight_and_the_reply_arrives() {
    let directory = directory();
    let (program, endpoints) = Program::serve(directory.path(), &ANYWHERE);
    let worker =
        Program::start(directory.path(), &["worker", "--connect", &endpoints[1], "--sleep", "1"]);
    let client =
        Program::start(directory.path(), &["request", "--connect", &endpoints[0], "answer"]);
    worker.line();
    program.signal(Signal::TERM);
    assert!(program.error().starts_with("INFO  stopping once no request is in flight"));
    assert_eq!(client.line(), "answer");
    assert!(program.wait().success());
}

#[test]
fn a_second_signal_ends_serve_at_once() {
    let directory = directory();
    let (program, endpoints) = Program::serve(directory.path(), &ANYWHERE);
    let worker = Program::start(
        directory.path(),
        &["worker", "--connect", &endpoints[1], "--sleep", "3600"],
    );
    let _client = Program::start(directory.path(), &["request", "--connect", &endpoints[0], "x"]);
    worker.line();
    program.signal(Signal::TERM);
    program.error();
    program.signal_again(Signal::INT);
    assert_eq!(program.wait().code(), Some(1));
}

#[test]
fn a_worker_that_is_asked_to_stop_finishes_what_it_has_begun() {
    let directory = directory();
    let (_program, endpoints) = Program::serve(directory.path(), &ANYWHERE);
    let args = ["worker", "--connect", &endpoints[1], "--sleep", "1"];
    let worker = Program::start(directory.path(), &args);
    let client =
        Program::start(directory.path(), &["request", "--connect", &endpoints[0], "answer"]);
    worker.line();
    worker.signal(Signal::TERM);
    assert_eq!(client.line(), "answer");
    assert!(worker.wait().success());

    let idle = Program::start(directory.path(), &args);
    idle.error();
    idle.signal(Signal::TERM);
    assert!(idle.wait().success());
}

#[test]
fn a_worker_says_ready_again_to_a_queue_that_was_restarted() {
    let directory = directory();
    let (program, _) = Program::serve(directory.path(), &[]);
    let worker = Program::start(directory.path(), &["worker", "--connect", "ipc://backend.ipc"]);
    worker.error();
    let request = ["request", "--connect", "ipc://frontend.ipc", "x"];
    assert!(run(directory.path(), &request).status.success());
    drop(program);
    let (_program, _) = Program::serve(directory.path(), &[]);
    assert!(run(directory.path(), &request).status.success());
}

#[test]
fn nonsense_gets_one_sentence_that_names_it_and_a_code_other_than_zero() {
    let directory = directory();
    std::fs::write(directory.path().join("file"), "precious").unwrap();
    let (_program, _) = Program::serve(directory.path(), &[]);
    for (args, named) in [
        (&["serve", "--frontend", "ipc://frontend.ipc"][..], "ipc://frontend.ipc"),
        (&["serve", "--backend", "nonsense"], "nonsense"),
        (&["serve", "--frontend", "tcp://127.0.0.1"], "a port is missing"),
        (&["serve", "--frontend", "ipc://file"], "ipc://file"),
        (&["serve", "--frontend", "ipc://no/such/directory"], "ipc://no/such/directory"),
        (&["serve", "--max-message-size", "1X"], "1X"),
        (&["serve", "--read-ahead", "0"], "0"),
        (&["serve", "--front"], "--front"),
        (&["demo", "--workers", "0"], "0"),
        (&["request", "x"], "--connect"),
        (&["request", "--connect", "ipc://x"], "<FRAME>"),
        (&["request", "--connect", "tcp://*:5", "x"], "tcp://*:5"),
        (&["request", "--connect", "ipc://x", "--timeout", "soon", "x"], "soon"),
        (&["worker", "--connect", "ipc://x", "--sleep", "-1"], "-1"),
        (&["nonsense"], "nonsense"),
    ] {
        let output = run(directory.path(), args);
        let complaint = text(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert_eq!(complaint.lines().count(), 1, "{args:?}: {complaint}");
        let is_marked =
            ["broker: ", "ERROR "].iter().any(|mark| untimed(complaint).starts_with(mark));
        assert!(is_marked && complaint.contains(named), "{complaint}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    let long = "x".repeat(256);
    let output =
        run(directory.path(), &["request", "--connect", "ipc://x", "--identity", &long, "x"]);
    assert!(text(&output.stderr).contains("identity"), "{output:?}");
}

#[test]
fn messages_of_the_largest_size_pass_through_to_workers_and_back() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--max-message-size", "1000"]].concat();
    let (_program, endpoints) = Program::serve(directory.path(), &args);
    let _worker = Program::start(directory.path(), &["worker", "--connect", &endpoints[1]]);
    // The limit counts 64 bytes for each frame but the first, which is the delimiter.
    let body = "x".repeat(1000 - 2 * 64);
    let output = run(directory.path(), &["request", "--connect", &endpoints[0], &body]);
    assert_eq!(text(&output.stdout).trim_end(), body);
}

#[test]
fn serve_goes_on_when_nobody_reads_what_it_says() {
    let place = Place::new();
    let [frontend, backend] =
        ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name));
    // Nobody has the other ends.
    let [out, err] = [(); 2].map(|()| std::io::pipe().unwrap().1);
    let mut queue = Command::new(env!("CARGO_BIN_EXE_broker"))
        .args(["serve", "--frontend", &frontend, "--backend", &backend, "--log-level", "debug"])
        .stdout(out)
        .stderr(err)
        .spawn()
        .unwrap();
    let context = zmq::Context::new();
    let dealer = interop::socket(&context, zmq::DEALER, "");
    dealer.connect(&frontend).unwrap();
    for _ in 0..10 {
        dealer.send("no delimiter", 0).unwrap();
    }
    let _worker = interop::Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(interop::request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
    queue.kill().unwrap();
    queue.wait().unwrap();
}

#[test]
fn an_address_that_others_can_reach_is_warned_about() {
    let args = ["--frontend", "tcp://0.0.0.0:0", "--backend", "tcp://127.0.0.1:0"];
    let (program, endpoints) = Program::serve(directory().path(), &args);
    let (warning, expected) = (program.error(), format!("WARN  {} can be reached", endpoints[0]));
    assert!(warning.starts_with(&expected), "{warning}");
}

#[test]
fn the_soft_descriptor_limit_is_raised_to_the_hard_one() {
    let (program, _) = Program::serve(directory().path(), &ANYWHERE);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let fields: Vec<_> = line.split_whitespace().collect();
    assert_eq!(fields[3], fields[4], "{line}");
}
