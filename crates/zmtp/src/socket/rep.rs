//! [`Rep`]: a socket that answers one request after the other.

use std::future::poll_fn;
use std::ops::Deref;

use bytes::Bytes;

use super::base::Socket;
use super::event::PeerEvent;
use super::outlet::{Lane, Unsent};
use super::peer::PeerId;
use super::recv_error::RecvError;
use super::table::Table;
use crate::config::{Config, ConfigError, DuplicateIdentity};
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::proto::SocketType;

/// A REP socket: receives a request, then sends the reply to whoever asked, then receives the next.
///
/// The envelope of a request, everything up to its first empty part, is taken off and put in front
/// of the reply. A message without one, or with nothing behind it, is dropped. Turns are by peer.
///
/// ```
/// use zmtp::{Config, Message, Rep};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rep = Rep::new(Config::default())?;
/// let endpoint = rep.bind(&"tcp://127.0.0.1:0".parse()?).await?;
/// # let client = tokio::spawn(async move {
/// #     let mut req = zmtp::Req::new(Config::default()).unwrap();
/// #     req.connect(&endpoint).unwrap();
/// #     req.request(Message::from("Hello")).await.unwrap()
/// # });
/// while let Ok(request) = rep.recv().await {
///     println!("{request:?}");
///     rep.send(Message::from("World")).await?;
/// #     if client.is_finished() { break }
/// #     assert_eq!(client.await?, Message::from("World"));
/// #     break;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rep {
    socket: Socket,
    asked: Option<Asked>,
}

/// Who waits for a reply, and what goes in front of it.
#[derive(Debug)]
struct Asked {
    peer: PeerId,
    envelope: Vec<Bytes>,
}

impl Rep {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        // A reply goes where its request came from, whatever that peer calls itself.
        let config = config.with_duplicate_identity(DuplicateIdentity::Allow);
        Ok(Self { socket: Socket::new(SocketType::Rep, config)?, asked: None })
    }

    /// The next request.
    ///
    /// # Errors
    ///
    /// [`RecvError::OutOfTurn`] while a reply is due, and [`RecvError::Closed`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no request is lost.
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        if self.asked.is_some() {
            return Err(RecvError::OutOfTurn);
        }
        let next = poll_fn(|cx| self.hub.poll_event(cx, next_request)).await;
        let (asked, request) = next.ok_or(RecvError::Closed)?;
        self.asked = Some(asked);
        Ok(request)
    }

    /// The next request, if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`RecvError::Nothing`].
    pub fn try_recv(&mut self) -> Result<Message, RecvError> {
        if self.asked.is_some() {
            return Err(RecvError::OutOfTurn);
        }
        let (asked, request) = self.hub.try_event(next_request)?;
        self.asked = Some(asked);
        Ok(request)
    }

    /// Sends the reply to the request that was received. It never waits unless [`Config::on_full`]
    /// says so. A reply to a peer that has left is dropped and [counted](Socket::dropped).
    ///
    /// # Errors
    ///
    /// [`SendErrorKind::OutOfTurn`] when no reply is due, `Empty`, `Closed`, and `Full` where
    /// [`Config::on_full`] asks for it; after that one the reply is still due. The message comes
    /// back.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent and the reply is still due.
    pub async fn send(&mut self, reply: Message) -> Result<(), SendError> {
        let Some(asked) = &self.asked else { return Err(out_of_turn(reply)) };
        self.hub.send(reply, |table, reply| asked.answer(table, reply)).await?;
        self.asked = None;
        Ok(())
    }

    /// Sends the reply now or not at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn try_send(&mut self, reply: Message) -> Result<(), SendError> {
        let Some(asked) = &self.asked else { return Err(out_of_turn(reply)) };
        self.hub.try_send(reply, |table, reply| asked.answer(table, reply))?;
        self.asked = None;
        Ok(())
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

impl Deref for Rep {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

fn out_of_turn(reply: Message) -> SendError {
    SendError::new(SendErrorKind::OutOfTurn, reply)
}

impl Asked {
    fn answer(&self, table: &mut Table, reply: Message) -> Result<(), SendError> {
        if reply.is_empty() {
            return Err(SendError::new(SendErrorKind::Empty, reply));
        }
        let sent = table.send(Lane::Peer(self.peer), reply.prefixed(&self.envelope));
        match sent.map_err(|error| error.kind()) {
            Ok(()) => Ok(()),
            Err(SendErrorKind::NoSuchPeer) => {
                table.count_dropped();
                Ok(())
            }
            Err(kind) => Err(SendError::new(kind, reply)),
        }
    }
}

/// Joins, leaves and what is no request are passed over.
fn next_request(table: &mut Table) -> Option<(Asked, Message)> {
    loop {
        let PeerEvent::Message(peer, mut message) = table.next_event()? else { continue };
        // The envelope ends with the first empty part (RFC 28, "The REP Socket Type").
        let Some(delimiter) = message.parts().position(<[u8]>::is_empty) else { continue };
        if delimiter + 1 == message.len() {
            continue;
        }
        let envelope = message.parts().take(delimiter + 1).map(Bytes::copy_from_slice).collect();
        message.skip(delimiter + 1);
        return Some((Asked { peer, envelope }, message));
    }
}
