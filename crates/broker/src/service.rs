//! [`Broker`]: the queue between two ROUTER sockets.

mod keeping;
mod leaving;
mod showing;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use zmtp::proto::SocketType;
use zmtp::{Endpoint, LeaveReason, Monitor, Peer, PeerEvent, PeerId, Router};

use crate::batch::Batch;
use crate::builder::{Builder, OnDeadLetter};
use crate::config::Config;
use crate::handle::{Handle, Orders};
use crate::handover::{Handover, Inherited};
use crate::journal::{Journal, JournalError};
use crate::queue::{Action, Counters, Queue, Side, Violation};
use crate::report::{PeerChange, Reports};
use crate::start_error::StartError;
use crate::tap::Taps;
use crate::timer::{Timer, now};

pub(crate) use keeping::Stuck;

/// Events taken from a socket before what follows from them is carried out.
const BATCH: usize = 64;

/// How a broker ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Requests that no worker had been given.
    pub waiting: usize,
    /// Requests that a worker had and did not answer in time.
    pub in_flight: usize,
    /// What happened in all.
    pub counters: Counters,
    /// Why it could not go on.
    pub failure: Option<JournalError>,
}

/// A queue that listens.
pub struct Broker {
    pub(crate) frontend: Router,
    pub(crate) backend: Router,
    pub(crate) frontend_endpoints: Vec<Endpoint>,
    pub(crate) backend_endpoints: Vec<Endpoint>,
    pub(crate) queue: Queue,
    /// Requests are left in the frontend, because too many wait.
    pub(crate) holds: bool,
    pub(crate) drain: Duration,
    pub(crate) max_message_size: usize,
    pub(crate) journal: Option<Journal>,
    pub(crate) stuck: Option<Box<Stuck>>,
    pub(crate) orders: Option<Orders>,
    /// Peers of an earlier broker.
    pub(crate) inherited: Option<Inherited>,
    /// Who is to go on from here.
    pub(crate) heir: Option<oneshot::Sender<Handover>>,
    /// What the backend and the frontend have told and was not looked at.
    pub(crate) events: (Vec<PeerEvent>, Vec<PeerEvent>),
    pub(crate) batch: Batch,
    /// Who has left in this turn.
    pub(crate) left: Vec<(Side, Arc<Peer>)>,
    pub(crate) reports: Reports,
    pub(crate) taps: Taps,
    pub(crate) dead_letters: OnDeadLetter,
}

/// In one word, for nearly always there is none.
type Failure = Box<JournalError>;

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frontend, backend, queue, .. } = self;
        f.debug_struct("Broker")
            .field("frontend", frontend)
            .field("backend", backend)
            .field("queue", queue)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Makes one.
    pub fn builder() -> Builder {
        Builder::default()
    }

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
        Builder::from(config).bind().await
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

    /// Reaches the broker while it runs.
    #[must_use]
    pub fn handle(&mut self) -> Handle {
        self.orders.get_or_insert_default().handle()
    }

    /// Carries requests and replies until `shutdown` is done. Then hands out no more requests, waits
    /// for those that workers have, and closes both sockets. With a journal, those that are left go on with the next
    /// broker that has it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the broker ends at once.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Outcome {
        self.frontend.claim_files();
        self.backend.claim_files();
        self.take_in();
        if let Err(failure) = self.take_journal() {
            return self.outcome(Some(failure));
        }
        let failure = tokio::select! {
            biased;
            () = shutdown => None,
            result = self.carry(|_| false) => result.err(),
        };
        // What is rare is out of the way of what is done for each request.
        match (&failure, self.heir.take()) {
            (None, Some(heir)) => Box::pin(self.hand_over(heir)).await,
            _ => Box::pin(self.end(failure)).await,
        }
    }

    fn outcome(&self, failure: Option<Failure>) -> Outcome {
        Outcome {
            waiting: self.queue.waiting(),
            in_flight: self.queue.in_flight(),
            counters: self.queue.counters(),
            failure: failure.map(|failure| *failure),
        }
    }

    /// Carries requests and replies until `done` says so.
    async fn carry(&mut self, done: impl Fn(&Queue) -> bool) -> Result<(), Failure> {
        let mut timer = Timer::default();
        // Of those that were taken when this was dropped before.
        self.take_turn()?;
        loop {
            if self.stuck.is_some() {
                Box::pin(self.wait_for_room()).await?;
            }
            if done(&self.queue) || self.heir.is_some() {
                return Ok(());
            }
            poll_fn(|cx| self.poll_events(cx, &mut timer)).await?;
            if self.journal.as_ref().is_some_and(Journal::waits_for_disk) {
                self.gather().await;
            }
            self.take_turn()?;
        }
    }

    /// Does what follows from the events that were taken.
    fn take_turn(&mut self) -> Result<(), Failure> {
        self.queue.set_time(now());
        if !self.taps.is_empty() {
            self.show_received();
        }
        // Workers first: who becomes idle now may serve what comes next.
        if !self.events.0.is_empty() {
            let mut events = std::mem::take(&mut self.events.0);
            events.drain(..).for_each(|event| self.queue_backend(event));
            self.events.0 = events;
        }
        if !self.events.1.is_empty() {
            let mut events = std::mem::take(&mut self.events.1);
            events.drain(..).for_each(|event| self.queue_frontend(event));
            self.events.1 = events;
        }
        self.queue.handle_timeouts();
        self.act()?;
        self.left.clear();
        let holds = self.queue.holds_requests();
        if holds != self.holds {
            self.holds = holds;
            self.frontend.hold_messages(holds);
        }
        Ok(())
    }

    fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        timer: &mut Timer,
    ) -> Poll<Result<(), Failure>> {
        if self.orders.as_mut().is_some_and(|orders| orders.poll_waiting(cx)) {
            self.follow_orders();
            return Poll::Ready(Ok(()));
        }
        let backend = self.backend.poll_recv_many(cx, &mut self.events.0, BATCH);
        let frontend = self.frontend.poll_recv_many(cx, &mut self.events.1, BATCH);
        if backend.is_ready() || frontend.is_ready() {
            return Poll::Ready(Ok(()));
        }
        timer.poll(cx, self.queue.next_timeout()).map(Ok)
    }

    #[cold]
    fn follow_orders(&mut self) {
        self.queue.set_time(now());
        while let Some(order) = self.orders.as_mut().and_then(Orders::next) {
            order(self);
        }
    }

    fn queue_backend(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Message(worker, message) => self.queue.worker_message(worker, message),
            PeerEvent::Joined(peer) => {
                let lock_step = peer.info.socket_type == SocketType::Req;
                self.queue.worker_joined(peer.id, &peer.routing_id, &peer.address, lock_step);
                self.reports.add_change(PeerChange::joined(Side::Backend, &peer));
            }
            PeerEvent::Left(worker, reason) => {
                if reason == LeaveReason::Replaced {
                    self.queue.count_violation(Violation::Replaced);
                    self.reports.add(&worker, Side::Backend, Violation::Replaced, None);
                }
                let had = self.queue.worker_left(worker.id, &reason);
                let left = PeerChange::left(Side::Backend, &worker, &reason);
                self.reports.add_change(PeerChange { had, ..left });
                self.note_left(Side::Backend, worker, &reason);
            }
            _ => {}
        }
    }

    fn queue_frontend(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Message(client, message) => self.queue.client_message(client, message),
            PeerEvent::Joined(peer) => {
                let lock_step = peer.info.socket_type == SocketType::Req;
                self.queue.client_joined(peer.id, &peer.routing_id, lock_step);
                self.reports.add_change(PeerChange::joined(Side::Frontend, &peer));
            }
            PeerEvent::Left(client, reason) => {
                if reason == LeaveReason::WriteTimeout {
                    self.queue.count_violation(Violation::NotReading);
                    self.reports.add(&client, Side::Frontend, Violation::NotReading, None);
                }
                self.reports.add_change(PeerChange::left(Side::Frontend, &client, &reason));
                self.queue.client_left(client.id);
                self.note_left(Side::Frontend, client, &reason);
            }
            _ => {}
        }
    }

    /// Carries out what the queue has decided, all of it together.
    fn act(&mut self) -> Result<(), Failure> {
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
                    Action::GiveUp(letter) => (self.dead_letters)(&letter),
                    Action::LookAt(client) => self.look_at(client),
                    Action::Report(side, peer, violation, request) => {
                        if let Some(peer) = self.peer(side, peer) {
                            self.reports.add(&peer, side, violation, request);
                        }
                    }
                }
            }
            // What is to follow is put off with the batch.
            if self.journal.is_some() && !self.keep()? {
                return Ok(());
            }
            if !self.taps.is_empty() {
                self.show_sent();
            }
            let retry = self.batch.deliver(&self.frontend, &self.backend, &mut self.queue);
            if !self.batch.full.is_empty() {
                self.disconnect_full();
            }
            if self.journal.is_some() {
                self.shorten_journal()?;
            }
            if !retry {
                return Ok(());
            }
        }
    }

    pub(crate) fn socket(&self, side: Side) -> &Router {
        match side {
            Side::Frontend => &self.frontend,
            Side::Backend => &self.backend,
        }
    }

    /// A peer that is connected, or has just left.
    #[cold]
    fn peer(&self, side: Side, id: PeerId) -> Option<Arc<Peer>> {
        let left = || self.left.iter().find(|(at, peer)| *at == side && peer.id == id);
        self.socket(side).peer(id).or_else(|| left().map(|(_, peer)| peer.clone()))
    }

    #[cold]
    fn note_left(&mut self, side: Side, peer: Arc<Peer>, reason: &LeaveReason) {
        if Violation::is_cause_of(reason) {
            self.queue.count_violation(Violation::Protocol);
        }
        self.left.push((side, peer));
    }

    #[cold]
    fn look_at(&mut self, client: PeerId) {
        if self.frontend.has_unread(client) {
            self.queue.client_asks(client);
        } else {
            self.queue.client_waits(client);
        }
    }

    #[cold]
    fn disconnect_full(&mut self) {
        for client in self.batch.full.drain(..) {
            self.queue.count_violation(Violation::NotReading);
            if let Some(peer) = self.frontend.peer(client) {
                self.reports.add(&peer, Side::Frontend, Violation::NotReading, None);
            }
            self.frontend.disconnect_peer(client);
        }
    }
}
