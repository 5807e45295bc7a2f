//! [`Config`]: everything about a socket that can be chosen.

mod choices;
mod transport;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use choices::{DuplicateIdentity, OnFull, Release};
pub use transport::{Keepalive, TransportOptions};

use crate::limits::Limits;
use crate::proto::{Heartbeat, MAX_IDENTITY_SIZE, SocketType};

/// The most bytes of properties: with the identity they have to fit in a peer's limit for commands,
/// which is 4 KiB here.
const MAX_PROPERTIES_SIZE: usize = 2 << 10;

/// What a socket does where there is a choice. The default is safe for peers nobody knows.
///
/// | field | default |
/// |---|---|
/// | [`identity`](Self::identity), [`properties`](Self::properties) | none |
/// | [`limits`](Self::limits) | see [`Limits`] |
/// | [`heartbeat`](Self::heartbeat) | none |
/// | [`max_connections`](Self::max_connections) | 16384 |
/// | [`max_pending_handshakes`](Self::max_pending_handshakes) | 1024 |
/// | [`max_total_bytes`](Self::max_total_bytes) | 1 GiB |
/// | [`write_timeout`](Self::write_timeout) | 10 s |
/// | [`send_hwm`](Self::send_hwm), [`recv_hwm`](Self::recv_hwm) | 1000 messages a peer |
/// | [`send_hwm_bytes`](Self::send_hwm_bytes), [`recv_hwm_bytes`](Self::recv_hwm_bytes) | 16 MiB a peer |
/// | [`on_full`](Self::on_full) | REQ and DEALER wait, ROUTER fails, REP drops |
/// | [`release`](Self::release) | [`Release::OnReceive`] |
/// | [`duplicate_identity`](Self::duplicate_identity) | [`DuplicateIdentity::Reject`] |
/// | [`immediate`](Self::immediate), [`probe`](Self::probe) | off |
/// | [`correlate`](Self::correlate), [`relaxed`](Self::relaxed) | off |
/// | [`linger`](Self::linger) | 1 s |
/// | [`reconnect`](Self::reconnect) | on |
/// | [`reconnect_min`](Self::reconnect_min), [`reconnect_max`](Self::reconnect_max) | 100 ms, 5 s |
/// | [`transport`](Self::transport) | see [`TransportOptions`] |
///
/// ```
/// use zmtp::{Config, Limits};
///
/// let config = Config::default()
///     .with_identity("CLIENT-1")
///     .with_limits(Limits::default().with_max_message_size(1 << 20));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Config {
    /// The name announced to peers: 1 to 255 bytes that do not start with a zero byte, or empty for
    /// none. libzmq: `ZMQ_ROUTING_ID`.
    pub identity: Bytes,
    /// What else to say of oneself in the handshake, names and values. The names of one's own begin
    /// with `X-`. libzmq: `ZMQ_METADATA`.
    pub properties: Vec<(String, Bytes)>,
    /// Limits on what one peer may send.
    pub limits: Limits,
    /// PINGs to send to peers. A PING of a peer is answered in any case. A REQ that says it speaks
    /// 3.0 is sent none, because old ones do not bear it.
    pub heartbeat: Option<Heartbeat>,
    /// Connections at a time, those still in their handshake included. A connection beyond that is
    /// closed as soon as it is accepted. Each one takes a descriptor.
    pub max_connections: usize,
    /// Connections at a time that have not finished their handshake. The oldest of them makes room
    /// for a new one, so that silent connections keep nobody out.
    pub max_pending_handshakes: usize,
    /// Bytes held for all peers together: half of them in queues, half of messages that have not
    /// arrived whole. When the first half is used up, large messages wait in their connections;
    /// when the second is, the connection with the largest is ended. Messages of up to 64 KiB are
    /// not counted before they are whole, and one message of a peer is always taken in.
    pub max_total_bytes: usize,
    /// How long a peer may take none of the bytes that wait to be written to it.
    pub write_timeout: Duration,
    /// Messages queued for one peer before it is full. What its connection has taken to write, at most
    /// as many again and 64 KiB, is not counted. libzmq: `ZMQ_SNDHWM`.
    pub send_hwm: usize,
    /// Bytes queued for one peer before it is full. One message is always taken.
    pub send_hwm_bytes: usize,
    /// Messages received from one peer and not [released](Self::release). At the mark its messages
    /// stay in the connection; that it leaves is still seen. libzmq: `ZMQ_RCVHWM`.
    pub recv_hwm: usize,
    /// Bytes received from one peer and not [released](Self::release). One message is always taken
    /// in.
    pub recv_hwm_bytes: usize,
    /// What happens to a message for which there is no room. Unless it is set, REQ and DEALER wait,
    /// a ROUTER fails, so that one slow peer holds nobody up, and a REP drops: whoever asks without
    /// reading the answers has none.
    pub on_full: Option<OnFull>,
    /// When a message stops to count against [`recv_hwm`](Self::recv_hwm).
    pub release: Release,
    /// What happens when two peers announce the same identity. libzmq: `ZMQ_ROUTER_HANDOVER`.
    pub duplicate_identity: DuplicateIdentity,
    /// REQ and DEALER send over connections only. Otherwise an endpoint that is connected to takes
    /// its turn from the beginning, and what is sent there waits for the connection. libzmq:
    /// `ZMQ_IMMEDIATE`.
    pub immediate: bool,
    /// Each new connection starts with an empty message of ours, by which a ROUTER learns who is
    /// there. Not of a REP. libzmq: `ZMQ_PROBE_ROUTER`.
    pub probe: bool,
    /// A REQ puts a number in front of each request and takes only a reply with that number. The
    /// peer has to send back everything up to the delimiter, as REP does. libzmq:
    /// `ZMQ_REQ_CORRELATE`.
    pub correlate: bool,
    /// A REQ may send while a reply is due, and gives the request before up. libzmq:
    /// `ZMQ_REQ_RELAXED`.
    pub relaxed: bool,
    /// How long closing a socket waits for messages to leave. libzmq: `ZMQ_LINGER`, for ever.
    pub linger: Duration,
    /// A connection that is lost or cannot be made is tried again. If not, its endpoint is forgotten
    /// as if it had been disconnected. libzmq: -1 for `ZMQ_RECONNECT_IVL`.
    pub reconnect: bool,
    /// Pause before the first attempt to connect again, doubled at each failure. Each pause is varied
    /// by a fifth either way. libzmq: `ZMQ_RECONNECT_IVL`.
    pub reconnect_min: Duration,
    /// The longest pause between two attempts to connect, before it is varied. libzmq: `ZMQ_RECONNECT_IVL_MAX`.
    pub reconnect_max: Duration,
    /// Options of the system's sockets.
    pub transport: TransportOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identity: Bytes::new(),
            properties: Vec::new(),
            limits: Limits::default(),
            heartbeat: None,
            max_connections: 16_384,
            max_pending_handshakes: 1024,
            max_total_bytes: 1 << 30,
            write_timeout: Duration::from_secs(10),
            send_hwm: 1000,
            send_hwm_bytes: 16 << 20,
            recv_hwm: 1000,
            recv_hwm_bytes: 16 << 20,
            on_full: None,
            release: Release::OnReceive,
            duplicate_identity: DuplicateIdentity::Reject,
            immediate: false,
            probe: false,
            correlate: false,
            relaxed: false,
            linger: Duration::from_secs(1),
            reconnect: true,
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(5),
            transport: TransportOptions::default(),
        }
    }
}

impl Config {
    /// Sets [`identity`](Self::identity).
    #[must_use]
    pub fn with_identity(self, identity: impl Into<Bytes>) -> Self {
        Self { identity: identity.into(), ..self }
    }

    /// Adds to [`properties`](Self::properties).
    #[must_use]
    pub fn with_property(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets [`heartbeat`](Self::heartbeat).
    #[must_use]
    pub fn with_heartbeat(self, heartbeat: Heartbeat) -> Self {
        Self { heartbeat: Some(heartbeat), ..self }
    }

    /// Sets [`max_connections`](Self::max_connections).
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        Self { max_connections, ..self }
    }

    /// Sets [`max_pending_handshakes`](Self::max_pending_handshakes).
    #[must_use]
    pub fn with_max_pending_handshakes(self, max_pending_handshakes: usize) -> Self {
        Self { max_pending_handshakes, ..self }
    }

    /// Sets [`max_total_bytes`](Self::max_total_bytes).
    #[must_use]
    pub fn with_max_total_bytes(self, bytes: usize) -> Self {
        Self { max_total_bytes: bytes, ..self }
    }

    /// Sets [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn with_write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    /// Sets [`send_hwm`](Self::send_hwm) in messages.
    #[must_use]
    pub fn with_send_hwm(self, messages: usize) -> Self {
        Self { send_hwm: messages, ..self }
    }

    /// Sets [`send_hwm_bytes`](Self::send_hwm_bytes).
    #[must_use]
    pub fn with_send_hwm_bytes(self, bytes: usize) -> Self {
        Self { send_hwm_bytes: bytes, ..self }
    }

    /// Sets [`recv_hwm`](Self::recv_hwm) in messages.
    #[must_use]
    pub fn with_recv_hwm(self, messages: usize) -> Self {
        Self { recv_hwm: messages, ..self }
    }

    /// Sets [`recv_hwm_bytes`](Self::recv_hwm_bytes).
    #[must_use]
    pub fn with_recv_hwm_bytes(self, bytes: usize) -> Self {
        Self { recv_hwm_bytes: bytes, ..self }
    }

    /// Sets [`on_full`](Self::on_full).
    #[must_use]
    pub fn with_on_full(self, on_full: OnFull) -> Self {
        Self { on_full: Some(on_full), ..self }
    }

    /// Sets [`release`](Self::release).
    #[must_use]
    pub fn with_release(self, release: Release) -> Self {
        Self { release, ..self }
    }

    /// Sets [`duplicate_identity`](Self::duplicate_identity).
    #[must_use]
    pub fn with_duplicate_identity(self, duplicate_identity: DuplicateIdentity) -> Self {
        Self { duplicate_identity, ..self }
    }

    /// Sets [`immediate`](Self::immediate).
    #[must_use]
    pub fn with_immediate(self, immediate: bool) -> Self {
        Self { immediate, ..self }
    }

    /// Sets [`probe`](Self::probe).
    #[must_use]
    pub fn with_probe(self, probe: bool) -> Self {
        Self { probe, ..self }
    }

    /// Sets [`correlate`](Self::correlate).
    #[must_use]
    pub fn with_correlate(self, correlate: bool) -> Self {
        Self { correlate, ..self }
    }

    /// Sets [`relaxed`](Self::relaxed).
    #[must_use]
    pub fn with_relaxed(self, relaxed: bool) -> Self {
        Self { relaxed, ..self }
    }

    /// Sets [`linger`](Self::linger). [`Duration::MAX`] is for ever.
    #[must_use]
    pub fn with_linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }

    /// Sets [`reconnect_min`](Self::reconnect_min) and [`reconnect_max`](Self::reconnect_max).
    #[must_use]
    pub fn with_reconnect(self, min: Duration, max: Duration) -> Self {
        Self { reconnect: true, reconnect_min: min, reconnect_max: max, ..self }
    }

    /// Turns [`reconnect`](Self::reconnect) off.
    #[must_use]
    pub fn without_reconnect(self) -> Self {
        Self { reconnect: false, ..self }
    }

    /// Sets [`transport`](Self::transport).
    #[must_use]
    pub fn with_transport(self, transport: TransportOptions) -> Self {
        Self { transport, ..self }
    }

    fn encoded_properties(&self) -> usize {
        self.properties.iter().map(|(name, value)| 5 + name.len() + value.len()).sum()
    }

    pub(crate) fn validate(&self, of: SocketType) -> Result<(), ConfigError> {
        let wrong = |field, reason| Err(ConfigError { field, reason });
        if self.identity.len() > MAX_IDENTITY_SIZE {
            return wrong("identity", "it is longer than 255 bytes");
        }
        if self.identity.first() == Some(&0) {
            return wrong("identity", "it starts with a zero byte");
        }
        if self.max_connections == 0 {
            return wrong("max_connections", "it must be at least 1");
        }
        if self.max_pending_handshakes == 0 {
            return wrong("max_pending_handshakes", "it must be at least 1");
        }
        if self.send_hwm == 0 {
            return wrong("send_hwm", "it must be at least 1");
        }
        if self.recv_hwm == 0 {
            return wrong("recv_hwm", "it must be at least 1");
        }
        if self.limits.max_frames == 0 {
            return wrong("limits.max_frames", "it must be at least 1");
        }
        if self.heartbeat.is_some_and(|heartbeat| heartbeat.interval.is_zero()) {
            return wrong("heartbeat.interval", "it must be longer than nothing");
        }
        if self.properties.iter().any(|(name, _)| !is_property_name(name)) {
            return wrong("properties", "a name takes 1 to 255 letters, digits or -_.+");
        }
        if self.encoded_properties() > MAX_PROPERTIES_SIZE {
            return wrong("properties", "they take more than 2 KiB");
        }
        if of != SocketType::Router && self.release == Release::Explicit {
            return wrong("release", "only a ROUTER can release");
        }
        if of == SocketType::Req && self.on_full == Some(OnFull::Drop) {
            return wrong("on_full", "a REQ would wait for the reply to a request that it dropped");
        }
        if let Some(reason) = self.transport.keepalive.and_then(Keepalive::wrong) {
            return wrong("transport.keepalive", reason);
        }
        if self.reconnect_min < Duration::from_millis(1) {
            return wrong("reconnect_min", "it must be at least 1 ms");
        }
        if self.reconnect_min > self.reconnect_max {
            return wrong("reconnect_min", "it is longer than reconnect_max");
        }
        Ok(())
    }
}

/// As RFC 37 has it ("Connection metadata"). The two that a socket states itself are its own.
fn is_property_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let own = ["Socket-Type", "Identity"].iter().any(|own| name.eq_ignore_ascii_case(own));
    (1..=255).contains(&name.len()) && name.bytes().all(sound) && !own
}

/// A configuration that makes no sense. It names the field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    reason: &'static str,
}

impl ConfigError {
    /// The field that is wrong.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What is wrong with it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not usable: {}", self.field, self.reason)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
