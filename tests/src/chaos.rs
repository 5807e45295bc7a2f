//! libzmq peers of a queue in a process that is there to be killed.
//!
//! `chaos worker ENDPOINT NAME` answers each request with `re:` and the request. `chaos clients ENDPOINT NAME COUNT` asks from
//! so many sockets, one request after the other, until its standard input ends; then each waits for its last reply. `chaos
//! stubborn ENDPOINT NAME COUNT` does the same, and asks once more from another socket of that name where no reply comes. A
//! line tells how many replies and errors there were, and how often it was asked once more.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use interop::{PATIENCE, socket};

/// How long a worker takes.
const WORK: Duration = Duration::from_millis(2);

/// How long a stubborn client waits for a reply. That is longer than any takes but those that are lost.
const STUBBORN: Duration = Duration::from_secs(10);

/// What the queue sends instead of a reply.
const ERROR: &str = "ERROR";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["worker", endpoint, name] => work(endpoint, name),
        ["clients" | "stubborn", endpoint, name, count] => {
            let patience = if args[0] == "stubborn" { STUBBORN } else { PATIENCE };
            ask(endpoint, name, count.parse().expect("a number"), patience);
        }
        _ => panic!("worker ENDPOINT NAME, or clients or stubborn ENDPOINT NAME COUNT"),
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

/// What clients have seen.
#[derive(Default)]
struct Seen {
    replies: u64,
    errors: u64,
    asked_again: u64,
}

fn ask(endpoint: &str, name: &str, count: usize, patience: Duration) {
    let ends = AtomicBool::new(false);
    let context = zmq::Context::new();
    let mut all = Seen::default();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..count)
            .map(|i| {
                let (context, ends) = (&context, &ends);
                scope.spawn(move || {
                    client(context, endpoint, &format!("{name}.{i}"), patience, ends)
                })
            })
            .collect();
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ends.store(true, Ordering::Relaxed);
        for client in clients {
            let seen = client.join().expect("each request has an answer in time");
            all.replies += seen.replies;
            all.errors += seen.errors;
            all.asked_again += seen.asked_again;
        }
    });
    println!("{} {} {}", all.replies, all.errors, all.asked_again);
}

fn client(
    context: &zmq::Context,
    endpoint: &str,
    name: &str,
    patience: Duration,
    ends: &AtomicBool,
) -> Seen {
    let connect = || {
        let req = socket(context, zmq::REQ, name);
        req.set_rcvtimeo(i32::try_from(patience.as_millis()).unwrap()).unwrap();
        req.connect(endpoint).unwrap();
        req
    };
    let (mut req, mut seen) = (connect(), Seen::default());
    while !ends.load(Ordering::Relaxed) {
        let body = format!("{name}.{}", seen.replies + seen.errors);
        req.send(&body, 0).unwrap();
        let reply = match req.recv_string(0) {
            Err(zmq::Error::EAGAIN) if patience < PATIENCE => {
                req = connect();
                seen.asked_again += 1;
                req.send(&body, 0).unwrap();
                req.recv_string(0)
            }
            reply => reply,
        };
        let reply = reply.expect("an answer in time").expect("it is text");
        if reply == ERROR {
            seen.errors += 1;
        } else {
            assert_eq!(reply, format!("re:{body}"), "the reply to another request");
            seen.replies += 1;
        }
    }
    seen
}
