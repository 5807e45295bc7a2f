//! Clients and the requests they wait for.

use std::collections::VecDeque;

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::Request;
use super::line::Line;
use crate::peer_map::PeerMap;

/// Clients have turns: each has one request in line, be it the urgent one, and the next one behind all others' when
/// that has been taken, so that one with many outstanding delays another by one.
///
/// The request of a lock-step client is taken from the line without a look at the client: of thousands, none
/// is in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: PeerMap<Client>,
    /// Requests that were handed out in vain, which come before those in the line.
    urgent: VecDeque<Request>,
    line: Line,
    waiting: usize,
}

#[derive(Debug)]
struct Client {
    /// The position of the last of its requests that was put in line, wherever that is now.
    latest: u64,
    lock_step: bool,
    /// It has one among the urgent.
    urgent: bool,
    /// An empty part and what a worker sees as the client's address.
    prefix: Message,
    /// Requests that are not in line yet, those that were handed out in vain first.
    behind: VecDeque<Request>,
}

impl Clients {
    pub(super) fn join(&mut self, id: PeerId, label: &[u8], lock_step: bool) {
        let prefix = Message::copy_from(&[b"", label]);
        let behind = VecDeque::new();
        let client = Client { latest: 0, lock_step, urgent: false, prefix, behind };
        self.by_id.insert(id, client);
    }

    /// Returns how many requests it waited for.
    pub(super) fn leave(&mut self, id: PeerId) -> usize {
        let Some(client) = self.by_id.remove(id) else { return 0 };
        let in_line = usize::from(self.line.remove(client.latest).is_some());
        let urgent = usize::from(client.urgent);
        if client.urgent {
            self.urgent.retain(|request| request.client != id);
        }
        self.close_gaps();
        let dropped = client.behind.len() + in_line + urgent;
        self.waiting -= dropped;
        dropped
    }

    fn close_gaps(&mut self) {
        let by_id = &mut self.by_id;
        self.line.close_gaps(|request| {
            if let Some(client) = by_id.get_mut(request.client) {
                client.latest = request.position;
            }
        });
    }

    /// Whether anybody waits for the reply to this request: its client is there, and has not asked anew if it can
    /// have only one outstanding.
    pub(super) fn want(&self, request: &Request) -> bool {
        let client = self.by_id.get(request.client);
        client.is_some_and(|client| !client.lock_step || client.latest == request.position)
    }

    /// Puts a request behind the others of its client. Says whether one was dropped: the one that it
    /// replaces, or itself if its client has left.
    pub(super) fn push(&mut self, id: PeerId, stack: Vec<Bytes>, message: &Message) -> bool {
        let Some(client) = self.by_id.get_mut(id) else { return true };
        let Client { latest: position, lock_step, urgent, .. } = *client;
        let message = client.prefix.followed_by(message);
        let request = Request { client: id, position, lock_step, stack, message, attempts: 0 };
        let waiting = if urgent {
            self.urgent.iter_mut().find(|other| other.client == id)
        } else {
            self.line.get_mut(position)
        };
        match waiting {
            Some(waiting) if lock_step => {
                *waiting = request;
                return true;
            }
            Some(_) => client.behind.push_back(request),
            None => client.latest = self.line.push(request),
        }
        self.waiting += 1;
        false
    }

    /// Puts a request that was handed out in vain before those that were not, as far as its client's turns allow.
    pub(super) fn push_urgent(&mut self, request: Request) {
        let Some(client) = self.by_id.get_mut(request.client) else { return };
        self.waiting += 1;
        if client.urgent {
            let at = client.behind.iter().take_while(|other| other.attempts > 0).count();
            client.behind.insert(at, request);
            return;
        }
        client.urgent = true;
        self.urgent.push_back(request);
        if let Some(in_line) = self.line.remove(client.latest) {
            client.behind.push_front(in_line);
            self.close_gaps();
        }
    }

    pub(super) fn next(&mut self) -> Option<Request> {
        let urgent = self.urgent.pop_front();
        let was_urgent = urgent.is_some();
        let request = urgent.or_else(|| self.line.pop())?;
        self.waiting -= 1;
        if (was_urgent || !request.lock_step)
            && let Some(client) = self.by_id.get_mut(request.client)
        {
            client.urgent = false;
            if let Some(next) = client.behind.pop_front() {
                client.latest = self.line.push(next);
            }
        }
        Some(request)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}
