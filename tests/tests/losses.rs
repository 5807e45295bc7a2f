//! What it costs when workers die, hang or misbehave, and when clients leave or ask too much: with libzmq's sockets around
//! our queue.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use broker::{AtLimit, Config, GaveUp, Policy, Side, Violation};
use interop::{PATIENCE, Place, Transport, Worker, request, socket};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use zmq::{Context, Socket};

/// Our queue, on a thread of its own, and what it tells.
struct Queue {
    place: Place,
    transport: Transport,
    config: Config,
    runtime: Option<Runtime>,
    reports: Receiver<(String, Violation)>,
    /// Workers that have left.
    left: Receiver<()>,
    /// What was given up: its client, its first frame, and why.
    letters: Receiver<(String, String, GaveUp)>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Queue {
    fn start(policy: Policy) -> Self {
        Self::start_over(Transport::Ipc, policy)
    }

    fn start_over(transport: Transport, policy: Policy) -> Self {
        let place = Place::new();
        let endpoint = |name| place.endpoint(transport, name).parse().unwrap();
        let config = Config {
            frontend: vec![endpoint("frontend")],
            backend: vec![endpoint("backend")],
            policy,
            ..Config::default()
        };
        let (reports, left, letters) = (channel().1, channel().1, channel().1);
        let mut queue = Self { place, transport, config, runtime: None, reports, left, letters };
        queue.restart();
        queue
    }

    /// As if it was killed and started again.
    fn restart(&mut self) {
        drop(self.runtime.take());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (report, reports) = channel();
        let (keep, letters) = channel();
        let (leave, left) = channel();
        let builder = broker::Builder::from(self.config.clone())
            .on_report(move |who| drop(report.send((text(&who.routing_id), who.violation))))
            .on_peer_change(move |change| {
                if change.side == Side::Backend && change.left.is_some() {
                    let _ = leave.send(());
                }
            })
            .on_dead_letter(move |letter| {
                let body = text(letter.body.part(0).unwrap());
                drop(keep.send((text(&letter.client), body, letter.reason)));
            });
        let broker = runtime.block_on(builder.bind()).unwrap();
        runtime.spawn(broker.run(std::future::pending()));
        (self.runtime, self.reports, self.letters) = (Some(runtime), reports, letters);
        self.left = left;
    }

    fn frontend(&self) -> String {
        self.place.endpoint(self.transport, "frontend")
    }

    fn backend(&self) -> String {
        self.place.endpoint(self.transport, "backend")
    }

    /// A REQ worker that has said READY.
    fn worker(&self, context: &Context, name: &str) -> Socket {
        let worker = socket(context, zmq::REQ, name);
        worker.connect(&self.backend()).unwrap();
        worker.send("READY", 0).unwrap();
        worker
    }

    /// A REQ client that has asked for something.
    fn client(&self, context: &Context, name: &str, body: &str) -> Socket {
        let client = socket(context, zmq::REQ, name);
        client.connect(&self.frontend()).unwrap();
        client.send(body, 0).unwrap();
        client
    }

    fn reported(&self, who: &str, violation: Violation) {
        let report = self.reports.recv_timeout(PATIENCE).expect("a report");
        assert_eq!(report, (who.to_owned(), violation));
    }
}

/// The request of which a worker receives the frames.
fn job(worker: &Socket) -> String {
    let frames = worker.recv_multipart(0).expect("a request in time");
    assert_eq!((frames.len(), frames[1].len()), (3, 0));
    text(&frames[2])
}

fn answer(worker: &Socket, client: &str, reply: &str) {
    worker.send_multipart([client, "", reply], 0).unwrap();
}

fn reply(client: &Socket) -> String {
    text(&client.recv_bytes(0).expect("a reply in time"))
}

#[test]
fn a_request_that_kills_two_workers_is_kept_and_takes_no_third() {
    let queue = Queue::start(Policy::default());
    let context = Context::new();
    let _poisoned = queue.client(&context, "P", "poison");
    for name in ["first", "second"] {
        let worker = queue.worker(&context, name);
        assert_eq!(job(&worker), "poison");
    }
    let letter = queue.letters.recv_timeout(PATIENCE).unwrap();
    assert_eq!(letter, ("P".to_owned(), "poison".to_owned(), GaveUp::Kills));
    let _healthy = Worker::start(&queue.backend(), "third", Duration::ZERO);
    assert_eq!(request(&queue.frontend(), "C", &[b"fine".to_vec()]), [b"fine"]);
}

#[test]
fn a_client_is_told_of_a_request_that_was_given_up_if_that_is_wanted() {
    let error_reply = Some("sorry".into());
    let queue = Queue::start(Policy { error_reply, ..Policy::default() });
    let context = Context::new();
    let client = queue.client(&context, "C", "poison");
    for name in ["first", "second"] {
        assert_eq!(job(&queue.worker(&context, name)), "poison");
    }
    assert_eq!(reply(&client), "sorry");
}

#[test]
fn a_worker_that_hangs_costs_a_lease_and_its_late_reply_is_dropped() {
    let lease = Some(Duration::from_millis(200));
    let queue = Queue::start(Policy { lease, ..Policy::default() });
    let context = Context::new();
    let client = queue.client(&context, "C", "job");
    let hangs = queue.worker(&context, "hangs");
    assert_eq!(job(&hangs), "job");
    queue.reported("hangs", Violation::LeaseOver);
    let helps = queue.worker(&context, "helps");
    assert_eq!(job(&helps), "job");
    answer(&helps, "C", "in time");
    assert_eq!(reply(&client), "in time");
    answer(&hangs, "C", "late");
    drop(helps);
    client.send("again", 0).unwrap();
    assert_eq!(job(&hangs), "again", "it is of use again");
    answer(&hangs, "C", "in time, too");
    assert_eq!(reply(&client), "in time, too");
}

#[test]
fn the_late_reply_of_a_worker_counts_while_nobody_else_has_answered() {
    let lease = Some(Duration::from_millis(200));
    let queue = Queue::start(Policy { lease, ..Policy::default() });
    let context = Context::new();
    let client = queue.client(&context, "C", "job");
    let slow = queue.worker(&context, "slow");
    assert_eq!(job(&slow), "job");
    queue.reported("slow", Violation::LeaseOver);
    answer(&slow, "C", "late");
    assert_eq!(reply(&client), "late");
}

#[test]
fn workers_of_the_guide_that_say_ready_with_a_byte_of_1_are_served() {
    let queue = Queue::start(Policy::default());
    let context = Context::new();
    let worker = socket(&context, zmq::REQ, "");
    worker.connect(&queue.backend()).unwrap();
    worker.send(&b"\x01"[..], 0).unwrap();
    let client = queue.client(&context, "C", "job");
    assert_eq!(job(&worker), "job");
    answer(&worker, "C", "done");
    assert_eq!(reply(&client), "done");
}

#[test]
fn a_peer_that_leaves_the_empty_frame_out_is_told_of_and_disturbs_nobody() {
    let queue = Queue::start(Policy::default());
    let context = Context::new();
    for (name, endpoint) in [("client", queue.frontend()), ("worker", queue.backend())] {
        let dealer = socket(&context, zmq::DEALER, name);
        dealer.connect(&endpoint).unwrap();
        dealer.send("READY", 0).unwrap();
        queue.reported(name, Violation::NoDelimiter);
    }
    let _worker = Worker::start(&queue.backend(), "W", Duration::ZERO);
    assert_eq!(request(&queue.frontend(), "C", &[b"x".to_vec()]), [b"x"]);
}

#[test]
fn a_worker_that_misbehaves_three_times_gets_nothing_before_it_connects_again() {
    let queue = Queue::start(Policy::default());
    let context = Context::new();
    let rude = socket(&context, zmq::DEALER, "rude");
    rude.connect(&queue.backend()).unwrap();
    for _ in 0..3 {
        rude.send_multipart(["", "C", "", "injected"], 0).unwrap();
        queue.reported("rude", Violation::UnaskedReply);
    }
    queue.reported("rude", Violation::Quarantined);
    rude.send_multipart(["", "READY"], 0).unwrap();
    queue.reported("rude", Violation::Quarantined);
    let client = queue.client(&context, "C", "job");
    let polite = queue.worker(&context, "polite");
    assert_eq!(job(&polite), "job");
    rude.disconnect(&queue.backend()).unwrap();
    rude.connect(&queue.backend()).unwrap();
    rude.send_multipart(["", "READY"], 0).unwrap();
    let other = queue.client(&context, "O", "other");
    assert_eq!(rude.recv_multipart(0).unwrap(), [&b""[..], b"O", b"", b"other"]);
    rude.send_multipart(["", "O", "", "done"], 0).unwrap();
    assert_eq!(reply(&other), "done");
    answer(&polite, "C", "done");
    assert_eq!(reply(&client), "done");
}

#[test]
fn requests_beyond_a_limit_wait_in_their_clients_connections() {
    let queue = Queue::start(Policy { max_waiting: 2, ..Policy::default() });
    let context = Context::new();
    let clients: Vec<_> =
        (0..10).map(|i| queue.client(&context, &format!("C{i}"), &i.to_string())).collect();
    let _worker = Worker::start(&queue.backend(), "W", Duration::ZERO);
    for (i, client) in clients.iter().enumerate() {
        assert_eq!(reply(client), i.to_string());
    }
}

#[test]
fn requests_beyond_a_limit_are_rejected_if_that_is_wanted() {
    let policy = Policy {
        max_waiting: 2,
        at_limit: AtLimit::Reject,
        error_reply: Some("full".into()),
        ..Policy::default()
    };
    let queue = Queue::start(policy);
    let context = Context::new();
    let dealer = socket(&context, zmq::DEALER, "D");
    dealer.connect(&queue.frontend()).unwrap();
    for body in ["1", "2", "3", "4"] {
        dealer.send_multipart(["", body], 0).unwrap();
    }
    for _ in 0..2 {
        queue.reported("D", Violation::Rejected);
        assert_eq!(dealer.recv_multipart(0).unwrap(), [&b""[..], b"full"]);
    }
    let _worker = Worker::start(&queue.backend(), "W", Duration::ZERO);
    for body in [b"1", b"2"] {
        assert_eq!(dealer.recv_multipart(0).unwrap(), [&b""[..], body]);
    }
}

#[test]
fn a_client_that_never_reads_its_replies_is_disconnected_and_holds_nobody_up() {
    const BODY: usize = 1 << 20;
    let queue = Queue::start(Policy::default());
    let _workers = ["A", "B"].map(|name| Worker::start(&queue.backend(), name, Duration::ZERO));
    let context = Context::new();
    let dealer = socket(&context, zmq::DEALER, "deaf");
    dealer.set_rcvhwm(1).unwrap();
    dealer.connect(&queue.frontend()).unwrap();
    let body = vec![7; BODY];
    // What is unread fills what the system holds for it, and then what may be queued here.
    let feed = std::thread::spawn(move || {
        for _ in 0..64 {
            if dealer.send_multipart([&b""[..], &body], 0).is_err() {
                break;
            }
        }
        (context, dealer)
    });
    let report = queue.reports.recv_timeout(PATIENCE).expect("a report");
    assert_eq!(report, ("deaf".to_owned(), Violation::NotReading));
    assert_eq!(request(&queue.frontend(), "C", &[b"x".to_vec()]), [b"x"]);
    drop(queue);
    drop(feed.join().unwrap());
}

#[test]
fn a_worker_that_was_ready_before_the_queue_was_killed_serves_the_next_one() {
    let mut queue = Queue::start(Policy::default());
    let context = Context::new();
    let worker = queue.worker(&context, "W");
    let client = queue.client(&context, "", "before");
    assert_eq!(job(&worker).as_str(), "before");
    let _ = client;
    queue.restart();
    // It answers what nobody waits for any more, and is idle.
    answer(&worker, "gone", "too late");
    let client = queue.client(&context, "", "between");
    let frames = worker.recv_multipart(0).expect("a request in time");
    assert_eq!(frames[2], b"between");
    worker.send_multipart(frames, 0).unwrap();
    assert_eq!(reply(&client), "between");
    queue.restart();
    // It is silent, for it waits already, and is adopted.
    let client = queue.client(&context, "", "after");
    let frames = worker.recv_multipart(0).expect("a request in time");
    assert_eq!(frames[2], b"after");
    worker.send_multipart(frames, 0).unwrap();
    assert_eq!(reply(&client), "after");
}

#[test]
fn an_adopted_worker_that_was_still_at_work_does_not_answer_for_another() {
    let mut queue = Queue::start(Policy::default());
    let context = Context::new();
    let worker = queue.worker(&context, "W");
    let _before = queue.client(&context, "C", "before");
    assert_eq!(job(&worker), "before");
    queue.restart();
    let after = queue.client(&context, "C", "after");
    // The queue takes it for idle and gives it what it will drop unread. Nothing tells of that but time.
    std::thread::sleep(Duration::from_millis(1500));
    answer(&worker, "C", "to what was asked before");
    assert_eq!(job(&worker), "after");
    answer(&worker, "C", "to what was asked after");
    assert_eq!(reply(&after), "to what was asked after");
}

/// A way to a queue that can fail.
struct Cable {
    endpoint: String,
    cut: Arc<Notify>,
    _runtime: Runtime,
}

impl Cable {
    fn to(endpoint: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (cut, far) = (Arc::new(Notify::new()), endpoint.replace("tcp://", ""));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let is_cut = cut.clone();
        runtime.spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(&far).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = is_cut.notified() => {
                        // What is closed so is reset, and does not end in order.
                        for end in [near, far] {
                            end.set_zero_linger().unwrap();
                        }
                    }
                }
            }
        });
        Self { endpoint, cut, _runtime: runtime }
    }

    fn cut(&self) {
        self.cut.notify_one();
    }
}

#[test]
fn a_worker_whose_connection_failed_while_it_was_idle_serves_on() {
    let adoption = Duration::from_millis(1);
    let context = Context::new();
    for name in ["W", ""] {
        let queue = Queue::start_over(Transport::Tcp, Policy { adoption, ..Policy::default() });
        let cable = Cable::to(&queue.backend());
        let worker = socket(&context, zmq::REQ, name);
        worker.connect(&cable.endpoint).unwrap();
        worker.send("READY", 0).unwrap();
        for body in ["first", "second", "third"] {
            let client = queue.client(&context, "", body);
            let frames = worker.recv_multipart(0).expect("a request in time");
            assert_eq!(frames[2], body.as_bytes());
            worker.send_multipart(frames, 0).unwrap();
            assert_eq!(reply(&client), body);
            cable.cut();
            // What it was given before the queue has seen that would be lost with the connection.
            queue.left.recv_timeout(PATIENCE).expect("it leaves");
        }
    }
}
