//! The seed's exchange with libzmq on one side of the wire: its clients and workers on our queue,
//! and ours on its queue.

use std::time::Duration;

use interop::{PATIENCE, Place, Transport, pairwise, payload, request};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use zmtp::{Config, Endpoint, Message, Req};

const CLIENTS: usize = 3;
const WORKERS: usize = 2;

/// Who is there when, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Clients,
    Queue,
    Workers,
}

const ORDERS: [[Role; 3]; 6] = {
    use Role::{Clients as C, Queue as Q, Workers as W};
    [[Q, W, C], [Q, C, W], [W, Q, C], [W, C, Q], [C, Q, W], [C, W, Q]]
};

const SIZES: [usize; 11] = [0, 1, 255, 256, 2047, 4096, 8191, 8193, 65_536, 1 << 20, 16 << 20];

const PARTS: [usize; 4] = [1, 2, 3, 16];

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs `test` for cases in which any two of transport, start order, size and parts meet.
fn for_each_case(test: impl Fn(Transport, [Role; 3], &[Vec<u8>])) {
    let transports = [Transport::Ipc, Transport::Tcp];
    for case in pairwise(&[SIZES.len(), ORDERS.len(), PARTS.len(), transports.len()]) {
        let (size, parts) = (SIZES[case[0]], PARTS[case[2]]);
        let (order, transport) = (ORDERS[case[1]], transports[case[3]]);
        println!("{transport:?} {order:?} {size} bytes in {parts} parts");
        test(transport, order, &payload(size, parts));
    }
}

fn reversed(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    frames.iter().rev().cloned().collect()
}

fn start_our_queue(frontend: &str, backend: &str) -> JoinHandle<()> {
    let config = broker::Config {
        frontend: vec![frontend.parse().unwrap()],
        backend: vec![backend.parse().unwrap()],
        ..broker::Config::default()
    };
    tokio::spawn(async move {
        let broker = broker::Broker::bind(config).await.unwrap();
        broker.run(std::future::pending()).await;
    })
}

#[test]
fn libzmq_clients_and_workers_are_served_by_our_queue() {
    for_each_case(|transport, order, frames| {
        let place = Place::new();
        let frontend = place.endpoint(transport, "frontend");
        let backend = place.endpoint(transport, "backend");
        runtime().block_on(async {
            let mut workers = Vec::new();
            let mut clients = Vec::new();
            let mut queue = None;
            for role in order {
                match role {
                    Role::Queue => queue = Some(start_our_queue(&frontend, &backend)),
                    Role::Workers => workers.extend((0..WORKERS).map(|i| {
                        interop::Worker::start(&backend, &format!("PROCESSOR-{i}"), Duration::ZERO)
                    })),
                    Role::Clients => clients.extend((0..CLIENTS).map(|i| {
                        let (frontend, frames) = (frontend.clone(), frames.to_vec());
                        tokio::task::spawn_blocking(move || {
                            request(&frontend, &format!("CLIENT-{i}"), &frames)
                        })
                    })),
                }
            }
            for client in clients {
                assert!(client.await.unwrap() == reversed(frames));
            }
            queue.unwrap().abort();
        });
    });
}

async fn our_client(endpoint: Endpoint, identity: String, request: Message) -> Message {
    let mut req = Req::new(Config::default().with_identity(identity)).unwrap();
    req.connect(&endpoint).unwrap();
    tokio::time::timeout(PATIENCE, req.request(request)).await.unwrap().unwrap()
}

/// Answers with the parts of the request in reverse.
async fn our_worker(endpoint: Endpoint, identity: String) {
    let mut req = Req::new(Config::default().with_identity(identity)).unwrap();
    req.connect(&endpoint).unwrap();
    let mut next = Message::from("READY");
    loop {
        let mut parts: Vec<_> = req.request(next).await.unwrap().into_iter().collect();
        assert!(parts.len() >= 3 && parts[1].is_empty(), "[client][][request...]");
        parts[2..].reverse();
        next = parts.into();
    }
}

#[test]
fn our_clients_and_workers_are_served_by_libzmqs_queue() {
    for_each_case(|transport, order, frames| {
        let place = Place::new();
        let frontend = place.endpoint(transport, "frontend");
        let backend = place.endpoint(transport, "backend");
        runtime().block_on(async {
            let mut workers = Vec::new();
            let mut clients = Vec::new();
            let mut queue = None;
            for role in order {
                match role {
                    Role::Queue => queue = Some(interop::Broker::start(&frontend, &backend)),
                    Role::Workers => workers.extend((0..WORKERS).map(|i| {
                        let identity = format!("PROCESSOR-{i}");
                        tokio::spawn(our_worker(backend.parse().unwrap(), identity))
                    })),
                    Role::Clients => clients.extend((0..CLIENTS).map(|i| {
                        let request = frames.iter().cloned().collect();
                        let identity = format!("CLIENT-{i}");
                        tokio::spawn(our_client(frontend.parse().unwrap(), identity, request))
                    })),
                }
            }
            for client in clients {
                assert!(client.await.unwrap() == reversed(frames).into_iter().collect());
            }
            workers.iter().for_each(JoinHandle::abort);
            drop(queue);
        });
    });
}
