//! A broker that leaves all to the next one, as if in another process, with libzmq peers at work.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use broker::{Broker, Handle, Handover, Outcome, Status, WorkerState};
use bytes::Bytes;
use interop::{PATIENCE, Place, Transport, Worker, end, socket, within};

/// What another process would make of it.
fn passed_on(handover: &Handover) -> Vec<(Bytes, Option<OwnedFd>)> {
    let owned = |part: broker::Part<'_>| {
        (part.bytes, part.socket.map(|socket| socket.try_clone_to_owned().unwrap()))
    };
    handover.parts().map(owned).collect()
}

struct Queue {
    handle: Handle,
    running: tokio::task::JoinHandle<Outcome>,
}

impl Queue {
    fn run(mut broker: Broker) -> Self {
        let handle = broker.handle();
        Self { handle, running: tokio::spawn(broker.run(std::future::pending())) }
    }

    async fn start(place: &Place) -> (Self, [String; 2]) {
        let endpoints = ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name));
        let broker = Broker::builder()
            .frontend(endpoints[0].parse().unwrap())
            .backend(endpoints[1].parse().unwrap())
            .times()
            .bind();
        (Self::run(broker.await.unwrap()), endpoints)
    }

    /// Leaves all to the next one.
    async fn go_on(self) -> Self {
        let handover = within(self.handle.hand_over()).await.unwrap();
        let counters = within(self.running).await.unwrap().counters;
        let amiss = counters.retries + counters.stale_replies + counters.abandoned;
        assert_eq!(amiss + counters.violations, 0, "{counters:?}");
        let next = Handover::from_parts(passed_on(&handover)).expect("all of it");
        Self::run(Broker::builder().times().go_on(next).bind().await.unwrap())
    }

    async fn wait_for(&self, is_so: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            let status = within(self.handle.status()).await.unwrap();
            if is_so(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "{:?}", (status.counters, status.workers));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A REQ that asks until it is told to stop, each time after its reply.
fn req(
    frontend: &str,
    name: &str,
    stop: &Arc<AtomicBool>,
    answers: &Arc<AtomicU32>,
) -> JoinHandle<()> {
    let (frontend, name) = (frontend.to_owned(), name.to_owned());
    let (stop, answers) = (stop.clone(), answers.clone());
    std::thread::spawn(move || {
        let context = zmq::Context::new();
        let client = socket(&context, zmq::REQ, &name);
        client.connect(&frontend).unwrap();
        for number in 0_u32.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            client.send_multipart([&number.to_be_bytes()[..], name.as_bytes()], 0).unwrap();
            let reply = client.recv_multipart(0).expect("a reply in time");
            assert_eq!(reply, [name.as_bytes(), &number.to_be_bytes()[..]]);
            answers.fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// A DEALER that asks for much at once, over and over.
fn dealer(frontend: &str, stop: &Arc<AtomicBool>, answers: &Arc<AtomicU32>) -> JoinHandle<()> {
    let (frontend, stop, answers) = (frontend.to_owned(), stop.clone(), answers.clone());
    std::thread::spawn(move || {
        let context = zmq::Context::new();
        let client = socket(&context, zmq::DEALER, "");
        client.connect(&frontend).unwrap();
        while !stop.load(Ordering::Relaxed) {
            let mut open: Vec<_> = (0_u8..40).collect();
            for &number in &open {
                client.send_multipart([&[][..], &[number; 3000]], 0).unwrap();
            }
            while !open.is_empty() {
                let reply = client.recv_multipart(0).expect("a reply in time");
                let at = open.iter().position(|&number| reply[1] == [number; 3000]);
                open.swap_remove(at.expect("each once"));
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_peer_notices_that_the_broker_changes() {
    let place = Place::new();
    let (mut queue, [frontend, backend]) = Queue::start(&place).await;
    let worker = |i: u64| {
        let name = if i == 0 { String::new() } else { format!("W{i}") };
        Worker::start(&backend, &name, Duration::from_millis(i))
    };
    let workers: Vec<_> = (0..4).map(worker).collect();
    let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut clients = vec![dealer(&frontend, &stop, &answers)];
    for name in ["", "", "A", "B", "C", "D"] {
        clients.push(req(&frontend, name, &stop, &answers));
    }
    for _ in 0..25 {
        let before = answers.load(Ordering::Relaxed);
        let has_gone_on = || answers.load(Ordering::Relaxed) > before + 30;
        interop::until("it goes on", has_gone_on).await;
        queue = queue.go_on().await;
    }
    stop.store(true, Ordering::Relaxed);
    let ended = tokio::task::spawn_blocking(|| clients.into_iter().try_for_each(JoinHandle::join));
    within(ended).await.unwrap().unwrap();
    queue.wait_for(|status| status.clients == 0 && status.in_flight == 0).await;
    drop(workers);
    let status = queue.wait_for(|status| status.workers.is_empty()).await;
    assert_eq!(status.counters.retries + status.counters.stale_replies, 0);
    let all = u64::from(answers.load(Ordering::Relaxed));
    assert_eq!((status.counters.requests, status.counters.replies), (all, all));
    assert_eq!(status.times.unwrap().served.count(), all, "counted on by each queue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_what_runs_and_what_workers_are_at_stays_as_it_is() {
    let place = Place::new();
    let (queue, [frontend, backend]) = Queue::start(&place).await;
    let context = zmq::Context::new();
    let connect = |of, endpoint: &str, name: &str| {
        let peer = socket(&context, of, name);
        peer.connect(endpoint).unwrap();
        peer
    };
    let busy = connect(zmq::REQ, &backend, "BUSY");
    busy.send("READY", 0).unwrap();
    queue.wait_for(|status| status.workers.len() == 1).await;
    let held = connect(zmq::DEALER, &backend, "HELD");
    held.send_multipart(["hop", "", "READY"], 0).unwrap();
    queue.wait_for(|status| status.workers.iter().all(|it| it.state == WorkerState::Idle)).await;
    queue.wait_for(|status| status.workers.len() == 2).await;
    assert_eq!(queue.handle.quarantine(Bytes::from("HELD")).await, Ok(1));
    let silent = connect(zmq::DEALER, &backend, "SILENT");
    queue.wait_for(|status| status.workers.len() == 3).await;
    let names = ["RUNS", "FIRST", "SECOND"];
    let mut clients = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        let client = connect(zmq::DEALER, &frontend, name);
        client.send_multipart(["id", "", name], 0).unwrap();
        queue.wait_for(|status| status.waiting + status.in_flight == i + 1).await;
        clients.push(client);
    }
    let job = busy.recv_multipart(0).unwrap();
    let ages = |status: &Status| {
        let busy = status.workers.iter().find_map(|worker| worker.since);
        (busy.unwrap_or_default(), status.oldest().unwrap_or_default())
    };
    let before = ages(&queue.wait_for(|status| status.waiting == 2).await);
    let queue = queue.go_on().await;
    let status = queue.wait_for(|status| status.waiting == 2).await;
    let after = ages(&status);
    assert!(after.0 >= before.0 && after.1 >= before.1, "{before:?} {after:?}");
    let states: Vec<_> = status.workers.iter().map(|it| (&it.name[..], it.state)).collect();
    let expected = [
        (&b"BUSY"[..], WorkerState::Busy),
        (b"HELD", WorkerState::Quarantined),
        (b"SILENT", WorkerState::Silent),
    ];
    assert!(expected.iter().all(|it| states.contains(it)), "{states:?}");
    assert_eq!((status.in_flight, status.clients), (1, 3));
    assert_eq!(&status.longest[0].name[..], b"FIRST");
    busy.send_multipart(job, 0).unwrap();
    assert_eq!(clients[0].recv_multipart(0).unwrap(), [&b"id"[..], b"", b"RUNS"]);
    // In the order in which they asked.
    let job = busy.recv_multipart(0).unwrap();
    assert_eq!(job, [&b"FIRST"[..], b"", b"FIRST"]);
    assert_eq!(queue.handle.release(Bytes::from("HELD")).await, Ok(1));
    let job = held.recv_multipart(0).unwrap();
    assert_eq!(job, [&b"hop"[..], b"", b"SECOND", b"", b"SECOND"]);
    held.send_multipart(job, 0).unwrap();
    assert_eq!(clients[2].recv_multipart(0).unwrap(), [&b"id"[..], b"", b"SECOND"]);
    assert_eq!(silent.poll(zmq::POLLIN, 0).unwrap(), 0);
    drop((busy, held, silent, clients));
    end(&context);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_paused_stays_so_and_one_may_take_back_what_it_has_left() {
    let place = Place::new();
    let (queue, [frontend, backend]) = Queue::start(&place).await;
    queue.handle.pause().await.unwrap();
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "");
    client.connect(&frontend).unwrap();
    client.send("job", 0).unwrap();
    queue.wait_for(|status| status.waiting == 1 && status.workers.len() == 1).await;
    let handover = within(queue.handle.hand_over()).await.unwrap();
    assert_eq!(handover.connections(), [1, 1]);
    // The other process has them too, does nothing with them, and ends.
    drop(passed_on(&handover));
    let mut cut_off = passed_on(&handover);
    cut_off.pop();
    assert!(Handover::from_parts(cut_off).is_none());
    let queue = Queue::run(Broker::builder().go_on(handover).bind().await.unwrap());
    let status = queue.wait_for(|status| status.waiting == 1).await;
    assert!(status.paused);
    queue.handle.resume().await.unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_drains_leaves_nothing_to_anybody_and_ends_when_what_runs_is_answered() {
    let place = Place::new();
    let endpoints = ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name));
    let [frontend, backend] = endpoints.each_ref().map(|endpoint| endpoint.parse().unwrap());
    let mut broker =
        Broker::builder().frontend(frontend).backend(backend).drain(PATIENCE).bind().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let handle = broker.handle();
    let running = tokio::spawn(broker.run(async move { stopped.await.unwrap() }));
    let queue = Queue { handle, running };
    let context = zmq::Context::new();
    let [client, worker] = endpoints.each_ref().map(|endpoint| {
        let peer = socket(&context, zmq::REQ, "");
        peer.connect(endpoint).unwrap();
        peer
    });
    worker.send("READY", 0).unwrap();
    client.send("job", 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    stop.send(()).unwrap();
    queue.wait_for(|status| status.draining).await;
    assert!(within(queue.handle.hand_over()).await.is_err());
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    assert_eq!(within(queue.running).await.unwrap().in_flight, 0);
    drop((client, worker));
    end(&context);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_or_leaves_at_that_moment_loses_nothing() {
    const CLIENTS: u32 = 120;
    let place = Place::new();
    let (mut queue, [frontend, backend]) = Queue::start(&place).await;
    let workers: Vec<_> = (0..3).map(|_| Worker::start(&backend, "", Duration::ZERO)).collect();
    let answers = Arc::new(AtomicU32::new(0));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (frontend, answers) = (frontend.clone(), answers.clone());
            std::thread::spawn(move || {
                for number in 0..CLIENTS / 4 {
                    let body = number.to_be_bytes().to_vec();
                    assert_eq!(
                        interop::request(&frontend, "", std::slice::from_ref(&body)),
                        [body]
                    );
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let start = Instant::now();
    while answers.load(Ordering::Relaxed) < CLIENTS {
        assert!(start.elapsed() < 2 * PATIENCE, "{} answers", answers.load(Ordering::Relaxed));
        let handover = within(queue.handle.hand_over()).await.unwrap();
        within(queue.running).await.unwrap();
        let next = Handover::from_parts(passed_on(&handover)).unwrap();
        queue = Queue::run(Broker::builder().go_on(next).bind().await.unwrap());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for thread in asking {
        thread.join().unwrap();
    }
    drop(workers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_of_a_worker_that_has_just_left_goes_to_the_next() {
    for _ in 0..10 {
        let place = Place::new();
        let (queue, [frontend, backend]) = Queue::start(&place).await;
        let context = zmq::Context::new();
        let worker = socket(&context, zmq::REQ, "LEAVES");
        worker.connect(&backend).unwrap();
        worker.send("READY", 0).unwrap();
        let client = socket(&context, zmq::REQ, "");
        client.connect(&frontend).unwrap();
        client.send("job", 0).unwrap();
        worker.recv_multipart(0).unwrap();
        drop(worker);
        let handover = within(queue.handle.hand_over()).await.unwrap();
        within(queue.running).await.unwrap();
        let next = Handover::from_parts(passed_on(&handover)).unwrap();
        let _queue = Queue::run(Broker::builder().go_on(next).bind().await.unwrap());
        let _next = Worker::start(&backend, "NEXT", Duration::ZERO);
        assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_client_no_more_is_read_because_the_broker_has_changed() {
    let place = Place::new();
    let (mut queue, [frontend, _]) = Queue::start(&place).await;
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER, "");
    client.connect(&frontend).unwrap();
    for _ in 0..100 {
        client.send_multipart(["", "job"], 0).unwrap();
    }
    for _ in 0..4 {
        queue.wait_for(|status| status.waiting == 16).await;
        queue = queue.go_on().await;
    }
    for _ in 0..20 {
        assert!(queue.wait_for(|status| status.waiting >= 16).await.waiting == 16);
    }
}
