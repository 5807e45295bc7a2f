//! [`Req`]: a socket that asks and waits for the answer.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;

use super::base::Base;
use super::peer::{LeaveReason, PeerId};
use super::router::RouterEvent;
use super::table::Table;
use crate::config::{Config, ConfigError};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::{BindError, SendErrorKind};
use crate::message::Message;
use crate::proto::SocketType;

/// A REQ socket: sends a request to its peers in rotation and receives the reply.
///
/// The empty delimiter of the wire is added and taken off here; a reply without one is dropped.
///
/// A request that is given up, because its future was dropped or a new one was made, ends the
/// connection it went out on. A late reply can therefore never answer a later request, and a peer
/// that keeps books learns that nobody waits any more. A connection that this side made is made
/// anew.
///
/// ```no_run
/// use std::time::Duration;
/// use zmtp::{Config, Message, Req};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut req = Req::new(Config::default().with_identity("CLIENT-1"))?;
/// req.connect(&"ipc://frontend.ipc".parse()?)?;
/// let request = Message::from("2");
/// let reply = loop {
///     let attempt = req.request(request.clone());
///     match tokio::time::timeout(Duration::from_secs(5), attempt).await {
///         Ok(reply) => break reply?,
///         Err(_) => eprintln!("no reply yet, asking again"),
///     }
/// };
/// # drop(reply);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Req {
    base: Base,
    /// Peers in the order of their turn.
    rotation: VecDeque<PeerId>,
    awaiting: Option<PeerId>,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReqError {
    /// The peer that had the request left before it replied. It may or may not have acted on it.
    PeerLost(LeaveReason),
    /// `send` while a reply is due, or `recv` while none is.
    OutOfTurn,
    /// A message needs at least one part.
    Empty,
    /// The socket is closed.
    Closed,
}

impl fmt::Display for ReqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerLost(reason) => write!(f, "the peer left before it replied: {reason}"),
            Self::OutOfTurn => f.write_str("requests and replies take turns"),
            Self::Empty => f.write_str("a message needs at least one part"),
            Self::Closed => f.write_str("the socket is closed"),
        }
    }
}

impl std::error::Error for ReqError {}

impl Req {
    /// A socket without endpoints. Its other methods must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let base = Base::new(SocketType::Req, config)?;
        Ok(Self { base, rotation: VecDeque::new(), awaiting: None })
    }

    /// Listens on an endpoint. Returns it as it was bound, with the port that the system chose.
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

    /// Sends a request, waiting for a peer if there is none, and waits for the reply. A request
    /// made before that has no reply yet is given up.
    ///
    /// # Errors
    ///
    /// [`ReqError::PeerLost`] when the peer leaves before it replies; the request may be made again.
    /// [`ReqError::Empty`] and [`ReqError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the request may have reached a peer or not. The socket can be used
    /// at once, and the next request gets its own reply.
    pub async fn request(&mut self, request: Message) -> Result<Message, ReqError> {
        if let Some(peer) = self.awaiting.take() {
            self.base.hub.table().leave(peer, LeaveReason::Local);
        }
        self.send(request).await?;
        self.recv().await
    }

    /// Sends a request, waiting for a peer if there is none.
    ///
    /// # Errors
    ///
    /// [`ReqError::OutOfTurn`] while a reply is due, [`ReqError::Empty`] and [`ReqError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send(&mut self, mut request: Message) -> Result<(), ReqError> {
        if self.awaiting.is_some() {
            return Err(ReqError::OutOfTurn);
        }
        if request.is_empty() {
            return Err(ReqError::Empty);
        }
        // The delimiter (RFC 28, "The REQ Socket Type").
        request.prepend(&[""]);
        loop {
            self.take_news();
            let Some(peer) = self.rotation.pop_front() else {
                let event = self.next_event().await?;
                self.note(event);
                continue;
            };
            let sent = self.base.hub.table().send(peer, request);
            let Err(error) = sent else {
                self.rotation.push_back(peer);
                self.awaiting = Some(peer);
                return Ok(());
            };
            match error.kind() {
                // It left a moment ago, or does not read: the next one's turn.
                SendErrorKind::NoSuchPeer => {}
                SendErrorKind::Closed => return Err(ReqError::Closed),
                _ => self.base.hub.table().leave(peer, LeaveReason::Local),
            }
            request = error.into_message();
        }
    }

    /// Receives the reply to the request that was sent.
    ///
    /// # Errors
    ///
    /// [`ReqError::OutOfTurn`] when no reply is due, [`ReqError::PeerLost`] and
    /// [`ReqError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no reply is lost and the reply is still due.
    pub async fn recv(&mut self) -> Result<Message, ReqError> {
        let Some(awaited) = self.awaiting else { return Err(ReqError::OutOfTurn) };
        loop {
            match self.next_event().await? {
                RouterEvent::Message(peer, mut reply) if peer == awaited => {
                    // Anything but a delimiter and a body is no reply; the wait goes on.
                    if reply.len() > 1 && reply.part(0) == Some(b"") {
                        reply.skip(1);
                        self.awaiting = None;
                        return Ok(reply);
                    }
                }
                RouterEvent::Left(peer, reason) if peer == awaited => {
                    self.rotation.retain(|&other| other != peer);
                    self.awaiting = None;
                    return Err(ReqError::PeerLost(reason));
                }
                event => self.note(event),
            }
        }
    }

    /// Keeps the rotation. Messages nobody asked for are dropped.
    fn note(&mut self, event: RouterEvent) {
        match event {
            RouterEvent::Joined(peer) => self.rotation.push_back(peer.id),
            RouterEvent::Left(peer, _) => self.rotation.retain(|&other| other != peer),
            RouterEvent::Message(..) => {}
        }
    }

    /// Drops what arrived before a request is sent: it cannot be the reply to it.
    fn take_news(&mut self) {
        loop {
            let event = self.base.hub.table().next_event();
            let Some(event) = event else { return };
            self.note(event);
        }
    }

    async fn next_event(&mut self) -> Result<RouterEvent, ReqError> {
        let event = poll_fn(|cx| self.base.hub.poll_event(cx, Table::next_event)).await;
        event.ok_or(ReqError::Closed)
    }

    /// Writes what is queued for as long as [`Config::linger`] allows, ends all connections and
    /// removes the socket files.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the socket ends at once as if it had been dropped.
    pub async fn close(self) {
        self.base.close().await;
    }
}
