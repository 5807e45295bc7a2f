//! The table as the application uses it.

use std::sync::Arc;
use std::task::Waker;

use super::{Phase, Table};
use crate::config::{Config, Release};
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::socket::peer::{Peer, PeerId};
use crate::socket::router::RouterEvent;

impl Table {
    /// The next thing to report, or `None` after which `receiver` is woken when there is one.
    pub(in crate::socket) fn next_event(&mut self) -> Option<RouterEvent> {
        let Config { recv_hwm, recv_hwm_bytes, .. } = *self.config;
        let explicit = self.config.release == Release::Explicit;
        while let Some(id) = self.turns.pop_front() {
            let Some(entry) = self.entry(id) else { continue };
            let Some(peer) = &entry.peer else { continue };
            let mut popped = 0;
            let event = if !entry.announced {
                entry.announced = true;
                RouterEvent::Joined(peer.clone())
            } else if let Some((message, size)) = entry.inbox.pop() {
                let half_empty = entry.inbox.messages.len() <= recv_hwm / 2
                    && entry.inbox.bytes <= recv_hwm_bytes / 2;
                if explicit {
                    entry.held.push_back(size);
                    entry.held_bytes += size;
                } else {
                    popped = size;
                    entry.wake_stalled_if(half_empty);
                }
                RouterEvent::Message(id, message)
            } else if let Some(reason) = entry.left.clone().filter(|_| !entry.reported) {
                entry.reported = true;
                entry.scheduled = false;
                self.forget_if_done(id);
                return Some(RouterEvent::Left(id, reason));
            } else {
                entry.scheduled = false;
                continue;
            };
            entry.scheduled = entry.has_more_to_report();
            match (entry.scheduled, entry.expedited) {
                (true, true) => self.turns.push_front(id),
                (true, false) => self.turns.push_back(id),
                _ => {}
            }
            if popped > 0 {
                self.dequeue(popped);
            }
            return Some(event);
        }
        None
    }

    pub(in crate::socket) fn set_receiver(&mut self, receiver: &Waker) {
        match &mut self.receiver {
            Some(known) => known.clone_from(receiver),
            none => *none = Some(receiver.clone()),
        }
    }

    pub(in crate::socket) fn send(
        &mut self,
        id: PeerId,
        message: Message,
    ) -> Result<(), SendError> {
        let Config { send_hwm, send_hwm_bytes, .. } = *self.config;
        if self.phase != Phase::Open {
            return Err(SendError::new(SendErrorKind::Closed, message));
        }
        if message.is_empty() {
            return Err(SendError::new(SendErrorKind::Empty, message));
        }
        let size = message.wire_size();
        let in_budget = self.budget.has_room(size);
        let Some(entry) = self.entry(id).filter(|entry| entry.is_live()) else {
            return Err(SendError::new(SendErrorKind::NoSuchPeer, message));
        };
        let count = entry.outbox.messages.len();
        let fits = in_budget && entry.outbox.bytes.saturating_add(size) <= send_hwm_bytes;
        if count >= send_hwm || !(fits || count == 0) {
            return Err(SendError::new(SendErrorKind::Full, message));
        }
        entry.outbox.push(message, size);
        // The task takes all there is at once, so only the first of a batch need wake it.
        if count == 0 {
            entry.wake_task();
        }
        self.budget.enqueue(size);
        Ok(())
    }

    pub(in crate::socket) fn release(&mut self, id: PeerId, count: usize) {
        let Some(entry) = self.entry(id) else { return };
        let count = count.min(entry.held.len());
        let bytes = entry.held.drain(..count).sum();
        entry.held_bytes -= bytes;
        entry.wake_stalled_if(true);
        self.dequeue(bytes);
    }

    /// Takes back the message that was queued last, if it has not been taken to be written.
    pub(in crate::socket) fn retract(&mut self, id: PeerId) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        let Some(message) = entry.outbox.messages.pop_back() else { return false };
        let size = message.wire_size();
        entry.outbox.bytes -= size;
        self.dequeue(size);
        true
    }

    pub(in crate::socket) fn peer(&mut self, id: PeerId) -> Option<Arc<Peer>> {
        self.entry(id).filter(|entry| entry.is_live())?.peer.clone()
    }

    pub(in crate::socket) fn peers(&self) -> Vec<Arc<Peer>> {
        self.entries()
            .filter(|entry| entry.is_live())
            .filter_map(|entry| entry.peer.clone())
            .collect()
    }

    /// The one peer that announced `identity`; none if there are two.
    pub(in crate::socket) fn find(&mut self, identity: &[u8]) -> Option<PeerId> {
        let bearers = self.names.get(identity)?.clone();
        let mut live =
            bearers.into_iter().filter(|&id| self.entry(id).is_some_and(|e| e.is_live()));
        live.next().filter(|_| live.next().is_none())
    }
}
