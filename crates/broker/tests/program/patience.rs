//! What the program does while everybody waits: nothing.

use std::time::{Duration, Instant};

use interop::{Place, Worker, socket};

use crate::support::Program;

/// Of one of the clients.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// How often a process has been woken, all threads together.
fn wakes(pid: u32) -> u128 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let count = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("status")).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse::<u128>().unwrap()
    };
    threads.map(|thread| count(thread.unwrap())).sum()
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn ten_clients_wait_for_three_busy_workers_without_waking_the_queue_or_losing_connections() {
    let place = Place::new();
    let (program, _) = Program::serve(place.directory(), &[]);
    let endpoint = |name| format!("ipc://{}/{name}.ipc", place.directory().display());
    let (frontend, backend) = (endpoint("frontend"), endpoint("backend"));
    let before = descriptors(program.pid());
    let job = Duration::from_secs(4);
    let _workers: Vec<_> = (0..3).map(|i| Worker::start(&backend, &format!("W{i}"), job)).collect();

    let context = zmq::Context::new();
    let clients: Vec<_> = (0..10)
        .map(|i| {
            let req = socket(&context, zmq::REQ, &format!("C{i}"));
            if i == 9 {
                // The queue has to answer it, or the client closes its connection.
                req.set_heartbeat_ivl(HEARTBEAT.as_millis().try_into().unwrap()).unwrap();
                req.set_heartbeat_timeout(1500).unwrap();
            }
            let events = zmq::SocketEvent::DISCONNECTED.to_raw().into();
            req.monitor(&format!("inproc://c{i}"), events).unwrap();
            let monitor = socket(&context, zmq::PAIR, "");
            monitor.connect(&format!("inproc://c{i}")).unwrap();
            req.connect(&frontend).unwrap();
            req.send("x", 0).unwrap();
            (req, monitor)
        })
        .collect();
    // Everybody has connected.
    while descriptors(program.pid()) < before + 13 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (before, start) = (wakes(program.pid()), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let woken = wakes(program.pid()) - before;
    let heartbeats = start.elapsed().as_millis() / HEARTBEAT.as_millis();
    println!("woken {woken} times for {heartbeats} heartbeats");
    assert!(woken <= 2 * heartbeats + 10, "{woken} times, for {heartbeats} heartbeats");

    for (i, (req, monitor)) in clients.iter().enumerate() {
        let events = monitor.recv_multipart(zmq::DONTWAIT);
        assert!(events.is_err(), "client {i} lost its connection");
        if i < 3 {
            req.recv_multipart(0).unwrap();
        }
    }
}
