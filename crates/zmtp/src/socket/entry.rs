//! What is known of one connection, and its two queues.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::Waker;

use tokio::time::Instant;

use super::budget::Budget;
use super::direct::Direct;
use super::outlet::{EndpointId, Lane};
use super::peer::{LeaveReason, Origin, Peer};
use crate::config::Config;
use crate::message::Message;
use crate::sizes::Sizes;

/// In this order, so that what is touched for each message of each connection lies together: of thousands of
/// connections, none is in the processor's cache.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Entry {
    pub(super) scheduled: bool,
    /// The application has been told that the peer joined.
    pub(super) announced: bool,
    /// Its turns come before all others': the next to bear its name waits behind it.
    pub(super) expedited: bool,
    /// The connection task has messages for which there was no room.
    pub(super) stalled: bool,
    /// It waits for room in the budget.
    pub(super) starved: bool,
    /// The application has been told that it left, or need not be.
    pub(super) reported: bool,
    /// The connection task has ended.
    pub(super) ended: bool,
    /// Nothing can be written to it any more.
    pub(super) refuses: bool,
    pub(super) origin: Origin,
    /// None until the handshake is over.
    pub(super) peer: Option<Arc<Peer>>,
    /// Sizes of the messages the application has received and not released, in order.
    pub(super) held: Sizes,
    pub(super) left: Option<LeaveReason>,
    /// Its endpoint is gone: what waits may leave until then, and nothing more is taken in.
    pub(super) finish_by: Option<Instant>,
    /// Reaches the connection without its task.
    pub(super) direct: Option<Weak<dyn Direct>>,
    /// The last batch that was looked at with a message for it, and where in it that was.
    pub(super) in_batch: (u64, usize),
    pub(super) outbox: Queue,
    pub(super) inbox: Inbox,
    /// The connection task, once it has been here.
    pub(super) task: Option<Waker>,
    /// Where it came in, or what it was connected to.
    pub(super) endpoint: EndpointId,
    pub(super) address: Arc<str>,
    /// What sends to it in turn go to, once it has joined.
    pub(super) lane: Option<Lane>,
    /// Bytes of a message that is not complete.
    pub(super) unfinished: usize,
}

/// Messages that have arrived. There is mostly one, which lies in place.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Inbox {
    pub(super) bytes: usize,
    first: Option<Message>,
    others: VecDeque<Message>,
}

impl Inbox {
    #[inline]
    pub(super) fn push(&mut self, message: Message, size: usize) {
        if self.is_empty() {
            self.first = Some(message);
        } else {
            self.others.push_back(message);
        }
        self.bytes += size;
    }

    /// The first message and its size.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(Message, usize)> {
        let message = self.first.take().or_else(|| self.others.pop_front())?;
        let size = message.wire_size();
        self.bytes -= size;
        Some((message, size))
    }

    pub(super) fn into_messages(self) -> VecDeque<Message> {
        self.first.into_iter().chain(self.others).collect()
    }

    /// No message is without a byte.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.is_empty() { 0 } else { usize::from(self.first.is_some()) + self.others.len() }
    }
}

#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Queue {
    pub(super) bytes: usize,
    pub(super) messages: VecDeque<Message>,
}

impl Queue {
    /// No message is without a byte.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    #[inline]
    pub(super) fn push(&mut self, message: Message, size: usize) {
        self.bytes += size;
        self.messages.push_back(message);
    }

    /// Puts messages in front that were taken off before.
    pub(super) fn put_back(&mut self, mut messages: VecDeque<Message>) -> usize {
        let bytes: usize = messages.iter().map(Message::wire_size).sum();
        messages.append(&mut self.messages);
        self.messages = messages;
        self.bytes += bytes;
        bytes
    }

    /// The message that was put in last, and its size.
    pub(super) fn pop_last(&mut self) -> Option<(Message, usize)> {
        let message = self.messages.pop_back()?;
        let size = message.wire_size();
        self.bytes -= size;
        Some((message, size))
    }
}

impl Entry {
    pub(super) fn new(origin: Origin, endpoint: EndpointId, address: Arc<str>) -> Self {
        Self {
            scheduled: false,
            announced: false,
            expedited: false,
            stalled: false,
            starved: false,
            reported: false,
            ended: false,
            refuses: false,
            origin,
            peer: None,
            held: Sizes::default(),
            left: None,
            finish_by: None,
            direct: None,
            in_batch: (0, 0),
            outbox: Queue::default(),
            inbox: Inbox::default(),
            task: None,
            endpoint,
            address,
            lane: None,
            unfinished: 0,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.peer.is_none() && self.left.is_none()
    }

    pub(super) fn is_live(&self) -> bool {
        self.peer.is_some() && self.left.is_none()
    }

    /// Whether more may be sent to it.
    pub(super) fn is_open(&self) -> bool {
        self.is_live() && self.finish_by.is_none()
    }

    /// Puts a message into the inbox, if there is room for it.
    #[inline]
    pub(super) fn take_in(
        &mut self,
        message: Message,
        config: &Config,
        budget: &mut Budget,
    ) -> Result<(), Message> {
        let count = self.inbox.len() + self.held.len();
        let size = message.wire_size();
        let bytes = self.inbox.bytes.saturating_add(self.held.sum());
        let fits = bytes.saturating_add(size) <= config.recv_hwm_bytes && budget.has_room(size);
        let alone = count == 0;
        if count >= config.recv_hwm || !(fits || alone) {
            return Err(message);
        }
        budget.enqueue(size);
        self.inbox.push(message, size);
        Ok(())
    }

    pub(super) fn has_more_to_report(&self) -> bool {
        let leave = self.left.is_some() && !self.reported;
        !self.announced || !self.inbox.is_empty() || leave
    }

    pub(super) fn wake_stalled_if(&mut self, there_is_room: bool) {
        if there_is_room && std::mem::take(&mut self.stalled) {
            self.wake_task();
        }
    }

    pub(super) fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }
}
