//! The table as the application uses it.

use std::sync::Arc;
use std::task::Waker;

use tokio::sync::Notify;

use super::Table;
use crate::config::{Config, Release};
use crate::socket::entry::Entry;
use crate::socket::event::PeerEvent;
use crate::socket::outlet::Unsent;
use crate::socket::peer::{Peer, PeerId};

impl Table {
    /// The next thing to report, or `None` after which `receiver` is woken when there is one.
    pub(in crate::socket) fn next_event(&mut self) -> Option<PeerEvent> {
        while let Some(id) = self.turns.pop_front() {
            let holds = self.held_turns.is_some();
            let Some(entry) = self.entry(id) else { continue };
            if holds && entry.announced && !entry.inbox.is_empty() {
                // It has its turn when messages are wanted again.
                self.held_turns.iter_mut().for_each(|held| held.push(id));
                continue;
            }
            if entry.announced
                && let Some((message, size)) = entry.inbox.pop()
            {
                self.note_taken(id, size);
                return Some(PeerEvent::Message(id, message));
            }
            if let Some(event) = self.next_news(id) {
                return Some(event);
            }
        }
        None
    }

    /// A message of this size has been taken from a peer's inbox.
    #[inline]
    fn note_taken(&mut self, id: PeerId, size: usize) {
        let explicit = self.config.release == Release::Explicit;
        let Config { recv_hwm, recv_hwm_bytes, .. } = *self.config;
        let Some(entry) = self.entry(id) else { return };
        if explicit {
            entry.held.push(size);
        } else {
            let half_empty =
                entry.inbox.len() <= recv_hwm / 2 && entry.inbox.bytes <= recv_hwm_bytes / 2;
            entry.wake_stalled_if(half_empty);
        }
        self.take_turn_again(id);
        if !explicit {
            self.dequeue(size);
        }
    }

    /// That a peer has joined, or that it has left.
    fn next_news(&mut self, id: PeerId) -> Option<PeerEvent> {
        let entry = self.entry(id)?;
        entry.scheduled = false;
        let peer = entry.peer.clone().filter(|_| !entry.reported)?;
        if !std::mem::replace(&mut entry.announced, true) {
            self.take_turn_again(id);
            return Some(PeerEvent::Joined(peer));
        }
        let reason = entry.left.clone()?;
        entry.reported = true;
        self.forget_if_done(id);
        Some(PeerEvent::Left(peer, reason))
    }

    /// After its turn a peer that has more to report is put behind the others.
    #[inline]
    fn take_turn_again(&mut self, id: PeerId) {
        let Some(entry) = self.entry(id) else { return };
        entry.scheduled = entry.has_more_to_report();
        match (entry.scheduled, entry.expedited) {
            (true, true) => self.turns.push_front(id),
            (true, false) => self.turns.push_back(id),
            _ => {}
        }
    }

    /// Whether messages stay where they are.
    pub(in crate::socket) fn hold_messages(&mut self, holds: bool) {
        if holds {
            self.held_turns.get_or_insert_default();
        } else {
            self.turns.extend(self.held_turns.take().into_iter().flatten());
        }
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
        let bytes = (0..count).map_while(|_| entry.held.pop()).sum();
        entry.wake_stalled_if(true);
        self.dequeue(bytes);
    }

    /// Whether anything of a peer has arrived that was not taken.
    pub(in crate::socket) fn has_unread(&mut self, id: PeerId) -> bool {
        let is_unread = |entry: &mut Entry| {
            !entry.inbox.is_empty() || entry.unfinished > 0 || entry.stalled || entry.starved
        };
        self.entry(id).is_some_and(is_unread)
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
