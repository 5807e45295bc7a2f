//! [`Config`]: everything about a socket that can be chosen.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::limits::Limits;
use crate::proto::{Heartbeat, MAX_IDENTITY_SIZE};

/// What a socket does where there is a choice. The default is safe for peers nobody knows.
///
/// | field | default |
/// |---|---|
/// | [`identity`](Self::identity) | none |
/// | [`limits`](Self::limits) | see [`Limits`] |
/// | [`heartbeat`](Self::heartbeat) | none |
/// | [`max_connections`](Self::max_connections) | 16384 |
/// | [`max_pending_handshakes`](Self::max_pending_handshakes) | 1024 |
/// | [`max_total_bytes`](Self::max_total_bytes) | 1 GiB |
/// | [`write_timeout`](Self::write_timeout) | 10 s |
/// | [`send_hwm`](Self::send_hwm), [`recv_hwm`](Self::recv_hwm) | 1000 messages a peer |
/// | [`send_hwm_bytes`](Self::send_hwm_bytes), [`recv_hwm_bytes`](Self::recv_hwm_bytes) | 16 MiB a peer |
/// | [`release`](Self::release) | [`Release::OnReceive`] |
/// | [`duplicate_identity`](Self::duplicate_identity) | [`DuplicateIdentity::Reject`] |
/// | [`linger`](Self::linger) | 1 s |
/// | [`reconnect_min`](Self::reconnect_min), [`reconnect_max`](Self::reconnect_max) | 100 ms, 5 s |
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
pub struct Config {
    /// The name announced to peers: 1 to 255 bytes that do not start with a zero byte, or empty for
    /// none. libzmq: `ZMQ_ROUTING_ID`.
    pub identity: Bytes,
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
    /// Messages queued for one peer before a send to it fails. What its connection has taken to
    /// write, at most as many again, is not counted. libzmq: `ZMQ_SNDHWM`.
    pub send_hwm: usize,
    /// Bytes queued for one peer before a send to it fails. One message is always taken.
    pub send_hwm_bytes: usize,
    /// Messages received from one peer and not [released](Self::release). At the mark its messages
    /// stay in the connection; that it leaves is still seen. libzmq: `ZMQ_RCVHWM`.
    pub recv_hwm: usize,
    /// Bytes received from one peer and not [released](Self::release). One message is always taken
    /// in.
    pub recv_hwm_bytes: usize,
    /// When a message stops to count against [`recv_hwm`](Self::recv_hwm).
    pub release: Release,
    /// What happens when two peers announce the same identity. libzmq: `ZMQ_ROUTER_HANDOVER`.
    pub duplicate_identity: DuplicateIdentity,
    /// How long closing a socket waits for messages to leave. libzmq: `ZMQ_LINGER`, for ever.
    pub linger: Duration,
    /// Pause before the first attempt to connect again, doubled at each failure and varied by a
    /// fifth either way. libzmq: `ZMQ_RECONNECT_IVL`.
    pub reconnect_min: Duration,
    /// The longest pause between two attempts to connect. libzmq: `ZMQ_RECONNECT_IVL_MAX`.
    pub reconnect_max: Duration,
}

/// When a received message stops to count against [`Config::recv_hwm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Release {
    /// As soon as the application has received it.
    OnReceive,
    /// When the application says so with [`Router::release`](crate::Router::release). The mark then
    /// bounds what the application holds of one peer, and a peer that leaves is reported at once:
    /// its messages that have not been received by then are dropped.
    Explicit,
}

/// What a ROUTER does when two peers announce the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateIdentity {
    /// The newcomer's connection is closed.
    Reject,
    /// The newcomer takes the identity over and the earlier connection is closed.
    Handover,
    /// Both stay. Identities are labels; a peer cannot be looked up by an ambiguous one.
    Allow,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identity: Bytes::new(),
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
            release: Release::OnReceive,
            duplicate_identity: DuplicateIdentity::Reject,
            linger: Duration::from_secs(1),
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Sets [`identity`](Self::identity).
    #[must_use]
    pub fn with_identity(self, identity: impl Into<Bytes>) -> Self {
        Self { identity: identity.into(), ..self }
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

    /// Sets [`linger`](Self::linger).
    #[must_use]
    pub fn with_linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }

    /// Sets [`reconnect_min`](Self::reconnect_min) and [`reconnect_max`](Self::reconnect_max).
    #[must_use]
    pub fn with_reconnect(self, min: Duration, max: Duration) -> Self {
        Self { reconnect_min: min, reconnect_max: max, ..self }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, reason| Err(ConfigError { field, reason });
        if self.identity.len() > MAX_IDENTITY_SIZE {
            return wrong("identity", "it is longer than 255 bytes");
        }
        if self.identity.first() == Some(&0) {
            return wrong("identity", "it starts with a zero byte");
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
        if self.reconnect_min < Duration::from_millis(1) {
            return wrong("reconnect_min", "it must be at least 1 ms");
        }
        if self.reconnect_min > self.reconnect_max {
            return wrong("reconnect_min", "it is longer than reconnect_max");
        }
        Ok(())
    }
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
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not usable: {}", self.field, self.reason)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_each_wrong_field_is_named() {
        let default = Config::default();
        assert_eq!(default.validate(), Ok(()));
        let field = |config: Config| config.validate().unwrap_err().field();
        assert_eq!(field(default.clone().with_identity(vec![1; 256])), "identity");
        assert_eq!(field(default.clone().with_identity("\0x")), "identity");
        assert_eq!(field(default.clone().with_send_hwm(0)), "send_hwm");
        assert_eq!(field(default.clone().with_recv_hwm(0)), "recv_hwm");
        let limits = Limits::default().with_max_frames(0);
        assert_eq!(field(default.clone().with_limits(limits)), "limits.max_frames");
        let second = Duration::from_secs(1);
        assert_eq!(field(default.with_reconnect(second, second / 2)), "reconnect_min");
    }
}
