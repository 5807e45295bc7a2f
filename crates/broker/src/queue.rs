//! [`Queue`]: who gets what, as a state machine without I/O and without a clock.
//!
//! ```text
//! client:  request --> waiting --> running --> answered
//!                         ^           |
//!                         '-----------' its worker left or answered with something else
//!
//! worker:  joined --READY--> idle --request--> busy --reply--> idle
//! ```
//!
//! What happens goes in by the methods named after it; what is to be done comes out of
//! [`Queue::next_action`], to be called until it returns `None`.
//!
//! Frames, where `[]` is an empty frame and `C` the routing id of the client:
//!
//! ```text
//! from a client   stack... [] body...            stack: empty, or a REQ_CORRELATE id
//! to a worker     stack... [] C [] body...       stack: what the worker's own message began with
//! from a worker   stack... [] C [] reply...      or  stack... [] READY
//! to a client     stack... [] reply...
//! ```

mod clients;
mod line;
mod workers;

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use zmtp::{Message, PeerId};

use clients::Clients;
use workers::Workers;

/// Workers that may be lost, or answer something else, over one request before it is given up.
const MAX_ATTEMPTS: u32 = 3;

/// Times a worker may send something else than the reply before it gets nothing more.
const MAX_STRIKES: u32 = 3;

/// Frames in front of a delimiter, and bytes in them, that are taken for an envelope.
const MAX_STACK_FRAMES: usize = 16;
const MAX_STACK_BYTES: usize = 4 << 10;

/// What the envelope of a request to a worker, or of a reply from one, may have more than the request
/// of a client: a stack, two delimiters and the client's address.
pub(crate) const ENVELOPE_FRAMES: usize = MAX_STACK_FRAMES + 3;
pub(crate) const ENVELOPE_COST: usize = MAX_STACK_BYTES + 255 + 64 * ENVELOPE_FRAMES;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "an action that is not carried out loses a request or a reply"]
pub enum Action {
    /// Send a request to a worker.
    Dispatch(PeerId, Message),
    /// Send a reply to a client. The request it answers no longer counts.
    Reply(PeerId, Message),
    /// A request of this client no longer counts: it was dropped.
    Release(PeerId),
    /// A peer sent something that was dropped. Its connection is kept.
    Report(Side, PeerId, Violation),
}

/// One of the two sides of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a queue has two sides")]
pub enum Side {
    /// Where clients connect.
    Frontend,
    /// Where workers connect.
    Backend,
}

/// What was wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// There is no empty frame within the first 16 frames and 4 KiB, or nothing behind it.
    NoDelimiter,
    /// READY from a worker that is idle already.
    DuplicateReady,
    /// READY from a worker that owes a reply.
    ReadyWhileBusy,
    /// Something other than READY from a worker that owes no reply.
    UnaskedReply,
    /// Something that is not the reply to the worker's request. After three of these the worker gets
    /// nothing more until it connects again.
    WrongReply,
    /// A worker gets nothing more, or says READY all the same.
    Quarantined,
    /// Not the client's fault: its request was given up after three attempts.
    GivenUp,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDelimiter => {
                "a message without an empty frame and a body behind it (a DEALER has to send the \
                 empty frame itself)"
            }
            Self::DuplicateReady => "READY from a worker that is idle already",
            Self::ReadyWhileBusy => "READY from a worker that owes a reply",
            Self::UnaskedReply => "a message that is not READY, from a worker that owes no reply",
            Self::Quarantined => {
                "whatever this worker sends until it connects again: three of its replies were wrong"
            }
            Self::GivenUp => "its request, which three workers did not answer",
            Self::WrongReply => "a reply that does not begin with the client's address",
        })
    }
}

/// What has happened so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests received.
    pub requests: u64,
    /// Replies passed on to their clients.
    pub replies: u64,
    /// Requests handed out again because their worker was lost.
    pub retries: u64,
    /// Requests given up after too many lost workers.
    pub given_up: u64,
    /// Requests dropped because their client had left or asked anew.
    pub abandoned: u64,
    /// Messages dropped because something was wrong with them.
    pub violations: u64,
}

/// A request as it waits or runs.
#[derive(Clone, Debug)]
struct Request {
    client: PeerId,
    /// Which of its client's it is.
    position: u64,
    /// Its client can have only one outstanding.
    lock_step: bool,
    /// The frames in front of the delimiter, which the reply carries as well.
    stack: Vec<Bytes>,
    /// `[] C [] body...`, as a worker gets it behind its own stack.
    message: Message,
    attempts: u32,
}

/// The LRU queue.
#[derive(Debug)]
pub struct Queue {
    ready: Bytes,
    clients: Clients,
    workers: Workers,
    actions: VecDeque<Action>,
    counters: Counters,
    draining: bool,
}

impl Queue {
    /// An empty queue. A worker says that it is ready with a message of this one part.
    #[must_use]
    pub fn new(ready: Bytes) -> Self {
        Self {
            ready,
            clients: Clients::default(),
            workers: Workers::default(),
            actions: VecDeque::new(),
            counters: Counters::default(),
            draining: false,
        }
    }

    /// A client has connected. `lock_step` says that its socket cannot have more than one request
    /// outstanding: a REQ.
    pub fn client_joined(&mut self, client: PeerId, routing_id: &[u8], lock_step: bool) {
        self.clients.join(client, routing_id, lock_step);
    }

    /// A client has sent a message.
    pub fn client_message(&mut self, client: PeerId, message: Message) {
        let Some((stack, message)) = split_envelope(message) else {
            self.report(Side::Frontend, client, Violation::NoDelimiter);
            self.actions.push_back(Action::Release(client));
            return;
        };
        self.counters.requests += 1;
        // A REQ that asks again has given up what it asked before.
        if self.clients.push(client, stack, &message) {
            self.counters.abandoned += 1;
            self.actions.push_back(Action::Release(client));
        }
        self.dispatch();
    }

    /// A client has left. What it waits for is dropped.
    pub fn client_left(&mut self, client: PeerId) {
        self.counters.abandoned += self.clients.leave(client) as u64;
    }

    /// A worker has connected. It gets nothing before it has said that it is ready.
    pub fn worker_joined(&mut self, worker: PeerId) {
        self.workers.join(worker);
    }

    /// A worker has sent a message.
    pub fn worker_message(&mut self, worker: PeerId, message: Message) {
        let Some((stack, message)) = split_envelope(message) else {
            // A worker that speaks in the wrong form has none of the right one to give.
            if let Some(request) = self.workers.take_request(worker) {
                self.retry(request);
            }
            self.report(Side::Backend, worker, Violation::NoDelimiter);
            self.dispatch();
            return;
        };
        let is_ready = message.len() == 2 && message.part(1) == Some(&*self.ready);
        let violation = match (self.workers.take_request(worker), is_ready) {
            (None, true) if self.workers.is_quarantined(worker) => Some(Violation::Quarantined),
            (None, true) => self.workers.is_idle(worker).then_some(Violation::DuplicateReady),
            (None, false) => Some(Violation::UnaskedReply),
            (Some(request), true) => {
                self.retry(request);
                Some(Violation::ReadyWhileBusy)
            }
            (Some(request), false) => self.finish(request, message),
        };
        // The reply has left before its worker is idle again. One that owes nothing is ready only
        // if it says so.
        match violation {
            Some(Violation::DuplicateReady | Violation::UnaskedReply | Violation::Quarantined) => {}
            Some(Violation::WrongReply) if self.workers.strike(worker) => {
                self.report(Side::Backend, worker, Violation::Quarantined);
            }
            _ => self.workers.set_idle(worker, stack),
        }
        if let Some(violation) = violation {
            self.report(Side::Backend, worker, violation);
        }
        self.dispatch();
    }

    /// A worker has left. The request it had goes to the next.
    pub fn worker_left(&mut self, worker: PeerId) {
        if let Some(request) = self.workers.leave(worker) {
            self.retry(request);
            self.dispatch();
        }
    }

    /// A request could not be sent to its worker, which must have left. It has cost no attempt.
    pub fn dispatch_failed(&mut self, worker: PeerId) {
        if let Some(mut request) = self.workers.leave(worker) {
            request.attempts = request.attempts.saturating_sub(1);
            self.retry(request);
            self.dispatch();
        }
    }

    /// Hands out no more requests; those that run may be answered.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Requests that wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.clients.waiting()
    }

    /// Requests that a worker has.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.workers.busy()
    }

    /// Workers that wait for a request.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.workers.idle()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Gives waiting requests to idle workers while there are both.
    fn dispatch(&mut self) {
        while !self.draining
            && self.workers.idle() > 0
            && let Some(mut request) = self.clients.next()
        {
            request.attempts += 1;
            let sent = self.workers.hand_out(request);
            self.actions.extend(sent.map(|(worker, message)| Action::Dispatch(worker, message)));
        }
    }

    /// Passes on the reply to a request, `[] C [] reply...`, unless it is something else.
    fn finish(&mut self, request: Request, mut reply: Message) -> Option<Violation> {
        let answers = reply.strip_parts_of(&request.message, 2);
        if !answers || reply.len() < 2 || reply.part(0) != Some(b"") {
            self.retry(request);
            return Some(Violation::WrongReply);
        }
        let wanted = self.clients.want(&request);
        let Request { client, stack, .. } = request;
        if !wanted {
            self.abandon(client);
            return None;
        }
        if !stack.is_empty() {
            reply.prepend(&stack);
        }
        self.counters.replies += 1;
        self.actions.push_back(Action::Reply(client, reply));
        None
    }

    /// Puts a request that was lost with its worker before those in line, unless nobody wants it or it has cost too
    /// much.
    fn retry(&mut self, request: Request) {
        let client = request.client;
        if !self.clients.want(&request) {
            self.abandon(client);
        } else if request.attempts < MAX_ATTEMPTS {
            self.counters.retries += 1;
            self.clients.push_urgent(request);
        } else {
            self.counters.given_up += 1;
            let report = Action::Report(Side::Frontend, client, Violation::GivenUp);
            self.actions.push_back(report);
            self.actions.push_back(Action::Release(client));
        }
    }

    fn abandon(&mut self, client: PeerId) {
        self.counters.abandoned += 1;
        self.actions.push_back(Action::Release(client));
    }

    fn report(&mut self, side: Side, peer: PeerId, violation: Violation) {
        self.counters.violations += 1;
        self.actions.push_back(Action::Report(side, peer, violation));
    }
}

/// Splits the frames in front of the first empty one off. There has to be one, and a body.
fn split_envelope(mut message: Message) -> Option<(Vec<Bytes>, Message)> {
    if message.len() > 1 && message.part(0) == Some(b"") {
        return Some((Vec::new(), message));
    }
    let depth = message.parts().take(MAX_STACK_FRAMES + 1).position(<[u8]>::is_empty)?;
    let bytes: usize = message.parts().take(depth).map(<[u8]>::len).sum();
    if depth + 1 >= message.len() || bytes > MAX_STACK_BYTES {
        return None;
    }
    // Copies, which do not keep the message they came with.
    let stack = message.parts().take(depth).map(Bytes::copy_from_slice).collect();
    message.skip(depth);
    Some((stack, message))
}

#[cfg(test)]
mod tests;
