//! [`Status`]: what a queue is at.

use std::time::Duration;

use bytes::Bytes;
use zmtp::PeerId;

use super::Queue;
use super::counters::{Counters, Faults};
use super::times::Times;

/// What a queue is at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What has happened so far.
    pub counters: Counters,
    /// What of that was somebody's fault.
    pub faults: Faults,
    /// Requests that wait.
    pub waiting: usize,
    /// Bytes of them.
    pub waiting_bytes: usize,
    /// Those of them that wait for the end of a pause, or for a client of an earlier queue.
    pub delayed: usize,
    /// How long the first of them has waited, if times are [kept](Queue::keep_times).
    pub oldest: Option<Duration>,
    /// Requests that a worker has.
    pub in_flight: usize,
    /// Clients that are connected.
    pub clients: usize,
    /// Workers that are connected: those that are idle, the least recently used first, then the others.
    pub workers: Vec<WorkerStatus>,
    /// Requests are left in their clients' connections, because too many wait.
    pub holds: bool,
    /// No more requests are handed out.
    pub draining: bool,
    /// How long requests took, if that is kept.
    pub times: Option<Times>,
}

/// What a worker is at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its connection.
    pub id: PeerId,
    /// What it is called.
    pub name: Bytes,
    /// What it does.
    pub state: WorkerState,
    /// The client whose request it has.
    pub client: Option<Bytes>,
    /// How long it has had that, if times are [kept](Queue::keep_times).
    pub since: Option<Duration>,
    /// Messages it should not have sent.
    pub strikes: u32,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WorkerState {
    /// It waits for a request.
    Idle,
    /// It has a request.
    Busy,
    /// It has had a request for longer than its lease, and is to answer before it gets another.
    Late,
    /// It has not said READY.
    Silent,
    /// It gets nothing more until it connects again.
    Quarantined,
}

impl WorkerState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Idle, Self::Busy, Self::Late, Self::Silent, Self::Quarantined];

    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::Silent => "silent",
            Self::Quarantined => "quarantined",
        }
    }
}

impl Queue {
    /// From now on it is kept how long requests take. To be called before anybody joins.
    pub fn keep_times(&mut self) {
        self.times.get_or_insert_default();
    }

    /// What the queue is at. This looks at all that waits.
    #[must_use]
    pub fn status(&self) -> Status {
        let now = self.times.as_ref().map(|_| self.micros);
        let age = |since| Duration::from_micros(self.micros - since);
        let restored = self.returning.iter().flat_map(|returning| returning.requests());
        let restored = restored.filter(|(_, worker)| worker.is_none()).map(|(request, _)| request);
        let oldest = self.clients.requests().chain(restored).map(|request| request.since).min();
        Status {
            counters: self.counters,
            faults: self.faults.clone(),
            waiting: self.waiting(),
            waiting_bytes: self.clients.bytes(),
            delayed: self.delayed(),
            oldest: oldest.map(age).filter(|_| self.times.is_some()),
            in_flight: self.in_flight(),
            clients: self.clients.len(),
            workers: self.workers.status(now, self.policy.max_strikes),
            holds: self.holds,
            draining: self.draining,
            times: self.times.as_deref().cloned(),
        }
    }
}
