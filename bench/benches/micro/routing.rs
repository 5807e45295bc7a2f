//! A message from each raw peer through a ROUTER and back, all in one thread. The peers' own write
//! and read are in the figures.

use std::io;

use bench::peer::Peer;
use bench::wire::frame;
use criterion::{Criterion, Throughput};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use zmtp::{Config, PeerEvent, Router};

/// What the broker takes at a time.
const BATCH: usize = 64;

pub fn route(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for count in [1, 10, 200] {
        let mut circle = Circle::new(count).expect("sockets");
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(count.to_string(), |b| {
            b.iter(|| circle.turn().expect("peers that stay"))
        });
    }
}

struct Circle {
    runtime: Runtime,
    router: Router,
    peers: Vec<Peer>,
    message: Vec<u8>,
    events: Vec<PeerEvent>,
}

impl Circle {
    fn new(count: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (router, peers) = runtime.block_on(async {
            let mut router = Router::new(Config::default()).expect("the defaults");
            let any = "ipc://*".parse().expect("an endpoint");
            let endpoint = router.bind(&any).await.map_err(io::Error::other)?.to_string();
            let mut peers = Vec::new();
            for _ in 0..count {
                peers.push(Peer::connect(&endpoint, "DEALER")?);
                let joined = router.recv_event().await;
                assert!(matches!(joined, Some(PeerEvent::Joined(_))));
            }
            io::Result::Ok((router, peers))
        })?;
        let mut message = Vec::new();
        frame(&[b'x'; 32], false, &mut message);
        Ok(Self { runtime, router, peers, message, events: Vec::new() })
    }

    fn turn(&mut self) -> io::Result<()> {
        let Self { runtime, router, peers, message, events } = self;
        for peer in &mut *peers {
            peer.send(message)?;
        }
        runtime.block_on(async {
            let mut returned = 0;
            while returned < peers.len() {
                router.recv_many(events, BATCH).await;
                for event in events.drain(..) {
                    let PeerEvent::Message(peer, message) = event else { panic!("{event:?}") };
                    router.try_send(peer, message).expect("room");
                    returned += 1;
                }
            }
            for peer in peers {
                while peer.receive()?.is_none() {
                    yield_now().await;
                }
            }
            Ok(())
        })
    }
}
