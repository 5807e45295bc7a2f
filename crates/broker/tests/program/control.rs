//! What the owner of a queue tells it to do, over its control socket.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Instant;

use interop::{PATIENCE, Place, socket};
use serde_json::Value;

use crate::support::{Program, command, run, text};

/// A queue that can be told what to do, its frontend and its backend.
fn serve(place: &Place) -> (Program, [String; 2]) {
    Program::serve_at(place, &["--control"])
}

/// What a command that succeeds says.
fn tell(place: &Place, args: &[&str]) -> String {
    let output = run(place.directory(), args);
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).trim_end().to_owned()
}

/// What a command that fails says.
fn refused(place: &Place, args: &[&str]) -> String {
    let output = run(place.directory(), args);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    text(&output.stderr).trim_end().to_owned()
}

fn wait_for(place: &Place, is_so: impl Fn(&Value) -> bool) {
    let start = Instant::now();
    loop {
        let told = tell(place, &["status", "--json", "--control", "broker.control"]);
        if is_so(&serde_json::from_str(&told).unwrap()) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{told}");
    }
}

fn connect(context: &zmq::Context, endpoint: &str, name: &str, first: &str) -> zmq::Socket {
    let peer = socket(context, zmq::REQ, name);
    peer.connect(endpoint).unwrap();
    peer.send(first, 0).unwrap();
    peer
}

/// Has a worker answer what it is given.
fn answer(worker: &zmq::Socket) {
    let job = worker.recv_multipart(0).unwrap();
    worker.send_multipart(job, 0).unwrap();
}

#[test]
fn a_queue_that_is_paused_hands_out_nothing_until_it_is_resumed() {
    let place = Place::new();
    let (_program, [frontend, backend]) = serve(&place);
    let context = zmq::Context::new();
    let worker = connect(&context, &backend, "W", "READY");
    wait_for(&place, |status| status["workers"][0]["state"] == "idle");
    assert_eq!(tell(&place, &["pause"]), "paused: no request is handed out");
    let client = connect(&context, &frontend, "C", "job");
    wait_for(&place, |status| status["paused"] == true && status["waiting"]["requests"] == 1);
    wait_for(&place, |status| status["waiting"]["longest"][0]["name"] == "C");
    assert_eq!(worker.poll(zmq::POLLIN, 0).unwrap(), 0);
    assert_eq!(tell(&place, &["resume"]), "resumed: requests are handed out");
    answer(&worker);
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
}

#[test]
fn a_queue_that_is_told_to_drain_answers_what_runs_and_ends() {
    let place = Place::new();
    let (program, [frontend, backend]) = serve(&place);
    let context = zmq::Context::new();
    let worker = connect(&context, &backend, "W", "READY");
    let client = connect(&context, &frontend, "C", "job");
    let job = worker.recv_multipart(0).unwrap();
    assert!(tell(&place, &["drain"]).starts_with("draining"));
    wait_for(&place, |status| status["draining"] == true);
    for command in ["pause", "resume", "upgrade"] {
        assert_eq!(refused(&place, &[command]), "broker: the queue drains, and ends");
    }
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    assert!(program.wait().success());
    assert!(!place.directory().join("broker.control").exists(), "its socket goes with it");
}

#[test]
fn a_worker_in_quarantine_answers_what_it_has_and_gets_nothing_more_until_it_is_released() {
    let place = Place::new();
    let (_program, [frontend, backend]) = serve(&place);
    let context = zmq::Context::new();
    let worker = connect(&context, &backend, "W", "READY");
    let first = connect(&context, &frontend, "FIRST", "one");
    let job = worker.recv_multipart(0).unwrap();
    let said = tell(&place, &["quarantine", "W"]);
    assert_eq!(said, "worker W gets nothing more until it is released");
    let shown = tell(&place, &["status", "--control", "broker.control"]);
    assert!(shown.contains(" busy, held "), "{shown}");
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(first.recv_bytes(0).unwrap(), b"one");
    wait_for(&place, |status| status["workers"][0]["state"] == "quarantined");
    let second = connect(&context, &frontend, "SECOND", "two");
    wait_for(&place, |status| status["waiting"]["requests"] == 1);
    assert_eq!(tell(&place, &["release", "W"]), "worker W is in quarantine no more");
    answer(&worker);
    assert_eq!(second.recv_bytes(0).unwrap(), b"two");
    // One that is idle as well.
    tell(&place, &["quarantine", "W"]);
    wait_for(&place, |status| status["workers"][0]["state"] == "quarantined");
    let said = refused(&place, &["quarantine", "X"]);
    assert_eq!(said, "broker: no worker is called X; `broker status` lists all");
    for (nameless, what) in [
        (&["quarantine", ""][..], r#""" is not what a worker is called"#),
        (&["release", r"odd\"], r#""odd\\" is not what a worker is called"#),
        (&["tap", "--peer", ""], r#""" is not what a peer is called"#),
    ] {
        let said = refused(&place, nameless);
        assert!(said.starts_with(&format!("broker: {what}; give the name")), "{said}");
    }
    let said = refused(&place, &["quarantine", "-odd"]);
    assert!(said.starts_with("broker: no worker is called -odd"), "{said}");
}

#[test]
fn a_worker_that_was_quarantined_for_its_faults_can_be_released() {
    let place = Place::new();
    let (_program, [frontend, backend]) =
        Program::serve_at(&place, &["--control", "--max-strikes", "1"]);
    let context = zmq::Context::new();
    let worker = connect(&context, &backend, "W", "READY");
    let client = connect(&context, &frontend, "C", "job");
    worker.recv_multipart(0).unwrap();
    worker.send("no reply", 0).unwrap();
    wait_for(&place, |status| status["workers"][0]["state"] == "quarantined");
    tell(&place, &["release", "W"]);
    answer(&worker);
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
}

#[test]
fn a_tap_shows_the_frames_of_a_client_and_a_worker_as_they_pass_with_long_ones_cut() {
    let place = Place::new();
    let (program, [frontend, backend]) = serve(&place);
    let context = zmq::Context::new();
    let worker = connect(&context, &backend, "W", "READY");
    let before = connect(&context, &frontend, "B", "job");
    answer(&worker);
    before.recv_bytes(0).unwrap();
    let taps = ["C", "W"].map(|name| {
        let tap = Program::start(place.directory(), &["tap", "--peer", name]);
        assert_eq!(program.error(), format!("INFO  messages of {name} are shown"));
        let said = format!("broker: messages of {name} are shown as they pass; Ctrl-C ends");
        assert_eq!(tap.error(), said);
        tap
    });
    let client = connect(&context, &frontend, "C", &"x".repeat(100));
    answer(&worker);
    client.recv_bytes(0).unwrap();
    let line = |tap: &Program| {
        let line = tap.line();
        line.split_once(' ').unwrap().1.to_owned()
    };
    assert_eq!(taps[0].line(), "nobody is called C now; what passes is shown once somebody is");
    let body = format!("{}... (100 bytes)", "x".repeat(64));
    for direction in ["from", "to"] {
        assert_eq!(line(&taps[0]), format!("{direction} client C: (empty) | {body}"));
    }
    for direction in ["to", "from"] {
        let expected = format!("{direction} worker W: (empty) | C | (empty) | {body}");
        assert_eq!(line(&taps[1]), expected);
    }
    let nameless = connect(&context, &frontend, "", "y");
    answer(&worker);
    nameless.recv_bytes(0).unwrap();
    let (name, body) = (r"to worker W: (empty) | \x00", " | (empty) | y");
    let shown = line(&taps[1]);
    assert!(shown.starts_with(name) && shown.ends_with(body), "as the log has it: {shown}");
    drop(program);
    for tap in taps {
        assert_eq!(tap.error(), "broker: the queue has ended");
    }
}

#[test]
fn a_tap_that_nobody_reads_ends() {
    let place = Place::new();
    let (program, [frontend, _]) = serve(&place);
    let mut tap = command(place.directory(), &["tap", "--peer", "C"]);
    let mut tap = tap.stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(program.error(), "INFO  messages of C are shown");
    drop(tap.stdout.take());
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER, "C");
    client.connect(&frontend).unwrap();
    client.send_multipart(["", "x"], 0).unwrap();
    assert!(tap.wait().unwrap().success());
}

#[test]
fn only_its_owner_can_connect_to_the_control_socket() {
    let place = Place::new();
    let (program, _) = serve(&place);
    let path = place.directory().join("broker.control");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What another queue listens on stays, what one that was killed has left does not.
    let serve = ["serve", "--frontend", "ipc://f", "--backend", "ipc://b", "--control"];
    let output = run(place.directory(), &serve);
    let said = "cannot be controlled at broker.control: another process listens there";
    assert!(text(&output.stderr).contains(said), "{output:?}");
    program.kill();
    assert!(path.exists());
    let (program, _) = Program::serve(place.directory(), &serve[1..]);
    assert_eq!(tell(&place, &["pause"]), "paused: no request is handed out");
    drop(program);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    let output = run(place.directory(), &serve);
    assert!(text(&output.stderr).contains("move it away first"), "{output:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let said = refused(&place, &["pause", "--control", "nowhere"]);
    assert_eq!(
        said,
        "broker: no queue at nowhere: No such file or directory (os error 2); `serve` with `--control` makes one"
    );
}
