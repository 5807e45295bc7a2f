//! [`Handover`]: what a broker that ends leaves to the next one.

mod encoding;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zmtp::proto::SocketType;
use zmtp::{DetachedConnection, DetachedListener, Endpoint, Peer, PeerId, Router};

use crate::queue::{Estate, Left, Queue, Replay, known_as};

/// What a broker that ends leaves to the next one, be that in another process: where it listens, all its connections, what
/// clients wait for, what workers have, and what was counted. Their peers do not notice.
#[derive(Debug)]
pub struct Handover {
    listeners: [Vec<DetachedListener>; 2],
    clients: Vec<(PeerId, DetachedConnection)>,
    workers: Vec<(PeerId, DetachedConnection)>,
    /// By what these are called here.
    estate: Estate,
    /// Its requests are in a journal, under their numbers.
    is_kept: bool,
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

/// Peers that are there, by what they were called before, and are not known to the queue yet.
#[derive(Debug)]
pub(crate) struct Inherited {
    clients: BTreeMap<PeerId, Arc<Peer>>,
    workers: BTreeMap<PeerId, Arc<Peer>>,
    estate: Estate,
    is_kept: bool,
}

impl Handover {
    /// Of two sockets that were taken apart.
    pub(crate) fn new(
        estate: Estate,
        is_kept: bool,
        listeners: [Vec<DetachedListener>; 2],
        clients: Vec<(PeerId, DetachedConnection)>,
        workers: Vec<(PeerId, DetachedConnection)>,
    ) -> Self {
        Self { listeners, clients, workers, estate, is_kept }
    }

    /// What is left of a journal without the requests that go on with their clients.
    pub fn settle(&self, replay: &mut Replay) {
        if self.is_kept {
            self.estate.settle(replay);
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
        let Self { listeners, clients, workers, estate, is_kept } = self;
        // Whoever is accepted comes after those that are there.
        let (clients, workers) = (attach(frontend, clients), attach(backend, workers));
        let [of_frontend, of_backend] = listeners;
        let endpoints = [listen(frontend, of_frontend)?, listen(backend, of_backend)?];
        Ok((Inherited { clients, workers, estate, is_kept }, endpoints))
    }
}

fn attach(
    socket: &Router,
    connections: Vec<(PeerId, DetachedConnection)>,
) -> BTreeMap<PeerId, Arc<Peer>> {
    let attach = |(id, connection)| Some((id, socket.attach(connection).ok()?));
    connections.into_iter().filter_map(attach).collect()
}

fn listen(socket: &Router, listeners: Vec<DetachedListener>) -> io::Result<Vec<Endpoint>> {
    listeners.into_iter().map(|listener| socket.attach_listener(listener)).collect()
}

impl Inherited {
    /// How long the oldest of what there is has waited or run.
    pub(crate) fn oldest(&self) -> Duration {
        self.estate.requests().map(|request| request.age).max().unwrap_or_default()
    }

    /// Whether its requests are in a journal, under their numbers.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Tells a queue of them.
    pub(crate) fn join(self, queue: &mut Queue) {
        let Self { clients, workers, mut estate, .. } = self;
        let is_lock_step = |peer: &Peer| peer.info.socket_type == SocketType::Req;
        let new_id = |peers: &BTreeMap<PeerId, Arc<Peer>>, id| peers.get(&id).map(|peer| peer.id);
        // The queue has not heard of those that it does not name.
        let known: BTreeSet<_> = estate.clients.iter().map(|&(id, ..)| id).collect();
        for (&id, client) in clients.iter().filter(|(id, _)| !known.contains(id)) {
            estate.clients.push((id, client.routing_id.clone(), is_lock_step(client)));
        }
        let known: BTreeSet<_> = estate.workers.iter().map(|&(id, _)| id).collect();
        for (&id, worker) in workers.iter().filter(|(id, _)| !known.contains(id)) {
            let name = worker.routing_id.clone();
            let known_as = known_as(&name, &worker.address);
            let left = Left::silent(name, known_as, is_lock_step(worker));
            estate.workers.push((id, left));
        }
        queue.go_on(estate.moved(|id| new_id(&clients, id), |id| new_id(&workers, id)));
    }
}
