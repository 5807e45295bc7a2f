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

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use super::entry::{Entry, Queue};
use super::peer::{LeaveReason, Origin, Peer, PeerId};
use super::router::RouterEvent;
use crate::config::{Config, DuplicateIdentity, Release};
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::proto::PeerInfo;

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
            config,
            slots: Vec::new(),
            free: Vec::new(),
            turns: VecDeque::new(),
            names: HashMap::new(),
            next_name: u32::from_be_bytes([next_name[0], next_name[1], next_name[2], next_name[3]]),
            reports_all,
            receiver: None,
            phase: Phase::Open,
        }
    }

    fn entry(&mut self, id: PeerId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation == id.generation { slot.entry.as_deref_mut() } else { None }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_deref())
    }

    // ---- for connections ----

    /// A place for a new connection, unless the socket is closing or has as many as it may.
    pub(super) fn admit(&mut self) -> Option<PeerId> {
        let taken = self.slots.len() - self.free.len();
        if self.phase != Phase::Open || taken >= self.config.max_connections {
            return None;
        }
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).ok()?
        };
        let place = self.slots.get_mut(slot as usize)?;
        place.entry = Some(Box::new(Entry::new()));
        Some(PeerId { slot, generation: place.generation })
    }

    /// The handshake is over. An error is why the connection may not stay.
    pub(super) fn join(
        &mut self,
        id: PeerId,
        origin: Origin,
        address: Box<str>,
        info: Arc<PeerInfo>,
    ) -> Result<(), LeaveReason> {
        let name = info.identity.clone();
        if !name.is_empty() {
            self.claim(&name)?;
            self.names.entry(name.clone()).or_default().push(id);
        }
        let routing_id = if name.is_empty() { self.make_name() } else { name };
        let entry = self.entry(id).ok_or(LeaveReason::Local)?;
        entry.peer = Some(Arc::new(Peer { id, routing_id, origin, address, info }));
        self.schedule(id);
        Ok(())
    }

    /// Settles who may bear `name` from now on.
    fn claim(&mut self, name: &Bytes) -> Result<(), LeaveReason> {
        let bearers = self.names.get(name).cloned().unwrap_or_default();
        for id in bearers {
            let policy = self.config.duplicate_identity;
            let Some(entry) = self.entry(id) else { continue };
            if entry.is_live() {
                match policy {
                    DuplicateIdentity::Reject => return Err(LeaveReason::Duplicate),
                    DuplicateIdentity::Allow => continue,
                    DuplicateIdentity::Handover => self.leave(id, LeaveReason::Replaced),
                }
            }
            self.expedite(id);
        }
        Ok(())
    }

    /// What is left to report of a peer that is gone comes before anything else, so that nobody
    /// hears of its successor first.
    fn expedite(&mut self, id: PeerId) {
        let Some(entry) = self.entry(id) else { return };
        entry.expedited = true;
        self.turns.retain(|&other| other != id);
        self.turns.push_front(id);
    }

    fn make_name(&mut self) -> Bytes {
        let number = self.next_name;
        self.next_name = number.wrapping_add(1);
        let mut name = [0; 5];
        name[1..].copy_from_slice(&number.to_be_bytes());
        Bytes::copy_from_slice(&name)
    }

    /// Moves messages between a connection task and its peer's queues: from `incoming` as far as
    /// there is room, and all there is to `outgoing` if that is empty.
    pub(super) fn exchange(
        &mut self,
        id: PeerId,
        incoming: &mut VecDeque<Message>,
        outgoing: &mut VecDeque<Message>,
        task: &Waker,
    ) -> Order {
        let Config { recv_hwm, recv_hwm_bytes, .. } = *self.config;
        let phase = self.phase;
        let Some(entry) = self.entry(id) else { return Order::Abort(LeaveReason::Local) };
        if let Some(reason) = &entry.left {
            return Order::Abort(reason.clone());
        }
        if phase == Phase::Closed {
            return Order::Abort(LeaveReason::Local);
        }
        match &mut entry.task {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
        if outgoing.is_empty() && !entry.outbox.messages.is_empty() {
            std::mem::swap(&mut entry.outbox.messages, outgoing);
            entry.outbox.bytes = 0;
        }
        if phase == Phase::Closing {
            return Order::Finish;
        }
        let had_some = !incoming.is_empty();
        while let Some(message) = incoming.pop_front() {
            let count = entry.inbox.messages.len() + entry.held;
            if !entry.inbox.has_room(&message, count, recv_hwm, recv_hwm_bytes) {
                incoming.push_front(message);
                break;
            }
            entry.inbox.push(message);
        }
        entry.stalled = !incoming.is_empty();
        let scheduled = entry.scheduled || entry.inbox.messages.is_empty();
        if had_some && !scheduled {
            self.schedule(id);
        }
        Order::Run
    }

    /// The connection is over. Its name is free from now on.
    pub(super) fn leave(&mut self, id: PeerId, reason: LeaveReason) {
        let explicit = self.config.release == Release::Explicit;
        let Some(entry) = self.entry(id) else { return };
        if entry.left.is_some() {
            return;
        }
        entry.left = Some(reason);
        entry.outbox = Queue::default();
        entry.wake_task();
        if explicit {
            entry.inbox = Queue::default();
        }
        let unheard = !entry.announced && entry.inbox.messages.is_empty();
        if entry.peer.is_none() || (unheard && !self.reports_all) {
            self.forget(id);
        } else {
            self.schedule(id);
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

    // ---- for the application ----

    /// The next thing to report, or `None` after which `receiver` is woken when there is one.
    pub(super) fn next_event(&mut self) -> Option<RouterEvent> {
        let Config { recv_hwm, recv_hwm_bytes, .. } = *self.config;
        let explicit = self.config.release == Release::Explicit;
        while let Some(id) = self.turns.pop_front() {
            let Some(entry) = self.entry(id) else { continue };
            let Some(peer) = &entry.peer else { continue };
            let event = if !entry.announced {
                entry.announced = true;
                RouterEvent::Joined(peer.clone())
            } else if let Some(message) = entry.inbox.pop() {
                entry.held += usize::from(explicit);
                let half_empty = entry.inbox.messages.len() <= recv_hwm / 2
                    && entry.inbox.bytes <= recv_hwm_bytes / 2;
                if entry.stalled && half_empty && !explicit {
                    entry.stalled = false;
                    entry.wake_task();
                }
                RouterEvent::Message(id, message)
            } else if let Some(reason) = entry.left.take() {
                self.forget(id);
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
            return Some(event);
        }
        None
    }

    pub(super) fn set_receiver(&mut self, receiver: &Waker) {
        match &mut self.receiver {
            Some(known) => known.clone_from(receiver),
            none => *none = Some(receiver.clone()),
        }
    }

    pub(super) fn send(&mut self, id: PeerId, message: Message) -> Result<(), SendError> {
        let Config { send_hwm, send_hwm_bytes, .. } = *self.config;
        if self.phase != Phase::Open {
            return Err(SendError::new(SendErrorKind::Closed, message));
        }
        if message.is_empty() {
            return Err(SendError::new(SendErrorKind::Empty, message));
        }
        let Some(entry) = self.entry(id).filter(|entry| entry.is_live()) else {
            return Err(SendError::new(SendErrorKind::NoSuchPeer, message));
        };
        let outbox = &mut entry.outbox;
        let count = outbox.messages.len();
        if !outbox.has_room(&message, count, send_hwm, send_hwm_bytes) {
            return Err(SendError::new(SendErrorKind::Full, message));
        }
        outbox.push(message);
        // The task takes all there is at once, so only the first of a batch need wake it.
        if count == 0 {
            entry.wake_task();
        }
        Ok(())
    }

    pub(super) fn release(&mut self, id: PeerId, count: usize) {
        let Some(entry) = self.entry(id) else { return };
        entry.held = entry.held.saturating_sub(count);
        if std::mem::take(&mut entry.stalled) {
            entry.wake_task();
        }
    }

    pub(super) fn peer(&mut self, id: PeerId) -> Option<Arc<Peer>> {
        self.entry(id).filter(|entry| entry.is_live())?.peer.clone()
    }

    pub(super) fn peers(&self) -> Vec<Arc<Peer>> {
        self.entries()
            .filter(|entry| entry.is_live())
            .filter_map(|entry| entry.peer.clone())
            .collect()
    }

    /// The one peer that announced `identity`; none if there are two.
    pub(super) fn find(&mut self, identity: &[u8]) -> Option<PeerId> {
        let bearers = self.names.get(identity)?.clone();
        let mut live =
            bearers.into_iter().filter(|&id| self.entry(id).is_some_and(|e| e.is_live()));
        live.next().filter(|_| live.next().is_none())
    }

    // ---- the end ----

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
