//! [`Socket`]: what all sockets have in common.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::detached::{DetachedConnection, DetachedListener};
use super::hub::Hub;
use super::monitor::{Monitor, MonitorEvent};
use super::outlet::{EndpointId, Unsent};
use super::peer::{Peer, PeerId};
use crate::config::{Config, ConfigError};
use crate::endpoint::{Endpoint, EndpointError, EndpointErrorKind};
use crate::engine::{BindError, Dialler, Listener};
use crate::proto::SocketType;

/// For handshakes in progress when a socket is taken apart.
const PATIENCE: Duration = Duration::from_millis(500);

/// What all sockets can do: be bound and connected, any number of times, and tell who is there.
///
/// [`Req`](crate::Req), [`Rep`](crate::Rep), [`Dealer`](crate::Dealer) and
/// [`Router`](crate::Router) have these methods beside their own. They must be called within a tokio
/// runtime.
#[derive(Debug)]
pub struct Socket {
    pub(super) hub: Arc<Hub>,
    endpoints: Mutex<Endpoints>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Endpoints {
    open: Vec<Open>,
    /// One for each endpoint, those included that are being left. They end with the socket.
    tasks: JoinSet<()>,
}

/// An endpoint that is bound or connected to.
#[derive(Debug)]
struct Open {
    endpoint: Endpoint,
    /// What listens there, if it is bound.
    listener: Option<Arc<Listener>>,
    id: EndpointId,
    stop: CancellationToken,
    /// Its task has ended.
    done: CancellationToken,
}

impl Open {
    fn is_bound(&self) -> bool {
        self.listener.is_some()
    }
}

impl Socket {
    pub(super) fn new(socket_type: SocketType, config: Config) -> Result<Self, ConfigError> {
        config.validate(socket_type)?;
        let hub = Hub::new(socket_type, config);
        Ok(Self { hub, endpoints: Mutex::default(), next_id: AtomicU64::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_id(&self) -> EndpointId {
        EndpointId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn open(
        &self,
        endpoint: Endpoint,
        listener: Option<Arc<Listener>>,
        id: EndpointId,
        stop: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let done = CancellationToken::new();
        let end = done.clone().drop_guard();
        let mut endpoints = self.lock();
        while endpoints.tasks.try_join_next().is_some() {}
        endpoints.tasks.spawn(async move {
            let _end = end;
            task.await;
        });
        endpoints.open.push(Open { endpoint, listener, id, stop, done });
    }

    /// Listens on an endpoint. Returns it as it was bound, with the port or the path that was chosen.
    ///
    /// A socket file on which nobody listens is replaced; any other file is left alone.
    ///
    /// # Errors
    ///
    /// A [`BindError`] that names the endpoint and tells one that is in use from the rest.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the endpoint is not bound.
    pub async fn bind(&self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        let bound = Listener::bind(endpoint, &self.hub.config.transport).await;
        let listener = bound.inspect_err(|error| {
            let reason = error.kind().to_string().into();
            self.hub.monitors.tell(|| MonitorEvent::BindFailed(endpoint.clone(), reason));
        })?;
        Ok(self.listen(listener))
    }

    /// Listens on a TCP or Unix socket that listens already, such as one that systemd has made. Returns its endpoint. A
    /// socket file is not removed at the end. libzmq: `ZMQ_USE_FD`.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn bind_fd(&self, socket: OwnedFd) -> io::Result<Endpoint> {
        self.attach_listener(DetachedListener { socket, owns_file: false })
    }

    pub(super) fn attach_listener(&self, listener: DetachedListener) -> io::Result<Endpoint> {
        Ok(self.listen(Listener::attach(listener, &self.hub.config.transport)?))
    }

    fn listen(&self, listener: Listener) -> Endpoint {
        let endpoint = listener.endpoint().clone();
        self.hub.monitors.tell(|| MonitorEvent::Listening(endpoint.clone()));
        let (id, stop) = (self.next_id(), self.hub.stop.child_token());
        let listener = Arc::new(listener);
        let task = listener.clone().run(self.hub.clone(), id, stop.clone());
        self.open(endpoint.clone(), Some(listener), id, stop, task);
        endpoint
    }

    pub(super) fn claim_files(&self) {
        let endpoints = self.lock();
        let listeners = endpoints.open.iter().filter_map(|open| open.listener.as_ref());
        listeners.for_each(|listener| listener.claim_file());
    }

    pub(super) fn attach(&self, detached: DetachedConnection) -> io::Result<Arc<Peer>> {
        self.hub.attach(self.next_id(), detached)
    }

    /// Stops listening, and gives the listening sockets away.
    pub(super) async fn detach_listeners(&self) -> Vec<DetachedListener> {
        let open = std::mem::take(&mut self.lock().open);
        let mut listeners = Vec::new();
        for Open { listener, stop, done, .. } in open {
            let Some(listener) = listener else { continue };
            listener.give_away();
            stop.cancel();
            done.cancelled().await;
            // Its task has ended, so nobody else has it.
            listeners.extend(Arc::into_inner(listener).and_then(|one| one.detach().ok()));
        }
        self.hub.settle(PATIENCE).await;
        listeners
    }

    /// Connects to an endpoint, and again whenever the connection is lost. The peer need not be
    /// there yet.
    ///
    /// A REQ or a DEALER that is connected there already does nothing: a second connection would be
    /// a second turn for the same peer.
    ///
    /// # Errors
    ///
    /// An [`EndpointError`] for a wildcard.
    pub fn connect(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let twice = matches!(self.hub.socket_type, SocketType::Router | SocketType::Rep);
        if !twice && self.lock().find(&self.hub, endpoint, false).is_some() {
            return Ok(());
        }
        self.connect_as(endpoint, None)
    }

    pub(super) fn connect_as(
        &self,
        endpoint: &Endpoint,
        routing_id: Option<Bytes>,
    ) -> Result<(), EndpointError> {
        endpoint.check_connect()?;
        let (id, stop) = (self.next_id(), self.hub.stop.child_token());
        if !self.hub.table().open_outlet(id, endpoint.to_string().into(), routing_id) {
            let reason = "the name for its peer is taken";
            return Err(EndpointError::new(endpoint, EndpointErrorKind::BadName, reason));
        }
        let dialler = Dialler::new(self.hub.clone(), endpoint.clone(), id, stop.clone());
        self.open(endpoint.clone(), None, id, stop, dialler.run());
        Ok(())
    }

    /// Stops listening on an endpoint, given as [`bind`](Self::bind) returned it. The connections
    /// that were accepted there are closed, after what is queued for them has been written or
    /// [`Config::linger`] is over.
    ///
    /// # Errors
    ///
    /// An [`EndpointError`] when it is not bound here.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the endpoint is closed a moment later.
    pub async fn unbind(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let Open { done, .. } = self.take(endpoint, true, "it is not bound here")?;
        done.cancelled().await;
        Ok(())
    }

    /// Ends all connections to an endpoint and does not connect there any more. What is queued may
    /// still leave within [`Config::linger`], and this waits for it.
    ///
    /// # Errors
    ///
    /// An [`EndpointError`] when it is not connected.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the endpoint is left all the same.
    pub async fn disconnect(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        const UNKNOWN: &str = "it is not connected";
        let mut all = vec![self.take(endpoint, false, UNKNOWN)?];
        while let Ok(another) = self.take(endpoint, false, UNKNOWN) {
            all.push(another);
        }
        for open in all {
            open.done.cancelled().await;
        }
        Ok(())
    }

    /// Takes an open endpoint off the list and tells its task to end.
    fn take(
        &self,
        endpoint: &Endpoint,
        is_bound: bool,
        unknown: &'static str,
    ) -> Result<Open, EndpointError> {
        let unknown = || EndpointError::new(endpoint, EndpointErrorKind::NotOpen, unknown);
        let open = {
            let mut endpoints = self.lock();
            let at = endpoints.find(&self.hub, endpoint, is_bound).ok_or_else(unknown)?;
            endpoints.open.swap_remove(at)
        };
        self.hub.finish(open.id);
        open.stop.cancel();
        Ok(open)
    }

    /// The endpoints that are bound, with the ports and paths that were chosen. libzmq:
    /// `ZMQ_LAST_ENDPOINT`, the last of them.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let endpoints = self.lock();
        endpoints
            .open
            .iter()
            .filter(|open| open.is_bound())
            .map(|open| open.endpoint.clone())
            .collect()
    }

    /// What happens to endpoints and connections from now on, handshakes that fail included.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.hub.monitors.subscribe()
    }

    /// A peer that is connected, or that has left and of which there is something to receive.
    #[must_use]
    pub fn peer(&self, peer: PeerId) -> Option<Arc<Peer>> {
        self.hub.table().peer(peer)
    }

    /// All peers that are connected, in no particular order.
    #[must_use]
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.hub.table().peers()
    }

    /// How many messages were accepted and dropped since the socket was made: there was no room and
    /// [`OnFull::Drop`](crate::OnFull::Drop) said so, or their peer left before they were written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.hub.table().dropped()
    }

    pub(super) async fn close(&self) -> Vec<Unsent> {
        self.hub.begin_close();
        // An error is the panic of a task, which has ended with it.
        while poll_fn(|cx| self.lock().tasks.poll_join_next(cx)).await.is_some() {}
        self.hub.closed().await
    }
}

impl Endpoints {
    /// Where an open endpoint is among all of them. Forgets those that have ended by themselves.
    fn find(&mut self, hub: &Hub, endpoint: &Endpoint, is_bound: bool) -> Option<usize> {
        self.open.retain(|open| open.is_bound() || hub.table().has_outlet(open.id));
        self.open.iter().position(|open| open.is_bound() == is_bound && open.endpoint == *endpoint)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.hub.abort();
    }
}
