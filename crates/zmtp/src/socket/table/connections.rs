//! The table as connection tasks use it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Order, Phase, Slot, Table};
use crate::config::{DuplicateIdentity, Release};
use crate::message::Message;
use crate::proto::PeerInfo;
use crate::sizes::Sizes;
use crate::socket::direct::Direct;
use crate::socket::entry::Entry;
use crate::socket::outlet::EndpointId;
use crate::socket::peer::{LeaveReason, Origin, Peer, PeerId};

impl Table {
    /// A place for a new connection, unless the socket is closing or has as many as it may. The
    /// oldest one in its handshake makes room for it.
    pub(in crate::socket) fn admit(
        &mut self,
        origin: Origin,
        endpoint: EndpointId,
        address: Arc<str>,
    ) -> Option<PeerId> {
        // While the socket closes, what waits for an endpoint may still find its way.
        if self.phase != Phase::Open && self.lingers(endpoint).is_none() {
            return None;
        }
        let mut handshaking = std::mem::take(&mut self.handshaking);
        handshaking.retain(|&id| self.entry(id).is_some_and(|entry| entry.is_handshaking()));
        self.handshaking = handshaking;
        let taken = self.slots.len() - self.free.len() - self.evicted;
        let crowded = self.handshaking.len() >= self.config.max_pending_handshakes;
        if crowded || taken >= self.config.max_connections {
            let oldest = self.handshaking.pop_front()?;
            self.evicted += 1;
            self.leave(oldest, &LeaveReason::Evicted);
        }
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).ok()?
        };
        let place = self.slots.get_mut(slot as usize)?;
        let mut entry = Entry::new(origin, endpoint, address);
        // One made for what waits at an endpoint that is being left is to end after that.
        entry.finish_by = self.outlets.get(&endpoint).and_then(|outlet| outlet.finish_by);
        place.entry = Some(entry);
        let id = PeerId { slot, generation: place.generation };
        // What this side connects to does not make room for who knocks.
        if origin == Origin::Peer {
            self.handshaking.push_back(id);
        }
        Some(id)
    }

    /// The handshake is over. An error is why the connection may not stay.
    pub(in crate::socket) fn join(
        &mut self,
        id: PeerId,
        info: Arc<PeerInfo>,
    ) -> Result<(), LeaveReason> {
        let entry = self.peek(id).ok_or(LeaveReason::Local)?;
        if let Some(reason) = &entry.left {
            return Err(reason.clone());
        }
        let (origin, endpoint, address) = (entry.origin, entry.endpoint, entry.address.clone());
        let given = self.outlets.get(&endpoint).and_then(|outlet| outlet.routing_id.clone());
        let routing_id = match given {
            Some(given) => given,
            None if info.identity.is_empty() => self.make_name(),
            None => info.identity.clone(),
        };
        self.claim(&routing_id, endpoint)?;
        self.install(Peer { id, routing_id, origin, address, info }).ok_or(LeaveReason::Local)?;
        self.join_rotation(id);
        self.schedule(id);
        Ok(())
    }

    /// A connection goes on that another socket had, under the name that its peer has. The application knows of it.
    pub(in crate::socket) fn attach(
        &mut self,
        id: PeerId,
        info: Arc<PeerInfo>,
        routing_id: Bytes,
        unreleased: &[usize],
    ) -> Result<Arc<Peer>, LeaveReason> {
        let entry = self.entry(id).ok_or(LeaveReason::Local)?;
        if let Some(reason) = &entry.left {
            return Err(reason.clone());
        }
        entry.announced = true;
        for &size in unreleased {
            entry.held.push(size);
        }
        self.budget.enqueue(unreleased.iter().sum());
        let entry = self.entry(id).ok_or(LeaveReason::Local)?;
        let (origin, address, endpoint) = (entry.origin, entry.address.clone(), entry.endpoint);
        self.claim(&routing_id, endpoint)?;
        self.install(Peer { id, routing_id, origin, address, info }).ok_or(LeaveReason::Local)
    }

    fn install(&mut self, peer: Peer) -> Option<Arc<Peer>> {
        let peer = Arc::new(peer);
        self.names.entry(peer.routing_id.clone()).or_default().bearers.push(peer.id);
        self.entry(peer.id)?.peer = Some(peer.clone());
        Some(peer)
    }

    /// Takes what has arrived from a peer and what is to be sent to it, if it is to stay. It leaves with that.
    pub(in crate::socket) fn detach(
        &mut self,
        id: PeerId,
    ) -> Option<(VecDeque<Message>, VecDeque<Message>, Sizes)> {
        let entry = self.entry(id).filter(|entry| entry.is_open())?;
        let (inbox, held) = (std::mem::take(&mut entry.inbox), std::mem::take(&mut entry.held));
        self.dequeue(inbox.bytes + held.sum());
        let mut outbox = VecDeque::new();
        self.take_outbox(id, &mut outbox);
        self.leave(id, &LeaveReason::Local);
        Some((inbox.into_messages(), outbox, held))
    }

    /// Whether there are connections whose handshake may be finished yet.
    pub(in crate::socket) fn has_handshakes(&self) -> bool {
        self.entries().any(Entry::is_handshaking)
    }

    /// All peers that are connected, and how their connections are reached.
    pub(in crate::socket) fn directs(&self) -> Vec<(Arc<Peer>, Arc<dyn Direct>)> {
        let direct = |entry: &Entry| {
            let direct = entry.direct.as_ref()?.upgrade()?;
            Some((entry.peer.clone()?, direct))
        };
        self.entries().filter(|entry| entry.is_open()).filter_map(direct).collect()
    }

    /// Settles who may bear `name` from now on.
    fn claim(&mut self, name: &Bytes, endpoint: EndpointId) -> Result<(), LeaveReason> {
        let Some(known) = self.names.get(name) else { return Ok(()) };
        // A name that was given to another peer here is not to be had.
        if known.outlet.is_some_and(|outlet| outlet != endpoint)
            && self.config.duplicate_identity != DuplicateIdentity::Allow
        {
            return Err(LeaveReason::Duplicate);
        }
        let bearers = known.bearers.clone();
        for id in bearers {
            let policy = self.config.duplicate_identity;
            let Some(entry) = self.entry(id) else { continue };
            if entry.is_live() {
                match policy {
                    DuplicateIdentity::Reject => return Err(LeaveReason::Duplicate),
                    DuplicateIdentity::Allow => continue,
                    DuplicateIdentity::Handover => self.leave(id, &LeaveReason::Replaced),
                }
            }
            self.expedite(id);
        }
        Ok(())
    }

    /// What is left to report of a peer that is gone comes before anything else, so that nobody
    /// hears of its successor first. Those that were gone before it stay in front: it may have
    /// succeeded one of them.
    fn expedite(&mut self, id: PeerId) {
        let Some(entry) = self.entry(id) else { return };
        if std::mem::replace(&mut entry.expedited, true) {
            return;
        }
        self.turns.retain(|&other| other != id);
        let is_expedited = |id: &PeerId| self.peek(*id).is_some_and(|entry| entry.expedited);
        let at = self.turns.iter().take_while(|id| is_expedited(id)).count();
        self.turns.insert(at, id);
    }

    fn make_name(&mut self) -> Bytes {
        loop {
            let number = self.next_name;
            self.next_name = number.wrapping_add(1);
            let mut name = [0; 5];
            name[1..].copy_from_slice(&number.to_be_bytes());
            if !self.names.contains_key(&name[..]) {
                return Bytes::copy_from_slice(&name);
            }
        }
    }

    /// Moves messages between a connection task and its peer's queues: from `incoming` as far as
    /// there is room, and all there is to `outgoing` if there is one and it is empty.
    pub(in crate::socket) fn exchange(
        &mut self,
        id: PeerId,
        incoming: &mut VecDeque<Message>,
        outgoing: Option<&mut VecDeque<Message>>,
        task: &Waker,
    ) -> Order {
        let phase = self.phase;
        let Some(entry) = self.entry(id) else { return Order::Abort(LeaveReason::Local) };
        if let Some(reason) = &entry.left {
            return Order::Abort(reason.clone());
        }
        match &mut entry.task {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
        let order = match (phase, entry.finish_by) {
            (Phase::Open, None) => Order::Run,
            (Phase::Open, Some(by)) => self.finishing(id, by),
            (Phase::Closing(by), other) => self.finishing(id, other.unwrap_or(by).min(by)),
            (Phase::Closed, _) => Order::Abort(LeaveReason::Local),
        };
        match order {
            Order::Run if !incoming.is_empty() => self.deliver_all(id, incoming),
            Order::Abort(_) => return order,
            _ => {}
        }
        if let Some(outgoing) = outgoing.filter(|outgoing| outgoing.is_empty()) {
            self.take_outbox(id, outgoing);
        }
        order
    }

    /// What a connection that is to end by then has to do.
    fn finishing(&self, id: PeerId, by: Instant) -> Order {
        let Some(entry) = self.peek(id) else { return Order::Abort(LeaveReason::Local) };
        if entry.is_handshaking() && self.lingers(entry.endpoint).is_none() {
            return Order::Abort(LeaveReason::Local);
        }
        Order::Finish(by)
    }

    fn take_outbox(&mut self, id: PeerId, outgoing: &mut VecDeque<Message>) {
        let Some(entry) = self.entry(id) else { return };
        if !entry.outbox.is_empty() {
            std::mem::swap(&mut entry.outbox.messages, outgoing);
            let taken = std::mem::take(&mut entry.outbox.bytes);
            self.dequeue(taken);
        }
    }

    pub(in crate::socket) fn set_direct(&mut self, id: PeerId, direct: &Arc<dyn Direct>) {
        if let Some(entry) = self.entry(id) {
            entry.direct = Some(Arc::downgrade(direct));
        }
    }

    /// Nothing can be sent to a peer any more, though it may have sent something yet. What would be sent on its next connection
    /// still waits for that.
    pub(in crate::socket) fn refuse(&mut self, id: PeerId) {
        let endpoint = self.peek(id).map(|entry| entry.endpoint);
        let outlet = endpoint.and_then(|endpoint| self.outlets.get(&endpoint));
        let is_standing = outlet.is_some_and(|outlet| outlet.standing);
        if let Some(entry) = self.entry(id) {
            entry.refuses = !is_standing;
            entry.wake_task();
        }
    }

    pub(in crate::socket) fn wake_task(&self, id: PeerId) {
        if let Some(entry) = self.peek(id) {
            entry.wake_task();
        }
    }

    /// Puts a message into a peer's inbox. It comes back if there is no room for it, or if the connection
    /// is to end.
    pub(in crate::socket) fn deliver(
        &mut self,
        id: PeerId,
        message: Message,
    ) -> Result<(), Message> {
        let is_open = self.phase == Phase::Open;
        let Some(slot) = self.slots.get_mut(id.index()) else { return Err(message) };
        match slot.entry.as_mut() {
            Some(entry) if is_open && entry.is_open() && slot.generation == id.generation => {
                entry.take_in(message, &self.config, &mut self.budget)?;
                if !std::mem::replace(&mut entry.scheduled, true) {
                    self.turns.push_back(id);
                    self.wake_receiver();
                }
                Ok(())
            }
            _ => Err(message),
        }
    }

    /// Moves messages into a peer's inbox as far as there is room.
    fn deliver_all(&mut self, id: PeerId, incoming: &mut VecDeque<Message>) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        let Some(entry) = slot.entry.as_mut() else { return };
        while let Some(message) = incoming.pop_front() {
            if let Err(message) = entry.take_in(message, &self.config, &mut self.budget) {
                incoming.push_front(message);
                break;
            }
        }
        entry.stalled = !incoming.is_empty();
        if !entry.inbox.is_empty() {
            self.schedule(id);
        }
    }

    /// So many bytes are held of a message that is not complete. Says whether there may be more.
    pub(in crate::socket) fn hold(&mut self, id: PeerId, bytes: usize) -> bool {
        let entry = self.entry(id).filter(|entry| entry.left.is_none());
        let Some(entry) = entry else { return true };
        let before = std::mem::replace(&mut entry.unfinished, bytes);
        if self.budget.hold(before, bytes) && bytes > before {
            let largest = self.ids().max_by_key(|&id| self.peek(id).map(|entry| entry.unfinished));
            if let Some(largest) = largest {
                self.leave(largest, &LeaveReason::OverBudget);
            }
        }
        if bytes == 0 || self.budget.has_room(0) {
            return true;
        }
        if let Some(entry) = self.entry(id).filter(|entry| !entry.starved) {
            entry.starved = true;
            self.budget.wait(id);
        }
        false
    }

    /// The connection is to end. Its name is free from now on.
    pub(in crate::socket) fn leave(&mut self, id: PeerId, reason: &LeaveReason) {
        let explicit = self.config.release == Release::Explicit;
        let Some(entry) = self.entry(id) else { return };
        if entry.left.is_some() {
            return;
        }
        entry.left = Some(reason.clone());
        entry.wake_task();
        let unsent = std::mem::take(&mut entry.outbox);
        let mut dropped = std::mem::take(&mut entry.held).sum();
        if explicit {
            dropped += std::mem::take(&mut entry.inbox).bytes;
        }
        let unheard = !entry.announced && entry.inbox.is_empty();
        let unfinished = std::mem::take(&mut entry.unfinished);
        let has_joined = entry.peer.is_some();
        self.budget.hold(unfinished, 0);
        self.dequeue(dropped);
        if has_joined {
            self.leave_rotation(id, unsent, reason);
        }
        if !has_joined || (unheard && !self.reports_all) {
            if let Some(entry) = self.entry(id) {
                entry.reported = true;
            }
            self.turns.retain(|&other| other != id);
        } else {
            if explicit && self.held_turns.is_some() {
                // It may have been passed over for messages that are gone now.
                self.turns.push_back(id);
                self.wake_receiver();
            }
            self.schedule(id);
        }
    }

    /// The connection is over and its task ends. It has not written these messages, and so many bytes
    /// of one before them: a peer that has closed has not been sent all. Returns the reason in full.
    pub(in crate::socket) fn end(
        &mut self,
        id: PeerId,
        reason: &LeaveReason,
        unsent: VecDeque<Message>,
        cut_off: usize,
    ) -> LeaveReason {
        let queued = self.entry(id).is_some_and(|entry| !entry.outbox.messages.is_empty());
        let sent_all = unsent.is_empty() && cut_off == 0 && !queued;
        let reason = match reason {
            LeaveReason::Closed if !sent_all => LeaveReason::Io(io::ErrorKind::BrokenPipe),
            other => other.clone(),
        };
        self.take_back(id, unsent, cut_off);
        self.leave(id, &reason);
        let is_last = !self.config.reconnect && reason != LeaveReason::GivenUp;
        let Some(entry) = self.entry(id) else { return reason };
        entry.ended = true;
        let endpoint = entry.endpoint;
        let evicted = entry.left == Some(LeaveReason::Evicted);
        self.evicted -= usize::from(evicted);
        self.forget_if_done(id);
        if is_last {
            self.close_outlet(endpoint);
        }
        reason
    }
}
