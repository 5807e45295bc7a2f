//! [`RecvError`]: why nothing was received.

use std::fmt;

use super::peer::LeaveReason;

/// Why nothing was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// There is nothing yet. Only what does not wait says so.
    Nothing,
    /// A REQ has not asked, or a REP owes a reply.
    OutOfTurn,
    /// The peer that had the request left before it replied. It may or may not have acted on it.
    PeerLost(LeaveReason),
    /// The socket is closed.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is nothing to receive yet"),
            Self::OutOfTurn => f.write_str("requests and replies take turns"),
            Self::PeerLost(reason) => write!(f, "the peer left before it replied: {reason}"),
            Self::Closed => f.write_str("the socket is closed"),
        }
    }
}

impl std::error::Error for RecvError {}
