//! [`Handover`]: what a broker that ends leaves to the next one.

mod encoding;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zmtp::proto::SocketType;
use zmtp::{DetachedConnection, DetachedListener, Endpoint, Peer, PeerId, Router};

use crate::queue::{Estate, Left, Queue, Record, Replay, Waiting, Work};

/// What a broker that ends leaves to the next one, be that in another process: where it listens, all its connections, what
/// clients wait for and what workers have. Their peers do not notice. What has been counted is not in it, nor how often
/// a request was handed out in vain; pauses before a retry are over, and a reply for a client that was still to come back is
/// asked for again.
#[derive(Debug)]
pub struct Handover {
    listeners: [Vec<DetachedListener>; 2],
    clients: Vec<DetachedConnection>,
    /// What clients wait for, by their places, in the order of their turns.
    waiting: Vec<(usize, Waiting)>,
    workers: Vec<(DetachedConnection, Heir)>,
    /// Requests that are in the journal and go on with their clients.
    numbers: Vec<u64>,
    paused: bool,
}

/// A worker, and the place of the client whose request it has.
#[derive(Debug)]
struct Heir {
    left: Left,
    client: Option<usize>,
}

/// A part of what is left, for another process: bytes, and a descriptor that goes with them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part<'a> {
    /// All but that.
    pub bytes: Bytes,
    /// It, if there is one.
    pub socket: Option<BorrowedFd<'a>>,
}

/// Peers that are there, and are not known to the queue yet.
#[derive(Debug)]
pub(crate) struct Inherited {
    clients: Vec<Option<Arc<Peer>>>,
    waiting: Vec<(usize, Waiting)>,
    workers: Vec<(Arc<Peer>, Heir)>,
    paused: bool,
}

impl Handover {
    /// Of two sockets that were taken apart.
    pub(crate) fn new(
        estate: Estate,
        listeners: [Vec<DetachedListener>; 2],
        frontend: Vec<(PeerId, DetachedConnection)>,
        backend: Vec<(PeerId, DetachedConnection)>,
    ) -> Self {
        let Estate { waiting, workers: known, numbers, paused, .. } = estate;
        let (mut clients, mut places) = (Vec::new(), BTreeMap::new());
        for (id, connection) in frontend {
            places.insert(id, clients.len());
            clients.push(connection);
        }
        let place = |id: &PeerId| places.get(id).copied();
        let waiting = waiting.into_iter();
        let mut waiting: Vec<_> =
            waiting.filter_map(|(id, waiting)| Some((place(&id)?, waiting))).collect();
        let mut backend: BTreeMap<PeerId, _> = backend.into_iter().collect();
        let mut workers = Vec::new();
        let mut lost = Vec::new();
        for (id, left) in known {
            let client = left.work.running().and_then(|running| place(&running.client));
            match (backend.remove(&id), left) {
                (Some(connection), left) => workers.push((connection, Heir { left, client })),
                // Its worker is gone, so the request goes to the next.
                (None, Left { work: Work::Busy(running), .. }) => {
                    lost.extend(client.map(|client| (client, running.into_waiting())));
                }
                (None, _) => {}
            }
        }
        waiting.splice(..0, lost);
        // The queue has not heard of these.
        let heir = || Heir { left: Left::silent(), client: None };
        workers.extend(backend.into_values().map(|connection| (connection, heir())));
        Self { listeners, clients, waiting, workers, numbers, paused }
    }

    /// What is left of a journal without the requests that go on with their clients.
    pub fn settle(&self, replay: &mut Replay) {
        for &number in &self.numbers {
            replay.apply(Record::Ended { number });
        }
    }

    /// So many connections, of clients and of workers.
    #[must_use]
    pub fn connections(&self) -> [usize; 2] {
        [self.clients.len(), self.workers.len()]
    }

    /// All of it, to be put together by [`from_parts`](Self::from_parts), in this order.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        encoding::parts(self)
    }

    /// From parts with their descriptors. None if they are not all of it, or those of another version.
    #[must_use]
    pub fn from_parts(parts: impl IntoIterator<Item = (Bytes, Option<OwnedFd>)>) -> Option<Self> {
        encoding::from_parts(parts)
    }

    /// Goes on with the sockets. A connection for which there is no room is closed.
    pub(crate) fn attach(
        self,
        frontend: &Router,
        backend: &Router,
    ) -> io::Result<(Inherited, [Vec<Endpoint>; 2])> {
        let Self { listeners, clients, mut waiting, workers: heirs, paused, .. } = self;
        // Whoever is accepted comes after those that are there.
        let client = |connection| frontend.attach(connection).ok();
        let clients = clients.into_iter().map(client).collect();
        let (mut workers, mut lost) = (Vec::new(), Vec::new());
        for (connection, heir) in heirs {
            match (backend.attach(connection), heir) {
                (Ok(worker), heir) => workers.push((worker, heir)),
                (Err(_), Heir { left: Left { work: Work::Busy(running), .. }, client }) => {
                    lost.extend(client.map(|client| (client, running.into_waiting())));
                }
                (Err(_), _) => {}
            }
        }
        waiting.splice(..0, lost);
        let [of_frontend, of_backend] = listeners;
        let endpoints = [listen(frontend, of_frontend)?, listen(backend, of_backend)?];
        Ok((Inherited { clients, waiting, workers, paused }, endpoints))
    }
}

fn listen(socket: &Router, listeners: Vec<DetachedListener>) -> io::Result<Vec<Endpoint>> {
    listeners.into_iter().map(|listener| socket.attach_listener(listener)).collect()
}

impl Inherited {
    /// How long the oldest of what there is has waited or run.
    pub(crate) fn oldest(&self) -> Duration {
        let running = self.workers.iter().filter_map(|(_, heir)| heir.left.work.running());
        let ages = self.waiting.iter().map(|(_, waiting)| waiting.age);
        ages.chain(running.map(|running| running.age)).max().unwrap_or_default()
    }

    /// Tells a queue of them.
    pub(crate) fn join(self, queue: &mut Queue) {
        let is_lock_step = |peer: &Peer| peer.info.socket_type == SocketType::Req;
        for client in self.clients.iter().flatten() {
            queue.client_joined(client.id, &client.routing_id, is_lock_step(client));
        }
        // Nothing is handed out before all are there.
        queue.pause();
        for (client, waiting) in self.waiting {
            if let Some(Some(client)) = self.clients.get(client) {
                queue.take_in_request(client.id, waiting);
            }
        }
        for (worker, Heir { mut left, client }) in self.workers {
            if let Work::Busy(running) = &mut left.work {
                match client.and_then(|client| self.clients.get(client)) {
                    Some(Some(client)) => running.client = client.id,
                    _ => left.work = Work::Late,
                }
            }
            queue.take_in_worker(worker.id, &worker.routing_id, is_lock_step(&worker), left);
        }
        if !self.paused {
            queue.resume();
        }
    }
}
