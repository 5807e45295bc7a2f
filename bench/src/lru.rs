//! [`Lru`]: the broker's queue without sockets, with clients that always ask and workers that answer at once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Instant;

use broker::{Action, Policy, Queue};
use bytes::Bytes;
use tokio::task::yield_now;
use zmtp::{Config, Message, PeerId, Router};

use crate::peer::Peer;

/// Connections at a time while ids are made: few, so that any limit on descriptors will do.
const CHUNK: usize = 64;

pub struct Lru {
    queue: Queue,
    request: Message,
    /// Requests that workers have.
    running: VecDeque<(PeerId, Message)>,
}

impl Lru {
    /// All clients have asked.
    pub fn new(clients: usize, workers: usize) -> io::Result<Self> {
        let mut queue = Queue::new(Policy::default(), Instant::now());
        for (i, id) in ids(workers)?.into_iter().enumerate() {
            assert_eq!(id.index(), i, "each worker is another one");
            queue.worker_joined(id, &Bytes::new(), "here", true);
            queue.worker_message(id, Message::from(["", "READY"]));
        }
        let request = Message::copy_from(&[&b""[..], &[b'x'; 32]]);
        for (i, id) in ids(clients)?.into_iter().enumerate() {
            assert_eq!(id.index(), i, "each client is another one");
            let address = [&[0][..], &(i as u32).to_be_bytes()].concat();
            queue.client_joined(id, &address, true);
            queue.client_message(id, request.clone());
        }
        let mut lru = Self { queue, request, running: VecDeque::new() };
        lru.act();
        Ok(lru)
    }

    /// The worker that has its request longest answers, and the client asks again.
    pub fn job(&mut self) {
        let (worker, message) = self.running.pop_front().expect("a request that runs");
        // A REQ sends the envelope back as it came.
        self.queue.worker_message(worker, message);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.queue.next_action() {
            match action {
                Action::Dispatch(worker, message) => self.running.push_back((worker, message)),
                Action::Reply(client, _) => {
                    self.queue.client_message(client, self.request.clone());
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Ids as a socket gives them out. There is no other way to come by them.
fn ids(count: usize) -> io::Result<Vec<PeerId>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut router = Router::new(Config::default()).expect("the defaults");
        let any = "ipc://*".parse().expect("an endpoint");
        let endpoint = router.bind(&any).await.map_err(io::Error::other)?.to_string();
        // From the first call on, who has left keeps the id until that is told of, which it never is.
        let mut events = Vec::new();
        poll_fn(|cx| {
            let _ = router.poll_recv_many(cx, &mut events, 1);
            Poll::Ready(())
        })
        .await;
        let mut ids = Vec::new();
        while ids.len() < count {
            let some = CHUNK.min(count - ids.len());
            let peers: io::Result<Vec<Peer>> =
                (0..some).map(|_| Peer::connect(&endpoint, "REQ")).collect();
            while router.peers().len() < some {
                yield_now().await;
            }
            ids.extend(router.peers().iter().map(|peer| peer.id));
            drop(peers?);
            while !router.peers().is_empty() {
                yield_now().await;
            }
        }
        ids.sort();
        Ok(ids)
    })
}
