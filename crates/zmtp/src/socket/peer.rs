//! [`PeerId`], [`Peer`] and why a peer left.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::proto::PeerInfo;

/// Names one connection of one socket. It is never given to another connection of that socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl PeerId {
    /// No connection of any socket: for tables in which a peer has a place while it is not there.
    pub const NOBODY: Self = Self { slot: u32::MAX, generation: u32::MAX };

    /// A small number that no other peer of the socket has at the same time: an index for a table
    /// beside the socket. The number is given again once the peer has left.
    #[must_use]
    pub fn index(self) -> usize {
        self.slot as usize
    }

    /// As a number, to be kept or sent, of which [`from_bits`](Self::from_bits) makes the same id.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// From what [`to_bits`](Self::to_bits) has made.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let half = |bits| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { slot: half(bits), generation: half(bits >> 32) }
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Origin {
    /// The peer did, to an endpoint bound here.
    Peer,
    /// This side did.
    Local,
}

/// A peer that has finished its handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Its connection.
    pub id: PeerId,
    /// What to call it on the wire: the identity it announced or, for an anonymous peer, five bytes
    /// made here, a zero and a number, as libzmq makes them.
    pub routing_id: Bytes,
    /// Who made the connection.
    pub origin: Origin,
    /// Where it is, in the notation of an endpoint: the address it connected from, or the one it
    /// was connected to.
    pub address: Arc<str>,
    /// What it said of itself.
    pub info: Arc<PeerInfo>,
}

/// Why a peer is no longer connected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveReason {
    /// The peer ended the connection between two messages, and is not known to have left any unread.
    Closed,
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The connection failed: `BrokenPipe` also if the peer ended it before it was sent all that was for it.
    Io(io::ErrorKind),
    /// It announced an identity that another peer has.
    Duplicate,
    /// Another connection took its identity over.
    Replaced,
    /// It did not take what was written to it in time.
    WriteTimeout,
    /// Its handshake was not over when too many others wanted to begin theirs.
    Evicted,
    /// It had sent more of an unfinished message than any other when all peers together held more
    /// than they may.
    OverBudget,
    /// Its endpoint could not be connected to, and is not tried again.
    Unreachable,
    /// This side gave up a request to it, and a late reply must not be taken for another's.
    GivenUp,
    /// This side ended the connection.
    Local,
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the peer"),
            Self::Protocol(error) => error.fmt(f),
            Self::Io(kind) => kind.fmt(f),
            Self::Duplicate => f.write_str("its identity is taken"),
            Self::Replaced => f.write_str("another connection took its identity over"),
            Self::WriteTimeout => f.write_str("did not take what was written to it in time"),
            Self::Evicted => f.write_str("too many handshakes at a time, and its was the oldest"),
            Self::OverBudget => {
                f.write_str("too many bytes held for all peers, and its message was the largest")
            }
            Self::Unreachable => f.write_str("its endpoint is not connected to any more"),
            Self::GivenUp => f.write_str("a request to it was given up"),
            Self::Local => f.write_str("closed by this side"),
        }
    }
}

impl From<ProtocolError> for LeaveReason {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<io::Error> for LeaveReason {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}
