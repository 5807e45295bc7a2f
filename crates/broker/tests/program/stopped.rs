//! Processes that are stopped, as by SIGSTOP or with their machine.

use std::time::Duration;

use interop::{PATIENCE, Worker, socket};
use rustix::process::Signal;

use super::{ANYWHERE, directory};
use crate::support::{Program, run, text};

#[test]
fn a_worker_that_is_stopped_is_given_up_by_its_heartbeat_and_its_request_goes_to_the_next() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--heartbeat", "0.2"]].concat();
    let (_program, endpoints) = Program::serve(directory.path(), &args);
    let worker = ["worker", "--connect", &endpoints[1], "--identity", "STOPS", "--sleep", "1000"];
    let stops = Program::start(directory.path(), &worker);
    let ask = ["request", "--connect", &endpoints[0], "--identity", "C", "x"];
    let client = Program::start(directory.path(), &ask);
    assert_eq!(stops.line(), "      STOPS: REQ  x from C");
    stops.signal(Signal::STOP);
    let worker = ["worker", "--connect", &endpoints[1], "--reply", "done"];
    let _helps = Program::start(directory.path(), &worker);
    assert_eq!(client.line(), "done");
}

#[test]
fn a_queue_that_was_stopped_takes_nobody_else_for_gone() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--heartbeat", "0.2", "--lease", "1", "--adoption", "0"]].concat();
    let (program, endpoints) = Program::serve(directory.path(), &args);
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::REQ, "W");
    worker.connect(&endpoints[1]).unwrap();
    worker.send("READY", 0).unwrap();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&endpoints[0]).unwrap();
    client.send("job", 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    program.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(3));
    worker.send_multipart(job, 0).unwrap();
    program.signal(Signal::CONT);
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    // It was the only one, and would not be given anything on another connection.
    client.send("another", 0).unwrap();
    assert_eq!(worker.recv_multipart(0).unwrap()[2], b"another");
    program.signal(Signal::TERM);
    assert!(program.error().contains("stopping once no request is in flight"));
}

#[test]
fn idle_peers_that_answer_heartbeats_are_kept() {
    let directory = directory();
    let args = [&ANYWHERE[..], &["--heartbeat", "0.1", "--adoption", "0"]].concat();
    let (_program, endpoints) = Program::serve(directory.path(), &args);
    let _worker = Worker::start(&endpoints[1], "W", Duration::ZERO);
    let ask =
        ["request", "--connect", &endpoints[0], "--timeout", &PATIENCE.as_secs().to_string(), "x"];
    for pause in [0, 1500] {
        std::thread::sleep(Duration::from_millis(pause));
        assert_eq!(text(&run(directory.path(), &ask).stdout), "x\n");
    }
}
