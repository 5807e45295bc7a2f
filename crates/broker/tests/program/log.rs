//! What the queue says of what goes on.

use std::io::Write;
use std::os::unix::net::UnixStream;

use interop::{Place, socket};

use super::{ANYWHERE, directory};
use crate::support::Program;

/// The next line that is about something.
fn line_about(program: &Program, what: &str) -> String {
    loop {
        let line = program.raw_error();
        if line.contains(what) {
            return line;
        }
    }
}

#[test]
fn the_life_of_a_connection_is_told_at_debug_and_only_there() {
    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &["--log-level", "debug"]);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&frontend).unwrap();
    let line = line_about(&program, "has joined");
    assert!(line.ends_with(&format!("DEBUG client C at {frontend} has joined, a REQ")), "{line}");
    drop(client);
    let line = line_about(&program, "has left");
    assert!(
        line.ends_with(&format!("DEBUG client C at {frontend} has left: closed by the peer")),
        "{line}"
    );

    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &[]);
    let client = socket(&context, zmq::DEALER, "D");
    client.connect(&frontend).unwrap();
    client.send("no empty frame", 0).unwrap();
    let line = program.raw_error();
    assert!(line.contains("WARN  client D at ipc://"), "that it has joined is not told: {line}");
}

#[test]
fn json_has_a_line_for_each_event_with_who_where_and_why() {
    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &["--log", "json"]);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER, "D");
    client.connect(&frontend).unwrap();
    client.send("no empty frame", 0).unwrap();
    let line: serde_json::Value = serde_json::from_str(&program.raw_error()).unwrap();
    let fields = ["level", "side", "identity", "address"].map(|name| line[name].as_str().unwrap());
    assert_eq!(fields, ["WARN", "client", "D", &*frontend]);
    let reason = line["reason"].as_str().unwrap();
    assert!(reason.starts_with("dropped a message without an empty frame"), "{reason}");
    assert_eq!(line["message"].as_str().unwrap(), format!("client D at {frontend}: {reason}"));
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn who_does_not_get_through_the_handshake_is_told_of_with_the_reason() {
    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    let publisher = socket(&context, zmq::PUB, "");
    publisher.connect(&frontend).unwrap();
    let line = line_about(&program, "no handshake");
    assert!(line.contains("WARN") && line.contains("PUB"), "{line}");
    let path = frontend.strip_prefix("ipc://").unwrap();
    UnixStream::connect(path).unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let line = line_about(&program, "no handshake");
    assert!(line.contains("WARN") && line.contains(&frontend), "{line}");
}

#[test]
fn two_workers_under_one_name_are_told_of() {
    let place = Place::new();
    let (program, [_, backend]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    let _workers = [(); 2].map(|()| {
        let worker = socket(&context, zmq::REQ, "W");
        worker.connect(&backend).unwrap();
        worker.send("READY", 0).unwrap();
        worker
    });
    let line = line_about(&program, "under its name");
    assert!(
        line.contains("WARN  worker W at ") && line.contains("another worker has connected"),
        "{line}"
    );
}

#[test]
fn a_flood_of_faults_is_a_few_lines_and_their_number() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--max-waiting", "100000"]].concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER, "D");
    client.connect(&endpoints[0]).unwrap();
    // More than a second of them.
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(2500) {
        client.send("no empty frame", 0).unwrap();
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    let line = line_about(&program, "left out");
    let missed = line.split('(').next_back().unwrap().split(' ').next().unwrap();
    assert!(missed.parse::<u32>().unwrap() > 100, "{line}");
}
