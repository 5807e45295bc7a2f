//! [`Estate`]: what a queue leaves to the next one, which has its peers.

use std::time::Duration;

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::policy::AtLimit;
use super::request::Request;
use super::steering::Mode;
use super::{Queue, SILENCE, UNREADY, micros};

/// What a queue leaves to the next one, which has its peers.
#[derive(Debug)]
pub(crate) struct Estate {
    /// What clients have asked and no worker has, as they sent it, in the order of their turns.
    pub(crate) waiting: Vec<(PeerId, Waiting)>,
    /// The idle ones first, in the order of their turns.
    pub(crate) workers: Vec<(PeerId, Left)>,
    /// The numbers of all these requests, under which they are in a journal.
    pub(crate) numbers: Vec<u64>,
    /// Clients of which a request no longer counts: nobody wants its reply.
    pub(crate) released: Vec<PeerId>,
    pub(crate) paused: bool,
}

/// A request that no worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// As the client sent it.
    pub(crate) message: Message,
    /// How long it has waited, if that is known.
    pub(crate) age: Duration,
}

/// A worker as it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) work: Work,
    /// What its last message began with, in front of the delimiter.
    pub(crate) stack: Vec<Bytes>,
    pub(crate) strikes: u32,
    /// An operator wants it to have nothing more.
    pub(crate) held: bool,
    /// It may answer something that is not known here.
    pub(crate) in_doubt: bool,
    /// It is taken for ready if it stays silent.
    pub(crate) expected: bool,
}

/// What a worker is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Silent,
    Idle,
    /// It has a request.
    Busy(Running),
    /// It owes a reply that nobody waits for.
    Late,
}

/// A request that a worker has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) client: PeerId,
    /// As the client sent it.
    pub(crate) message: Message,
    /// How long the worker has had it, if that is known.
    pub(crate) age: Duration,
    /// What is left of its lease, if it has one.
    pub(crate) lease: Option<Duration>,
}

impl Running {
    /// Its worker is gone.
    pub(crate) fn into_waiting(self) -> Waiting {
        Waiting { message: self.message, age: self.age }
    }
}

impl Left {
    /// Of which nothing is known.
    pub(crate) fn silent() -> Self {
        Self {
            work: Work::Silent,
            stack: Vec::new(),
            strikes: 0,
            held: false,
            in_doubt: false,
            expected: false,
        }
    }
}

impl Work {
    pub(crate) fn running(&self) -> Option<&Running> {
        match self {
            Self::Busy(running) => Some(running),
            _ => None,
        }
    }
}

impl Queue {
    /// What there is to go on with, if it goes to a queue that has the same peers.
    pub(crate) fn estate(&self) -> Estate {
        let is_wanted = |request: &&Request| self.clients.want(request);
        let all = self.workers.requests().map(|(request, ..)| request);
        let unwanted = all.chain(self.clients.requests()).filter(|it| !is_wanted(it));
        let released = unwanted.map(|it| it.client).filter(|&client| client != PeerId::NOBODY);
        let waiting: Vec<_> = self.clients.requests().filter(is_wanted).collect();
        let running = self.workers.requests().map(|(request, ..)| request).filter(is_wanted);
        Estate {
            numbers: running.chain(waiting.iter().copied()).map(|it| it.number).collect(),
            waiting: waiting.iter().map(|it| (it.client, self.waiting_as_asked(it))).collect(),
            workers: self.workers.bequeath(self.now, self.micros, |it| self.clients.want(it)),
            released: released.collect(),
            paused: self.mode == Mode::Paused,
        }
    }

    fn waiting_as_asked(&self, request: &Request) -> Waiting {
        let age = Duration::from_micros(self.micros - request.since);
        Waiting { message: request.as_asked(), age }
    }

    /// What is taken in is at most so old.
    pub(crate) fn allow_age(&mut self, age: Duration) {
        if let Some(started) = self.started.checked_sub(age).filter(|_| self.times.is_some()) {
            self.started = started;
            self.set_time(self.now);
        }
    }

    /// A client goes on waiting that another queue had, be there room or not.
    pub(crate) fn take_in_request(&mut self, client: PeerId, Waiting { message, age }: Waiting) {
        let at_limit = std::mem::replace(&mut self.policy.at_limit, AtLimit::Wait);
        let now = self.micros;
        self.micros = now.saturating_sub(micros(age));
        self.client_message(client, message);
        (self.micros, self.policy.at_limit) = (now, at_limit);
    }

    /// A worker goes on that another queue had.
    pub(crate) fn take_in_worker(
        &mut self,
        worker: PeerId,
        routing_id: &Bytes,
        lock_step: bool,
        left: Left,
    ) {
        self.workers.join(worker, routing_id, lock_step);
        if left.work == Work::Silent && left.strikes == 0 {
            if lock_step && (left.expected || self.is_assigned(routing_id)) {
                self.workers.expect(worker, self.now + SILENCE);
            } else {
                self.workers.look_at(worker, self.now + UNREADY);
            }
        }
        let running = left.work.running().cloned();
        self.workers.take_in(worker, left);
        if let Some(running) = running {
            self.go_on_with(worker, running);
        }
    }

    /// A worker has this request, and is not given it again.
    fn go_on_with(&mut self, worker: PeerId, running: Running) {
        let Running { client, message, age, lease } = running;
        self.take_in_request(client, Waiting { message, age });
        let number = self.number;
        let Some(request) = self.clients.take(client, number) else { return };
        // Its worker has been sent it already.
        let lease = lease.or(self.policy.lease);
        let _ = self.workers.give(worker, request, self.now, lease);
        if self.records.is_some() {
            self.note_handed_out(number, worker);
        }
    }
}
