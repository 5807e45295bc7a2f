//! An endpoint that is connected to, whether there is a connection right now or not.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::entry::Queue;
use super::peer::PeerId;

/// Numbers a socket's endpoints, those bound and those connected to. None is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointId(pub(super) u64);

impl EndpointId {
    /// For a connection that a test makes by hand.
    #[cfg(test)]
    pub(super) fn for_test() -> Self {
        Self(u64::MAX)
    }
}

/// What can be sent to: in rotation, or by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A connection. What waits for it is dropped when it ends.
    Peer(PeerId),
    /// An endpoint that is connected to. What waits for it survives its connections.
    Outlet(EndpointId),
}

#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) address: Arc<str>,
    /// What the peer there is called, whatever it calls itself.
    pub(super) routing_id: Option<Bytes>,
    /// Messages are taken in while there is no connection.
    pub(super) standing: bool,
    /// Messages that wait for a connection. While there is one they are in its outbox.
    pub(super) waiting: Queue,
    /// The connection, from its handshake to its end.
    pub(super) peer: Option<PeerId>,
    /// It has been disconnected; what waits may leave until then.
    pub(super) finish_by: Option<Instant>,
}

/// Messages that a socket accepted and could not deliver in time before it closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsent {
    /// Where they were to go, in the notation of an endpoint.
    pub address: Arc<str>,
    /// Those of which no byte was written.
    pub messages: Vec<crate::Message>,
    /// Bytes that were not written of one more message, the first, and 0 if none was begun. The peer
    /// has not received it, and may have received those before it.
    pub cut_off: usize,
}
