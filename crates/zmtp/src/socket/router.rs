//! [`Router`]: a socket that knows its peers one by one.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Sink, Stream};

use super::base::Socket;
use super::event::PeerEvent;
use super::hub::Hub;
use super::outlet::{Lane, Unsent};
use super::peer::{LeaveReason, PeerId};
use super::recv_error::RecvError;
use super::sink::SendSink;
use super::table::Table;
use crate::config::{Config, ConfigError};
use crate::endpoint::{Endpoint, EndpointError, EndpointErrorKind};
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::proto::{MAX_IDENTITY_SIZE, SocketType};

/// A ROUTER socket: receives from all its peers in turn and sends to the one that is named.
///
/// A message is what the peer sent, without a routing id in front: the [`PeerId`] stands beside it.
/// A request of a REQ peer therefore starts with its empty delimiter, and the reply has to as well.
///
/// Turns are by peer: each gives one message before the next peer has its turn, whatever one of
/// them has queued. Messages of one peer keep their order. What one peer does wrong ends its own
/// connection and never shows up as an error here.
///
/// The socket is the receiving half; [`sender`](Self::sender) gives the sending half to other tasks.
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
/// router.send(peer, Message::from(["", "World"])).await?;
/// # assert_eq!(client.await?, Message::from("World"));
/// router.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Router {
    pub(super) socket: Socket,
}

impl Router {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self { socket: Socket::new(SocketType::Router, config)? })
    }

    /// Connects to an endpoint as [`connect`](Socket::connect) does, and gives the peer there a name,
    /// whatever it calls itself. It can be [sent to](Self::send_to) by that name at once: what is
    /// sent waits for the connection. libzmq: `ZMQ_CONNECT_ROUTING_ID`.
    ///
    /// Nobody else may then come in under that name, unless [`Config::duplicate_identity`] allows it:
    /// of two ROUTERs that know each other's names, only one should connect.
    ///
    /// # Errors
    ///
    /// An [`EndpointError`] for a wildcard, a name that somebody has, and a name that is empty,
    /// longer than 255 bytes or starts with a zero byte.
    pub fn connect_as(
        &self,
        endpoint: &Endpoint,
        routing_id: impl Into<Bytes>,
    ) -> Result<(), EndpointError> {
        let routing_id = routing_id.into();
        let sound = (1..=MAX_IDENTITY_SIZE).contains(&routing_id.len());
        if !sound || routing_id.first() == Some(&0) {
            let reason = "a name has 1 to 255 bytes and does not start with a zero byte";
            return Err(EndpointError::new(endpoint, EndpointErrorKind::BadName, reason));
        }
        self.socket.connect_as(endpoint, Some(routing_id))
    }

    /// A handle that sends, for other tasks.
    #[must_use]
    pub fn sender(&self) -> RouterSender {
        RouterSender { hub: self.hub.clone() }
    }

    /// The next message and the peer it is from, or `None` once the socket is closed. Joins and
    /// leaves are passed over; see [`recv_event`](Self::recv_event).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv(&mut self) -> Option<(PeerId, Message)> {
        poll_fn(|cx| self.hub.poll_event(cx, next_message)).await
    }

    /// The next message and the peer it is from, if there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Nothing`] and [`RecvError::Closed`].
    pub fn try_recv(&mut self) -> Result<(PeerId, Message), RecvError> {
        self.hub.try_event(next_message)
    }

    /// The next event, or `None` once the socket is closed. From the first call on, no join and no
    /// leave is passed over, and they come in order with the messages; they have to be received, for
    /// a peer that left is kept until then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn recv_event(&mut self) -> Option<PeerEvent> {
        self.hub.table().report_all();
        poll_fn(|cx| self.hub.poll_event(cx, Table::next_event)).await
    }

    /// Waits for events and appends to `events` all there are, `max` at most, in the order of turns.
    /// Returns how many; 0 says that the socket is closed, or that `max` is 0. Tells of joins and
    /// leaves as [`recv_event`](Self::recv_event) does.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn recv_many(&mut self, events: &mut Vec<PeerEvent>, max: usize) -> usize {
        poll_fn(|cx| self.poll_recv_many(cx, events, max)).await
    }

    /// [`recv_many`](Self::recv_many) for futures that are polled by hand.
    pub fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut Vec<PeerEvent>,
        max: usize,
    ) -> Poll<usize> {
        self.hub.poll_many(cx, events, max, |table| {
            table.report_all();
            table.next_event()
        })
    }

    /// Whether the messages that have arrived are left where they are, so that their peers are held back at
    /// [`Config::recv_hwm`] and receiving tells of joins and leaves only. Unless [`Config::release`] is explicit, a
    /// peer that leaves while a message of it waits is told of behind that message.
    pub fn hold_messages(&mut self, holds: bool) {
        self.hub.table().hold_messages(holds);
    }

    /// Sends a message to a peer. When its queue is full, [`Config::on_full`] says what happens; the
    /// default is to fail.
    ///
    /// # Errors
    ///
    /// [`SendErrorKind`](crate::SendErrorKind)`::NoSuchPeer` when the peer has left, `Full`, `Closed`
    /// and `Empty`. The message comes back.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send(&self, peer: PeerId, message: Message) -> Result<(), SendError> {
        send(&self.hub, peer, message).await
    }

    /// Sends a message to a peer, now or not at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and `Full` where that would wait.
    pub fn try_send(&self, peer: PeerId, message: Message) -> Result<(), SendError> {
        try_send(&self.hub, peer, message)
    }

    /// Sends a message to whoever has this routing id: the identity it announced, the one made for
    /// it, or the name that [`connect_as`](Self::connect_as) gave it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). `NoSuchPeer` also where two peers have announced the same identity.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send_to(&self, routing_id: &[u8], message: Message) -> Result<(), SendError> {
        send_to(&self.hub, routing_id, message).await
    }

    /// Sends a message to whoever has this routing id, now or not at all.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), and `Full` where that would wait.
    pub fn try_send_to(&self, routing_id: &[u8], message: Message) -> Result<(), SendError> {
        try_send_to(&self.hub, routing_id, message)
    }

    /// Sends messages to peers, now or not at all, and writes them at once: cheaper than one
    /// [`try_send`](Self::try_send) after the other where many are sent together. What could not be
    /// sent is put to `failed`, and `messages` is left empty.
    pub fn send_many(
        &self,
        messages: &mut Vec<(PeerId, Message)>,
        failed: &mut Vec<(PeerId, SendError)>,
    ) {
        self.hub.send_many(messages, failed);
    }

    /// Stops to count `count` of the messages received from a peer against
    /// [`Config::recv_hwm`], where [`Config::release`] leaves that to the application.
    pub fn release(&self, peer: PeerId, count: usize) {
        self.hub.table().release(peer, count);
    }

    /// [`release`](Self::release)s one message of each of these peers.
    pub fn release_many(&self, peers: &[PeerId]) {
        if peers.is_empty() {
            return;
        }
        let mut table = self.hub.table();
        for &peer in peers {
            table.release(peer, 1);
        }
    }

    /// Whether anything of a peer has arrived that was not received, a message that is not complete included.
    #[must_use]
    pub fn has_unread(&self, peer: PeerId) -> bool {
        self.hub.table().has_unread(peer)
    }

    /// Ends the connection of a peer at once. What is queued for it is dropped, unless it was
    /// [given its name](Self::connect_as), where it waits for the next connection. That it left is
    /// reported like any other leave.
    pub fn disconnect_peer(&self, peer: PeerId) {
        self.hub.table().leave(peer, &LeaveReason::Local);
    }

    /// The connected peer with this routing id. None if there is none, or more than one.
    #[must_use]
    pub fn find(&self, routing_id: &[u8]) -> Option<PeerId> {
        self.hub.table().find_peer(routing_id)
    }

    /// A place for a connection that a test makes by hand.
    #[cfg(test)]
    pub(crate) fn admit(&self, address: &str) -> super::Link {
        let endpoint = super::EndpointId::for_test();
        self.hub.admit(super::Origin::Peer, endpoint, address).expect("a place")
    }

    /// Takes nothing more in, delivers what was sent within [`Config::linger`], ends all connections
    /// and removes the socket files. Returns what could not be delivered.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the socket ends at once as if it had been dropped.
    pub async fn close(self) -> Vec<Unsent> {
        self.socket.close().await
    }
}

impl Deref for Router {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

/// The events of the socket, until it is closed.
impl Stream for Router {
    type Item = PeerEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PeerEvent>> {
        self.hub.poll_event(cx, |table| {
            table.report_all();
            table.next_event()
        })
    }
}

/// Sends for a [`Router`], from any task. Once the socket is closed or dropped, it says so.
#[derive(Clone, Debug)]
pub struct RouterSender {
    hub: Arc<Hub>,
}

impl RouterSender {
    /// [`Router::send`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send(&self, peer: PeerId, message: Message) -> Result<(), SendError> {
        send(&self.hub, peer, message).await
    }

    /// [`Router::try_send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_send(&self, peer: PeerId, message: Message) -> Result<(), SendError> {
        try_send(&self.hub, peer, message)
    }

    /// [`Router::send_to`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send_to(&self, routing_id: &[u8], message: Message) -> Result<(), SendError> {
        send_to(&self.hub, routing_id, message).await
    }

    /// [`Router::try_send_to`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_send_to(&self, routing_id: &[u8], message: Message) -> Result<(), SendError> {
        try_send_to(&self.hub, routing_id, message)
    }

    /// This sender as a sink of peers and messages, which is ready when [`send`](Self::send) does
    /// not wait.
    pub fn into_sink(self) -> impl Sink<(PeerId, Message), Error = SendError> + Send + Unpin {
        SendSink::new(move |(peer, message)| {
            let sender = self.clone();
            async move { sender.send(peer, message).await }
        })
    }
}

async fn send(hub: &Hub, peer: PeerId, message: Message) -> Result<(), SendError> {
    hub.send(message, |table, message| table.send(Lane::Peer(peer), message)).await
}

fn try_send(hub: &Hub, peer: PeerId, message: Message) -> Result<(), SendError> {
    hub.try_send(message, |table, message| table.send(Lane::Peer(peer), message))
}

async fn send_to(hub: &Hub, routing_id: &[u8], message: Message) -> Result<(), SendError> {
    hub.send(message, |table, message| by_name(table, routing_id, message)).await
}

fn try_send_to(hub: &Hub, routing_id: &[u8], message: Message) -> Result<(), SendError> {
    hub.try_send(message, |table, message| by_name(table, routing_id, message))
}

fn by_name(table: &mut Table, routing_id: &[u8], message: Message) -> Result<(), SendError> {
    match table.find(routing_id) {
        Some(lane) => table.send(lane, message),
        None => Err(SendError::new(SendErrorKind::NoSuchPeer, message)),
    }
}

/// Joins and leaves are passed over.
fn next_message(table: &mut Table) -> Option<(PeerId, Message)> {
    loop {
        if let PeerEvent::Message(peer, message) = table.next_event()? {
            return Some((peer, message));
        }
    }
}
