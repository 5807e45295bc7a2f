//! [`Req`]: a socket that asks and waits for the answer.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use super::base::Base;
use super::monitor::Monitor;
use super::peer::{LeaveReason, Origin, Peer, PeerId};
use super::router::RouterEvent;
use super::table::Table;
use crate::config::{Config, ConfigError, DuplicateIdentity};
use crate::endpoint::{Endpoint, EndpointError};
use crate::engine::BindError;
use crate::error::SendErrorKind;
use crate::message::Message;
use crate::proto::SocketType;

/// A REQ socket: sends a request to its peers in rotation and receives the reply.
///
/// The empty delimiter of the wire is added and taken off here; a reply without one is dropped.
///
/// A request is given up when its future is dropped and a new one is made. A late reply to it does
/// not answer a later request:
///
/// * On a connection that this side made, giving up ends the connection and makes another one. A
///   peer that keeps books learns that nobody waits any more.
/// * On one that the peer made, ending it would not help: libzmq brings a queued reply along to its
///   next connection. The peer owes a reply instead, and one reply of it is dropped. Such a peer has
///   to answer every request, as REP does, or every later answer of it is dropped too; others have
///   their turn before it meanwhile. What a peer owed is forgotten when its connection is lost, so
///   one that did not restart can then still bring an old reply along.
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
    rotation: VecDeque<Turn>,
    awaiting: Option<PeerId>,
}

#[derive(Debug)]
struct Turn {
    peer: Arc<Peer>,
    /// Replies it owes to requests that were given up.
    owed: usize,
}

/// Events looked at before a request is sent, so that a peer which never stops cannot hold it up.
const NEWS_MAX: usize = 4096;

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
        // A REQ does not address its peers, so their names do not matter.
        let config = config.with_duplicate_identity(DuplicateIdentity::Allow);
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

    /// What happens to endpoints and connections from now on, handshakes that fail included.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.base.hub.monitors.subscribe()
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
        self.give_up();
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
            let Some(turn) = self.next_turn() else {
                let event = self.next_event().await?;
                self.note(event);
                continue;
            };
            let peer = turn.peer.id;
            self.rotation.push_back(turn);
            let sent = self.base.hub.table().send(peer, request);
            let Err(error) = sent else {
                self.awaiting = Some(peer);
                return Ok(());
            };
            match error.kind() {
                // It has left, which the next event tells.
                SendErrorKind::NoSuchPeer => {}
                SendErrorKind::Closed => return Err(ReqError::Closed),
                // It does not read.
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
                    if is_reply(&reply) && !self.settle(peer) {
                        reply.skip(1);
                        self.awaiting = None;
                        return Ok(reply);
                    }
                }
                RouterEvent::Left(peer, reason) if peer == awaited => {
                    self.note(RouterEvent::Left(peer, reason.clone()));
                    self.awaiting = None;
                    return Err(ReqError::PeerLost(reason));
                }
                event => self.note(event),
            }
        }
    }

    /// Sees to it that no reply to the request that waits, if any, will be taken for another's.
    fn give_up(&mut self) {
        let Some(awaited) = self.awaiting.take() else { return };
        if self.base.hub.table().retract(awaited) {
            return;
        }
        let turn = self.rotation.iter_mut().find(|turn| turn.peer.id == awaited);
        match turn {
            Some(turn) if turn.peer.origin == Origin::Peer => turn.owed += 1,
            _ => self.base.hub.table().leave(awaited, LeaveReason::Local),
        }
    }

    /// The next peer in rotation; one that owes a reply only if all do.
    fn next_turn(&mut self) -> Option<Turn> {
        let clear = self.rotation.iter().position(|turn| turn.owed == 0);
        self.rotation.remove(clear.unwrap_or(0))
    }

    /// Whether a reply pays what its peer owed.
    fn settle(&mut self, peer: PeerId) -> bool {
        let mut turns = self.rotation.iter_mut();
        let Some(turn) = turns.find(|turn| turn.peer.id == peer && turn.owed > 0) else {
            return false;
        };
        turn.owed -= 1;
        true
    }

    /// Keeps the rotation. A message is not the reply that is waited for.
    fn note(&mut self, event: RouterEvent) {
        match event {
            RouterEvent::Joined(peer) => self.rotation.push_back(Turn { peer, owed: 0 }),
            RouterEvent::Left(peer, _) => self.rotation.retain(|turn| turn.peer.id != peer),
            RouterEvent::Message(peer, message) => {
                if is_reply(&message) {
                    self.settle(peer);
                }
            }
        }
    }

    /// Drops what arrived before a request is sent: it cannot be the reply to it.
    fn take_news(&mut self) {
        for _ in 0..NEWS_MAX {
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

/// A delimiter and a body (RFC 28, "The REQ Socket Type").
fn is_reply(message: &Message) -> bool {
    message.len() > 1 && message.part(0) == Some(b"")
}
