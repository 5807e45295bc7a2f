//! Errors, by whose fault they are: the peer's ([`ProtocolError`]), or the caller's and the
//! system's ([`SendError`], `BindError`).

use std::fmt;

use crate::message::Message;
use crate::proto::SocketType;

/// What a peer did against the protocol. It ends that peer's connection and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first bytes are not those of ZMTP 2.0 or later. Holds the byte that told.
    NotZmtp(u8),
    /// The peer speaks a version below 3. Holds its major version.
    UnsupportedVersion(u8),
    /// The peer wants a mechanism other than NULL. Holds the name as it was sent.
    MechanismMismatch([u8; 20]),
    /// A frame's flags byte has a reserved bit set. Holds the byte.
    ReservedFlags(u8),
    /// A command frame says that more frames follow.
    CommandWithMore,
    /// A frame's length is 2^63 or above. Holds the length.
    LengthOutOfRange(u64),
    /// A frame's body is larger than `max_frame_size`.
    FrameTooLarge {
        /// Bytes that the peer announced.
        size: u64,
        /// The limit in force.
        max: usize,
    },
    /// A message costs more than `max_message_size`, counting 64 bytes for each frame.
    MessageTooLarge {
        /// The limit in force.
        max: usize,
    },
    /// A message has more parts than `max_frames`.
    TooManyFrames {
        /// The limit in force.
        max: usize,
    },
    /// A command is larger than `max_command_size`.
    CommandTooLarge {
        /// Bytes that the peer announced.
        size: u64,
        /// The limit in force.
        max: usize,
    },
    /// A command's fields do not add up. Names the command or the field.
    MalformedCommand(&'static str),
    /// Something other than READY or ERROR arrived before the handshake was over.
    UnexpectedInHandshake,
    /// A READY stated the named property twice.
    DuplicateProperty(&'static str),
    /// A READY did not say which socket type the peer is.
    MissingSocketType,
    /// The peer's socket type cannot talk to ours.
    IncompatibleSocket {
        /// Our socket type.
        ours: SocketType,
        /// The peer's, shortened to 16 bytes and made printable.
        theirs: Box<str>,
    },
    /// An identity longer than 255 bytes, or one that starts with a zero byte.
    BadIdentity,
    /// The peer refused us with an ERROR command. Holds its reason, made printable.
    Refused(Box<str>),
    /// The handshake was not over in time.
    HandshakeTimeout,
    /// The peer showed no sign of life after a PING, or for as long as it said it would.
    HeartbeatTimeout,
    /// The stream ended before the greeting was whole. So it does with a libzmq peer that wants another mechanism than
    /// NULL, which closes the connection once it has our greeting, and with who only looks whether somebody listens.
    EndedInGreeting,
    /// The stream ended inside the handshake, a frame or a message.
    TruncatedAtEof,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotZmtp(byte) => {
                write!(f, "not a ZMTP 3 peer: byte {byte:#04x} where its signature should be")?;
                match byte {
                    b'D' | b'G' | b'H' | b'O' | b'P' => f.write_str(", as HTTP begins"),
                    0x16 => f.write_str(", as TLS begins"),
                    _ => Ok(()),
                }
            }
            Self::UnsupportedVersion(major) => {
                write!(f, "ZMTP version {major} is not supported, 3 or later is")
            }
            Self::MechanismMismatch(name) => {
                write!(f, "security mechanism {} is not NULL", printable(name.as_slice()))
            }
            Self::ReservedFlags(flags) => write!(f, "reserved bits in frame flags {flags:#04x}"),
            Self::CommandWithMore => f.write_str("a command frame announces more frames"),
            Self::LengthOutOfRange(len) => write!(f, "frame length {len} is out of range"),
            Self::FrameTooLarge { size, max } => {
                write!(f, "frame of {size} bytes exceeds the limit of {max}")
            }
            Self::MessageTooLarge { max } => write!(f, "message exceeds the limit of {max} bytes"),
            Self::TooManyFrames { max } => write!(f, "message exceeds the limit of {max} frames"),
            Self::CommandTooLarge { size, max } => {
                write!(f, "command of {size} bytes exceeds the limit of {max}")
            }
            Self::MalformedCommand(name) => write!(f, "malformed {name}"),
            Self::UnexpectedInHandshake => f.write_str("neither READY nor ERROR in the handshake"),
            Self::DuplicateProperty(name) => write!(f, "property {name} is stated twice"),
            Self::MissingSocketType => f.write_str("READY without a Socket-Type"),
            Self::IncompatibleSocket { ours, theirs } => {
                write!(f, "a {theirs} socket cannot talk to a {ours} socket")
            }
            Self::BadIdentity => {
                f.write_str("identity is longer than 255 bytes or starts with a zero byte")
            }
            Self::Refused(reason) => write!(f, "refused by the peer: {reason}"),
            Self::HandshakeTimeout => f.write_str("handshake was not over in time"),
            Self::HeartbeatTimeout => f.write_str("no sign of life in time"),
            Self::EndedInGreeting => f.write_str(
                "stream ended in the greeting: the peer wants a security mechanism such as PLAIN or CURVE and there is \
                 only NULL, or it just looked whether somebody listens",
            ),
            Self::TruncatedAtEof => f.write_str("stream ended inside a message"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// A peer's bytes for a person to read: at most 64, trailing zeros cut, the rest escaped.
pub(crate) fn printable(bytes: &[u8]) -> Box<str> {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let shown = bytes.iter().take(end.min(64));
    shown.flat_map(|&byte| std::ascii::escape_default(byte)).map(char::from).collect()
}

/// A message that was not sent, and why. The message comes back with it.
#[derive(Clone, PartialEq, Eq)]
pub struct SendError {
    kind: SendErrorKind,
    message: Message,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The peer's queue is at its high-water mark, or those of all peers whose turn it could be.
    Full,
    /// The peer has left, or never was; or there is nobody at all whose turn it could be.
    NoSuchPeer,
    /// A REQ is due to receive, or a REP has nothing to reply to.
    OutOfTurn,
    /// The connection or the socket is closed.
    Closed,
    /// The handshake is not over yet.
    NotReady,
    /// The message has no part: ZMTP cannot express that.
    Empty,
}

impl SendError {
    pub(crate) fn new(kind: SendErrorKind, message: Message) -> Self {
        Self { kind, message }
    }

    /// Why the message was not sent.
    #[must_use]
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }

    /// The message, unchanged.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.message
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the peer's queue is full",
            Self::NoSuchPeer => "no such peer",
            Self::OutOfTurn => "requests and replies take turns",
            Self::Closed => "the connection or the socket is closed",
            Self::NotReady => "the handshake is not over yet",
            Self::Empty => "a message needs at least one part",
        })
    }
}

impl std::error::Error for SendError {}
