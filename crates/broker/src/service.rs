//! [`Broker`]: the queue between two ROUTER sockets.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::{
    BindError, ConfigError, DuplicateIdentity, Endpoint, Limits, Monitor, PeerEvent, Release,
    Router,
};

use crate::batch::Batch;
use crate::queue::{Action, Counters, ENVELOPE_COST, ENVELOPE_FRAMES, Queue, Side};
use crate::report::{Report, Reports};

/// From a connection to READY.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A REQ that asks anew has to be heard while its earlier request waits or runs.
const READ_AHEAD_MIN: usize = 2;

/// Events taken from a socket before what follows from them is carried out.
const BATCH: usize = 64;

/// What a [`Broker`] does where there is a choice.
///
/// | field | default |
/// |---|---|
/// | `frontend` | `ipc://frontend.ipc` |
/// | `backend` | `ipc://backend.ipc` |
/// | `max_message_size` | 64 MiB |
/// | `max_connections` | 16384 on each side |
/// | `read_ahead` | 16 |
/// | `ready` | `READY` |
/// | `drain` | 10 s |
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made with `..Config::default()`")]
pub struct Config {
    /// Where clients connect.
    pub frontend: Vec<Endpoint>,
    /// Where workers connect.
    pub backend: Vec<Endpoint>,
    /// Bytes in a message. A peer that sends more is disconnected.
    pub max_message_size: usize,
    /// Connections at a time on either side.
    pub max_connections: usize,
    /// Requests of one DEALER client that are read before the first of them is answered. The rest
    /// waits in its connection. At least 2; of a REQ client the latest one counts.
    pub read_ahead: usize,
    /// The message by which a worker says that it is ready.
    pub ready: Bytes,
    /// How long to wait at the end for requests that workers have.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let endpoint = |text: &str| text.parse().into_iter().collect();
        Self {
            frontend: endpoint("ipc://frontend.ipc"),
            backend: endpoint("ipc://backend.ipc"),
            max_message_size: 64 << 20,
            max_connections: 16_384,
            read_ahead: 16,
            ready: Bytes::from_static(b"READY"),
            drain: Duration::from_secs(10),
        }
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

/// Why a broker did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A value of the configuration makes no sense.
    Config(ConfigError),
    /// An endpoint could not be bound.
    Bind(BindError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Bind(error) => error.source(),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

/// How a broker ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Requests that no worker had been given.
    pub waiting: usize,
    /// Requests that a worker had and did not answer in time.
    pub in_flight: usize,
    /// What happened in all.
    pub counters: Counters,
}

/// A queue that listens.
#[derive(Debug)]
pub struct Broker {
    frontend: Router,
    backend: Router,
    frontend_endpoints: Vec<Endpoint>,
    backend_endpoints: Vec<Endpoint>,
    queue: Queue,
    drain: Duration,
    batch: Batch,
    reports: Reports,
}

impl Broker {
    /// Listens on all endpoints of both sides.
    ///
    /// # Errors
    ///
    /// A [`StartError`] that names the value or the endpoint. Nothing listens then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, nothing listens.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let common = zmtp::Config::default().with_max_connections(config.max_connections);
        let limits = Limits::default().with_max_message_size(config.max_message_size);
        // Each client is its own, whatever it calls itself; a worker that comes back replaces what
        // is left of it.
        let frontend = Router::new(
            common
                .clone()
                .with_limits(limits.with_handshake_timeout(HANDSHAKE_TIMEOUT))
                .with_recv_hwm_bytes(config.max_message_size)
                .with_duplicate_identity(DuplicateIdentity::Allow)
                .with_release(Release::Explicit)
                .with_recv_hwm(config.read_ahead.max(READ_AHEAD_MIN)),
        )?;
        let limits = backend_limits(config.max_message_size);
        let backend = Router::new(
            common
                .with_limits(limits.with_handshake_timeout(HANDSHAKE_TIMEOUT))
                .with_duplicate_identity(DuplicateIdentity::Handover),
        )?;
        let frontend_endpoints = bind_all(&frontend, &config.frontend).await?;
        let backend_endpoints = bind_all(&backend, &config.backend).await?;
        Ok(Self {
            frontend,
            backend,
            frontend_endpoints,
            backend_endpoints,
            queue: Queue::new(config.ready),
            drain: config.drain,
            batch: Batch::default(),
            reports: Reports::default(),
        })
    }

    /// Where clients connect, with the ports that the system chose.
    #[must_use]
    pub fn frontend(&self) -> &[Endpoint] {
        &self.frontend_endpoints
    }

    /// Where workers connect, with the ports that the system chose.
    #[must_use]
    pub fn backend(&self) -> &[Endpoint] {
        &self.backend_endpoints
    }

    /// What happens to the endpoints and connections of the frontend and of the backend.
    #[must_use]
    pub fn monitors(&self) -> [Monitor; 2] {
        [self.frontend.monitor(), self.backend.monitor()]
    }

    /// Calls `report` for messages that were dropped because something was wrong with them, at most
    /// ten times a second.
    #[must_use]
    pub fn on_report(mut self, report: impl Fn(&Report) + Send + 'static) -> Self {
        self.reports.report = Some(Box::new(report));
        self
    }

    /// Carries requests and replies until `shutdown` is done. Then hands out no more requests, waits
    /// for those that workers have, and closes both sockets.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the broker ends at once.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Outcome {
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.carry(|_| false) => {}
        }
        self.queue.drain();
        let drain = self.drain;
        // Too late or done, what is left is told below.
        let _ = timeout(drain, self.carry(|queue| queue.in_flight() == 0)).await;
        let outcome = Outcome {
            waiting: self.queue.waiting(),
            in_flight: self.queue.in_flight(),
            counters: self.queue.counters(),
        };
        tokio::join!(self.frontend.close(), self.backend.close());
        outcome
    }

    /// Carries requests and replies until `done` says so.
    async fn carry(&mut self, done: impl Fn(&Queue) -> bool) {
        let mut events = (Vec::new(), Vec::new());
        while !done(&self.queue) {
            poll_fn(|cx| self.poll_events(cx, &mut events)).await;
            // Workers first: who becomes idle now may serve what comes next.
            for event in events.0.drain(..) {
                self.queue_backend(event);
            }
            for event in events.1.drain(..) {
                self.queue_frontend(event);
            }
            self.act();
        }
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        events: &mut (Vec<PeerEvent>, Vec<PeerEvent>),
    ) -> Poll<()> {
        let backend = self.backend.poll_recv_many(cx, &mut events.0, BATCH);
        let frontend = self.frontend.poll_recv_many(cx, &mut events.1, BATCH);
        if backend.is_ready() || frontend.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn queue_backend(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Message(worker, message) => self.queue.worker_message(worker, message),
            PeerEvent::Joined(peer) => self.queue.worker_joined(peer.id),
            PeerEvent::Left(worker, _) => self.queue.worker_left(worker.id),
            _ => {}
        }
    }

    fn queue_frontend(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Message(client, message) => self.queue.client_message(client, message),
            PeerEvent::Joined(peer) => {
                let lock_step = peer.info.socket_type == SocketType::Req;
                self.queue.client_joined(peer.id, &peer.routing_id, lock_step);
            }
            PeerEvent::Left(client, _) => self.queue.client_left(client.id),
            _ => {}
        }
    }

    /// Carries out what the queue has decided, all of it together.
    fn act(&mut self) {
        loop {
            while let Some(action) = self.queue.next_action() {
                match action {
                    Action::Dispatch(worker, message) => {
                        self.batch.requests.push((worker, message));
                    }
                    Action::Reply(client, message) => {
                        self.batch.replies.push((client, message));
                        self.batch.released.push(client);
                    }
                    Action::Release(client) => self.batch.released.push(client),
                    Action::Report(side, peer, violation) => {
                        let socket = match side {
                            Side::Frontend => &self.frontend,
                            Side::Backend => &self.backend,
                        };
                        self.reports.add(socket, side, peer, violation);
                    }
                }
            }
            if !self.batch.deliver(&self.frontend, &self.backend, &mut self.queue) {
                return;
            }
        }
    }
}

async fn bind_all(socket: &Router, endpoints: &[Endpoint]) -> Result<Vec<Endpoint>, BindError> {
    let mut bound = Vec::new();
    for endpoint in endpoints {
        bound.push(socket.bind(endpoint).await?);
    }
    Ok(bound)
}
