//! The table's endpoints that are connected to, and the rotation in which messages are sent.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Name, Phase, Table};
use crate::config::Config;
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::socket::entry::{Entry, Queue};
use crate::socket::outlet::{EndpointId, Lane, Outlet};
use crate::socket::peer::{LeaveReason, Origin, PeerId};

impl Table {
    /// An endpoint will be connected to. False says that the name for its peer is taken.
    pub(in crate::socket) fn open_outlet(
        &mut self,
        id: EndpointId,
        address: Arc<str>,
        routing_id: Option<Bytes>,
    ) -> bool {
        if let Some(name) = &routing_id {
            let is_live = |id: &PeerId| self.peek(*id).is_some_and(Entry::is_live);
            let is_taken = |name: &Name| name.outlet.is_some() || name.bearers.iter().any(is_live);
            if self.names.get(name).is_some_and(is_taken) {
                return false;
            }
            self.names.entry(name.clone()).or_default().outlet = Some(id);
        }
        let standing = routing_id.is_some() || (self.rotates && !self.config.immediate);
        let (waiting, peer, finish_by) = Default::default();
        let outlet = Outlet { address, routing_id, standing, waiting, peer, finish_by };
        self.outlets.insert(id, outlet);
        if standing && self.rotates {
            self.rotation.push_back(Lane::Outlet(id));
            self.wake_senders();
        }
        true
    }

    /// An endpoint is no longer bound or connected to. What is queued for its peers may leave until
    /// then.
    pub(in crate::socket) fn finish(&mut self, id: EndpointId, by: Instant) {
        for entry in self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut()) {
            if entry.endpoint == id {
                entry.finish_by.get_or_insert(by);
                entry.wake_task();
            }
        }
        if let Some(outlet) = self.outlets.get_mut(&id) {
            outlet.finish_by = Some(by);
        }
        let mut rotation = std::mem::take(&mut self.rotation);
        rotation.retain(|&lane| match lane {
            Lane::Outlet(outlet) => outlet != id,
            Lane::Peer(peer) => self.peek(peer).is_some_and(|entry| entry.endpoint != id),
        });
        self.rotation = rotation;
        self.wake_senders();
    }

    /// Until when an endpoint that is no longer connected to has to be tried for what waits.
    pub(in crate::socket) fn lingers(&self, id: EndpointId) -> Option<Instant> {
        let outlet = self.outlets.get(&id).filter(|outlet| !outlet.waiting.messages.is_empty())?;
        match self.phase {
            Phase::Open => outlet.finish_by,
            Phase::Closing(by) => Some(outlet.finish_by.unwrap_or(by).min(by)),
            Phase::Closed => None,
        }
    }

    /// Whether an endpoint is connected to, or what waits for it may still leave.
    pub(in crate::socket) fn has_outlet(&self, id: EndpointId) -> bool {
        self.outlets.contains_key(&id)
    }

    /// An endpoint is forgotten, and what waits for it is lost.
    pub(in crate::socket) fn close_outlet(&mut self, id: EndpointId) {
        let Some(outlet) = self.outlets.remove(&id) else { return };
        self.rotation.retain(|&lane| lane != Lane::Outlet(id));
        if let Some(routing_id) = &outlet.routing_id
            && let Some(name) = self.names.get_mut(routing_id)
        {
            name.outlet = None;
            if name.bearers.is_empty() {
                self.names.remove(routing_id);
            }
        }
        let Queue { messages, bytes } = outlet.waiting;
        let watched = !messages.is_empty() && self.is_watched(Lane::Outlet(id));
        self.lose(&outlet.address, messages, 0);
        self.dequeue(bytes);
        if watched {
            self.no_reply(&LeaveReason::Unreachable);
        }
    }

    /// A connection has joined: what waited for it is its own, and it may be sent to.
    pub(super) fn join_rotation(&mut self, id: PeerId) {
        let Some(entry) = self.peek(id) else { return };
        let endpoint = entry.endpoint;
        let mut waiting = Queue::default();
        let standing = match self.outlets.get_mut(&endpoint) {
            Some(outlet) => {
                outlet.peer = Some(id);
                std::mem::swap(&mut waiting, &mut outlet.waiting);
                outlet.standing
            }
            None => false,
        };
        let of_endpoint = standing && self.rotates;
        let lane = if of_endpoint { Lane::Outlet(endpoint) } else { Lane::Peer(id) };
        if let Some(entry) = self.entry(id) {
            entry.outbox = waiting;
            entry.lane = Some(lane);
        }
        if self.rotates && !of_endpoint {
            self.rotation.push_back(lane);
        }
        self.wake_senders();
    }

    /// A connection has left with these messages unsent: they wait for the next one, or are lost.
    pub(super) fn leave_rotation(&mut self, id: PeerId, unsent: Queue, reason: &LeaveReason) {
        let Some(entry) = self.peek(id) else { return };
        let lane = entry.lane.unwrap_or(Lane::Peer(id));
        let (endpoint, address) = (entry.endpoint, entry.address.clone());
        let watched = self.is_watched(lane);
        let mut still_waits = false;
        match self.outlets.get_mut(&endpoint) {
            Some(outlet) if outlet.standing => {
                outlet.peer = None;
                outlet.waiting.put_back(unsent.messages);
                still_waits = !outlet.waiting.messages.is_empty();
            }
            outlet => {
                if let Some(outlet) = outlet {
                    outlet.peer = None;
                }
                self.lose(&address, unsent.messages, 0);
                self.dequeue(unsent.bytes);
            }
        }
        if self.rotates && lane == Lane::Peer(id) {
            self.rotation.retain(|&other| other != lane);
        }
        if watched && !still_waits {
            self.no_reply(reason);
        }
        // Who waits for room at this peer will not find any.
        self.wake_senders();
    }

    /// The connection that a lane has now.
    fn connection(&self, lane: Lane) -> Option<PeerId> {
        match lane {
            Lane::Peer(id) => Some(id),
            Lane::Outlet(id) => self.outlets.get(&id)?.peer,
        }
    }

    /// Where a message for a lane has to go.
    #[inline]
    fn queue(&mut self, lane: Lane) -> Option<&mut Queue> {
        if let Some(id) = self.connection(lane) {
            let entry = self.entry(id).filter(|entry| entry.is_open() && !entry.refuses);
            return entry.map(|entry| &mut entry.outbox);
        }
        let Lane::Outlet(id) = lane else { return None };
        let outlet = self.outlets.get_mut(&id);
        let open = outlet.filter(|outlet| outlet.standing && outlet.finish_by.is_none());
        open.map(|outlet| &mut outlet.waiting)
    }

    /// Queues a message if there is room for it in the lane, with what `wrap` puts in front. Returns
    /// the connection that is to write it, if it has had nothing to write: all there is is taken at
    /// once.
    #[inline]
    fn push(
        &mut self,
        lane: Lane,
        message: Message,
        wrap: impl FnOnce(Message) -> Message,
    ) -> Result<Option<PeerId>, (SendErrorKind, Message)> {
        let size = message.wire_size();
        let in_budget = self.budget.has_room(size);
        let Config { send_hwm, send_hwm_bytes, .. } = *self.config;
        let Some(queue) = self.queue(lane) else {
            return Err((SendErrorKind::NoSuchPeer, message));
        };
        let first = queue.messages.is_empty();
        let fits = in_budget && queue.bytes.saturating_add(size) <= send_hwm_bytes;
        if queue.messages.len() >= send_hwm || !(fits || first) {
            return Err((SendErrorKind::Full, message));
        }
        let message = wrap(message);
        let size = message.wire_size();
        queue.push(message, size);
        self.budget.enqueue(size);
        Ok(if first { self.connection(lane) } else { None })
    }

    #[inline]
    pub(super) fn check(&self, message: &Message) -> Option<SendErrorKind> {
        match self.phase {
            Phase::Open if message.is_empty() => Some(SendErrorKind::Empty),
            Phase::Open => None,
            _ => Some(SendErrorKind::Closed),
        }
    }

    /// Queues a message for one lane.
    pub(in crate::socket) fn send(
        &mut self,
        lane: Lane,
        message: Message,
    ) -> Result<(), SendError> {
        let outcome = match self.check(&message) {
            Some(kind) => Err((kind, message)),
            None => self.push(lane, message, |message| message),
        };
        if let Some(id) = outcome.map_err(|(kind, message)| SendError::new(kind, message))? {
            self.wake_task(id);
        }
        Ok(())
    }

    /// Queues a message for whoever is next and has room. `wrap` puts in front what has to be there,
    /// and is told whether the connection is one that the peer made.
    pub(in crate::socket) fn send_next(
        &mut self,
        mut message: Message,
        mut wrap: impl FnMut(bool, Message) -> Message,
    ) -> Result<Lane, SendError> {
        if let Some(kind) = self.check(&message) {
            return Err(SendError::new(kind, message));
        }
        for _ in 0..self.rotation.len() {
            let Some(lane) = self.rotation.pop_front() else { break };
            self.rotation.push_back(lane);
            let accepted = self.is_accepted(lane);
            match self.push(lane, message, |message| wrap(accepted, message)) {
                Ok(writer) => {
                    if let Some(id) = writer {
                        self.wake_task(id);
                    }
                    return Ok(lane);
                }
                Err((_, back)) => message = back,
            }
        }
        let nobody = self.rotation.is_empty();
        let kind = if nobody { SendErrorKind::NoSuchPeer } else { SendErrorKind::Full };
        Err(SendError::new(kind, message))
    }

    /// Whether a lane is a connection that the peer made.
    pub(in crate::socket) fn is_accepted(&self, lane: Lane) -> bool {
        let Lane::Peer(id) = lane else { return false };
        self.peek(id).is_some_and(|entry| entry.origin == Origin::Peer)
    }

    /// From now on a reply from this lane is awaited.
    pub(in crate::socket) fn watch(&mut self, lane: Lane) {
        self.watched = Some((lane, None));
    }

    /// No reply is awaited any more.
    pub(in crate::socket) fn unwatch(&mut self) {
        self.watched = None;
    }

    fn is_watched(&self, lane: Lane) -> bool {
        self.watched.as_ref().is_some_and(|(watched, _)| *watched == lane)
    }

    fn no_reply(&mut self, reason: &LeaveReason) {
        if let Some((_, lost)) = &mut self.watched {
            *lost = Some(reason.clone());
        }
        self.wake_receiver();
    }

    /// Whether a peer is the one whose reply is awaited.
    pub(in crate::socket) fn is_awaited(&self, id: PeerId) -> bool {
        let lane = self.peek(id).and_then(|entry| entry.lane);
        lane.is_some_and(|lane| self.is_watched(lane))
    }

    /// Why there will be no reply, if so.
    pub(in crate::socket) fn lost_reply(&self) -> Option<LeaveReason> {
        self.watched.as_ref()?.1.clone()
    }

    /// Takes back the message that was queued last for a lane, if it has not been taken to be
    /// written.
    pub(in crate::socket) fn retract(&mut self, lane: Lane) -> bool {
        let Some((_, size)) = self.queue(lane).and_then(Queue::pop_last) else { return false };
        self.dequeue(size);
        true
    }

    /// Ends the connection of a lane, and forgets what it and those before it have sent.
    pub(in crate::socket) fn hang_up(&mut self, lane: Lane) {
        let of_lane = |entry: &&mut Entry| entry.lane == Some(lane);
        let entries = self.slots.iter_mut().filter_map(|slot| slot.entry.as_mut());
        let forgotten = entries.filter(of_lane).map(|entry| std::mem::take(&mut entry.inbox).bytes);
        let bytes = forgotten.sum();
        self.dequeue(bytes);
        if let Some(id) = self.connection(lane) {
            self.leave(id, &LeaveReason::GivenUp);
        }
    }

    /// Whoever has this name: a connected peer, or an endpoint whose peer was given it. None if
    /// there are two.
    pub(in crate::socket) fn find(&self, routing_id: &[u8]) -> Option<Lane> {
        let name = self.names.get(routing_id)?;
        if let Some(outlet) = name.outlet {
            return Some(Lane::Outlet(outlet));
        }
        let is_live = |id: &PeerId| self.peek(*id).is_some_and(Entry::is_live);
        let mut live = name.bearers.iter().copied().filter(is_live);
        live.next().filter(|_| live.next().is_none()).map(Lane::Peer)
    }

    /// The connection of [`find`](Self::find).
    pub(in crate::socket) fn find_peer(&self, routing_id: &[u8]) -> Option<PeerId> {
        self.find(routing_id).and_then(|lane| self.connection(lane))
    }

    /// Messages that a connection took and did not write wait again, before all others.
    pub(super) fn take_back(&mut self, id: PeerId, messages: VecDeque<Message>, cut_off: usize) {
        let Some(entry) = self.peek(id) else { return };
        let (endpoint, address) = (entry.endpoint, entry.address.clone());
        let goes_on = entry.left.is_none();
        match self.outlets.get(&endpoint) {
            Some(outlet) if outlet.standing && goes_on => {
                let bytes = self.entry(id).map_or(0, |entry| entry.outbox.put_back(messages));
                self.budget.enqueue(bytes);
                self.lose(&address, VecDeque::new(), cut_off);
            }
            _ => self.lose(&address, messages, cut_off),
        }
    }
}
