//! Clients and the requests they wait for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::envelope::Stack;
use super::estate::Turn;
use super::line::Line;
use super::request::Request;
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
    /// Requests that were handed out in vain more than once, by when they are urgent again.
    later: BTreeMap<(Instant, u64), Request>,
    waiting: usize,
    bytes: usize,
    /// Connections so far.
    connections: u64,
}

#[derive(Debug)]
struct Client {
    /// Which connection it is, of all.
    connection: u64,
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

/// What became of a request that was to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Waits,
    /// In place of another one of its client.
    Replaces,
    /// Its client has left.
    Unwanted,
    /// There is no room, and the request is gone.
    Refused(Stack),
}

impl Clients {
    pub(super) fn join(&mut self, id: PeerId, label: &[u8], lock_step: bool) {
        let prefix = Message::copy_from(&[b"", label]);
        let behind = VecDeque::new();
        self.connections += 1;
        let connection = self.connections;
        let client = Client { connection, latest: 0, lock_step, urgent: false, prefix, behind };
        self.by_id.insert(id, client);
    }

    /// Returns the requests that it waited for.
    pub(super) fn leave(&mut self, id: PeerId) -> Vec<Request> {
        let Some(client) = self.by_id.remove(id) else { return Vec::new() };
        let mut dropped = Vec::from(client.behind);
        dropped.extend(self.line.remove(client.latest));
        if client.urgent {
            let at = self.urgent.iter().position(|request| request.client == id);
            dropped.extend(at.and_then(|at| self.urgent.remove(at)));
        }
        if !self.later.is_empty() {
            let keys = self.later.iter().filter(|(_, request)| request.client == id);
            let keys: Vec<_> = keys.map(|(&key, _)| key).collect();
            dropped.extend(keys.iter().filter_map(|key| self.later.remove(key)));
        }
        self.close_gaps();
        for request in &dropped {
            self.note_gone(request);
        }
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

    /// Puts a request behind the others of its client. If there is no room, that client may have `most` others; one
    /// that has to give up the request before always finds room.
    pub(super) fn push(
        &mut self,
        id: PeerId,
        number: u64,
        since: u64,
        stack: Stack,
        message: &Message,
        most: usize,
    ) -> Pushed {
        let Some(client) = self.by_id.get_mut(id) else { return Pushed::Unwanted };
        let Client { latest: position, lock_step, urgent, .. } = *client;
        let waiting = if urgent {
            self.urgent.iter_mut().find(|other| other.client == id)
        } else {
            self.line.get_mut(position)
        };
        let replaces = lock_step && waiting.is_some();
        if most < usize::MAX
            && client.behind.len() + usize::from(waiting.is_some()) >= most
            && !replaces
        {
            return Pushed::Refused(stack);
        }
        let message = client.prefix.followed_by(message);
        let size = message.wire_size();
        let request =
            Request { number, client: id, position, lock_step, since, stack, message, past: None };
        self.bytes += size;
        match waiting {
            Some(waiting) if lock_step => {
                self.bytes -= waiting.message.wire_size();
                *waiting = request;
                return Pushed::Replaces;
            }
            Some(_) => client.behind.push_back(request),
            None => client.latest = self.line.push(request),
        }
        self.waiting += 1;
        Pushed::Waits
    }

    /// Who is there, what they are called, and whether they can have only one request outstanding.
    pub(super) fn all(&self) -> impl Iterator<Item = (PeerId, Bytes, bool)> {
        self.by_id.iter().map(|(id, client)| {
            let name = client.prefix.part(1).unwrap_or_default();
            (id, Bytes::copy_from_slice(name), client.lock_step)
        })
    }

    /// What a worker is sent for a client, and whether that can have only one request outstanding.
    pub(super) fn addressed(&self, id: PeerId, message: &Message) -> Option<(Message, bool)> {
        let client = self.by_id.get(id)?;
        // Not as in `push`, where it is to be inlined.
        let parts: Vec<_> = client.prefix.parts().chain(message.parts()).collect();
        Some((Message::copy_from(&parts), client.lock_step))
    }

    /// Puts a request of another queue behind all others of its client.
    pub(super) fn push_back(&mut self, request: Request) {
        let Some(client) = self.by_id.get_mut(request.client) else { return };
        self.waiting += 1;
        self.bytes += request.message.wire_size();
        if client.urgent || self.line.get(client.latest).is_some() {
            client.behind.push_back(request);
        } else {
            client.latest = self.line.push(request);
        }
    }

    /// Puts a request that was handed out in vain before those that were not, as far as its client's turns allow.
    pub(super) fn push_urgent(&mut self, request: Request) {
        let Some(client) = self.by_id.get_mut(request.client) else { return };
        self.waiting += 1;
        self.bytes += request.message.wire_size();
        if client.urgent {
            let at = client.behind.iter().take_while(|other| other.past.is_some()).count();
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

    /// Keeps a request that was handed out in vain until a time.
    pub(super) fn push_later(&mut self, request: Request, at: Instant) {
        self.waiting += 1;
        self.bytes += request.message.wire_size();
        self.later.insert((at, request.number), request);
    }

    /// When those have their turns that are not in line, by number.
    pub(super) fn turns(&self, now: Instant) -> BTreeMap<u64, Turn> {
        let pause = |at: Instant| Turn::After(at.saturating_duration_since(now));
        let later = self.later.keys().map(|&(at, number)| (number, pause(at)));
        self.urgent.iter().map(|request| (request.number, Turn::Next)).chain(later).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Takes a request that was kept until now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Request> {
        let first = self.later.first_entry().filter(|first| first.key().0 <= now)?;
        let request = first.remove();
        self.note_gone(&request);
        Some(request)
    }

    /// Takes a request that waits, wherever it does.
    pub(super) fn take(&mut self, id: PeerId, number: u64) -> Option<Request> {
        let client = self.by_id.get_mut(id)?;
        let is_meant = |request: &Request| request.number == number;
        let request = if let Some(at) = client.behind.iter().position(is_meant) {
            client.behind.remove(at)
        } else if let Some(at) = self.urgent.iter().position(is_meant) {
            self.end_turn(id);
            self.urgent.remove(at)
        } else if self.line.get_mut(client.latest).is_some_and(|request| is_meant(request)) {
            let request = self.line.remove(client.latest);
            self.end_turn(id);
            self.close_gaps();
            request
        } else {
            let key = self.later.keys().find(|key| key.1 == number).copied();
            key.and_then(|key| self.later.remove(&key))
        };
        request.inspect(|request| self.note_gone(request))
    }

    /// All that wait, wherever they do.
    pub(super) fn requests(&self) -> impl Iterator<Item = &Request> {
        let behind = self.by_id.values().flat_map(|client| &client.behind);
        self.urgent.iter().chain(self.line.iter()).chain(self.later.values()).chain(behind)
    }

    /// The last request of a client, if it waits.
    pub(super) fn last(&self, id: PeerId) -> Option<&Request> {
        let client = self.by_id.get(id)?;
        let urgent = self.urgent.iter().find(|request| client.urgent && request.client == id);
        client.behind.back().or(urgent).or_else(|| self.line.get(client.latest))
    }

    /// Which connection a client is; 0 if it is not there.
    pub(super) fn connection(&self, id: PeerId) -> u64 {
        self.by_id.get(id).map_or(0, |client| client.connection)
    }

    pub(super) fn next(&mut self) -> Option<Request> {
        let urgent = self.urgent.pop_front();
        let was_urgent = urgent.is_some();
        let request = urgent.or_else(|| self.line.pop())?;
        self.note_gone(&request);
        if was_urgent || !request.lock_step {
            self.end_turn(request.client);
        }
        Some(request)
    }

    /// A client's request in line, or the urgent one, has been taken.
    fn end_turn(&mut self, id: PeerId) {
        let Some(client) = self.by_id.get_mut(id) else { return };
        client.urgent = false;
        if let Some(next) = client.behind.pop_front() {
            client.latest = self.line.push(next);
        }
    }

    /// A request waits that has no place here.
    pub(super) fn note_waits(&mut self, request: &Request) {
        self.waiting += 1;
        self.bytes += request.message.wire_size();
    }

    #[inline]
    pub(super) fn note_gone(&mut self, request: &Request) {
        self.waiting -= 1;
        self.bytes -= request.message.wire_size();
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Clients that are there.
    pub(super) fn len(&self) -> usize {
        self.by_id.values().count()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many are kept until a time.
    pub(super) fn delayed(&self) -> usize {
        self.later.len()
    }
}
