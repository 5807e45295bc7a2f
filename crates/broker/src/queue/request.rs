//! [`Request`]: what a client asked, and what it has cost so far.

use std::fmt;
use std::io::ErrorKind;
use std::time::Instant;

use bytes::Bytes;
use zmtp::{LeaveReason, Message, PeerId, ProtocolError};

use super::envelope::Stack;
use super::record::Asked;

/// A request as it waits or runs.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// In the order of arrival, given once.
    pub(super) number: u64,
    pub(super) client: PeerId,
    /// Which of its client's it is.
    pub(super) position: u64,
    /// Its client can have only one outstanding.
    pub(super) lock_step: bool,
    /// Since when it waits, or its worker has it, in the queue's [microseconds](super::Queue::micros).
    pub(super) since: u64,
    /// The frames in front of the delimiter, which the reply carries as well.
    pub(super) stack: Stack,
    /// `[] C [] body...`, as a worker gets it behind its own stack.
    pub(super) message: Message,
    /// The attempts that brought no reply, if there was one, or if it was an earlier queue's.
    pub(super) past: Option<Box<Past>>,
}

/// In one word, where most have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) losses: Vec<Loss>,
}

impl Request {
    /// Of a client that is not there yet. As one that was handed out in vain, it comes before those asked since.
    pub(super) fn restored(asked: Asked, since: u64) -> Self {
        let Asked { number, lock_step, stack, message, .. } = asked;
        let (client, past, stack) = (PeerId::NOBODY, Some(Box::default()), stack.into());
        Self { number, client, position: 0, lock_step, since, stack, message, past }
    }

    /// As its client sent it.
    pub(super) fn as_asked(&self) -> Message {
        let stack = self.stack.iter().map(|frame| &**frame);
        let parts: Vec<_> = stack.chain(self.message.parts().skip(2)).collect();
        Message::copy_from(&parts)
    }

    /// What its client is called, as the worker sees it.
    pub(super) fn client_name(&self) -> &[u8] {
        self.message.part(1).unwrap_or_default()
    }

    /// Whether its client has chosen a name itself: others have a new one on each connection.
    pub(super) fn has_named_client(&self) -> bool {
        !is_made_up(self.client_name())
    }

    /// Whether this is `[] C [] reply...` for its client.
    pub(super) fn is_answered_by(&self, reply: &Message) -> bool {
        let front = [0, 2].map(|i| reply.part(i));
        front == [Some(&b""[..]); 2] && reply.part(1) == self.message.part(1) && reply.len() > 3
    }

    /// Adds an attempt that brought no reply. Returns how many there were, and how many of their workers left.
    pub(super) fn note_loss(&mut self, loss: Loss) -> (usize, usize) {
        let Past { losses } = &mut **self.past.get_or_insert_default();
        losses.push(loss);
        (losses.len(), losses.iter().filter(|loss| loss.cause.is_kill()).count())
    }
}

/// Whether a peer without a name is called so.
pub(super) fn is_made_up(name: &[u8]) -> bool {
    name.first() == Some(&0)
}

/// An attempt that brought no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// What the worker was called.
    pub worker: Bytes,
    /// What happened.
    pub cause: Cause,
    /// When.
    pub at: Instant,
}

/// Why an attempt brought no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// The worker left when it had the request.
    Left,
    /// The worker left and had not read all of the request.
    NotRead,
    /// The worker said READY instead.
    Ready,
    /// The worker sent something that is not a reply to it.
    WrongReply,
    /// The worker took too long.
    LeaseOver,
    /// Another connection took the worker's name over.
    Replaced,
    /// The worker could not be reached any more.
    Unreachable,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Left,
        Self::NotRead,
        Self::Ready,
        Self::WrongReply,
        Self::LeaseOver,
        Self::Replaced,
        Self::Unreachable,
    ];

    /// In a word, for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::NotRead => "not_read",
            Self::Ready => "ready",
            Self::WrongReply => "wrong_reply",
            Self::LeaseOver => "lease_over",
            Self::Replaced => "replaced",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether the request may have killed its worker.
    pub(super) fn is_kill(self) -> bool {
        self == Self::Left
    }
}

/// Why a worker that has left brought no reply.
impl From<&LeaveReason> for Cause {
    fn from(reason: &LeaveReason) -> Self {
        match reason {
            // The system says so to who has sent bytes that the other end never read.
            LeaveReason::Io(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
            | LeaveReason::WriteTimeout => Self::NotRead,
            LeaveReason::Replaced => Self::Replaced,
            // No process that ends does that: its connections are closed for it.
            LeaveReason::Io(_) | LeaveReason::Protocol(ProtocolError::HeartbeatTimeout) => {
                Self::Unreachable
            }
            _ => Self::Left,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "the worker left",
            Self::NotRead => "the worker left before it had read the request",
            Self::Ready => "the worker said READY instead of a reply",
            Self::WrongReply => "the worker sent something else than a reply",
            Self::LeaseOver => "the worker took too long",
            Self::Replaced => "another worker took its name over",
            Self::Unreachable => "the worker could not be reached any more",
        })
    }
}

/// A request that was given up, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Which request it is, of all since the start.
    pub number: u64,
    /// Its client's connection; [`PeerId::NOBODY`] if that is not back.
    pub peer: PeerId,
    /// What its client is called.
    pub client: Bytes,
    /// The frames that the client sent in front of the delimiter.
    pub stack: Vec<Bytes>,
    /// The frames behind it.
    pub body: Message,
    /// The attempts it has cost, in their order.
    pub losses: Vec<Loss>,
    /// Why there are no more.
    pub reason: GaveUp,
}

/// Why a request was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// As many workers left when they had it as may.
    Kills,
    /// It has cost as many attempts as it may.
    Attempts,
    /// The first worker brought no reply, and there is to be no other attempt.
    Fails,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kills => "too many workers left while they had it",
            Self::Attempts => "too many attempts brought no reply",
            Self::Fails => "its worker brought no reply",
        })
    }
}

impl From<Request> for DeadLetter {
    fn from(request: Request) -> Self {
        let Request { number, client: peer, stack, message: mut body, past, .. } = request;
        // An empty part, the client, and an empty part.
        let client = [body.pop_front(), body.pop_front()].into_iter().flatten().last();
        body.skip(1);
        Self {
            number,
            peer,
            client: client.unwrap_or_default(),
            stack: stack.into_vec(),
            body,
            losses: past.map(|past| past.losses).unwrap_or_default(),
            reason: GaveUp::Attempts,
        }
    }
}
