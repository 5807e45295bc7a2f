//! [`Monitor`]: what happens to a socket's endpoints and connections.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tokio::sync::broadcast::{self, error::RecvError};

use super::peer::LeaveReason;
use crate::endpoint::Endpoint;

/// Events that wait for a monitor before the oldest are dropped.
const CAPACITY: usize = 1024;

/// Something that happened to an endpoint or a connection, in the spirit of `zmq_socket_monitor`.
///
/// Addresses are in the notation of endpoints: where the peer connected from, or what it was
/// connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorEvent {
    /// An endpoint was bound.
    Listening(Endpoint),
    /// An endpoint could not be bound, for this reason.
    BindFailed(Endpoint, Arc<str>),
    /// A connection could not be accepted, for instance for want of descriptors, as the system words
    /// it. Listening goes on after a pause.
    AcceptFailed(Endpoint, Arc<str>),
    /// A connection was accepted. Its handshake begins.
    Accepted(Arc<str>),
    /// A connection was closed as soon as it was made: there are as many as there may be.
    Refused(Arc<str>),
    /// A connection was made. Its handshake begins.
    Connected(Arc<str>),
    /// An attempt to connect has begun.
    ConnectDelayed(Arc<str>),
    /// It failed, in the system's words.
    ConnectFailed(Arc<str>, Arc<str>),
    /// The next attempt follows after this pause.
    ConnectRetried(Arc<str>, Duration),
    /// A handshake is over; the peer has joined.
    HandshakeSucceeded(Arc<str>),
    /// A connection ended before its handshake was over.
    HandshakeFailed(Arc<str>, LeaveReason),
    /// A connection ended after its handshake.
    Disconnected(Arc<str>, LeaveReason),
    /// An endpoint is no longer bound.
    Closed(Endpoint),

    /// So many events were dropped because nobody received them.
    Missed(u64),
}

impl fmt::Display for MonitorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(endpoint) => write!(f, "listening on {endpoint}"),
            Self::BindFailed(endpoint, reason) => write!(f, "cannot bind {endpoint}: {reason}"),
            Self::AcceptFailed(endpoint, reason) => {
                write!(f, "cannot accept a connection on {endpoint}: {reason}")
            }
            Self::Accepted(address) => write!(f, "accepted {address}"),
            Self::Refused(address) => write!(f, "refused {address}: too many connections"),
            Self::ConnectDelayed(address) => write!(f, "connecting to {address}"),
            Self::Connected(address) => write!(f, "connected to {address}"),
            Self::ConnectFailed(address, reason) => {
                write!(f, "cannot connect to {address}: {reason}")
            }
            Self::ConnectRetried(address, pause) => {
                write!(f, "connecting to {address} again in {} ms", pause.as_millis())
            }
            Self::HandshakeSucceeded(address) => write!(f, "shook hands with {address}"),
            Self::HandshakeFailed(address, reason) => {
                write!(f, "no handshake with {address}: {reason}")
            }
            Self::Disconnected(address, reason) => write!(f, "lost {address}: {reason}"),
            Self::Closed(endpoint) => write!(f, "no longer listening on {endpoint}"),
            Self::Missed(count) => write!(f, "{count} events were missed"),
        }
    }
}

/// Receives [`MonitorEvent`]s from the moment it was made.
#[derive(Debug)]
pub struct Monitor(broadcast::Receiver<MonitorEvent>);

impl Monitor {
    /// The next event, or `None` once the socket is gone, and with it the senders made of it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn recv(&mut self) -> Option<MonitorEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(MonitorEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The events as a stream, until the socket is gone.
    pub fn into_stream(self) -> impl Stream<Item = MonitorEvent> + Send + Unpin {
        Box::pin(unfold(self, async |mut monitor| {
            monitor.recv().await.map(|event| (event, monitor))
        }))
    }
}

/// Where events are told. Costs nothing until somebody listens.
#[derive(Debug, Default)]
pub(crate) struct Monitors(OnceLock<broadcast::Sender<MonitorEvent>>);

impl Monitors {
    pub(super) fn subscribe(&self) -> Monitor {
        Monitor(self.0.get_or_init(|| broadcast::Sender::new(CAPACITY)).subscribe())
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> MonitorEvent) {
        if let Some(sender) = self.0.get() {
            // An error says that nobody listens any more.
            let _ = sender.send(event());
        }
    }
}
