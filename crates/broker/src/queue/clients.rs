//! Clients and the requests they wait for.

use std::collections::VecDeque;

use zmtp::{Message, PeerId};

use super::Request;
use crate::peer_map::PeerMap;

/// Clients have turns: each gives one request before the next one's turn, so that one with many
/// outstanding delays another by one.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: PeerMap<Client>,
    /// Clients with a request that waits, each once.
    turns: VecDeque<PeerId>,
    waiting: usize,
}

#[derive(Debug)]
struct Client {
    /// An empty part and what a worker sees as the client's address.
    prefix: Message,
    lock_step: bool,
    waiting: VecDeque<Request>,
    /// The worker that has the request of a lock-step client.
    running: Option<PeerId>,
}

impl Clients {
    pub(super) fn join(&mut self, id: PeerId, label: &[u8], lock_step: bool) {
        // Most have one request at a time.
        let waiting = VecDeque::with_capacity(1);
        let prefix = Message::copy_from(&[b"", label]);
        let client = Client { prefix, lock_step, waiting, running: None };
        self.by_id.insert(id, client);
    }

    /// Returns how many requests it waited for.
    pub(super) fn leave(&mut self, id: PeerId) -> usize {
        let Some(client) = self.by_id.remove(id) else { return 0 };
        let dropped = client.waiting.len();
        if dropped > 0 {
            self.waiting -= dropped;
            self.turns.retain(|&other| other != id);
        }
        dropped
    }

    pub(super) fn is_connected(&self, id: PeerId) -> bool {
        self.by_id.get(id).is_some()
    }

    /// What a request of the client has in front when a worker gets it: an empty part, and what the worker
    /// sees as the client's address.
    pub(super) fn prefix(&self, id: PeerId) -> Option<&Message> {
        self.by_id.get(id).map(|client| &client.prefix)
    }

    /// The worker whose job is void because its lock-step client asks again.
    pub(super) fn superseded(&mut self, id: PeerId) -> Option<PeerId> {
        self.by_id.get_mut(id)?.running.take()
    }

    /// Puts a request behind the others of its client. Returns one that it replaces.
    pub(super) fn push(&mut self, request: Request) -> Option<Request> {
        let id = request.client;
        // A client that is not known has left: its request has nobody to answer to.
        let Some(client) = self.by_id.get_mut(id) else { return Some(request) };
        let replaced = if client.lock_step { client.waiting.pop_back() } else { None };
        client.waiting.push_back(request);
        if replaced.is_none() {
            self.waiting += 1;
            if client.waiting.len() == 1 {
                self.turns.push_back(id);
            }
        }
        replaced
    }

    /// Puts a request that was handed out before everything else.
    pub(super) fn push_first(&mut self, request: Request) {
        let id = request.client;
        let Some(client) = self.by_id.get_mut(id) else { return };
        client.waiting.push_front(request);
        self.waiting += 1;
        self.turns.retain(|&other| other != id);
        self.turns.push_front(id);
    }

    pub(super) fn next(&mut self) -> Option<Request> {
        let id = self.turns.pop_front()?;
        let client = self.by_id.get_mut(id)?;
        let request = client.waiting.pop_front()?;
        self.waiting -= 1;
        if !client.waiting.is_empty() {
            self.turns.push_back(id);
        }
        Some(request)
    }

    pub(super) fn set_running(&mut self, id: PeerId, worker: PeerId) {
        if let Some(client) = self.by_id.get_mut(id).filter(|client| client.lock_step) {
            client.running = Some(worker);
        }
    }

    pub(super) fn set_done(&mut self, id: PeerId) {
        if let Some(client) = self.by_id.get_mut(id) {
            client.running = None;
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}
