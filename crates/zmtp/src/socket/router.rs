//! [`Router`]: a socket that knows its peers one by one.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use super::base::Base;
use super::monitor::Monitor;
use super::peer::{LeaveReason, Peer, PeerId};
use super::table::Table;
use crate::config::{Config, ConfigError};
use crate::endpoint::{Endpoint, EndpointError};
use crate::engine::BindError;
use crate::error::SendError;
use crate::message::Message;
use crate::proto::SocketType;

/// A ROUTER socket: receives from all its peers in turn and sends to the one that is named.
///
/// A message is what the peer sent, without a routing id in front: the [`PeerId`] stands beside it.
/// A request of a REQ peer therefore starts with its empty delimiter, and the reply has to as well.
///
/// Turns are by peer: each gives one message before the next peer has its turn, whatever one of
/// them has queued. Messages of one peer keep their order. What one peer does wrong ends its own
/// connection and never shows up as an error here.
///
/// Dropping the socket ends its connections and removes its socket files without waiting;
/// [`close`](Self::close) delivers first what was sent.
///
/// ```
/// use zmtp::{Config, Message, Req, Router};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut router = Router::new(Config::default())?;
/// let endpoint = router.bind(&"tcp://127.0.0.1:0".parse()?).await?;
///
/// # let client = tokio::spawn(async move {
/// #     let mut req = Req::new(Config::default()).unwrap();
/// #     req.connect(&endpoint).unwrap();
/// #     req.request(Message::from("Hello")).await.unwrap()
/// # });
/// // A REQ peer's request is an empty delimiter and its parts.
/// let Some((peer, request)) = router.recv().await else { return Ok(()) };
/// assert_eq!(request, Message::from(["", "Hello"]));
/// router.send(peer, Message::from(["", "World"]))?;
/// # assert_eq!(client.await?, Message::from("World"));
/// router.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Router {
    base: Base,
}

/// What a [`Router`] has to tell of a peer: that it joined, then its messages, then that it left.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RouterEvent {
    /// A peer has finished its handshake.
    Joined(Arc<Peer>),
    /// A message of a peer.
    Message(PeerId, Message),
    /// A peer is gone. This is the last of it.
    Left(PeerId, LeaveReason),
}

impl Router {
    /// A socket without endpoints. Its other methods must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { base: Base::new(SocketType::Router, config)? })
    }

    /// Listens on an endpoint. Returns it as it was bound, with the port that the system chose.
    ///
    /// A socket file on which nobody listens is replaced; any other file is left alone.
    ///
    /// # Errors
    ///
    /// A [`BindError`] that names the endpoint and tells one that is in use from the rest.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the endpoint is not bound.
    pub async fn bind(&self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        self.base.bind(endpoint).await
    }

    /// Connects to an endpoint, and again whenever the connection is lost. The peer need not be
    /// there yet.
    ///
    /// # Errors
    ///
    /// An [`EndpointError`] for a wildcard.
    pub fn connect(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        self.base.connect(endpoint)
    }

    /// What happens to endpoints and connections from now on, handshakes that fail included.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.base.hub.monitors.subscribe()
    }

    /// The next message and the peer it is from, or `None` once the socket is closed. Joins and
    /// leaves are passed over; see [`recv_event`](Self::recv_event).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv(&mut self) -> Option<(PeerId, Message)> {
        loop {
            if let RouterEvent::Message(peer, message) = self.recv_event().await? {
                return Some((peer, message));
            }
        }
    }

    /// The next event, or `None` once the socket is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn recv_event(&mut self) -> Option<RouterEvent> {
        poll_fn(|cx| self.base.hub.poll_event(cx, Table::next_event)).await
    }

    /// Waits for events and appends to `events` all there are, `max` at most, in the order of turns.
    /// Returns how many; 0 says that the socket is closed, or that `max` is 0.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn recv_many(&mut self, events: &mut Vec<RouterEvent>, max: usize) -> usize {
        poll_fn(|cx| self.poll_recv_many(cx, events, max)).await
    }

    /// [`recv_many`](Self::recv_many) for futures that are polled by hand.
    pub fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<RouterEvent>,
        max: usize,
    ) -> Poll<usize> {
        if max == 0 {
            return Poll::Ready(0);
        }
        let taken = self.base.hub.poll_event(cx, |table| {
            let before = events.len();
            events.extend(std::iter::from_fn(|| table.next_event()).take(max));
            Some(events.len() - before).filter(|&count| count > 0)
        });
        taken.map(Option::unwrap_or_default)
    }

    /// Queues a message for a peer. It never waits.
    ///
    /// # Errors
    ///
    /// [`SendErrorKind`](crate::SendErrorKind)`::NoSuchPeer` when the peer has left, `Full` when its
    /// queue is at the high-water mark, `Closed` and `Empty`. The message comes back.
    pub fn send(&self, peer: PeerId, message: Message) -> Result<(), SendError> {
        self.base.hub.table().send(peer, message)
    }

    /// Stops to count `count` of the messages received from a peer against
    /// [`Config::recv_hwm`], where [`Config::release`] leaves that to the application.
    pub fn release(&self, peer: PeerId, count: usize) {
        self.base.hub.table().release(peer, count);
    }

    /// Ends the connection of a peer at once. What is queued for it is dropped, and that it left is
    /// reported like any other leave.
    pub fn disconnect(&self, peer: PeerId) {
        self.base.hub.table().leave(peer, LeaveReason::Local);
    }

    /// A peer that is connected.
    #[must_use]
    pub fn peer(&self, peer: PeerId) -> Option<Arc<Peer>> {
        self.base.hub.table().peer(peer)
    }

    /// All peers that are connected, in no particular order.
    #[must_use]
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.base.hub.table().peers()
    }

    /// The connected peer that announced this identity. None if there is none, or more than one.
    #[must_use]
    pub fn find(&self, identity: &[u8]) -> Option<PeerId> {
        self.base.hub.table().find(identity)
    }

    /// A place for a connection that a test makes by hand.
    #[cfg(test)]
    pub(crate) fn admit(&self, address: &str) -> super::Link {
        self.base.hub.admit(super::Origin::Peer, address).expect("a place")
    }

    /// Stops listening, writes what is queued for as long as [`Config::linger`] allows, ends all
    /// connections and removes the socket files.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the socket ends at once as if it had been dropped.
    pub async fn close(self) {
        self.base.close().await;
    }
}

/// The events of the socket, until it is closed.
impl Stream for Router {
    type Item = RouterEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RouterEvent>> {
        self.base.hub.poll_event(cx, Table::next_event)
    }
}
