//! [`Status`]: what a queue is at.

use std::time::Duration;

use bytes::Bytes;
use zmtp::PeerId;

use super::Queue;
use super::counters::{Counters, Faults};
use super::request::Request;
use super::steering::Mode;
use super::times::Times;

/// Clients that are told of.
const LONGEST: usize = 10;

/// What a queue is at.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each says something else")]
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
    /// Clients that have waited longest, at most ten, if times are [kept](Queue::keep_times).
    pub longest: Vec<ClientStatus>,
    /// Requests that a worker has.
    pub in_flight: usize,
    /// Clients that are connected.
    pub clients: usize,
    /// Workers that are connected: those that are idle, the least recently used first, then the others.
    pub workers: Vec<WorkerStatus>,
    /// Requests are left in their clients' connections, because too many wait.
    pub holds: bool,
    /// There is no room in the [journal](crate::Broker::with_journal), and nothing goes on before there is. A queue by itself has
    /// none.
    pub journal_full: bool,
    /// No requests are handed out until the queue is [resumed](Queue::resume).
    pub paused: bool,
    /// No more requests are handed out.
    pub draining: bool,
    /// How long requests took, if that is kept.
    pub times: Option<Times>,
}

/// A client that waits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientStatus {
    /// What it is called.
    pub name: Bytes,
    /// How long the first of its requests has waited.
    pub waits: Duration,
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
    /// It gets nothing more once it has answered what it has: an operator or its faults want it so.
    pub held: bool,
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
    /// It gets nothing more until it connects again, or is [released](Queue::release_worker).
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
        let restored = self.returning.iter().flat_map(|returning| returning.requests());
        let restored = restored.filter(|(_, worker)| worker.is_none()).map(|(request, _)| request);
        let waiting = self.clients.requests().chain(restored);
        Status {
            counters: self.counters,
            faults: self.faults.clone(),
            waiting: self.waiting(),
            waiting_bytes: self.clients.bytes(),
            delayed: self.delayed(),
            longest: now.map(|now| longest(waiting, now)).unwrap_or_default(),
            in_flight: self.in_flight(),
            clients: self.clients.len(),
            workers: self.workers.status(now, self.policy.max_strikes),
            holds: self.holds,
            journal_full: false,
            paused: self.mode == Mode::Paused,
            draining: self.is_draining(),
            times: self.times.as_deref().cloned(),
        }
    }
}

impl Status {
    /// How long the first request has waited, if one waits and times are [kept](Queue::keep_times).
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        self.longest.first().map(|client| client.waits)
    }
}

/// The clients of these requests that have waited longest.
fn longest<'a>(waiting: impl Iterator<Item = &'a Request>, now: u64) -> Vec<ClientStatus> {
    let mut first: Vec<&Request> = Vec::new();
    for request in waiting {
        if first.get(LONGEST - 1).is_some_and(|last| last.since <= request.since) {
            continue;
        }
        let of_client = |other: &&Request| other.client_name() == request.client_name();
        let earlier = first.iter().find(|other| of_client(other));
        if earlier.is_some_and(|earlier| earlier.since <= request.since) {
            continue;
        }
        first.retain(|other| !of_client(other));
        first.truncate(LONGEST - 1);
        first.insert(first.partition_point(|other| other.since <= request.since), request);
    }
    let client = |request: &Request| ClientStatus {
        name: Bytes::copy_from_slice(request.client_name()),
        waits: Duration::from_micros(now - request.since),
    };
    first.into_iter().map(client).collect()
}
