//! The sockets for programs without a runtime: each call waits until it is done.
//!
//! One thread for all sockets of the process does their input and output, from the first socket on,
//! so that heartbeats are answered and messages arrive whatever the program does meanwhile. Do not
//! use these within a runtime: there they panic rather than hold it up.
//!
//! ```
//! use std::time::Duration;
//! use zmtp::blocking::{Rep, Req};
//! use zmtp::{Config, Message};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut rep = Rep::new(Config::default())?;
//! let endpoint = rep.bind(&"tcp://127.0.0.1:0".parse()?)?;
//! let service = std::thread::spawn(move || {
//!     let request = rep.recv().unwrap();
//!     rep.send(request).unwrap();
//!     rep.close();
//! });
//!
//! let mut req = Req::new(Config::default())?;
//! req.set_timeout(Some(Duration::from_secs(5)));
//! req.connect(&endpoint)?;
//! let reply = req.request(Message::from("Hello"))?;
//! assert_eq!(reply, Message::from("Hello"));
//! # service.join().unwrap();
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;

use crate::{
    BindError, Config, ConfigError, Endpoint, EndpointError, Message, Monitor, MonitorEvent,
    PeerEvent, PeerId, RecvError, ReqError, SendError, Socket, Unsent,
};

/// A [`Req`](crate::Req) that waits.
pub type Req = Blocking<crate::Req>;
/// A [`Rep`](crate::Rep) that waits.
pub type Rep = Blocking<crate::Rep>;
/// A [`Dealer`](crate::Dealer) that waits.
pub type Dealer = Blocking<crate::Dealer>;
/// A [`Router`](crate::Router) that waits.
pub type Router = Blocking<crate::Router>;

/// A socket whose calls wait, each for as long as [`set_timeout`](Self::set_timeout) allows.
#[derive(Debug)]
pub struct Blocking<S> {
    socket: S,
    io: Handle,
    timeout: Option<Duration>,
}

/// Why there is no socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration makes no sense.
    Config(ConfigError),
    /// The thread could not be started.
    Io(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot start the thread for input and output: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// The runtime of the thread, which is started for the first socket.
fn io() -> io::Result<Handle> {
    static IO: Mutex<Option<Handle>> = Mutex::new(None);
    let mut io = IO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*io {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(std::future::pending());
    std::thread::Builder::new().name("zmtp".to_owned()).spawn::<_, ()>(run)?;
    Ok(io.insert(handle).clone())
}

impl<S: Deref<Target = Socket>> Blocking<S> {
    fn start(socket: Result<S, ConfigError>) -> Result<Self, StartError> {
        let socket = socket.map_err(StartError::Config)?;
        Ok(Self { socket, io: io().map_err(StartError::Io)?, timeout: None })
    }

    /// How long sending and receiving wait from now on; `None`, for ever, unless it is set. libzmq:
    /// `ZMQ_SNDTIMEO` and `ZMQ_RCVTIMEO`.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Listens on an endpoint, as [`Socket::bind`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn bind(&self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        self.io.block_on(self.socket.bind(endpoint))
    }

    /// Connects to an endpoint, as [`Socket::connect`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let _io = self.io.enter();
        self.socket.connect(endpoint)
    }

    /// Stops listening on an endpoint, as [`Socket::unbind`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unbind(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        self.io.block_on(self.socket.unbind(endpoint))
    }

    /// Ends the connections to an endpoint, as [`Socket::disconnect`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn disconnect(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        self.io.block_on(self.socket.disconnect(endpoint))
    }

    /// The socket itself, for what does not wait: `try_send`, `peers`, `endpoints`, `sender` and so on.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.socket
    }

    /// The socket itself, for what does not wait: `try_recv` and so on.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// The next event of a [`Monitor`] of this socket, or `None` once the socket is gone or when the
    /// time is over.
    pub fn next_event(&self, monitor: &mut Monitor) -> Option<MonitorEvent> {
        self.io.block_on(within(self.timeout, monitor.recv())).flatten()
    }
}

/// What `future` comes to within `limit`, if there is one.
async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

impl Blocking<crate::Req> {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        Self::start(crate::Req::new(config))
    }

    /// Sends a request and waits for the reply, as [`Req::request`](crate::Req::request) does.
    ///
    /// # Errors
    ///
    /// As there, and [`ReqError::TimedOut`]. The socket can be used at once.
    pub fn request(&mut self, request: Message) -> Result<Message, ReqError> {
        let reply = within(self.timeout, self.socket.request(request));
        self.io.block_on(reply).unwrap_or(Err(ReqError::TimedOut))
    }

    /// Sends a request, as [`Req::send`](crate::Req::send) does.
    ///
    /// # Errors
    ///
    /// As there, and as [`Req::try_send`](crate::Req::try_send) when the time is over.
    pub fn send(&mut self, request: Message) -> Result<(), SendError> {
        let sent = self.io.block_on(within(self.timeout, self.socket.send(request.clone())));
        sent.unwrap_or_else(|| self.socket.try_send(request))
    }

    /// Receives the reply, as [`Req::recv`](crate::Req::recv) does.
    ///
    /// # Errors
    ///
    /// As there, and [`RecvError::Nothing`] when the time is over; the reply is still due.
    pub fn recv(&mut self) -> Result<Message, RecvError> {
        let reply = within(self.timeout, self.socket.recv());
        self.io.block_on(reply).unwrap_or(Err(RecvError::Nothing))
    }

    /// Closes the socket, as [`Req::close`](crate::Req::close) does.
    pub fn close(self) -> Vec<Unsent> {
        self.io.block_on(self.socket.close())
    }
}

impl Blocking<crate::Rep> {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        Self::start(crate::Rep::new(config))
    }

    /// Receives the next request, as [`Rep::recv`](crate::Rep::recv) does.
    ///
    /// # Errors
    ///
    /// As there, and [`RecvError::Nothing`] when the time is over.
    pub fn recv(&mut self) -> Result<Message, RecvError> {
        let request = within(self.timeout, self.socket.recv());
        self.io.block_on(request).unwrap_or(Err(RecvError::Nothing))
    }

    /// Sends the reply, as [`Rep::send`](crate::Rep::send) does.
    ///
    /// # Errors
    ///
    /// As there, and as [`Rep::try_send`](crate::Rep::try_send) when the time is over.
    pub fn send(&mut self, reply: Message) -> Result<(), SendError> {
        let sent = self.io.block_on(within(self.timeout, self.socket.send(reply.clone())));
        sent.unwrap_or_else(|| self.socket.try_send(reply))
    }

    /// Closes the socket, as [`Rep::close`](crate::Rep::close) does.
    pub fn close(self) -> Vec<Unsent> {
        self.io.block_on(self.socket.close())
    }
}

impl Blocking<crate::Dealer> {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        Self::start(crate::Dealer::new(config))
    }

    /// Sends a message, as [`Dealer::send`](crate::Dealer::send) does.
    ///
    /// # Errors
    ///
    /// As there, and as [`Dealer::try_send`](crate::Dealer::try_send) when the time is over.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        let sent = self.io.block_on(within(self.timeout, self.socket.send(message.clone())));
        sent.unwrap_or_else(|| self.socket.try_send(message))
    }

    /// Receives the next message, as [`Dealer::recv`](crate::Dealer::recv) does.
    ///
    /// # Errors
    ///
    /// [`RecvError::Nothing`] when the time is over, and [`RecvError::Closed`].
    pub fn recv(&mut self) -> Result<Message, RecvError> {
        let next = self.io.block_on(within(self.timeout, self.socket.recv()));
        next.ok_or(RecvError::Nothing)?.ok_or(RecvError::Closed)
    }

    /// Closes the socket, as [`Dealer::close`](crate::Dealer::close) does.
    pub fn close(self) -> Vec<Unsent> {
        self.io.block_on(self.socket.close())
    }
}

impl Blocking<crate::Router> {
    /// A socket without endpoints.
    ///
    /// # Errors
    ///
    /// A [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        Self::start(crate::Router::new(config))
    }

    /// Sends a message to a peer, as [`Router::send`](crate::Router::send) does.
    ///
    /// # Errors
    ///
    /// As there, and as [`Router::try_send`](crate::Router::try_send) when the time is over.
    pub fn send(&self, peer: PeerId, message: Message) -> Result<(), SendError> {
        let sent = self.io.block_on(within(self.timeout, self.socket.send(peer, message.clone())));
        sent.unwrap_or_else(|| self.socket.try_send(peer, message))
    }

    /// Sends a message by routing id, as [`Router::send_to`](crate::Router::send_to) does.
    ///
    /// # Errors
    ///
    /// As there, and as [`Router::try_send_to`](crate::Router::try_send_to) when the time is over.
    pub fn send_to(&self, routing_id: &[u8], message: Message) -> Result<(), SendError> {
        let send = self.socket.send_to(routing_id, message.clone());
        let sent = self.io.block_on(within(self.timeout, send));
        sent.unwrap_or_else(|| self.socket.try_send_to(routing_id, message))
    }

    /// Connects and gives the peer a name, as [`Router::connect_as`](crate::Router::connect_as) does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn connect_as(
        &self,
        endpoint: &Endpoint,
        routing_id: impl Into<Bytes>,
    ) -> Result<(), EndpointError> {
        let _io = self.io.enter();
        self.socket.connect_as(endpoint, routing_id)
    }

    /// Receives the next message, as [`Router::recv`](crate::Router::recv) does.
    ///
    /// # Errors
    ///
    /// [`RecvError::Nothing`] when the time is over, and [`RecvError::Closed`].
    pub fn recv(&mut self) -> Result<(PeerId, Message), RecvError> {
        let next = self.io.block_on(within(self.timeout, self.socket.recv()));
        next.ok_or(RecvError::Nothing)?.ok_or(RecvError::Closed)
    }

    /// Receives the next event, as [`Router::recv_event`](crate::Router::recv_event) does.
    ///
    /// # Errors
    ///
    /// [`RecvError::Nothing`] when the time is over, and [`RecvError::Closed`].
    pub fn recv_event(&mut self) -> Result<PeerEvent, RecvError> {
        let next = self.io.block_on(within(self.timeout, self.socket.recv_event()));
        next.ok_or(RecvError::Nothing)?.ok_or(RecvError::Closed)
    }

    /// Closes the socket, as [`Router::close`](crate::Router::close) does.
    pub fn close(self) -> Vec<Unsent> {
        self.io.block_on(self.socket.close())
    }
}
