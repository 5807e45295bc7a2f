//! What the queue says of what goes on.

use std::io::Write;
use std::os::unix::net::UnixStream;

use interop::{Place, socket};
use rustix::process::Signal;

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

/// A worker that is ready, and a client that has asked for something.
fn pair(context: &zmq::Context, frontend: &str, backend: &str) -> [zmq::Socket; 2] {
    [("W", backend, "READY"), ("C", frontend, "a request")].map(|(name, endpoint, says)| {
        let peer = socket(context, zmq::REQ, name);
        peer.connect(endpoint).unwrap();
        peer.send(says, 0).unwrap();
        peer
    })
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
fn a_worker_that_leaves_with_a_request_is_told_of() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    let [worker, _client] = pair(&context, &frontend, &backend);
    worker.recv_multipart(0).unwrap();
    drop(worker);
    let line = program.raw_error();
    let told = format!("WARN  worker W at {backend} has left with request 1: closed by the peer");
    assert!(line.ends_with(&told), "{line}");
}

#[test]
fn a_lease_that_is_over_is_told_of_with_its_request() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &["--lease", "0.05"]);
    let context = zmq::Context::new();
    let _peers = pair(&context, &frontend, &backend);
    let line = program.error();
    let told = "took longer for a request than the lease, and gets nothing more before it answers (request 1)";
    assert!(line.contains("WARN  worker W at ") && line.ends_with(told), "{line}");
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
    assert!(line.ends_with("where its signature should be, as HTTP begins"), "{line}");
}

#[test]
fn peers_at_the_wrong_side_are_told_of() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    for (name, endpoint, says, told) in [
        ("W", frontend, "READY", "(a worker has to connect to the backend)"),
        ("C", backend, "a request", "(a client has to connect to the frontend)"),
    ] {
        let peer = socket(&context, zmq::REQ, name);
        peer.connect(&endpoint).unwrap();
        peer.send(says, 0).unwrap();
        let line = program.error();
        assert!(line.contains(&format!(" {name} at ")) && line.ends_with(told), "{line}");
    }
}

#[test]
fn a_worker_that_never_says_ready_is_told_of() {
    let place = Place::new();
    let (program, [_, backend]) = Program::serve_at(&place, &["--adoption", "0"]);
    let worker = socket(&zmq::Context::new(), zmq::REQ, "W");
    worker.connect(&backend).unwrap();
    let line = program.error();
    let told =
        "has been connected for ten seconds and has not said READY; it gets nothing before it does";
    assert!(line.contains("WARN  worker W at ") && line.ends_with(told), "{line}");
}

#[test]
fn two_workers_under_one_name_are_told_of_once_though_they_come_back_over_and_over() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    let workers = [(); 2].map(|()| socket(&context, zmq::REQ, "W"));
    let events = zmq::SocketEvent::DISCONNECTED.to_raw().into();
    workers[0].monitor("inproc://monitor", events).unwrap();
    let monitor = socket(&context, zmq::PAIR, "");
    monitor.connect("inproc://monitor").unwrap();
    for worker in &workers {
        worker.connect(&backend).unwrap();
        worker.send("READY", 0).unwrap();
    }
    let line = program.error();
    assert!(
        line.contains("WARN  worker W at ") && line.contains("another worker has connected"),
        "{line}"
    );
    (0..5).for_each(|_| drop(monitor.recv_multipart(0).unwrap()));
    let client = socket(&context, zmq::DEALER, "D");
    client.connect(&frontend).unwrap();
    client.send("no empty frame", 0).unwrap();
    let line = program.error();
    assert!(line.contains("client D at"), "{line}");
}

#[test]
fn a_client_that_wants_another_security_mechanism_is_told_of() {
    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "");
    client.set_plain_username(Some("user")).unwrap();
    client.set_plain_password(Some("password")).unwrap();
    client.connect(&frontend).unwrap();
    let line = line_about(&program, "no handshake");
    let told =
        ["security mechanism such as PLAIN or CURVE and there is only NULL", "PLAIN is not NULL"];
    assert!(told.iter().any(|told| line.contains(told)), "{line}");
}

#[test]
fn a_flood_of_faults_of_one_peer_is_a_line_and_hides_no_other() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--max-waiting", "100000"]].concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER, "D");
    client.connect(&endpoints[0]).unwrap();
    for _ in 0..1000 {
        client.send("no empty frame", 0).unwrap();
    }
    assert!(program.error().contains("client D at"));
    let another = socket(&context, zmq::DEALER, "E");
    another.connect(&endpoints[0]).unwrap();
    another.send("no empty frame", 0).unwrap();
    let line = program.error();
    assert!(line.contains("client E at"), "{line}");
    program.signal(Signal::TERM);
    let line = line_about(&program, "lately");
    assert!(line.contains("client D at") && line.ends_with(" more lately"), "{line}");
}

#[test]
fn faults_of_who_leaves_at_once_are_told_of() {
    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &["--http", "127.0.0.1:0"]);
    let dealer = b"\x04\x2A\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x01";
    for (name, message, told) in [
        ("X", &b"\x00\x04oops"[..], "dropped a message without an empty frame"),
        ("Y", b"\x78\x00", "has left: reserved bits in frame flags 0x78"),
    ] {
        let path = frontend.strip_prefix("ipc://").unwrap();
        let mut peer = UnixStream::connect(path).unwrap();
        peer.write_all(&[&interop::GREETING[..], dealer, name.as_bytes(), message].concat())
            .unwrap();
        drop(peer);
        let line = program.error();
        assert!(
            line.contains(&format!("WARN  client {name} at ")) && line.contains(told),
            "{line}"
        );
    }
}

#[test]
fn what_exceeds_a_limit_is_told_of_and_counted() {
    let place = Place::new();
    let args = ["--http", "127.0.0.1:0", "--max-message-size", "1K"];
    let args = [&["serve"], &ANYWHERE[..], &args].concat();
    let program = Program::start(place.directory(), &args);
    let told = program.endpoints();
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "LARGE");
    client.connect(&told[0]).unwrap();
    client.send(&[b'x'; 5000][..], 0).unwrap();
    let line = program.error();
    assert!(
        line.contains("WARN  client LARGE at ") && line.contains("exceeds the limit of"),
        "{line}"
    );
    let (_, metrics) = crate::http::get(told[2].strip_prefix("http://").unwrap(), "/metrics");
    assert!(metrics.contains("broker_violations_total{kind=\"protocol\"} 1"), "{metrics}");
}

#[test]
fn of_a_flood_of_faults_of_many_ten_are_told_and_a_second_later_how_many_were_left_out() {
    let place = Place::new();
    let (program, [frontend, _]) = Program::serve_at(&place, &[]);
    let context = zmq::Context::new();
    let clients: Vec<_> = (0..64)
        .map(|i| {
            let client = socket(&context, zmq::DEALER, &format!("D{i}"));
            client.connect(&frontend).unwrap();
            client.send("no empty frame", 0).unwrap();
            client
        })
        .collect();
    let (mut told, mut left_out) = (0, 0);
    while told + left_out < clients.len() {
        let line = program.error();
        match line.strip_suffix(" more faults of peers were left out") {
            Some(text) => {
                assert!(told >= 10, "{line}");
                left_out += text.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
            }
            None => told += 1,
        }
    }
}
