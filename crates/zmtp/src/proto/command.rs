//! Commands: READY and ERROR in the handshake, PING and PONG in traffic (RFC 37).
//!
//! A command's body is a name, its length in front, and data.

use bytes::{BufMut, Bytes};

use super::frame::FrameHeader;
use super::greeting::Version;
use super::socket_type::SocketType;
use crate::error::{ProtocolError, printable};

/// The longest identity (RFC 37, "The Identity Property").
pub const MAX_IDENTITY_SIZE: usize = 255;

/// The most bytes of a PING's context that are echoed, as in libzmq (RFC 37, "Heartbeating").
const MAX_CONTEXT_SIZE: usize = 16;

/// A command as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// The end of the NULL handshake. Holds the encoded properties.
    Ready(&'a [u8]),
    /// The peer refuses the connection. Holds its reason.
    Error(&'a [u8]),
    /// Asks for a PONG.
    Ping {
        /// Tenths of a second after which the peer gives up on a silent link; 0 for never.
        ttl: u16,
        /// What the PONG is to carry, cut to 16 bytes.
        context: &'a [u8],
    },
    /// Answers a PING.
    Pong,
    /// A command that means nothing to these sockets.
    Unknown,
}

impl<'a> Command<'a> {
    /// Reads a command frame's body.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::MalformedCommand`] when a field is cut short.
    pub fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let (name, data) = split_short(body).ok_or(ProtocolError::MalformedCommand("command"))?;
        match name {
            b"READY" => Ok(Self::Ready(data)),
            b"ERROR" => {
                // libzmq tolerates bytes behind the reason.
                let reason = split_short(data).ok_or(ProtocolError::MalformedCommand("ERROR"))?.0;
                Ok(Self::Error(reason))
            }
            b"PING" => {
                let (ttl, context) =
                    data.split_first_chunk().ok_or(ProtocolError::MalformedCommand("PING"))?;
                let context = context.get(..MAX_CONTEXT_SIZE).unwrap_or(context);
                Ok(Self::Ping { ttl: u16::from_be_bytes(*ttl), context })
            }
            b"PONG" => Ok(Self::Pong),
            _ => Ok(Self::Unknown),
        }
    }
}

/// What a peer said of itself in the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The version its greeting stated.
    pub version: Version,
    /// Its socket type.
    pub socket_type: SocketType,
    /// Its announced identity; empty for an anonymous peer.
    pub identity: Bytes,
    /// All properties as they were sent; known to be well-formed.
    encoded: Bytes,
}

impl PeerInfo {
    /// All properties as they were sent.
    #[cfg(feature = "tokio")]
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// All properties, names and values as they were sent.
    pub fn properties(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.encoded[..];
        std::iter::from_fn(move || {
            let (name, value, behind) = split_property(rest)?;
            rest = behind;
            Some((name, value))
        })
    }

    /// The value of the first property of this name; case does not count.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        let named = |(of, _): &(&[u8], &[u8])| of.eq_ignore_ascii_case(name.as_bytes());
        self.properties().find(named).map(|(_, value)| value)
    }

    /// Reads READY's properties and judges whether a socket of type `ours` may talk to the peer.
    ///
    /// # Errors
    ///
    /// The field that is wrong, as a [`ProtocolError`]: a property cut short or without a name, a
    /// Socket-Type that is missing, stated twice or incompatible, an Identity that is stated twice,
    /// longer than 255 bytes or starts with a zero byte.
    pub fn decode(
        ours: SocketType,
        version: Version,
        properties: &[u8],
    ) -> Result<Self, ProtocolError> {
        let mut socket_type = None;
        let mut identity = None;
        let mut rest = properties;
        while !rest.is_empty() {
            let (name, value, behind) =
                split_property(rest).ok_or(ProtocolError::MalformedCommand("READY"))?;
            rest = behind;
            // Names do not depend on case (RFC 37, "Connection metadata").
            if name.eq_ignore_ascii_case(b"Socket-Type") {
                let theirs = compatible(ours, value)?;
                set_once(&mut socket_type, theirs, "Socket-Type")?;
            } else if name.eq_ignore_ascii_case(b"Identity") {
                set_once(&mut identity, check_identity(value)?, "Identity")?;
            }
        }
        Ok(Self {
            version,
            socket_type: socket_type.ok_or(ProtocolError::MissingSocketType)?,
            identity: identity.unwrap_or_default(),
            encoded: Bytes::copy_from_slice(properties),
        })
    }
}

fn compatible(ours: SocketType, name: &[u8]) -> Result<SocketType, ProtocolError> {
    SocketType::from_name(name).filter(|&theirs| ours.accepts(theirs)).ok_or_else(|| {
        let theirs = printable(name.get(..16).unwrap_or(name));
        ProtocolError::IncompatibleSocket { ours, theirs }
    })
}

/// Identities that start with a zero byte are ours to give out (RFC 28, "The ROUTER Socket Type").
fn check_identity(value: &[u8]) -> Result<Bytes, ProtocolError> {
    if value.len() > MAX_IDENTITY_SIZE || value.first() == Some(&0) {
        return Err(ProtocolError::BadIdentity);
    }
    Ok(Bytes::copy_from_slice(value))
}

fn set_once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), ProtocolError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ProtocolError::DuplicateProperty(name)),
    }
}

/// Splits a field with a one-byte length off the front.
fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(len))
}

fn split_property(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = split_short(bytes).filter(|(name, _)| !name.is_empty())?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (value, rest) = rest.split_at_checked(len)?;
    Some((name, value, rest))
}

/// Writes the READY command of a socket, in libzmq's order of properties. Properties of one's own
/// come last; a name is cut to 255 bytes.
pub fn encode_ready(
    socket_type: SocketType,
    identity: &[u8],
    properties: &[(String, Bytes)],
    out: &mut impl BufMut,
) {
    let mut body = b"\x05READY".to_vec();
    put_property(&mut body, b"Socket-Type", socket_type.name().as_bytes());
    if socket_type.announces_identity() {
        put_property(&mut body, b"Identity", identity);
    }
    for (name, value) in properties {
        put_property(&mut body, name.as_bytes(), value);
    }
    put_command(&body, out);
}

/// Writes an ERROR command. The reason is cut to 255 bytes.
pub fn encode_error(reason: &str, out: &mut impl BufMut) {
    let mut body = b"\x05ERROR".to_vec();
    put_short(&mut body, reason.as_bytes());
    put_command(&body, out);
}

/// Writes a PING command without a context. `ttl` is in tenths of a second.
pub fn encode_ping(ttl: u16, out: &mut impl BufMut) {
    let mut body = b"\x04PING".to_vec();
    body.extend(ttl.to_be_bytes());
    put_command(&body, out);
}

/// Writes a PONG command.
pub fn encode_pong(context: &[u8], out: &mut impl BufMut) {
    let mut body = b"\x04PONG".to_vec();
    body.extend_from_slice(context);
    put_command(&body, out);
}

fn put_command(body: &[u8], out: &mut impl BufMut) {
    FrameHeader::command(body.len()).encode(out);
    out.put_slice(body);
}

fn put_property(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_short(out, name);
    let value = value.get(..u32::MAX as usize).unwrap_or(value);
    out.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(value);
}

fn put_short(out: &mut Vec<u8>, field: &[u8]) {
    let field = field.get(..255).unwrap_or(field);
    out.push(u8::try_from(field.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    const V31: Version = Version { major: 3, minor: 1 };

    fn ready(properties: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in properties {
            put_property(&mut out, name, value);
        }
        out
    }

    fn decode(properties: &[(&[u8], &[u8])]) -> Result<PeerInfo, ProtocolError> {
        PeerInfo::decode(SocketType::Router, V31, &ready(properties))
    }

    #[test]
    fn ready_of_each_type_is_what_libzmq_sends() {
        let ready = |socket_type, identity: &[u8]| {
            let mut out = Vec::new();
            encode_ready(socket_type, identity, &[], &mut out);
            out
        };
        let req = b"\x04\x26\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0";
        assert_eq!(ready(SocketType::Req, b""), req);
        assert_eq!(ready(SocketType::Rep, b"X"), b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP");
        let dealer = b"\x04\x2A\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x01X";
        assert_eq!(ready(SocketType::Dealer, b"X"), dealer);
        assert_eq!(ready(SocketType::Dealer, &[1; 255])[0], 0x06, "a long frame");
    }

    #[test]
    fn error_ping_and_pong_are_encoded_as_the_rfc_shows() {
        let mut out = Vec::new();
        encode_error("Bad socket type", &mut out);
        assert_eq!(out, b"\x04\x16\x05ERROR\x0FBad socket type");
        out.clear();
        encode_ping(10, &mut out);
        assert_eq!(out, b"\x04\x07\x04PING\x00\x0A");
        out.clear();
        encode_pong(b"LOL", &mut out);
        assert_eq!(out, b"\x04\x08\x04PONGLOL");
    }

    #[test]
    fn names_do_not_depend_on_case_and_other_properties_are_kept() {
        let info =
            decode(&[(b"socket-TYPE", b"REQ"), (b"IDENTITY", b"me"), (b"X-Key", b"v")]).unwrap();
        assert_eq!((info.socket_type, &info.identity[..]), (SocketType::Req, &b"me"[..]));
        assert_eq!(info.property("x-key"), Some(&b"v"[..]));
        assert_eq!(info.property("absent"), None);
    }

    #[test]
    fn socket_type_must_be_there_once_and_fit() {
        assert_eq!(decode(&[]), Err(ProtocolError::MissingSocketType));
        let twice = decode(&[(b"Socket-Type", b"REQ"), (b"Socket-Type", b"REQ")]);
        assert_eq!(twice, Err(ProtocolError::DuplicateProperty("Socket-Type")));
        for name in [&b"REP"[..], b"PUB", b"req", b""] {
            let outcome = decode(&[(b"Socket-Type", name)]);
            assert!(matches!(outcome, Err(ProtocolError::IncompatibleSocket { .. })));
        }
    }

    #[test]
    fn an_identity_is_at_most_255_bytes_and_does_not_start_with_zero() {
        let with = |identity: &[u8]| decode(&[(b"Socket-Type", b"REQ"), (b"Identity", identity)]);
        assert_eq!(with(&[7; 255]).unwrap().identity, vec![7; 255]);
        assert_eq!(with(&[7; 256]), Err(ProtocolError::BadIdentity));
        assert_eq!(with(b"\0abc"), Err(ProtocolError::BadIdentity));
        let twice = decode(&[(b"Identity", b"a"), (b"Identity", b"b")]);
        assert_eq!(twice, Err(ProtocolError::DuplicateProperty("Identity")));
    }

    #[test]
    fn a_property_cut_anywhere_is_malformed() {
        let whole = ready(&[(b"Socket-Type", b"REQ")]);
        for end in 1..whole.len() {
            let outcome = PeerInfo::decode(SocketType::Router, V31, &whole[..end]);
            assert_eq!(outcome, Err(ProtocolError::MalformedCommand("READY")), "{end}");
        }
        let huge = b"\x01X\xFF\xFF\xFF\xFFvalue";
        let outcome = PeerInfo::decode(SocketType::Router, V31, huge);
        assert_eq!(outcome, Err(ProtocolError::MalformedCommand("READY")));
        let nameless = b"\x00\0\0\0\0";
        let outcome = PeerInfo::decode(SocketType::Router, V31, nameless);
        assert_eq!(outcome, Err(ProtocolError::MalformedCommand("READY")));
    }

    #[test]
    fn a_ping_needs_a_ttl_and_its_context_is_cut_to_16_bytes() {
        assert_eq!(
            Command::decode(b"\x04PING\x02\x8F0123456789abcdefXYZ"),
            Ok(Command::Ping { ttl: 655, context: b"0123456789abcdef" })
        );
        let empty = Command::decode(b"\x04PING\0\0");
        assert_eq!(empty, Ok(Command::Ping { ttl: 0, context: b"" }));
        for short in [&b"\x04PING"[..], b"\x04PING\0"] {
            assert_eq!(Command::decode(short), Err(ProtocolError::MalformedCommand("PING")));
        }
    }

    #[test]
    fn unknown_commands_are_told_from_malformed_ones() {
        assert_eq!(Command::decode(b"\x09SUBSCRIBEtopic"), Ok(Command::Unknown));
        assert_eq!(Command::decode(b"\x00"), Ok(Command::Unknown));
        assert_eq!(Command::decode(b""), Err(ProtocolError::MalformedCommand("command")));
        let beyond = Command::decode(b"\x06READY");
        assert_eq!(beyond, Err(ProtocolError::MalformedCommand("command")));
        let reason = Command::decode(b"\x05ERROR\x04abc");
        assert_eq!(reason, Err(ProtocolError::MalformedCommand("ERROR")));
    }
}
