//! [`Action`]: what is to be done, and [`Violation`]: what was wrong.

use std::fmt;

use zmtp::{LeaveReason, Message, PeerId, ProtocolError};

use super::request::DeadLetter;

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
    /// A client has been silent for long enough to be one that waits. If nothing of it is unread,
    /// [`Queue::client_waits`](super::Queue::client_waits) says so, and else [`Queue::client_asks`](super::Queue::client_asks).
    LookAt(PeerId),
    /// A request was given up. Its client is told by another action, if it is told.
    GiveUp(Box<DeadLetter>),
    /// A peer did something wrong, maybe about the request of this number. Its connection is kept.
    Report(Side, PeerId, Violation, Option<u64>),
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

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frontend => "client",
            Self::Backend => "worker",
        })
    }
}

/// What a peer did wrong. If it is a message, that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Something that is not the reply to the worker's request.
    WrongReply,
    /// A worker took longer for a request than the lease.
    LeaseOver,
    /// A worker gets nothing more until it connects again, whatever it sends.
    Quarantined,
    /// A client's request found the queue full.
    Rejected,
    /// A client does not read its replies. Its connection is not kept.
    NotReading,
    /// A worker has been connected for ten seconds and has not said READY.
    NotReady,
    /// A worker's name was taken over by another connection. Its own is not kept.
    Replaced,
    /// A client asks what a worker says when it is ready. It is served.
    ReadyAsRequest,
    /// A peer has sent what ZMTP does not allow, or more than a limit. Its connection is not kept.
    Protocol,
}

impl Violation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoDelimiter,
        Self::DuplicateReady,
        Self::ReadyWhileBusy,
        Self::UnaskedReply,
        Self::WrongReply,
        Self::LeaseOver,
        Self::Quarantined,
        Self::Rejected,
        Self::NotReading,
        Self::NotReady,
        Self::Replaced,
        Self::ReadyAsRequest,
        Self::Protocol,
    ];

    /// Whether a peer was disconnected for what it has sent.
    #[must_use]
    pub fn is_cause_of(reason: &LeaveReason) -> bool {
        use ProtocolError::{HeartbeatTimeout, TruncatedAtEof};
        match reason {
            LeaveReason::Protocol(error) => !matches!(error, HeartbeatTimeout | TruncatedAtEof),
            _ => false,
        }
    }

    /// In a word, for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoDelimiter => "no_delimiter",
            Self::DuplicateReady => "duplicate_ready",
            Self::ReadyWhileBusy => "ready_while_busy",
            Self::UnaskedReply => "unasked_reply",
            Self::WrongReply => "wrong_reply",
            Self::LeaseOver => "lease_over",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
            Self::NotReading => "not_reading",
            Self::NotReady => "not_ready",
            Self::Replaced => "replaced",
            Self::ReadyAsRequest => "ready_as_request",
            Self::Protocol => "protocol",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDelimiter => {
                "dropped a message without an empty frame and a body behind it (a DEALER has to send the \
                 empty frame itself)"
            }
            Self::DuplicateReady => "dropped READY from a worker that is idle already",
            Self::ReadyWhileBusy => "dropped READY from a worker that owes a reply",
            Self::UnaskedReply => {
                "dropped a message that is not READY, in capitals, from a worker that owes no reply (a client has to \
                 connect to the frontend)"
            }
            Self::WrongReply => "dropped a reply that does not begin with the client's address",
            Self::LeaseOver => {
                "took longer for a request than the lease, and gets nothing more before it answers"
            }
            Self::Quarantined => {
                "in quarantine, and gets nothing more until it connects again: it has sent too much that it \
                 should not"
            }
            Self::Rejected => "rejected a request, because too many wait",
            Self::NotReading => "disconnected, because it does not read its replies",
            Self::NotReady => {
                "has been connected for ten seconds and has not said READY; it gets nothing before it does"
            }
            Self::Replaced => "disconnected, because another worker has connected under its name",
            Self::ReadyAsRequest => {
                "asks READY, which is a request like any other here (a worker has to connect to the backend)"
            }
            Self::Protocol => "disconnected, because it has sent what may not be sent",
        })
    }
}
