//! Our queue, stopped in the middle of its work, among libzmq's sockets.

use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use broker::{Broker, Config, Durability, Journal, Outcome};
use interop::{Place, Transport, socket};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

const WORKERS: usize = 16;
const CLIENTS: usize = 40;

/// Longer than it takes to get what is in flight.
const DRAIN: Duration = Duration::from_secs(20);

/// A queue that is stopped when it has been looked at so many times whether it is to stop.
fn queue(place: &Place, durability: Durability, looks: usize) -> JoinHandle<Outcome> {
    let endpoint = |name| place.endpoint(Transport::Ipc, name).parse().unwrap();
    let config = Config {
        frontend: vec![endpoint("frontend")],
        backend: vec![endpoint("backend")],
        drain: DRAIN,
        ..Config::default()
    };
    let directory = place.directory().join("journal");
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (journal, replay, _) = Journal::open(&directory, durability).unwrap();
            let broker =
                Broker::bind(config).await.unwrap().with_journal(journal, replay).unwrap().0;
            ready.send(()).unwrap();
            let mut looked = 0;
            let (_never, end) = oneshot::channel::<()>();
            let stop = async move {
                let mut end = pin!(end);
                std::future::poll_fn(|cx| {
                    looked += 1;
                    if looked > looks { Poll::Ready(()) } else { end.as_mut().poll(cx).map(|_| ()) }
                })
                .await;
            };
            tokio::spawn(broker.run(stop)).await.unwrap()
        })
    });
    is_ready.recv().unwrap();
    thread
}

#[test]
fn whenever_it_is_stopped_it_gets_all_replies_and_loses_none_that_it_has_read() {
    for looks in 1000..1006 {
        let place = Place::new();
        let queue = queue(&place, Durability::Fsync, looks);
        let context = zmq::Context::new();
        for i in 0..WORKERS {
            let worker = socket(&context, zmq::REQ, &format!("W{i}"));
            worker.connect(&place.endpoint(Transport::Ipc, "backend")).unwrap();
            std::thread::spawn(move || {
                worker.send("READY", 0).unwrap();
                while let Ok(job) = worker.recv_multipart(0) {
                    if worker.send_multipart(job, 0).is_err() {
                        return;
                    }
                }
            });
        }
        for i in 0..CLIENTS {
            let client = socket(&context, zmq::REQ, &format!("C{i}"));
            client.connect(&place.endpoint(Transport::Ipc, "frontend")).unwrap();
            std::thread::spawn(move || {
                while client.send("x", 0).is_ok() && client.recv_multipart(0).is_ok() {}
            });
        }
        let outcome = queue.join().unwrap();
        assert_eq!(outcome.in_flight, 0, "stopped at look {looks}");
        assert!(outcome.failure.is_none() && outcome.counters.replies > 0);
        interop::end(&context);
    }
}
