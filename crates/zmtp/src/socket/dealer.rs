//! [`Dealer`]: a socket that sends to its peers in rotation and receives from all in turn.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Sink, Stream};

use super::base::Socket;
use super::event::PeerEvent;
use super::hub::Hub;
use super::outlet::Unsent;
use super::recv_error::RecvError;
use super::sink::SendSink;
use super::table::Table;
use crate::config::{Config, ConfigError, DuplicateIdentity};
use crate::error::SendError;
use crate::message::Message;
use crate::proto::SocketType;

/// A DEALER socket: sends to its peers in rotation and receives from all of them in turn, the two
/// independent of each other.
///
/// Messages are sent and received as they are. To talk to a REP or as a REQ does, put the empty
/// delimiter in front.
///
/// Turns are by peer, in both directions. A peer whose queue is full is passed over; when all are,
/// or there is no peer, [`Config::on_full`] says what happens, and the default is to wait. An
/// endpoint that is connected to has its turn from the beginning, and what is sent there waits for
/// the connection, unless [`Config::immediate`] is set.
///
/// The socket is the receiving half; [`sender`](Self::sender) gives the sending half to other tasks.
///
/// ```
/// use zmtp::{Config, Dealer, Message};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let rep = zmtp::Rep::new(Config::default())?;
/// # let endpoint = rep.bind(&"tcp://127.0.0.1:0".parse()?).await?;
/// # let mut rep = rep;
/// # tokio::spawn(async move {
/// #     while let Ok(request) = rep.recv().await { rep.send(request).await.unwrap() }
/// # });
/// let mut dealer = Dealer::new(Config::default())?;
/// dealer.connect(&endpoint)?;
/// for i in 0..3 {
///     dealer.send(Message::from(["".to_owned(), format!("request {i}")])).await?;
/// }
/// for _ in 0..3 {
///     let Some(reply) = dealer.recv().await else { break };
///     println!("{reply:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Dealer {
    socket: Socket,
}

impl Dealer {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the field.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        // It does not address its peers, so their names do not matter.
        let config = config.with_duplicate_identity(DuplicateIdentity::Allow);
        Ok(Self { socket: Socket::new(SocketType::Dealer, config)? })
    }

    /// A handle that sends, for other tasks.
    #[must_use]
    pub fn sender(&self) -> DealerSender {
        DealerSender { hub: self.hub.clone() }
    }

    /// Sends a message to whoever is next. Waits for room, or for somebody to be there, unless
    /// [`Config::on_full`] says otherwise.
    ///
    /// # Errors
    ///
    /// [`SendErrorKind`](crate::SendErrorKind)`::Empty` and `Closed`, and where it does not wait
    /// `Full` and `NoSuchPeer`. The message comes back.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        send(&self.hub, message).await
    }

    /// Sends a message to whoever is next, now or not at all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and `Full` or `NoSuchPeer` where that would wait.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        try_send(&self.hub, message)
    }

    /// The next message, or `None` once the socket is closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.hub.poll_event(cx, next_message)).await
    }

    /// The next message, if there is one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Nothing`] and [`RecvError::Closed`].
    pub fn try_recv(&mut self) -> Result<Message, RecvError> {
        self.hub.try_event(next_message)
    }

    /// Waits for messages and appends to `messages` all there are, `max` at most, in the order of
    /// turns. Returns how many; 0 says that the socket is closed, or that `max` is 0.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv_many(&mut self, messages: &mut Vec<Message>, max: usize) -> usize {
        poll_fn(|cx| self.hub.poll_many(cx, messages, max, next_message)).await
    }

    /// The next thing to tell of a peer, or `None` once the socket is closed. From the first call on,
    /// no join and no leave is passed over, and they come in order with the messages; they have to
    /// be received, for a peer that left is kept until then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no event is lost.
    pub async fn recv_event(&mut self) -> Option<PeerEvent> {
        self.hub.table().report_all();
        poll_fn(|cx| self.hub.poll_event(cx, Table::next_event)).await
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

impl Deref for Dealer {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

/// The messages of the socket, until it is closed.
impl Stream for Dealer {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.hub.poll_event(cx, next_message)
    }
}

/// Sends for a [`Dealer`], from any task. Once the socket is closed or dropped, it says so.
#[derive(Clone, Debug)]
pub struct DealerSender {
    hub: Arc<Hub>,
}

impl DealerSender {
    /// [`Dealer::send`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has been sent.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        send(&self.hub, message).await
    }

    /// [`Dealer::try_send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        try_send(&self.hub, message)
    }

    /// This sender as a sink of messages, which is ready when [`send`](Self::send) does not wait.
    pub fn into_sink(self) -> impl Sink<Message, Error = SendError> + Send + Unpin {
        SendSink::new(move |message| {
            let sender = self.clone();
            async move { sender.send(message).await }
        })
    }
}

async fn send(hub: &Hub, message: Message) -> Result<(), SendError> {
    hub.send(message, send_next).await
}

fn try_send(hub: &Hub, message: Message) -> Result<(), SendError> {
    hub.try_send(message, send_next)
}

fn send_next(table: &mut Table, message: Message) -> Result<(), SendError> {
    table.send_next(message, |_, message| message).map(drop)
}

/// Joins and leaves are passed over.
fn next_message(table: &mut Table) -> Option<Message> {
    loop {
        if let PeerEvent::Message(_, message) = table.next_event()? {
            return Some(message);
        }
    }
}
