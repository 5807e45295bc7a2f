//! [`Config`]: what a broker does where there is a choice.

use std::time::Duration;

use zmtp::{
    ConfigError, DuplicateIdentity, Endpoint, Heartbeat, Keepalive, Limits, Release, Router,
    TransportOptions,
};

use crate::queue::{AtLimit, ENVELOPE_COST, ENVELOPE_FRAMES, Policy};

/// From a connection to READY.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A REQ that asks anew has to be heard while its earlier request waits or runs.
const READ_AHEAD_MIN: usize = 2;

/// Over TCP, a peer whose machine is gone is noticed after a minute and a half, whatever it speaks.
const KEEPALIVE: Keepalive = Keepalive {
    idle: Some(Duration::from_secs(60)),
    interval: Some(Duration::from_secs(10)),
    count: Some(3),
};

/// What a [`Broker`](crate::Broker) does where there is a choice.
///
/// | field | default |
/// |---|---|
/// | `frontend` | `ipc://frontend.ipc` |
/// | `backend` | `ipc://backend.ipc` |
/// | `ipc_mode` | as the umask has it |
/// | `max_message_size` | 64 MiB |
/// | `max_connections` | 16384 on each side |
/// | `read_ahead` | 16 |
/// | `heartbeat` | none |
/// | `drain` | 10 s |
/// | `policy` | see [`Policy`] |
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made with `..Config::default()`")]
pub struct Config {
    /// Where clients connect.
    pub frontend: Vec<Endpoint>,
    /// Where workers connect.
    pub backend: Vec<Endpoint>,
    /// Who may connect to endpoints that are socket files: their permissions, such as `0o660`.
    pub ipc_mode: Option<u32>,
    /// Bytes in a message. A peer that sends more is disconnected.
    pub max_message_size: usize,
    /// Connections at a time on either side.
    pub max_connections: usize,
    /// Requests of one DEALER client that are read before the first of them is answered, unless those for which there
    /// is no room are [rejected](crate::AtLimit::Reject). The rest waits in its connection. At least 2; of a REQ client
    /// the latest one counts.
    pub read_ahead: usize,
    /// How often peers are asked for a sign of life. One that sends nothing for as long after it was asked is
    /// disconnected. Only peers are asked that speak ZMTP 3.1, such as libzmq 4.3.3 and later.
    pub heartbeat: Option<Duration>,
    /// How long to wait at the end for requests that workers have.
    pub drain: Duration,
    /// What the queue does.
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        let endpoint = |text: &str| text.parse().into_iter().collect();
        Self {
            frontend: endpoint("ipc://frontend.ipc"),
            backend: endpoint("ipc://backend.ipc"),
            ipc_mode: None,
            max_message_size: 64 << 20,
            max_connections: 16_384,
            read_ahead: 16,
            heartbeat: None,
            drain: Duration::from_secs(10),
            policy: Policy::default(),
        }
    }
}

impl Config {
    /// The sockets of the frontend and of the backend. Each client is its own, whatever it calls itself; a worker
    /// that comes back replaces what is left of it.
    pub(crate) fn sockets(&self) -> Result<(Router, Router), ConfigError> {
        let mut transport = TransportOptions::default().with_keepalive(KEEPALIVE);
        if let Some(mode) = self.ipc_mode {
            transport = transport.with_ipc_mode(mode);
        }
        let mut common = zmtp::Config::default()
            .with_max_connections(self.max_connections)
            .with_transport(transport);
        if let Some(interval) = self.heartbeat {
            common = common.with_heartbeat(Heartbeat::every(interval));
        }
        let limits = Limits::default().with_max_message_size(self.max_message_size);
        let unanswered = match self.policy.at_limit {
            AtLimit::Wait => self.read_ahead,
            // Those that run count as well.
            AtLimit::Reject => self.policy.max_waiting_per_client.saturating_mul(2),
        };
        let frontend = common
            .clone()
            .with_limits(limits.with_handshake_timeout(HANDSHAKE_TIMEOUT))
            .with_recv_hwm_bytes(self.max_message_size)
            .with_duplicate_identity(DuplicateIdentity::Allow)
            .with_release(Release::Explicit)
            .with_recv_hwm(unanswered.max(READ_AHEAD_MIN));
        let limits = backend_limits(self.max_message_size);
        let backend = common
            .with_limits(limits.with_handshake_timeout(HANDSHAKE_TIMEOUT))
            .with_duplicate_identity(DuplicateIdentity::Handover);
        Ok((Router::new(frontend)?, Router::new(backend)?))
    }
}

/// The limits of a worker's connection, at either end, where clients may send messages of this many
/// bytes: what the queue puts in front of a request has to fit as well.
#[must_use]
pub fn backend_limits(max_message_size: usize) -> Limits {
    let limits = Limits::default();
    limits
        .with_max_message_size(max_message_size.saturating_add(ENVELOPE_COST))
        .with_max_frames(limits.max_frames + ENVELOPE_FRAMES)
}
