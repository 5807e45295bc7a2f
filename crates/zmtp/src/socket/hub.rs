//! The peer table as connection tasks and the application share it.

mod detaching;
mod link;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::consume_budget;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use link::Link;

use super::monitor::{MonitorEvent, Monitors};
use super::outlet::{EndpointId, Lane, Unsent};
use super::peer::{Origin, PeerId};
use super::recv_error::RecvError;
use super::table::{Table, Way};
use crate::config::{Config, OnFull};
use crate::error::{SendError, SendErrorKind};
use crate::message::Message;
use crate::proto::{Settings, SocketType};

/// What all tasks of one socket share.
///
/// The lock is held to move messages and never while anything else is done; a connection task
/// takes it once for all it has read and all it is to write.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) socket_type: SocketType,
    pub(crate) config: Arc<Config>,
    settings: Arc<Settings>,
    /// Ends listening and dialling.
    pub(crate) stop: CancellationToken,
    pub(crate) monitors: Monitors,
    table: Mutex<Table>,
    room: Arc<Notify>,
    /// How many links there are.
    links: watch::Sender<usize>,
}

impl Hub {
    pub(super) fn new(socket_type: SocketType, config: Config) -> Arc<Self> {
        let Config { identity, properties, limits, heartbeat, .. } = &config;
        let (identity, properties) = (identity.clone(), properties.clone());
        let settings = Settings { identity, properties, limits: *limits, heartbeat: *heartbeat };
        let config = Arc::new(config);
        let rotates = matches!(socket_type, SocketType::Req | SocketType::Dealer);
        let table = Table::new(config.clone(), rotates);
        Arc::new(Self {
            socket_type,
            stop: CancellationToken::new(),
            monitors: Monitors::default(),
            room: table.room(),
            table: Mutex::new(table),
            config,
            settings: Arc::new(settings),
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
        endpoint: EndpointId,
        address: impl Into<Arc<str>>,
    ) -> Option<Link> {
        let address = address.into();
        let Some(id) = self.table().admit(origin, endpoint, address.clone()) else {
            self.monitors.tell(|| MonitorEvent::Refused(address));
            return None;
        };
        self.links.send_modify(|links| *links += 1);
        self.monitors.tell(|| match origin {
            Origin::Peer => MonitorEvent::Accepted(address.clone()),
            Origin::Local => MonitorEvent::Connected(address.clone()),
        });
        Some(Link { hub: self.clone(), id, address, joined: false, ended: false })
    }

    /// What `take` finds, now or not at all.
    pub(super) fn try_event<T>(
        &self,
        take: impl FnOnce(&mut Table) -> Option<T>,
    ) -> Result<T, RecvError> {
        let mut table = self.table();
        let closed = if table.is_open() { RecvError::Nothing } else { RecvError::Closed };
        take(&mut table).ok_or(closed)
    }

    /// Appends to `taken` all that `take` finds, `max` at most. Returns how many, 0 if the socket is
    /// closed.
    pub(super) fn poll_many<T>(
        &self,
        cx: &mut Context<'_>,
        taken: &mut Vec<T>,
        max: usize,
        mut take: impl FnMut(&mut Table) -> Option<T>,
    ) -> Poll<usize> {
        if max == 0 {
            return Poll::Ready(0);
        }
        let count = self.poll_event(cx, |table| {
            let before = taken.len();
            taken.extend(std::iter::from_fn(|| take(table)).take(max));
            Some(taken.len() - before).filter(|&count| count > 0)
        });
        count.map(Option::unwrap_or_default)
    }

    /// An endpoint is no longer bound or connected to. What is queued for its peers may still leave.
    pub(crate) fn finish(&self, id: EndpointId) {
        let by = self.linger_deadline();
        self.table().finish(id, by);
    }

    /// Until when an endpoint that is no longer connected to has to be tried for what waits.
    pub(crate) fn lingers(&self, id: EndpointId) -> Option<Instant> {
        self.table().lingers(id)
    }

    /// An endpoint is no longer connected to, and nothing can be done for what waits.
    pub(crate) fn close_outlet(&self, id: EndpointId) {
        self.table().close_outlet(id);
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

    /// What happens to a message for which there is no room.
    fn on_full(&self) -> OnFull {
        self.config.on_full.unwrap_or(match self.socket_type {
            SocketType::Req | SocketType::Dealer => OnFull::Wait,
            SocketType::Router => OnFull::Fail,
            SocketType::Rep => OnFull::Drop,
        })
    }

    /// Sends by `attempt`, and does as the configuration says if there is no room.
    pub(super) async fn send<T: Default>(
        &self,
        mut message: Message,
        attempt: impl Fn(&mut Table, Message) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        loop {
            // Made before the attempt, so that room which is made after it is not missed.
            let room = self.room.notified();
            {
                let mut table = self.table();
                let error = match attempt(&mut table, message) {
                    Err(error) if self.finds_no_room(&error) => error,
                    outcome => return outcome,
                };
                match self.on_full() {
                    OnFull::Wait => {}
                    OnFull::Fail => return Err(error),
                    OnFull::Drop => {
                        table.count_dropped();
                        return Ok(T::default());
                    }
                }
                message = error.into_message();
                table.await_room();
            }
            room.await;
        }
    }

    /// Sends now or not at all, and writes to all the peers. What failed is put to `failed`.
    pub(super) fn send_many(
        &self,
        messages: &mut Vec<(PeerId, Message)>,
        failed: &mut Vec<(PeerId, SendError)>,
    ) {
        if messages.is_empty() {
            return;
        }
        let mut ways = self.table().ways(messages);
        let mut queued = Vec::new();
        for (at, (peer, message)) in messages.drain(..).enumerate() {
            queued.extend(take_way(&mut ways, at, message).err().map(|message| (peer, message)));
        }
        if queued.is_empty() {
            return;
        }
        // With one lock: no room is made between two messages for the same peer.
        let mut table = self.table();
        for (peer, message) in queued {
            let outcome = table.send(Lane::Peer(peer), message);
            let error = self.drop_if_full(&mut table, outcome).err();
            failed.extend(error.map(|error| (peer, error)));
        }
    }

    /// Sends by `attempt` now or not at all.
    pub(super) fn try_send<T: Default>(
        &self,
        message: Message,
        attempt: impl FnOnce(&mut Table, Message) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let mut table = self.table();
        let outcome = attempt(&mut table, message);
        self.drop_if_full(&mut table, outcome)
    }

    /// A message for which there is no room is dropped, if that is what the configuration says.
    fn drop_if_full<T: Default>(
        &self,
        table: &mut Table,
        outcome: Result<T, SendError>,
    ) -> Result<T, SendError> {
        match outcome {
            Err(error) if self.finds_no_room(&error) && self.on_full() == OnFull::Drop => {
                table.count_dropped();
                Ok(T::default())
            }
            outcome => outcome,
        }
    }

    /// Whether it may be otherwise later. To sockets that send to whoever is next, so it is where
    /// there is nobody.
    fn finds_no_room(&self, error: &SendError) -> bool {
        match error.kind() {
            SendErrorKind::Full => true,
            SendErrorKind::NoSuchPeer => {
                matches!(self.socket_type, SocketType::Req | SocketType::Dealer)
            }
            _ => false,
        }
    }

    /// When what is queued has to have left, if its end begins now.
    fn linger_deadline(&self) -> Instant {
        let now = Instant::now();
        // For ever is a lifetime.
        let lifetime = Duration::from_secs(30 * 365 * 24 * 3600);
        now.checked_add(self.config.linger.min(lifetime)).unwrap_or(now)
    }

    /// Takes nothing more in and lets what is queued leave within the linger time.
    pub(super) fn begin_close(&self) {
        self.table().close(self.linger_deadline());
        self.stop.cancel();
    }

    /// Waits until all connections have ended. Returns what was not delivered.
    pub(super) async fn closed(&self) -> Vec<Unsent> {
        let mut links = self.links.subscribe();
        // An error would mean that the sender is gone, and we have it.
        let _ = links.wait_for(|&links| links == 0).await;
        self.table().take_unsent()
    }

    /// Ends at once.
    pub(super) fn abort(&self) {
        self.stop.cancel();
        self.table().abort();
    }
}

/// Hands a message of a batch to its connection. If it comes back, those for the same peer are queued behind it.
fn take_way(ways: &mut [Option<Way>], at: usize, message: Message) -> Result<(), Message> {
    let Some(way) = ways.get_mut(at).and_then(Option::take) else { return Err(message) };
    let outcome = way.connection.send_in_place(message, way.next.is_none());
    let mut next = way.next.filter(|_| outcome.is_err());
    while let Some(way) = next.and_then(|next| ways.get_mut(next)).and_then(Option::take) {
        next = way.next;
    }
    outcome
}
