//! The table as the application uses it.

use std::sync::Arc;
use std::task::Waker;

use tokio::sync::Notify;

use super::Table;
use crate::config::{Config, Release};
use crate::socket::event::PeerEvent;
use crate::socket::outlet::Unsent;
use crate::socket::peer::{Peer, PeerId};

impl Table {
    /// The next thing to report, or `None` after which `receiver` is woken when there is one.
    pub(in crate::socket) fn next_event(&mut self) -> Option<PeerEvent> {
        let Config { recv_hwm, recv_hwm_bytes, .. } = *self.config;
        let explicit = self.config.release == Release::Explicit;
        while let Some(id) = self.turns.pop_front() {
            let Some(entry) = self.entry(id) else { continue };
            let Some(peer) = entry.peer.as_ref().filter(|_| !entry.reported) else { continue };
            let mut popped = 0;
            let event = if !entry.announced {
                entry.announced = true;
                PeerEvent::Joined(peer.clone())
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
                PeerEvent::Message(id, message)
            } else if let Some(reason) = entry.left.clone().filter(|_| !entry.reported) {
                let peer = peer.clone();
                entry.reported = true;
                entry.scheduled = false;
                self.forget_if_done(id);
                return Some(PeerEvent::Left(peer, reason));
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

    /// From now on nobody joins and leaves without being reported.
    pub(in crate::socket) fn report_all(&mut self) {
        self.reports_all = true;
    }

    /// Where to wait for room, after a send that failed for want of it.
    pub(in crate::socket) fn await_room(&mut self) {
        self.room_is_awaited = true;
    }

    pub(in crate::socket) fn room(&self) -> Arc<Notify> {
        self.room.clone()
    }

    pub(in crate::socket) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(in crate::socket) fn count_dropped(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    pub(in crate::socket) fn take_unsent(&mut self) -> Vec<Unsent> {
        std::mem::take(&mut self.unsent)
    }

    pub(in crate::socket) fn release(&mut self, id: PeerId, count: usize) {
        let Some(entry) = self.entry(id) else { return };
        let count = count.min(entry.held.len());
        let bytes = entry.held.drain(..count).sum();
        entry.held_bytes -= bytes;
        entry.wake_stalled_if(true);
        self.dequeue(bytes);
    }

    pub(in crate::socket) fn peer(&mut self, id: PeerId) -> Option<Arc<Peer>> {
        self.entry(id)?.peer.clone()
    }

    pub(in crate::socket) fn peers(&self) -> Vec<Arc<Peer>> {
        self.entries()
            .filter(|entry| entry.is_live())
            .filter_map(|entry| entry.peer.clone())
            .collect()
    }
}
