//! The peer table as connection tasks and the application share it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::sync::watch;
use tokio::task::consume_budget;
use tokio_util::sync::CancellationToken;

use super::monitor::{MonitorEvent, Monitors};
use super::peer::{LeaveReason, Origin, PeerId};
use super::table::{Order, Table};
use crate::config::Config;
use crate::message::Message;
use crate::proto::{Connection, PeerInfo, Settings, SocketType};

/// What all tasks of one socket share.
///
/// The lock is held to move messages and never while anything else is done; a connection task
/// takes it once for all it has read and all it is to write.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) socket_type: SocketType,
    pub(crate) config: Arc<Config>,
    /// Ends listening and dialling.
    pub(crate) stop: CancellationToken,
    pub(crate) monitors: Monitors,
    table: Mutex<Table>,
    /// How many links there are.
    links: watch::Sender<usize>,
}

impl Hub {
    pub(super) fn new(socket_type: SocketType, config: Config) -> Arc<Self> {
        let config = Arc::new(config);
        Arc::new(Self {
            socket_type,
            stop: CancellationToken::new(),
            monitors: Monitors::default(),
            // A REQ has no events; it looks at its peers only when it is used.
            table: Mutex::new(Table::new(config.clone(), socket_type != SocketType::Req)),
            config,
            links: watch::Sender::new(0),
        })
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in the table panics half-way, and a socket must outlive the panic of a task.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection with the peer at `address`, unless there is no room or the socket is closing.
    pub(crate) fn admit(
        self: &Arc<Self>,
        origin: Origin,
        address: impl Into<Arc<str>>,
    ) -> Option<Link> {
        let address = address.into();
        let Some(id) = self.table().admit() else {
            self.monitors.tell(|| MonitorEvent::Refused(address));
            return None;
        };
        self.links.send_modify(|links| *links += 1);
        self.monitors.tell(|| match origin {
            Origin::Peer => MonitorEvent::Accepted(address.clone()),
            Origin::Local => MonitorEvent::Connected(address.clone()),
        });
        Some(Link { hub: self.clone(), id, origin, address, joined: false, ended: false })
    }

    pub(super) fn poll_event<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut Table) -> Option<T>,
    ) -> Poll<Option<T>> {
        // Where there is always an event, others have to have their turn all the same.
        ready!(pin!(consume_budget()).poll(cx));
        let mut table = self.table();
        if let Some(taken) = take(&mut table) {
            return Poll::Ready(Some(taken));
        }
        if !table.is_open() {
            return Poll::Ready(None);
        }
        table.set_receiver(cx.waker());
        Poll::Pending
    }

    /// Takes nothing more in, lets what is queued leave within the linger time, and ends.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.table().close();
        let mut links = self.links.subscribe();
        let done = links.wait_for(|&links| links == 0);
        if tokio::time::timeout(self.config.linger, done).await.is_err() {
            self.abort();
            // An error would mean that the sender is gone, and we have it.
            let _ = links.wait_for(|&links| links == 0).await;
        }
    }

    /// Ends at once.
    pub(super) fn abort(&self) {
        self.stop.cancel();
        self.table().abort();
    }
}

/// A connection task's hold on its peer's place in the table.
#[derive(Debug)]
pub(crate) struct Link {
    hub: Arc<Hub>,
    id: PeerId,
    origin: Origin,
    address: Arc<str>,
    joined: bool,
    ended: bool,
}

impl Link {
    /// The protocol state of the new connection.
    pub(crate) fn connection(&self) -> Connection {
        let Config { identity, limits, heartbeat, .. } = &*self.hub.config;
        let settings =
            Settings { identity: identity.clone(), limits: *limits, heartbeat: *heartbeat };
        Connection::new(self.hub.socket_type, settings, crate::engine::now())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.hub.config
    }

    pub(crate) fn join(&mut self, info: Arc<PeerInfo>) -> Result<(), LeaveReason> {
        self.hub.table().join(self.id, self.origin, self.address.clone(), info)?;
        self.joined = true;
        self.hub.monitors.tell(|| MonitorEvent::HandshakeSucceeded(self.address.clone()));
        Ok(())
    }

    /// Whether the handshake has been finished.
    pub(crate) fn has_joined(&self) -> bool {
        self.joined
    }

    /// So many bytes of an unfinished message are held for the peer. Says whether there may be more;
    /// if not, the task is woken when there may.
    pub(crate) fn hold(&self, bytes: usize) -> bool {
        self.hub.table().hold(self.id, bytes)
    }

    pub(crate) fn exchange(
        &self,
        incoming: &mut VecDeque<Message>,
        outgoing: &mut VecDeque<Message>,
        task: &Waker,
    ) -> Order {
        self.hub.table().exchange(self.id, incoming, outgoing, task)
    }

    /// The connection is over. The first reason counts.
    pub(crate) fn leave(&mut self, reason: LeaveReason) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.hub.table().end(self.id, reason.clone());
        let address = self.address.clone();
        let joined = self.joined;
        let ended = if joined { MonitorEvent::Disconnected } else { MonitorEvent::HandshakeFailed };
        self.hub.monitors.tell(|| ended(address, reason));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.leave(LeaveReason::Local);
        self.hub.links.send_modify(|links| *links -= 1);
    }
}
