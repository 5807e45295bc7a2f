//! [`RawPeer`]: a peer that does what a script says, to test other peers byte by byte.
//!
//! ```
//! use zmtp::proto::SocketType;
//! use zmtp::testing::RawPeer;
//! use zmtp::{Config, Message, Router};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The peer under test.
//! let mut router = Router::new(Config::default())?;
//! let endpoint = router.bind(&"tcp://127.0.0.1:0".parse()?).await?;
//!
//! let mut peer = RawPeer::connect(&endpoint).await?;
//! let router_info = peer.shake_hands(SocketType::Req, b"ME").await?;
//! assert_eq!(router_info.socket_type, SocketType::Router);
//! peer.send(b"\x01\x00").await?; // an empty delimiter, more to come
//! peer.send(b"\x04\x07\x04PING\x00\x00").await?; // a PING in the middle of a message
//! peer.expect(b"\x04\x05\x04PONG").await?;
//! peer.send(b"\x00\x05Hello").await?;
//! assert_eq!(router.recv().await.map(|(_, message)| message), Some(Message::from(["", "Hello"])));
//!
//! peer.send(b"\x08").await?; // a reserved bit
//! peer.expect_end().await?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::config::TransportOptions;
use crate::endpoint::Endpoint;
use crate::engine::{BindError, Listener, Stream};
use crate::error::ProtocolError;
use crate::proto::{
    Command, FrameHeader, GREETING, GREETING_SIZE, PeerInfo, SocketType, decode_greeting,
    encode_ready,
};

/// How long a step waits unless [`RawPeer::with_patience`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// What did not go as the script said.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScriptError {
    /// The peer under test sent something else.
    Unexpected {
        /// What it was to send.
        expected: Vec<u8>,
        /// What it sent instead, as far as it was read.
        received: Vec<u8>,
    },
    /// Its handshake breaks the protocol.
    Protocol(ProtocolError),
    /// It ended the connection.
    Ended,
    /// It did nothing in time.
    TimedOut,
    /// The connection failed.
    Io(io::Error),
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { expected, received } => write!(
                f,
                "expected \"{}\" and received \"{}\"",
                expected.escape_ascii(),
                received.escape_ascii()
            ),
            Self::Protocol(error) => error.fmt(f),
            Self::Ended => f.write_str("the peer ended the connection"),
            Self::TimedOut => f.write_str("the peer did nothing in time"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ScriptError {}

impl From<io::Error> for ScriptError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Ended,
            _ => Self::Io(error),
        }
    }
}

impl From<ProtocolError> for ScriptError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

trait Transport: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Transport for S {}

/// One end of a connection that sends just the bytes it is told to.
pub struct RawPeer {
    stream: Pin<Box<dyn Transport>>,
    patience: Duration,
}

impl fmt::Debug for RawPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPeer").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl RawPeer {
    /// A peer on a stream that has been made, for instance one half of [`tokio::io::duplex`].
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        Self { stream: Box::pin(stream), patience: PATIENCE }
    }

    fn over(stream: Stream) -> Self {
        match stream {
            Stream::Tcp(stream) => Self::new(stream),
            Stream::Unix(stream) => Self::new(stream),
        }
    }

    /// Connects to the peer under test.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        Ok(Self::over(Stream::connect(endpoint, &TransportOptions::default()).await?))
    }

    /// How long each step waits; 10 s if not set.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// [`ScriptError::TimedOut`] if the peer under test does not take them, and
    /// [`ScriptError::Io`] if it has closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), ScriptError> {
        let sent = timeout(self.patience, self.stream.write_all(bytes)).await;
        Ok(sent.map_err(|_| ScriptError::TimedOut)??)
    }

    /// Says that there is nothing more to come, and keeps reading.
    ///
    /// # Errors
    ///
    /// [`ScriptError::Io`].
    pub async fn finish(&mut self) -> Result<(), ScriptError> {
        Ok(self.stream.shutdown().await?)
    }

    /// Receives this many bytes.
    ///
    /// # Errors
    ///
    /// [`ScriptError::Ended`], [`ScriptError::TimedOut`] and [`ScriptError::Io`].
    pub async fn receive(&mut self, count: usize) -> Result<Vec<u8>, ScriptError> {
        // The count may be what the peer under test declares: room grows with what arrives.
        let mut bytes = Vec::new();
        let mut stream = (&mut self.stream).take(count as u64);
        let read = timeout(self.patience, stream.read_to_end(&mut bytes)).await;
        read.map_err(|_| ScriptError::TimedOut)??;
        if bytes.len() == count { Ok(bytes) } else { Err(ScriptError::Ended) }
    }

    /// Receives just these bytes.
    ///
    /// # Errors
    ///
    /// [`ScriptError::Unexpected`] for others, and as [`receive`](Self::receive).
    pub async fn expect(&mut self, expected: &[u8]) -> Result<(), ScriptError> {
        let received = self.receive(expected.len()).await?;
        if received == expected {
            return Ok(());
        }
        Err(ScriptError::Unexpected { expected: expected.to_vec(), received })
    }

    /// Receives nothing more: the peer under test has closed the connection.
    ///
    /// # Errors
    ///
    /// [`ScriptError::Unexpected`] for a byte, and [`ScriptError::TimedOut`].
    pub async fn expect_end(&mut self) -> Result<(), ScriptError> {
        match self.receive(1).await {
            Err(ScriptError::Ended) => Ok(()),
            // It closed with bytes of ours unread.
            Err(ScriptError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error),
            Ok(received) => Err(ScriptError::Unexpected { expected: Vec::new(), received }),
        }
    }

    /// Receives one frame: its header as it was sent, and its body.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive), and [`ScriptError::Protocol`] for a header that is none.
    pub async fn receive_frame(&mut self) -> Result<(FrameHeader, Vec<u8>), ScriptError> {
        let mut head = BytesMut::new();
        loop {
            head.extend_from_slice(&self.receive(1).await?);
            if let Some((header, _)) = FrameHeader::decode(&head)? {
                let size = usize::try_from(header.len).unwrap_or(usize::MAX);
                return Ok((header, self.receive(size).await?));
            }
        }
    }

    /// Sends a greeting and READY, and receives the same. Returns what the peer under test said of
    /// itself.
    ///
    /// # Errors
    ///
    /// As [`receive_frame`](Self::receive_frame).
    pub async fn shake_hands(
        &mut self,
        socket_type: SocketType,
        identity: &[u8],
    ) -> Result<PeerInfo, ScriptError> {
        self.send(&GREETING).await?;
        let greeting = self.receive(GREETING_SIZE).await?;
        let version = decode_greeting(&greeting)?.ok_or(ScriptError::Ended)?;
        let mut ready = Vec::new();
        encode_ready(socket_type, identity, &[], &mut ready);
        self.send(&ready).await?;
        let (_, body) = self.receive_frame().await?;
        match Command::decode(&body)? {
            Command::Ready(properties) => Ok(PeerInfo::decode(socket_type, version, properties)?),
            _ => Err(ScriptError::Protocol(ProtocolError::UnexpectedInHandshake)),
        }
    }
}

/// Where peers under test connect to.
#[derive(Debug)]
pub struct RawListener(Listener);

impl RawListener {
    /// Listens on an endpoint.
    ///
    /// # Errors
    ///
    /// A [`BindError`].
    pub async fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        Ok(Self(Listener::bind(endpoint, &TransportOptions::default()).await?))
    }

    /// The endpoint as it was bound.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn accept(&self) -> io::Result<RawPeer> {
        Ok(RawPeer::over(self.0.accept().await?.0))
    }
}

/// An id as a socket gives it out, for what is tested without a socket.
#[must_use]
pub fn peer_id(index: u32, generation: u32) -> crate::PeerId {
    crate::PeerId { slot: index, generation }
}
