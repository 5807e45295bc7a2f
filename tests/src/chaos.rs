//! libzmq peers of a queue in a process that is there to be killed.
//!
//! `chaos worker ENDPOINT NAME` answers each request with `re:` and the request. `chaos clients ENDPOINT NAME COUNT` asks from
//! so many sockets, one request after the other, until its standard input ends; then each waits for its last reply. A
//! line tells how many replies and errors there were.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use interop::socket;

/// How long a worker takes.
const WORK: Duration = Duration::from_millis(2);

/// What the queue sends instead of a reply.
const ERROR: &str = "ERROR";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["worker", endpoint, name] => work(endpoint, name),
        ["clients", endpoint, name, count] => ask(endpoint, name, count.parse().expect("a number")),
        _ => panic!("worker ENDPOINT NAME, or clients ENDPOINT NAME COUNT"),
    }
}

fn work(endpoint: &str, name: &str) {
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::REQ, name);
    worker.set_rcvtimeo(-1).unwrap();
    worker.connect(endpoint).unwrap();
    worker.send("READY", 0).unwrap();
    loop {
        let mut frames = worker.recv_multipart(0).unwrap();
        std::thread::sleep(WORK);
        frames[2].splice(0..0, *b"re:");
        worker.send_multipart(frames, 0).unwrap();
    }
}

fn ask(endpoint: &str, name: &str, count: usize) {
    let ends = AtomicBool::new(false);
    let context = zmq::Context::new();
    let (mut replies, mut errors) = (0, 0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..count)
            .map(|i| {
                let (context, ends) = (&context, &ends);
                scope.spawn(move || client(context, endpoint, &format!("{name}.{i}"), ends))
            })
            .collect();
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ends.store(true, Ordering::Relaxed);
        for client in clients {
            let (answered, failed) = client.join().expect("each request has an answer in time");
            replies += answered;
            errors += failed;
        }
    });
    println!("{replies} {errors}");
}

/// Returns how many replies and errors there were.
fn client(context: &zmq::Context, endpoint: &str, name: &str, ends: &AtomicBool) -> (u64, u64) {
    let req = socket(context, zmq::REQ, name);
    req.connect(endpoint).unwrap();
    let (mut replies, mut errors) = (0, 0);
    while !ends.load(Ordering::Relaxed) {
        let body = format!("{name}.{}", replies + errors);
        req.send(&body, 0).unwrap();
        let reply = req.recv_string(0).expect("an answer in time").expect("it is text");
        if reply == ERROR {
            errors += 1;
        } else {
            assert_eq!(reply, format!("re:{body}"), "the reply to another request");
            replies += 1;
        }
    }
    (replies, errors)
}
