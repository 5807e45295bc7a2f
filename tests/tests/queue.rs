//! Our queue with libzmq peers that are not quite the seed's.

use std::time::Duration;

use interop::{Place, Transport, Worker, payload, request, socket};
use tokio::runtime::{Builder, Runtime};

/// Our queue, on a thread of its own until this is dropped.
struct Queue {
    place: Place,
    _runtime: Runtime,
}

impl Queue {
    fn start() -> Self {
        let place = Place::new();
        let endpoint = |name| place.endpoint(Transport::Ipc, name).parse().unwrap();
        let config = broker::Config {
            frontend: vec![endpoint("frontend")],
            backend: vec![endpoint("backend")],
            ..broker::Config::default()
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let queue = runtime.block_on(broker::Broker::bind(config)).unwrap();
        runtime.spawn(queue.run(std::future::pending()));
        Self { place, _runtime: runtime }
    }

    fn frontend(&self) -> String {
        self.place.endpoint(Transport::Ipc, "frontend")
    }

    fn backend(&self) -> String {
        self.place.endpoint(Transport::Ipc, "backend")
    }

    fn worker(&self, name: &str, time: Duration) -> Worker {
        Worker::start(&self.backend(), name, time)
    }
}

#[test]
fn two_clients_with_one_identity_each_get_their_own_replies() {
    let queue = Queue::start();
    let _worker = queue.worker("W", Duration::from_millis(1));
    let clients: Vec<_> = (0..2_usize)
        .map(|i| {
            let frontend = queue.frontend();
            std::thread::spawn(move || {
                for j in 0..50 {
                    let body = payload(2 * j + i + 1, 1);
                    assert_eq!(request(&frontend, "SAME", &body), body);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn clients_and_workers_that_correlate_are_served() {
    let queue = Queue::start();
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::REQ, "W");
    worker.set_req_correlate(true).unwrap();
    worker.connect(&queue.backend()).unwrap();
    worker.send("READY", 0).unwrap();
    let client = socket(&context, zmq::REQ, "C");
    client.set_req_correlate(true).unwrap();
    client.connect(&queue.frontend()).unwrap();
    for i in 0..10 {
        let body = i.to_string();
        client.send(&body, 0).unwrap();
        let job = worker.recv_multipart(0).unwrap();
        assert_eq!(job, [&b"C"[..], b"", body.as_bytes()]);
        worker.send_multipart(job, 0).unwrap();
        assert_eq!(client.recv_bytes(0).unwrap(), body.as_bytes());
    }
}

#[test]
fn a_relaxed_client_that_asks_anew_gets_the_reply_to_what_it_asked_last() {
    let queue = Queue::start();
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.set_req_relaxed(true).unwrap();
    client.connect(&queue.frontend()).unwrap();
    let worker = socket(&context, zmq::REQ, "W");
    worker.connect(&queue.backend()).unwrap();
    worker.send("READY", 0).unwrap();
    client.send("first", 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    client.send("second", 0).unwrap();
    // The queue has to have heard of it before the reply to the first comes: another client's
    // request, which comes later, shows that it has.
    let other = socket(&context, zmq::REQ, "O");
    other.connect(&queue.frontend()).unwrap();
    other.send("other", 0).unwrap();
    let helper = socket(&context, zmq::REQ, "H");
    helper.connect(&queue.backend()).unwrap();
    helper.send("READY", 0).unwrap();
    let second = helper.recv_multipart(0).unwrap();
    assert_eq!(second[2], b"second");
    worker.send_multipart(job, 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    assert_eq!(job[2], b"other", "the first reply was dropped");
    helper.send_multipart(second, 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"second");
}

#[test]
fn a_dealer_with_many_requests_outstanding_and_a_req_are_both_served() {
    const REQUESTS: u32 = 500;
    let queue = Queue::start();
    let _workers = ["A", "B", "C"].map(|name| queue.worker(name, Duration::ZERO));
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::DEALER, "D");
    dealer.connect(&queue.frontend()).unwrap();
    for i in 0..REQUESTS {
        dealer.send_multipart([&b""[..], &i.to_be_bytes()], 0).unwrap();
    }
    for i in 0..20 {
        let body = vec![vec![i]];
        assert_eq!(request(&queue.frontend(), "R", &body), body);
    }
    let mut replies: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let reply = dealer.recv_multipart(0).unwrap();
            assert_eq!((reply.len(), reply[0].len()), (2, 0));
            u32::from_be_bytes(reply[1][..].try_into().unwrap())
        })
        .collect();
    replies.sort_unstable();
    assert_eq!(replies, (0..REQUESTS).collect::<Vec<_>>());
}

#[test]
fn a_request_whose_worker_leaves_goes_to_the_next() {
    let queue = Queue::start();
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&queue.frontend()).unwrap();
    client.send("job", 0).unwrap();
    let worker = socket(&context, zmq::REQ, "dies");
    worker.connect(&queue.backend()).unwrap();
    worker.send("READY", 0).unwrap();
    assert_eq!(worker.recv_multipart(0).unwrap()[2], b"job");
    drop(worker);
    let _worker = queue.worker("lives", Duration::ZERO);
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
}

#[test]
fn what_a_client_that_left_waited_for_is_not_done() {
    let queue = Queue::start();
    let context = zmq::Context::new();
    let leaver = socket(&context, zmq::REQ, "L");
    leaver.connect(&queue.frontend()).unwrap();
    leaver.send("in vain", 0).unwrap();
    // The first to arrive is handed out first, so this tells that the other has arrived.
    let worker = socket(&context, zmq::REQ, "W");
    worker.connect(&queue.backend()).unwrap();
    worker.send("READY", 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    assert_eq!(job[2], b"in vain");
    drop(leaver);
    let stayer = socket(&context, zmq::REQ, "S");
    stayer.connect(&queue.frontend()).unwrap();
    stayer.send("wanted", 0).unwrap();
    worker.send_multipart(job, 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    assert_eq!(job[2], b"wanted");
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(stayer.recv_bytes(0).unwrap(), b"wanted");
}
