//! [`Req`]: a socket that asks and waits for the answer.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::task::{Context, Poll};

use super::base::Socket;
use super::event::PeerEvent;
use super::outlet::{Lane, Unsent};
use super::peer::LeaveReason;
use super::recv_error::RecvError;
use super::table::Table;
use crate::config::{Config, ConfigError, DuplicateIdentity};
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::proto::SocketType;

/// A REQ socket: sends a request to its peers in rotation and receives the reply.
///
/// The empty delimiter of the wire is added and taken off here; a reply without one is dropped.
/// An endpoint that is connected to has its turn from the beginning, and a request to it waits for
/// the connection, unless [`Config::immediate`] is set.
///
/// A request is given up when its future is dropped, or has timed out, and a new one is made. A late
/// reply to it does not answer a later request:
///
/// * With [`Config::correlate`], replies are told apart by a number.
/// * Otherwise, on a connection that this side made, giving up ends the connection and makes another
///   one. A peer that keeps books learns that nobody waits any more.
/// * On one that the peer made, ending it would not help: libzmq brings a queued reply along to its
///   next connection. From then on, and when such a connection was lost with a request, requests on
///   such connections carry a number as with [`Config::correlate`], and such peers have to send it
///   back, as REP does.
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
    socket: Socket,
    awaiting: Option<Awaiting>,
    next_id: u32,
    /// A request on a connection that a peer made has been given up, or lost with it.
    wary: bool,
}

/// A request without a reply.
#[derive(Clone, Copy, Debug)]
struct Awaiting {
    lane: Lane,
    /// The number it carries.
    id: Option<u32>,
    /// The peer made the connection.
    accepted: bool,
}

/// Messages of others looked at in one poll, so that a peer which never stops holds nobody up.
const NEWS_MAX: usize = 4096;

/// Why a request has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReqError {
    /// It was not sent, for this reason.
    NotSent(SendErrorKind),
    /// The peer that had the request left before it replied. It may or may not have acted on it.
    PeerLost(LeaveReason),
    /// There was none in time. Only a `blocking` socket has a time to keep.
    TimedOut,
    /// The socket is closed.
    Closed,
}

impl fmt::Display for ReqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(kind) => write!(f, "the request was not sent: {kind}"),
            Self::PeerLost(reason) => write!(f, "the peer left before it replied: {reason}"),
            Self::TimedOut => f.write_str("there was no reply in time"),
            Self::Closed => f.write_str("the socket is closed"),
        }
    }
}

impl std::error::Error for ReqError {}

impl Req {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        // It does not address its peers, so their names do not matter.
        let config = config.with_duplicate_identity(DuplicateIdentity::Allow);
        let socket = Socket::new(SocketType::Req, config)?;
        let [a, b, c, d, ..] = super::random().to_be_bytes();
        Ok(Self { socket, awaiting: None, next_id: u32::from_be_bytes([a, b, c, d]), wary: false })
    }

    /// Sends a request, waiting for somebody to send it to if there is nobody, and waits for the
    /// reply. A request made before that has no reply yet is given up.
    ///
    /// # Errors
    ///
    /// [`ReqError::PeerLost`] when the peer leaves before it replies; the request may be made again.
    /// A request that was not written when the connection was lost is no error, it waits for the
    /// next one. [`ReqError::NotSent`] and [`ReqError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the request may have reached a peer or not. The socket can be used
    /// at once, and the next request gets its own reply.
    pub async fn request(&mut self, request: Message) -> Result<Message, ReqError> {
        self.give_up();
        match self.send(request).await.map_err(|error| error.kind()) {
            Ok(()) => {}
            Err(SendErrorKind::Closed) => return Err(ReqError::Closed),
            Err(kind) => return Err(ReqError::NotSent(kind)),
        }
        self.recv().await.map_err(|error| match error {
            RecvError::PeerLost(reason) => ReqError::PeerLost(reason),
            // It is its turn, and it waits.
            _ => ReqError::Closed,
        })
    }

    /// Sends a request to whoever is next. Waits for room, or for somebody to be there, unless
    /// [`Config::on_full`] says otherwise.
    ///
    /// # Errors
    ///
    /// [`SendErrorKind::OutOfTurn`] while a reply is due, unless [`Config::relaxed`] gives that
    /// request up; `Empty` and `Closed`, and where it does not wait `Full` and `NoSuchPeer`. The
    /// message comes back.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send(&mut self, request: Message) -> Result<(), SendError> {
        let request = self.take_turn(request)?;
        let sent = self.socket.hub.send(request, |table, request| self.ask(table, request)).await?;
        self.await_reply(sent);
        Ok(())
    }

    /// Sends a request now or not at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and `Full` or `NoSuchPeer` where that would wait.
    pub fn try_send(&mut self, request: Message) -> Result<(), SendError> {
        let request = self.take_turn(request)?;
        let sent = self.socket.hub.try_send(request, |table, request| self.ask(table, request))?;
        self.await_reply(sent);
        Ok(())
    }

    /// Receives the reply to the request that was sent.
    ///
    /// # Errors
    ///
    /// [`RecvError::OutOfTurn`] when no reply is due, [`RecvError::PeerLost`] and
    /// [`RecvError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no reply is lost and the reply is still due.
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, RecvError>> {
        let Some(awaiting) = self.awaiting else { return Poll::Ready(Err(RecvError::OutOfTurn)) };
        let waker = cx.waker().clone();
        let outcome = self.socket.hub.poll_event(cx, |table| {
            awaiting.take_reply(table).unwrap_or_else(|TooMuch| {
                waker.wake_by_ref();
                None
            })
        });
        outcome.map(|outcome| self.end_turn(outcome.unwrap_or(Err(RecvError::Closed))))
    }

    /// Receives the reply, if it is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`RecvError::Nothing`].
    pub fn try_recv(&mut self) -> Result<Message, RecvError> {
        let Some(awaiting) = self.awaiting else { return Err(RecvError::OutOfTurn) };
        let take = |table: &mut Table| awaiting.take_reply(table).unwrap_or_default();
        match self.socket.hub.try_event(take) {
            Ok(outcome) => self.end_turn(outcome),
            Err(nothing) => Err(nothing),
        }
    }

    fn end_turn(&mut self, outcome: Result<Message, RecvError>) -> Result<Message, RecvError> {
        let awaited = self.awaiting.take();
        self.socket.hub.table().unwatch();
        if let (Err(RecvError::PeerLost(_)), Some(Awaiting { accepted: true, .. })) =
            (&outcome, awaited)
        {
            // A reply may come along with its next connection.
            self.wary = true;
        }
        outcome
    }

    /// Sees to it that it is our turn to send.
    fn take_turn(&mut self, request: Message) -> Result<Message, SendError> {
        if self.awaiting.is_some() {
            if !self.socket.hub.config.relaxed {
                return Err(SendError::new(SendErrorKind::OutOfTurn, request));
            }
            self.give_up();
        }
        Ok(request)
    }

    fn ask(&self, table: &mut Table, request: Message) -> Result<Option<Awaiting>, SendError> {
        // What has arrived before cannot be the reply (libzmq does the same).
        for _ in 0..NEWS_MAX {
            if table.next_event().is_none() {
                break;
            }
        }
        let mut id = None;
        let lane = table.send_next(request, |accepted, request| {
            let by_number = self.socket.hub.config.correlate || (self.wary && accepted);
            id = by_number.then_some(self.next_id);
            // The delimiter (RFC 28, "The REQ Socket Type").
            match id {
                Some(id) => request.prefixed(&[&id.to_ne_bytes()[..], b""]),
                None => request.prefixed(&[""]),
            }
        })?;
        table.watch(lane);
        Ok(Some(Awaiting { lane, id, accepted: table.is_accepted(lane) }))
    }

    /// From now on the reply is due.
    fn await_reply(&mut self, sent: Option<Awaiting>) {
        self.awaiting = sent;
        self.next_id = self.next_id.wrapping_add(1);
    }

    /// Sees to it that no reply to the request that waits, if any, will be taken for another's.
    fn give_up(&mut self) {
        let Some(Awaiting { lane, id, accepted }) = self.awaiting.take() else { return };
        let mut table = self.socket.hub.table();
        table.unwatch();
        if table.retract(lane) || id.is_some() {
            return;
        }
        if accepted {
            self.wary = true;
        } else {
            table.hang_up(lane);
        }
    }

    /// Takes nothing more in, delivers what was sent within [`Config::linger`], ends all connections
    /// and removes the socket files. Returns what could not be delivered.
    ///
    /// What was sent right before, with nothing awaited in between and on a runtime of one thread, leaves
    /// in one with the end: a queue has no moment to give the next request to a worker that ends so.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the socket ends at once as if it had been dropped.
    pub async fn close(self) -> Vec<Unsent> {
        self.socket.close().await
    }
}

impl Deref for Req {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

/// There is more to look at than is looked at in one go.
#[derive(Debug)]
struct TooMuch;

impl Awaiting {
    /// The reply or why there will be none, if either is there. All else is passed over.
    fn take_reply(self, table: &mut Table) -> Result<Option<Result<Message, RecvError>>, TooMuch> {
        for _ in 0..NEWS_MAX {
            match table.next_event() {
                Some(PeerEvent::Message(peer, message)) if table.is_awaited(peer) => {
                    if let Some(reply) = self.open(message) {
                        return Ok(Some(Ok(reply)));
                    }
                }
                Some(_) => {}
                None => {
                    return Ok(table.lost_reply().map(|reason| Err(RecvError::PeerLost(reason))));
                }
            }
        }
        Err(TooMuch)
    }

    /// What is behind the envelope of a reply. Anything but the number that is due, if any, a
    /// delimiter and a body is none, and the wait goes on (RFC 28, "The REQ Socket Type").
    fn open(self, mut message: Message) -> Option<Message> {
        let mut parts = message.parts();
        if let Some(id) = self.id
            && parts.next() != Some(&id.to_ne_bytes()[..])
        {
            return None;
        }
        let sound = parts.next() == Some(b"") && parts.len() > 0;
        message.skip(1 + usize::from(self.id.is_some()));
        sound.then_some(message)
    }
}
