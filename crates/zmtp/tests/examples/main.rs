//! The examples from the outside: those that end by themselves, and the others with `zmtp-cat` on the
//! other side.
//!
//! `cargo test` builds them; to run these tests alone, build them first:
//! `cargo build -p zmtp --examples`.

mod cat;
mod effects;
mod support;

use rustix::process::Signal;
use support::{Program, run};

/// A free port.
const ANYWHERE: &str = "tcp://127.0.0.1:0";

#[test]
fn request_reply_greets_three() {
    let ended = run("request_reply", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in ["Ada", "Grace", "Barbara"] {
        let line = format!("REQ asked as {name} and got [\"Hello, {name}!\"]\n");
        assert!(ended.output.contains(&line), "{ended:?}");
    }
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_greets_three() {
    let ended = run("blocking", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.output.matches("got [\"Hello\", \"").count(), 3, "{ended:?}");
}

#[test]
fn async_server_answers_all_requests_of_all_clients() {
    let ended = run("async_server", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for name in ["Ada", "Grace", "Barbara"] {
        let replies = ended.output.matches(&format!("{name} got [\"done\", \"dig")).count();
        assert_eq!(replies, 3, "{ended:?}");
    }
    assert!(ended.output.ends_with("all clients have their replies\n"), "{ended:?}");
}

#[test]
fn lazy_pirate_asks_again_and_comes_to_an_end() {
    let ended = run("lazy_pirate", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.output.contains("attempt 1: "), "{ended:?}");
    for question in ["first", "second", "third"] {
        assert!(ended.output.contains(&format!("{question} question: ")), "{ended:?}");
    }
}

#[test]
fn proxy_carries_requests_to_workers_and_replies_back() {
    let proxy = Program::start("proxy", &[ANYWHERE, ANYWHERE]);
    let front = proxy.line_with("clients connect to ").split_off("clients connect to ".len());
    let back = proxy.line_with("workers connect to ").split_off("workers connect to ".len());
    let early = Program::cat(&["req", "--connect", &front]);
    early.write("asked before there is a worker");
    let workers = [(), ()].map(|()| Program::cat(&["rep", "--connect", &back, "--echo"]));
    assert_eq!(early.end().output, "asked before there is a worker\n\n");

    let input = "one\n\ntwo\nparts\n\n0x\n0x00ff\n\n";
    let clients = [(); 4].map(|()| {
        let client = Program::cat(&["req", "--connect", &front]);
        client.write(input);
        client
    });
    for client in clients {
        let ended = client.end();
        assert_eq!((ended.code, &*ended.output), (Some(0), input), "{ended:?}");
    }
    for worker in &workers {
        worker.line();
    }
}

#[test]
fn lru_worker_says_ready_and_answers_requests() {
    let (broker, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE]);
    let worker = Program::start("lru_worker", &[&endpoint]);
    let ready = broker.message();
    assert_eq!(ready[1..], ["0x", "READY"]);
    let id = &*ready[0];
    broker.say(&[id, "0x", "CLIENT-1", "0x", "hello", "world"]);
    assert_eq!(broker.message(), [id, "0x", "CLIENT-1", "0x", "HELLO", "WORLD"]);
    broker.say(&[id, "0x", "no request"]);
    assert_eq!(broker.message(), [id, "0x", "READY"]);
    worker.line_with("not a request");

    drop(broker);
    worker.line_with("the broker is gone");
    let (broker, _) = Program::bound_cat(&["router", "--bind", &endpoint]);
    assert_eq!(broker.message()[1..], ["0x", "READY"]);
}

#[test]
fn peer_list_tells_who_joins_and_who_leaves() {
    let list = Program::start("peer_list", &[ANYWHERE]);
    let endpoint = list.line_with("listening on ").split_off("listening on ".len());
    let dealer = Program::cat(&["dealer", "--connect", &endpoint, "--identity", "CLIENT-1"]);
    let joined = list.line_with("joined: DEALER from tcp://127.0.0.1:");
    assert!(joined.ends_with(", CLIENT-1"), "{joined}");
    let req = Program::cat(&["req", "--connect", &endpoint]);
    let joined = list.line_with("joined: REQ from tcp://127.0.0.1:");
    assert!(joined.ends_with(", anonymous"), "{joined}");
    assert_eq!(dealer.end_by(Signal::TERM).code, Some(0));
    let left = list.line_with("left: DEALER from tcp://127.0.0.1:");
    assert!(left.ends_with(", CLIENT-1, closed by the peer"), "{left}");
    drop(req);
    list.line_with("left: REQ from ");
}

#[test]
fn graceful_shutdown_delivers_what_it_sent_or_tells() {
    let (service, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE]);
    let reporter = Program::start("graceful_shutdown", &[&endpoint]);
    let mut report = service.message();
    assert_eq!(report[1], "report 1");
    service.say(&[&report[0], "go on"]);
    assert_eq!(reporter.line_with("received"), "received [\"go on\"]");
    let ended = reporter.end_by(Signal::TERM);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.output.ends_with("stopped\n"), "{ended:?}");
    let (_, rest) = ended.output.split_once("stopping after ").unwrap();
    let (reports, _) = rest.split_once(' ').unwrap();
    let last = format!("report {reports}");
    // A second may be too short for a machine that has much else to do.
    if !rest.contains("not delivered") {
        while report[1] != last {
            report = service.message();
        }
    }
}

#[test]
fn graceful_shutdown_tells_what_was_not_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}/nobody", directory.path().display());
    let reporter = Program::start("graceful_shutdown", &[&endpoint]);
    reporter.line_with("report 2 is on its way");
    let ended = reporter.end_by(Signal::INT);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (_, rest) = ended.output.split_once("stopping after ").unwrap();
    let (reports, _) = rest.split_once(' ').unwrap();
    let told = format!("not delivered to {endpoint}: {reports} messages\nstopped\n");
    assert!(rest.ends_with(&told), "{ended:?}");
}
