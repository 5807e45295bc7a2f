//! [`Builder`]: makes a [`Broker`].

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use zmtp::{Endpoint, Router};

use crate::batch::Batch;
use crate::config::Config;
use crate::handover::{Handover, Inherited};
use crate::queue::{DeadLetter, Policy, Queue, Side};
use crate::report::{JournalChange, PeerChange, Report, Reports};
use crate::service::Broker;
use crate::start_error::StartError;
use crate::tap::Taps;
use crate::timer::now;

pub(crate) type OnDeadLetter = Box<dyn FnMut(&DeadLetter) + Send>;

/// Makes a [`Broker`]. What is not said is as in [`Config::default`].
///
/// ```
/// use broker::Broker;
/// # use zmtp::{Config, Message, Req};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut broker = Broker::builder()
///     .frontend("tcp://127.0.0.1:0".parse()?)
///     .backend("ipc://*".parse()?)
///     .on_report(|report| eprintln!("{report}"))
///     .bind()
///     .await?;
/// let handle = broker.handle();
/// # let [frontend, backend] = [broker.frontend(), broker.backend()].map(|all| all[0].clone());
/// let running = tokio::spawn(broker.run(async {
///     // It drains and ends when this does.
///     let _ = tokio::signal::ctrl_c().await;
/// }));
/// # let mut worker = Req::new(Config::default())?;
/// # worker.connect(&backend)?;
/// # worker.send(Message::from("READY")).await?;
/// # let client = tokio::spawn(async move {
/// #     let mut client = Req::new(Config::default()).unwrap();
/// #     client.connect(&frontend).unwrap();
/// #     client.request(Message::from("job")).await.unwrap()
/// # });
/// # let job = worker.recv().await?;
/// # worker.send(job).await?;
/// # assert_eq!(client.await?, Message::from("job"));
/// println!("{} requests wait", handle.status().await?.waiting);
/// # running.abort();
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Builder {
    config: Config,
    frontend: Vec<OwnedFd>,
    backend: Vec<OwnedFd>,
    handover: Option<Handover>,
    times: bool,
    reports: Reports,
    dead_letters: OnDeadLetter,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Config { frontend: Vec::new(), backend: Vec::new(), ..Config::default() }.into()
    }
}

impl From<Config> for Builder {
    fn from(config: Config) -> Self {
        Self {
            config,
            frontend: Vec::new(),
            backend: Vec::new(),
            handover: None,
            times: false,
            reports: Reports::default(),
            dead_letters: Box::new(|_| {}),
        }
    }
}

impl Builder {
    /// One more place where clients connect.
    pub fn frontend(mut self, endpoint: Endpoint) -> Self {
        self.config.frontend.push(endpoint);
        self
    }

    /// One more place where workers connect.
    pub fn backend(mut self, endpoint: Endpoint) -> Self {
        self.config.backend.push(endpoint);
        self
    }

    /// One more socket where they connect, which listens already: of systemd, or of another process.
    pub fn listener(mut self, side: Side, socket: OwnedFd) -> Self {
        match side {
            Side::Frontend => self.frontend.push(socket),
            Side::Backend => self.backend.push(socket),
        }
        self
    }

    /// Goes on with what another broker has left. It listens where that did and nowhere else.
    pub fn go_on(mut self, handover: Handover) -> Self {
        self.handover = Some(handover);
        self
    }

    /// [`Config::ipc_mode`]
    pub fn ipc_mode(mut self, mode: u32) -> Self {
        self.config.ipc_mode = Some(mode);
        self
    }

    /// [`Config::max_message_size`]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.max_message_size = bytes;
        self
    }

    /// [`Config::max_connections`]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.config.max_connections = count;
        self
    }

    /// [`Config::read_ahead`]
    pub fn read_ahead(mut self, requests: usize) -> Self {
        self.config.read_ahead = requests;
        self
    }

    /// [`Config::heartbeat`]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.heartbeat = Some(interval);
        self
    }

    /// [`Config::drain`]
    pub fn drain(mut self, limit: Duration) -> Self {
        self.config.drain = limit;
        self
    }

    /// [`Config::policy`]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.config.policy = policy;
        self
    }

    /// Keeps how long requests wait and run, for [`Handle::status`](crate::Handle::status).
    pub fn times(mut self) -> Self {
        self.times = true;
        self
    }

    /// Calls `report` each time that a peer does something wrong. It can do so as fast as it sends: what is written of it
    /// wants a limit.
    pub fn on_report(mut self, report: impl Fn(&Report) + Send + 'static) -> Self {
        self.reports.report = Some(Box::new(report));
        self
    }

    /// Calls `change` when a peer has joined or left.
    pub fn on_peer_change(mut self, change: impl Fn(PeerChange<'_>) + Send + 'static) -> Self {
        self.reports.change = Some(Box::new(change));
        self
    }

    /// Calls `keep` for each request that is given up.
    pub fn on_dead_letter(mut self, keep: impl FnMut(&DeadLetter) + Send + 'static) -> Self {
        self.dead_letters = Box::new(keep);
        self
    }

    /// Calls `tell` when there is no room for the [journal](Broker::with_journal), when there is again, and when it
    /// cannot be shortened.
    pub fn on_journal_change(mut self, tell: impl Fn(&JournalChange) + Send + 'static) -> Self {
        self.reports.journal = Some(Box::new(tell));
        self
    }

    /// Listens on all endpoints of both sides. A side for which nothing was said has the one it has in
    /// [`Config::default`].
    ///
    /// # Errors
    ///
    /// A [`StartError`] that names the value, the endpoint or the side. Nothing listens then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, nothing listens.
    pub async fn bind(mut self) -> Result<Broker, StartError> {
        let default = Config::default();
        if self.config.frontend.is_empty() && self.frontend.is_empty() {
            self.config.frontend = default.frontend;
        }
        if self.config.backend.is_empty() && self.backend.is_empty() {
            self.config.backend = default.backend;
        }
        let (frontend, backend) = self.config.sockets()?;
        let mut inherited = None;
        let [frontend_endpoints, backend_endpoints] = if let Some(handover) = self.handover {
            let attached = handover.attach(&frontend, &backend).map_err(StartError::Handover)?;
            inherited = Some(attached.0);
            attached.1
        } else {
            let of_clients = bind(&frontend, &self.config.frontend, self.frontend, Side::Frontend);
            let of_clients = of_clients.await?;
            let of_workers = bind(&backend, &self.config.backend, self.backend, Side::Backend);
            [of_clients, of_workers.await?]
        };
        let mut queue = Queue::new(self.config.policy, now());
        if self.times {
            queue.keep_times();
        }
        if let Some(inherited) = &inherited {
            queue.allow_age(Inherited::oldest(inherited));
        }
        Ok(Broker {
            frontend,
            backend,
            frontend_endpoints,
            backend_endpoints,
            queue,
            holds: false,
            drain: self.config.drain,
            max_message_size: self.config.max_message_size,
            journal: None,
            stuck: None,
            left: Vec::new(),
            orders: None,
            inherited,
            heir: None,
            events: (Vec::new(), Vec::new()),
            batch: Batch::default(),
            reports: self.reports,
            taps: Taps::default(),
            dead_letters: self.dead_letters,
        })
    }
}

async fn bind(
    socket: &Router,
    endpoints: &[Endpoint],
    listeners: Vec<OwnedFd>,
    side: Side,
) -> Result<Vec<Endpoint>, StartError> {
    let mut bound = Vec::new();
    for listener in listeners {
        let endpoint = socket.bind_fd(listener);
        bound.push(endpoint.map_err(|error| StartError::Listener(side, error))?);
    }
    for endpoint in endpoints {
        bound.push(socket.bind(endpoint).await?);
    }
    Ok(bound)
}
