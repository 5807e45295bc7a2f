//! The peers of one socket: their queues, whose turn it is, and who has which name.
//!
//! ```text
//! connection task --exchange()--> inbox --next_event()--> application
//! connection task <--exchange()-- outbox <-----send()---- application
//!                                    ^ join()
//!                                 waiting of an outlet <--send()
//! ```
//!
//! A peer is in `turns` if and only if it has something to report: that it joined, a message, or
//! that it left, in this order. The application is given one thing of the peer at the front, which
//! then goes to the back, so that a peer with a thousand messages delays another by one.
//!
//! `rotation` is the same the other way round, for sockets that send to whoever is next.

mod application;
mod batch;
mod connections;
mod outlets;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

pub(super) use batch::Way;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::Budget;
use super::entry::Entry;
use super::outlet::{EndpointId, Lane, Outlet, Unsent};
use super::peer::{LeaveReason, PeerId};
use crate::config::Config;
use crate::message::Message;

/// What a connection task is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Run,
    /// Write what is queued, then end, and end at this time at the latest. In the handshake: what is
    /// queued comes when it is over.
    Finish(Instant),
    /// End now, for this reason.
    Abort(LeaveReason),
}

#[derive(Debug)]
pub(super) struct Table {
    config: Arc<Config>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    turns: VecDeque<PeerId>,
    /// Whose turn was passed over while messages are not wanted.
    held_turns: Option<Vec<PeerId>>,
    /// Who has which name, those included whose leaving has not been reported yet.
    names: HashMap<Bytes, Name>,
    next_name: u32,
    /// Peers that came and went before the application looked are reported as well.
    reports_all: bool,
    outlets: BTreeMap<EndpointId, Outlet>,
    /// This socket sends to whoever is next.
    rotates: bool,
    rotation: VecDeque<Lane>,
    /// Whose reply is awaited, and why there will be none.
    watched: Option<(Lane, Option<LeaveReason>)>,
    /// Connections in their handshake, the oldest first; some may be over.
    handshaking: VecDeque<PeerId>,
    /// Connections that are to end and have not begun to.
    evicted: usize,
    budget: Budget,
    /// How many batches have been sent.
    batches: u64,
    /// Where the application waits for an event.
    receiver: Option<Waker>,
    /// Where it waits for room, and whether it does.
    room: Arc<Notify>,
    room_is_awaited: bool,
    /// Messages that were accepted and dropped.
    dropped: u64,
    unsent: Vec<Unsent>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more is taken in; what is queued may still leave until then.
    Closing(Instant),
    Closed,
}

/// Begins with a line of the cache.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

#[derive(Debug, Default)]
struct Name {
    bearers: Vec<PeerId>,
    /// An endpoint whose peer was given this name.
    outlet: Option<EndpointId>,
}

impl Table {
    pub(super) fn new(config: Arc<Config>, rotates: bool) -> Self {
        // A start that differs from run to run, as libzmq's, so that nobody relies on it.
        let next_name = super::random().to_be_bytes();
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            turns: VecDeque::new(),
            held_turns: None,
            names: HashMap::new(),
            next_name: u32::from_be_bytes([next_name[0], next_name[1], next_name[2], next_name[3]]),
            reports_all: false,
            outlets: BTreeMap::new(),
            rotates,
            rotation: VecDeque::new(),
            watched: None,
            handshaking: VecDeque::new(),
            evicted: 0,
            budget: Budget::new(config.max_total_bytes),
            batches: 0,
            receiver: None,
            room: Arc::default(),
            room_is_awaited: false,
            dropped: 0,
            unsent: Vec::new(),
            phase: Phase::Open,
            config,
        }
    }

    #[inline]
    fn entry(&mut self, id: PeerId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation == id.generation { slot.entry.as_mut() } else { None }
    }

    #[inline]
    fn peek(&self, id: PeerId) -> Option<&Entry> {
        let slot = self.slots.get(id.index())?;
        if slot.generation == id.generation { slot.entry.as_ref() } else { None }
    }

    fn ids(&self) -> impl Iterator<Item = PeerId> {
        let slots = self.slots.iter().zip(0..);
        slots.map(|(slot, i)| PeerId { slot: i, generation: slot.generation })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref())
    }

    #[inline]
    fn dequeue(&mut self, bytes: usize) {
        if self.budget.dequeue(bytes) {
            self.wake_starved();
        }
        self.wake_senders();
    }

    fn wake_starved(&mut self) {
        for id in self.budget.take_waiting() {
            if let Some(entry) = self.entry(id) {
                entry.starved = false;
                entry.wake_task();
            }
        }
    }

    fn wake_senders(&mut self) {
        if self.room_is_awaited {
            self.room_is_awaited = false;
            self.room.notify_waiters();
        }
    }

    /// Messages that were accepted will not be delivered.
    fn lose(&mut self, address: &Arc<str>, messages: VecDeque<Message>, cut_off: usize) {
        let lost = messages.len() + usize::from(cut_off > 0);
        self.dropped = self.dropped.saturating_add(lost as u64);
        if matches!(self.phase, Phase::Closing(_)) && (cut_off > 0 || !messages.is_empty()) {
            let address = address.clone();
            self.unsent.push(Unsent { address, messages: messages.into(), cut_off });
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
        if let Some(name) = self.names.get_mut(&peer.routing_id) {
            name.bearers.retain(|&bearer| bearer != id);
            if name.bearers.is_empty() && name.outlet.is_none() {
                self.names.remove(&peer.routing_id);
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

    /// Takes nothing more in; what is queued may leave until then.
    pub(super) fn close(&mut self, by: Instant) {
        if self.phase == Phase::Open {
            self.enter(Phase::Closing(by));
        }
    }

    pub(super) fn abort(&mut self) {
        self.enter(Phase::Closed);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.entries().for_each(Entry::wake_task);
        self.wake_receiver();
        self.wake_senders();
    }
}

#[cfg(test)]
mod tests;
