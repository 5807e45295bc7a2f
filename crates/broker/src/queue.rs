//! [`Queue`]: who gets what, as a state machine without I/O that is told the time.
//!
//! ```text
//! client:  request --> waiting --> running --> answered
//!                       ^  ^          |  \
//!                       |  '----------'   '--> given up: it has cost too much
//!                     pause   its worker left, took too long or answered with something else
//!
//! worker:  joined --READY--> idle --request--> busy --reply--> idle
//!                                                |
//!                                                '--lease is over--> late --reply--> idle
//! ```
//!
//! What happens goes in by the methods named after it; what is to be done comes out of
//! [`Queue::next_action`], to be called until it returns `None`. [`Queue::set_time`] comes before the events of a
//! moment, [`Queue::handle_timeouts`] behind them.
//!
//! Frames, where `[]` is an empty frame and `C` the routing id of the client:
//!
//! ```text
//! from a client   stack... [] body...            stack: empty, or a REQ_CORRELATE id
//! to a worker     stack... [] C [] body...       stack: what the worker's own message began with
//! from a worker   stack... [] C [] reply...      or  stack... [] READY
//! to a client     stack... [] reply...
//! ```

mod action;
mod answers;
mod clients;
mod counters;
mod doubt;
mod envelope;
mod estate;
mod line;
mod losses;
mod policy;
mod record;
mod replay;
mod request;
mod returning;
mod room;
mod status;
mod steering;
mod times;
mod workers;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp::{LeaveReason, Message, PeerId};

pub use action::{Action, Side, Violation};
pub(crate) use counters::Account;
pub use counters::{Counters, Faults};
pub(crate) use doubt::Doubt;
pub(crate) use envelope::{ENVELOPE_COST, ENVELOPE_FRAMES};
pub use estate::Estate;
pub(crate) use estate::{Held, Left, Pending, Turn, Work};
pub use policy::{AtLimit, OnWorkerLoss, Policy};
pub use record::{Asked, Record};
pub use replay::Replay;
pub use request::{Cause, DeadLetter, GaveUp, Loss};
pub use returning::Restored;
pub use status::{ClientStatus, Status, WorkerState, WorkerStatus};
pub use times::{Histogram, Times};

use clients::{Clients, Pushed};
use envelope::split_envelope;
use request::Request;
use returning::Returning;
use steering::Mode;
use workers::Workers;
pub(crate) use workers::{At, Owed, known_as};

/// Of an empty frame and `READY` behind it.
const READY_SIZE: usize = 2 + 7;

/// How long a peer that is back is silent before it is taken for waiting: a worker for a request, a client for its reply.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a worker may be connected and not ready before that is told of.
const UNREADY: Duration = Duration::from_secs(10);

/// Who is told of a timeout so much later than it was due has been stopped meanwhile, and so may have its peers.
const STOPPED: Duration = Duration::from_secs(1);

/// The LRU queue.
#[derive(Debug)]
pub struct Queue {
    policy: Policy,
    now: Instant,
    started: Instant,
    /// From the start until now, where that is of use.
    micros: u64,
    /// Until when silent workers are adopted, if that ever ends.
    adopts_until: Option<Instant>,
    /// The number of the last request.
    number: u64,
    clients: Clients,
    workers: Workers,
    actions: VecDeque<Action>,
    counters: Counters,
    faults: Faults,
    /// What an earlier queue left, until that is settled.
    returning: Option<Box<Returning>>,
    /// What the next queue has to know, if anybody keeps it.
    records: Option<Vec<Record>>,
    /// How long requests took, if anybody looks.
    times: Option<Box<Times>>,
    mode: Mode,
    holds: bool,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(policy: Policy, now: Instant) -> Self {
        Self {
            adopts_until: now.checked_add(policy.adoption),
            policy,
            now,
            started: now,
            micros: 0,
            number: 0,
            clients: Clients::default(),
            workers: Workers::default(),
            actions: VecDeque::new(),
            counters: Counters::default(),
            faults: Faults::default(),
            returning: None,
            records: None,
            times: None,
            mode: Mode::Open,
            holds: false,
        }
    }

    /// What happens next happens now. If the last timeout was due long ago, this side was stopped and not its workers
    /// slow: their leases are longer by that time.
    #[inline]
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
        if self.times.is_some() {
            self.micros = micros(now.saturating_duration_since(self.started));
        }
        if self.has_due() {
            self.forgive_delay();
        }
    }

    #[cold]
    fn forgive_delay(&mut self) {
        let due = [self.workers.next_due(), self.next_return()].into_iter().flatten().min();
        let late = due.map_or(Duration::ZERO, |due| self.now.saturating_duration_since(due));
        if late > STOPPED {
            // What has arrived meanwhile is still to be read.
            self.workers.extend(late + STOPPED);
            self.extend_returning(late + STOPPED);
        }
    }

    /// When [`handle_timeouts`](Self::handle_timeouts) is to be called, if nothing happens before.
    #[must_use]
    #[inline]
    pub fn next_timeout(&self) -> Option<Instant> {
        if !self.has_due() {
            return None;
        }
        let due = [self.clients.next_due(), self.workers.next_due(), self.next_return()];
        due.into_iter().flatten().min()
    }

    #[inline]
    fn has_due(&self) -> bool {
        self.clients.delayed() > 0 || self.workers.has_due() || self.returning.is_some()
    }

    /// Does what is due.
    #[inline]
    pub fn handle_timeouts(&mut self) {
        if self.has_due() {
            self.expire();
            self.dispatch();
        }
    }

    /// A client has connected. `lock_step` says that its socket cannot have more than one request
    /// outstanding: a REQ.
    pub fn client_joined(&mut self, client: PeerId, routing_id: &[u8], lock_step: bool) {
        self.clients.join(client, routing_id, lock_step);
        if self.returning.is_some() {
            self.note_client(client, routing_id, lock_step);
            self.dispatch();
        }
    }

    /// A client has sent a message.
    pub fn client_message(&mut self, client: PeerId, message: Message) {
        if self.returning.is_some() {
            self.client_asks(client);
        }
        let Some((stack, message)) = split_envelope(message) else {
            self.report(Side::Frontend, client, Violation::NoDelimiter);
            self.actions.push_back(Action::Release(client));
            return;
        };
        self.counters.requests += 1;
        let size = message.wire_size();
        self.counters.request_bytes += size as u64;
        self.number += 1;
        if size == READY_SIZE && message.part(1) == Some(b"READY") {
            self.report(Side::Frontend, client, Violation::ReadyAsRequest);
        }
        let most = match self.policy.at_limit {
            AtLimit::Wait => usize::MAX,
            AtLimit::Reject if self.is_full() => 0,
            AtLimit::Reject => self.policy.max_waiting_per_client.max(1),
        };
        let pushed = self.clients.push(client, self.number, self.micros, stack, &message, most);
        if self.records.is_some() {
            self.note_asked(client);
        }
        match pushed {
            Pushed::Waits => {}
            // A REQ that asks again has given up what it asked before.
            Pushed::Replaces | Pushed::Unwanted => {
                self.counters.abandoned += 1;
                self.actions.push_back(Action::Release(client));
            }
            Pushed::Refused(stack) => {
                self.counters.rejected += 1;
                self.report(Side::Frontend, client, Violation::Rejected);
                self.answer_with_error(client, &stack);
            }
        }
        self.dispatch();
    }

    /// A client has left. What it waits for is dropped.
    pub fn client_left(&mut self, client: PeerId) {
        self.note_leaves(client);
        if self.records.is_some() {
            self.note_running_ended(client);
        }
        let dropped = self.clients.leave(client);
        self.counters.abandoned += dropped.len() as u64;
        for request in &dropped {
            self.note_ended(request.number);
        }
    }

    /// A worker has connected from this address. It gets nothing before it has said that it is ready, unless it is
    /// [adopted](Policy::adoption). `lock_step` says that it cannot send anything before it has been answered: a REQ.
    pub fn worker_joined(
        &mut self,
        worker: PeerId,
        routing_id: &Bytes,
        address: &str,
        lock_step: bool,
    ) {
        let known_as = known_as(routing_id, address);
        let silence = self.silence(routing_id, &known_as).filter(|_| lock_step);
        self.workers.join(worker, routing_id, known_as, lock_step);
        match silence.and_then(|silence| self.now.checked_add(silence)) {
            Some(until) => self.workers.expect(worker, until),
            None => self.workers.look_at(worker, self.now + UNREADY),
        }
    }

    /// A worker has left. The request it had goes to the next; returns its number, if the worker was sent it.
    pub fn worker_left(&mut self, worker: PeerId, reason: &LeaveReason) -> Option<u64> {
        let cause = Cause::from(reason);
        let has_nothing = self.take_back(worker);
        self.workers.note_failure(worker, reason, has_nothing);
        let assigned = self.lose_assigned(worker, cause);
        let left = self.workers.leave(worker);
        let mut number = assigned;
        match left {
            Some((_, request)) if has_nothing => self.requeue(request),
            Some((name, request)) => {
                number = Some(request.number);
                self.lose_with(name, request, cause);
            }
            None => {}
        }
        self.dispatch();
        number
    }

    /// A request could not be sent to its worker, which must have left. It has cost no attempt.
    pub fn dispatch_failed(&mut self, worker: PeerId) {
        self.workers.note_gone(worker);
        if let Some((_, request)) = self.workers.leave(worker) {
            self.requeue(request);
            self.dispatch();
        }
    }

    /// From now on this is done, with requests that wait as well. Leases are those with which requests were handed out.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The next thing to do.
    #[inline]
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Requests that wait for a worker, [delayed](Self::delayed) ones included.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.clients.waiting()
    }

    /// Requests that were lost with more than one worker and wait for the end of a pause, and those of an earlier queue
    /// that wait for their client.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.clients.delayed() + self.returning.as_ref().map_or(0, |returning| returning.waiting())
    }

    /// Requests that a worker has, or may have since an earlier queue.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.workers.busy() + self.returning.as_ref().map_or(0, |returning| returning.in_flight())
    }

    /// Workers that wait for a request.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.workers.idle()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Gives waiting requests to idle workers while there are both.
    #[inline]
    fn dispatch(&mut self) {
        while self.mode == Mode::Open
            && self.workers.idle() > 0
            && let Some(mut request) = self.clients.next()
        {
            let number = request.number;
            if let Some(times) = &mut self.times {
                times.waited.record(self.micros - request.since);
            }
            request.since = self.micros;
            let sent = self.workers.hand_out(request, self.now, self.policy.lease);
            if let Some((worker, message)) = sent {
                if self.records.is_some() {
                    self.note_handed_out(number, worker);
                }
                self.actions.push_back(Action::Dispatch(worker, message));
            }
        }
    }

    /// Nobody waits for the reply to this request any more.
    fn abandon(&mut self, request: &Request) {
        self.counters.abandoned += 1;
        self.note_ended(request.number);
        self.release(request.client);
    }

    /// A request of this client no longer counts.
    fn release(&mut self, client: PeerId) {
        if client != PeerId::NOBODY {
            self.actions.push_back(Action::Release(client));
        }
    }

    /// A peer has done something wrong that the socket has seen.
    pub(crate) fn count_violation(&mut self, violation: Violation) {
        self.counters.violations += 1;
        *self.faults.violations.entry(violation).or_default() += 1;
    }

    fn report(&mut self, side: Side, peer: PeerId, violation: Violation) {
        self.count_violation(violation);
        self.actions.push_back(Action::Report(side, peer, violation, None));
    }
}

/// Enough for half a million years.
fn micros(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000).saturating_add(time.subsec_micros().into())
}

#[cfg(test)]
mod tests;
