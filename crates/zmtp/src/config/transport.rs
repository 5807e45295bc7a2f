//! [`TransportOptions`]: what the system is asked for, connection by connection.

use std::time::Duration;

/// Options of the system's sockets. What is `None` is left to the system.
///
/// | field | default |
/// |---|---|
/// | [`nodelay`](Self::nodelay) | on |
/// | [`keepalive`](Self::keepalive) | off |
/// | [`send_buffer`](Self::send_buffer), [`recv_buffer`](Self::recv_buffer) | the system's |
/// | [`backlog`](Self::backlog) | 1024 |
/// | [`connect_timeout`](Self::connect_timeout) | 10 s |
/// | [`ipc_mode`](Self::ipc_mode) | as the umask has it |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportOptions {
    /// Small TCP segments leave at once. Without it, a reply may wait for the acknowledgement of the
    /// one before. libzmq has it on and no option.
    pub nodelay: bool,
    /// Probes on a silent TCP connection, so that a peer whose machine is gone is noticed. A
    /// [heartbeat](crate::Config::heartbeat) does more. libzmq: `ZMQ_TCP_KEEPALIVE`.
    pub keepalive: Option<Keepalive>,
    /// Bytes the system holds that are to be sent. Linux doubles the number. libzmq: `ZMQ_SNDBUF`.
    pub send_buffer: Option<usize>,
    /// Bytes the system holds that have been received. libzmq: `ZMQ_RCVBUF`.
    pub recv_buffer: Option<usize>,
    /// Connections that wait to be accepted. The system may have a lower limit. libzmq:
    /// `ZMQ_BACKLOG`, 100.
    pub backlog: u32,
    /// How long one attempt to connect to one address may take. libzmq: `ZMQ_CONNECT_TIMEOUT`, the system's two
    /// minutes.
    pub connect_timeout: Duration,
    /// Who may connect to a socket file: its permissions, such as `0o660`. They are set before
    /// anybody can connect. libzmq leaves them to the umask.
    pub ipc_mode: Option<u32>,
}

/// When the system sends probes on a silent TCP connection. `None` is the system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "TCP has these three")]
pub struct Keepalive {
    /// How long a connection is silent before the first probe. Whole seconds count. libzmq:
    /// `ZMQ_TCP_KEEPALIVE_IDLE`.
    pub idle: Option<Duration>,
    /// How long after one probe comes the next. Whole seconds count. libzmq:
    /// `ZMQ_TCP_KEEPALIVE_INTVL`.
    pub interval: Option<Duration>,
    /// How many probes may remain unanswered. libzmq: `ZMQ_TCP_KEEPALIVE_CNT`.
    pub count: Option<u32>,
}

impl Keepalive {
    /// What the system would refuse.
    pub(super) fn wrong(self) -> Option<&'static str> {
        let seconds = Duration::from_secs(1)..=Duration::from_secs(32_767);
        if [self.idle, self.interval].iter().flatten().any(|time| !seconds.contains(time)) {
            return Some("its times must be from 1 to 32767 s");
        }
        match self.count {
            Some(count) if !(1..=127).contains(&count) => Some("its count must be from 1 to 127"),
            _ => None,
        }
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: None,
            send_buffer: None,
            recv_buffer: None,
            backlog: 1024,
            connect_timeout: Duration::from_secs(10),
            ipc_mode: None,
        }
    }
}

impl TransportOptions {
    /// Sets [`nodelay`](Self::nodelay).
    #[must_use]
    pub fn with_nodelay(self, nodelay: bool) -> Self {
        Self { nodelay, ..self }
    }

    /// Sets [`keepalive`](Self::keepalive).
    #[must_use]
    pub fn with_keepalive(self, keepalive: Keepalive) -> Self {
        Self { keepalive: Some(keepalive), ..self }
    }

    /// Sets [`send_buffer`](Self::send_buffer) and [`recv_buffer`](Self::recv_buffer) in bytes.
    #[must_use]
    pub fn with_buffers(self, send: usize, recv: usize) -> Self {
        Self { send_buffer: Some(send), recv_buffer: Some(recv), ..self }
    }

    /// Sets [`backlog`](Self::backlog) in connections.
    #[must_use]
    pub fn with_backlog(self, connections: u32) -> Self {
        Self { backlog: connections, ..self }
    }

    /// Sets [`connect_timeout`](Self::connect_timeout).
    #[must_use]
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets [`ipc_mode`](Self::ipc_mode).
    #[must_use]
    pub fn with_ipc_mode(self, mode: u32) -> Self {
        Self { ipc_mode: Some(mode), ..self }
    }
}
