//! The peers of one socket: their queues, whose turn it is, and who has which name.
//!
//! ```text
//! connection task --exchange()--> inbox --next_event()--> application
//! connection task <--exchange()-- outbox <-----send()---- application
//! ```
//!
//! A peer is in `turns` if and only if it has something to report: that it joined, a message, or
//! that it left, in this order. The application is given one thing of the peer at the front, which
//! then goes to the back, so that a peer with a thousand messages delays another by one.

mod application;
mod connections;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use super::budget::Budget;
use super::entry::Entry;
use super::peer::{LeaveReason, PeerId};
use crate::config::Config;

/// What a connection task is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Run,
    /// Write what is queued, then end.
    Finish,
    /// End now, for this reason.
    Abort(LeaveReason),
}

#[derive(Debug)]
pub(super) struct Table {
    config: Arc<Config>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    turns: VecDeque<PeerId>,
    /// Who has announced an identity, those included whose leaving has not been reported yet.
    names: HashMap<Bytes, Vec<PeerId>>,
    next_name: u32,
    /// Peers that came and went before the application looked are reported as well.
    reports_all: bool,
    /// Connections in their handshake, the oldest first; some may be over.
    handshaking: VecDeque<PeerId>,
    /// Connections that are to end and have not begun to.
    evicted: usize,
    budget: Budget,
    /// Where the application waits for an event.
    receiver: Option<Waker>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more is taken in; what is queued may still leave.
    Closing,
    Closed,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Box<Entry>>,
}

impl Table {
    pub(super) fn new(config: Arc<Config>, reports_all: bool) -> Self {
        // A start that differs from run to run, as libzmq's, so that nobody relies on it.
        let next_name = super::random().to_be_bytes();
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            turns: VecDeque::new(),
            names: HashMap::new(),
            next_name: u32::from_be_bytes([next_name[0], next_name[1], next_name[2], next_name[3]]),
            reports_all,
            handshaking: VecDeque::new(),
            evicted: 0,
            budget: Budget::new(config.max_total_bytes),
            receiver: None,
            phase: Phase::Open,
            config,
        }
    }

    fn entry(&mut self, id: PeerId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation == id.generation { slot.entry.as_deref_mut() } else { None }
    }

    fn peek(&self, id: PeerId) -> Option<&Entry> {
        self.slots.get(id.index())?.entry.as_deref()
    }

    fn ids(&self) -> impl Iterator<Item = PeerId> {
        let slots = self.slots.iter().zip(0..);
        slots.map(|(slot, i)| PeerId { slot: i, generation: slot.generation })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_deref())
    }

    fn dequeue(&mut self, bytes: usize) {
        for id in self.budget.dequeue(bytes) {
            if let Some(entry) = self.entry(id) {
                entry.starved = false;
                entry.wake_task();
            }
        }
    }

    fn forget(&mut self, id: PeerId) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        let Some(entry) = slot.entry.take() else { return };
        // A slot whose generations are used up is never given again.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.slot);
        }
        let Some(peer) = entry.peer else { return };
        if let Some(bearers) = self.names.get_mut(&peer.info.identity) {
            bearers.retain(|&bearer| bearer != id);
            if bearers.is_empty() {
                self.names.remove(&peer.info.identity);
            }
        }
    }

    /// A peer is known until the application has heard that it left and its task has, too.
    fn forget_if_done(&mut self, id: PeerId) {
        if self.entry(id).is_some_and(|entry| entry.reported && entry.ended) {
            self.forget(id);
        }
    }

    fn schedule(&mut self, id: PeerId) {
        let Some(entry) = self.entry(id) else { return };
        if !entry.scheduled {
            entry.scheduled = true;
            self.turns.push_back(id);
            self.wake_receiver();
        }
    }

    fn wake_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wake();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn close(&mut self) {
        self.enter(Phase::Closing);
    }

    pub(super) fn abort(&mut self) {
        self.enter(Phase::Closed);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.entries().for_each(Entry::wake_task);
        self.wake_receiver();
    }
}

#[cfg(test)]
mod tests;
