//! [`Estate`]: what a queue leaves to the next one, which has its peers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::counters::Account;
use super::doubt::Doubt;
use super::envelope::split_envelope;
use super::record::Record;
use super::replay::Replay;
use super::request::{Cause, Loss, Past, Request};
use super::steering::Mode;
use super::workers::{At, Owed};
use super::{Queue, SILENCE, UNREADY, micros};

/// What a queue leaves to the next one, which has its peers. Requests whose client or worker is still to come back, of
/// the queue before, are not in it: they are in the [journal](Queue::snapshot).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estate {
    /// That of the last request. Requests keep theirs.
    pub(crate) number: u64,
    /// Who is there, what they are called, and whether they are lock-step clients.
    pub(crate) clients: Vec<(PeerId, Bytes, bool)>,
    /// What clients have asked and no worker has, in the order of their turns.
    pub(crate) waiting: VecDeque<Pending>,
    /// The idle ones first, in the order of their turns, then those that are expected, in that of their times.
    pub(crate) workers: Vec<(PeerId, Left)>,
    /// What workers are known again by whose connections failed, the last one last, and what they were at.
    pub(crate) away: Vec<(Bytes, At)>,
    /// Replies for clients that are still to come back.
    pub(crate) held: Vec<Held>,
    /// Clients of which a request no longer counts: nobody wants its reply.
    pub(crate) released: Vec<PeerId>,
    pub(crate) paused: bool,
    pub(crate) account: Account,
}

/// A request that has not been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) number: u64,
    pub(crate) client: PeerId,
    /// As the client sent it.
    pub(crate) message: Message,
    /// How long it has waited or run, if that is known.
    pub(crate) age: Duration,
    /// The attempts that brought no reply, if there was one: the worker, the cause, and how long ago.
    pub(crate) losses: Option<Vec<(Bytes, Cause, Duration)>>,
    pub(crate) turn: Turn,
}

/// A reply for a client of an earlier queue that is not back yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// What it is called.
    pub(crate) client: Bytes,
    pub(crate) lock_step: bool,
    /// Of the request, if it is in the journal: one that was given up is not.
    pub(crate) number: Option<u64>,
    pub(crate) reply: Message,
}

/// When a request that waits is handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Turn {
    /// When it is its client's turn.
    #[default]
    InLine,
    /// Before those that are in line.
    Next,
    /// So much later, and then before those.
    After(Duration),
}

/// A worker as it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) routing_id: Bytes,
    /// What it is known again by.
    pub(crate) known_as: Bytes,
    pub(crate) lock_step: bool,
    pub(crate) work: Work,
    /// What its last message began with, in front of the delimiter.
    pub(crate) stack: Vec<Bytes>,
    pub(crate) strikes: u32,
    /// An operator wants it to have nothing more.
    pub(crate) held: bool,
    /// What it may answer before what it has.
    pub(crate) doubt: Option<Box<Doubt>>,
    /// It is taken for ready if it stays silent for so much longer.
    pub(crate) expected: Option<Duration>,
}

/// What a worker is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Silent,
    Idle,
    /// It has a request, and so much of its lease is left, if it has one.
    Busy(Pending, Option<Duration>),
    /// It owes the reply to a request that was taken from it, or one that nobody waits for.
    Late(Option<Owed>),
}

impl Left {
    /// Of which nothing is known.
    pub(crate) fn silent(routing_id: Bytes, known_as: Bytes, lock_step: bool) -> Self {
        Self {
            routing_id,
            known_as,
            lock_step,
            work: Work::Silent,
            stack: Vec::new(),
            strikes: 0,
            held: false,
            doubt: None,
            expected: None,
        }
    }
}

impl Work {
    pub(crate) fn running(&self) -> Option<&Pending> {
        match self {
            Self::Busy(running, _) => Some(running),
            _ => None,
        }
    }
}

impl Estate {
    /// All requests.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Pending> {
        let running = self.workers.iter().filter_map(|(_, left)| left.work.running());
        self.waiting.iter().chain(running)
    }

    /// Takes the requests that are in here out of a journal's replay, for they go on with their clients.
    pub fn settle(&self, replay: &mut Replay) {
        for &Pending { number, .. } in self.requests() {
            replay.apply(Record::Ended { number });
        }
    }

    /// With what its peers are called elsewhere. Who has left meanwhile is not.
    pub(crate) fn moved(
        mut self,
        client: impl Fn(PeerId) -> Option<PeerId>,
        worker: impl Fn(PeerId) -> Option<PeerId>,
    ) -> Self {
        let clients = self.clients.into_iter();
        self.clients =
            clients.filter_map(|(id, name, kind)| Some((client(id)?, name, kind))).collect();
        let mut lost = VecDeque::new();
        for (id, mut left) in std::mem::take(&mut self.workers) {
            left.work = match left.work {
                Work::Busy(running, lease) => {
                    let running = running.moved(&client).map(|running| Work::Busy(running, lease));
                    running.unwrap_or_else(|| {
                        left.doubt.get_or_insert_default().add_unknown();
                        Work::Late(None)
                    })
                }
                Work::Late(owed) => Work::Late(owed.and_then(|owed| owed.moved(&client))),
                other => other,
            };
            match (worker(id), left.work) {
                (Some(id), work) => self.workers.push((id, Left { work, ..left })),
                // It goes to the next.
                (None, Work::Busy(running, _)) => lost.push_back(running),
                (None, _) => {}
            }
        }
        lost.extend(self.waiting.into_iter().filter_map(|waiting| waiting.moved(&client)));
        self.waiting = lost;
        self
    }
}

impl Pending {
    fn moved(self, client: impl Fn(PeerId) -> Option<PeerId>) -> Option<Self> {
        Some(Self { client: client(self.client)?, ..self })
    }

    fn of(request: &Request, now: Instant, micros: u64, turn: Turn) -> Self {
        let loss = |Loss { worker, cause, at }: &Loss| {
            (worker.clone(), *cause, now.saturating_duration_since(*at))
        };
        let losses = request.past.as_ref().map(|past| past.losses.iter().map(loss).collect());
        Self {
            number: request.number,
            client: request.client,
            message: request.as_asked(),
            age: Duration::from_micros(micros - request.since),
            losses,
            turn,
        }
    }
}

impl Owed {
    fn moved(self, client: impl Fn(PeerId) -> Option<PeerId>) -> Option<Self> {
        Some(Self { client: client(self.client)?, ..self })
    }
}

impl Queue {
    /// What there is to go on with, if it goes to a queue that has the same peers.
    #[must_use]
    pub fn estate(&self) -> Estate {
        let is_wanted = |request: &&Request| self.clients.want(request);
        let running = self.workers.requests().map(|(request, ..)| request);
        let unwanted = running.chain(self.clients.requests()).filter(|it| !is_wanted(it));
        let released = unwanted.map(|it| it.client).filter(|&client| client != PeerId::NOBODY);
        let turns = self.clients.turns(self.now);
        let pending = |request: &Request| {
            let turn = turns.get(&request.number).copied().unwrap_or_default();
            Pending::of(request, self.now, self.micros, turn)
        };
        Estate {
            number: self.number,
            clients: self.clients.all().collect(),
            away: self.workers.away(),
            held: self.held(),
            waiting: self.clients.requests().filter(is_wanted).map(&pending).collect(),
            workers: self.workers.bequeath(self.now, |it| is_wanted(&it).then(|| pending(it))),
            released: released.collect(),
            paused: self.mode == Mode::Paused,
            account: self.account(),
        }
    }

    /// What was counted, with requests that nobody wants any more as abandoned: they end here.
    fn account(&self) -> Account {
        let running = self.workers.requests().map(|(request, ..)| request);
        let all = running.chain(self.clients.requests());
        let unwanted = all.filter(|request| !self.is_wanted(request)).count();
        let mut counters = self.counters;
        counters.settle((self.waiting() + self.in_flight()).saturating_sub(unwanted));
        Account { counters, faults: self.faults.clone(), times: self.times.clone() }
    }

    /// Goes on with what another queue has left, whose peers have not joined here.
    pub fn go_on(&mut self, estate: Estate) {
        self.number = self.number.max(estate.number);
        for held in estate.held {
            self.hold(held);
        }
        for (name, was) in estate.away {
            self.workers.remember(name, was);
        }
        for (client, name, lock_step) in estate.clients {
            self.client_joined(client, &name, lock_step);
        }
        // Nothing is handed out before all are there.
        let mode = std::mem::replace(&mut self.mode, Mode::Paused);
        for waiting in estate.waiting {
            self.take_in_request(waiting);
        }
        for (worker, left) in estate.workers {
            self.take_in_worker(worker, left);
        }
        if !estate.paused {
            self.mode = mode;
        }
        let Account { counters, faults, times } = estate.account;
        (self.counters, self.faults) = (counters, faults);
        self.counters.settle(self.waiting() + self.in_flight());
        if let (Some(own), Some(times)) = (&mut self.times, times) {
            *own = times;
        }
        self.dispatch();
    }

    /// What is taken in is at most so old.
    pub(crate) fn allow_age(&mut self, age: Duration) {
        if let Some(started) = self.started.checked_sub(age).filter(|_| self.times.is_some()) {
            self.started = started;
            self.set_time(self.now);
        }
    }

    /// A client goes on waiting, be there room or not.
    fn take_in_request(&mut self, waiting: Pending) {
        let turn = waiting.turn;
        let Some(request) = self.reopen(waiting) else { return };
        match turn {
            Turn::InLine => self.clients.push_back(request),
            Turn::Next => self.clients.push_urgent(request),
            Turn::After(pause) => self.clients.push_later(request, self.now + pause),
        }
    }

    /// A worker goes on. What it has, it has been sent already.
    fn take_in_worker(&mut self, worker: PeerId, left: Left) {
        let Left { routing_id, known_as, lock_step, work, expected, .. } = &left;
        self.workers.join(worker, routing_id, known_as.clone(), *lock_step);
        if *work == Work::Silent && left.strikes == 0 {
            let expected = expected.or_else(|| self.is_assigned(routing_id).then_some(SILENCE));
            if let (true, Some(silence)) = (*lock_step, expected) {
                self.workers.expect(worker, self.now + silence);
            } else {
                self.workers.look_at(worker, self.now + UNREADY);
            }
        }
        if *work != Work::Silent {
            // The journal says that it has what was taken from it or put in line meanwhile.
            self.requeue_assigned(worker);
        }
        if let Some((running, lease)) = self.workers.take_in(worker, left) {
            let Some(request) = self.reopen(running) else { return };
            let _ = self.workers.give(worker, request, self.now, lease.or(self.policy.lease));
        }
    }

    /// None if its client is not there.
    fn reopen(&mut self, pending: Pending) -> Option<Request> {
        let Pending { number, client, message, age, losses, .. } = pending;
        if self.returning.is_some() {
            // It has given up what it asked an earlier queue, or it would not have asked this.
            self.client_asks(client);
        }
        let (stack, message) = split_envelope(message)?;
        let (addressed, lock_step) = self.clients.addressed(client, &message)?;
        let loss = |(worker, cause, ago)| Loss {
            worker,
            cause,
            at: self.now.checked_sub(ago).unwrap_or(self.now),
        };
        let past =
            |losses: Vec<_>| Box::new(Past { losses: losses.into_iter().map(loss).collect() });
        Some(Request {
            number,
            client,
            position: 0,
            lock_step,
            since: self.micros.saturating_sub(micros(age)),
            stack,
            message: addressed,
            past: losses.map(past),
        })
    }
}

#[cfg(test)]
mod tests;
