//! Workers: who is idle and for how long, and who has which request.

mod away;
mod leases;
mod leaving;
mod quarantine;
mod status;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp::{Message, PeerId};

pub(crate) use away::{At, known_as};
pub(super) use leases::Due;

use away::Away;

use super::doubt::{Doubt, Verdict};
use super::envelope::Stack;
use super::request::Request;
use crate::peer_map::PeerMap;

#[derive(Debug, Default)]
pub(super) struct Workers {
    by_id: PeerMap<Worker>,
    /// Workers in [`State::Idle`], each once, the least recently used first.
    idle: VecDeque<PeerId>,
    busy: usize,
    /// When to look at busy workers, each at most once.
    looks: BTreeSet<(Instant, PeerId)>,
    /// Workers that are ready if they are silent until then, in that order.
    newcomers: VecDeque<(Instant, PeerId)>,
    away: Away,
}

#[derive(Debug)]
struct Worker {
    state: State,
    /// What its last message began with, in front of the delimiter.
    stack: Stack,
    /// Messages it should not have sent.
    strikes: u32,
    /// It has to wait for an answer to whatever it sends: a REQ.
    lock_step: bool,
    /// An operator wants it to have nothing more.
    held: bool,
    /// What it may answer before what it has, if there is anything.
    doubt: Option<Box<Doubt>>,
    /// What it is called, and what it is known again by.
    name: Bytes,
    known_as: Bytes,
    /// When its lease is over, and when that is looked at.
    until: Option<Instant>,
    look: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// It has not said that it is ready, or gets nothing more.
    Silent,
    Idle,
    /// It would be idle.
    Held,
    Busy(Request),
    /// It owes the reply to a request that was taken from it; none if it may owe another as well.
    Late(Option<Owed>),
}

/// Which reply a worker owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) client: PeerId,
    pub(crate) number: u64,
    /// Since when, if that is known in this queue.
    pub(crate) since: Option<u64>,
}

/// What a worker was at when it sent a message.
#[derive(Debug)]
pub(super) enum Was {
    Silent,
    Idle,
    Busy(Request),
    /// Busy, but it may answer something else before.
    Doubtful(Request),
    Late(Option<Owed>),
}

impl Workers {
    pub(super) fn join(&mut self, id: PeerId, name: &Bytes, known_as: Bytes, lock_step: bool) {
        let worker = Worker {
            state: State::Silent,
            stack: Stack::default(),
            strikes: 0,
            lock_step,
            held: false,
            doubt: None,
            name: name.clone(),
            known_as,
            until: None,
            look: None,
        };
        self.by_id.insert(id, worker);
    }

    /// Returns what it was called, and the request it had.
    pub(super) fn leave(&mut self, id: PeerId) -> Option<(Bytes, Request)> {
        let worker = self.by_id.remove(id)?;
        if worker.lock_step && matches!(worker.state, State::Silent) {
            self.forget_newcomer(id);
        }
        if let Some(look) = worker.look {
            self.looks.remove(&(look, id));
        }
        match worker.state {
            State::Silent | State::Held | State::Late(_) => None,
            State::Idle => {
                self.idle.retain(|&other| other != id);
                None
            }
            State::Busy(request) => {
                self.busy -= 1;
                Some((worker.name, request))
            }
        }
    }

    /// What a worker is at. It is silent from then on, unless it is idle.
    #[inline]
    pub(super) fn interrupt(&mut self, id: PeerId) -> Was {
        let Some(worker) = self.by_id.get_mut(id) else { return Was::Silent };
        match std::mem::replace(&mut worker.state, State::Silent) {
            State::Silent => Was::Silent,
            ready @ (State::Idle | State::Held) => {
                worker.state = ready;
                Was::Idle
            }
            State::Busy(request) => {
                self.busy -= 1;
                if worker.doubt.is_some() { Was::Doubtful(request) } else { Was::Busy(request) }
            }
            State::Late(owed) => Was::Late(owed),
        }
    }

    /// Takes a request that this answers from the worker that has it, which owes the reply from then on.
    pub(super) fn recall(&mut self, number: u64, reply: &Message) -> Option<Request> {
        let is_meant =
            |request: &Request| request.number == number && request.is_answered_by(reply);
        let worker = self
            .by_id
            .values_mut()
            .find(|worker| matches!(&worker.state, State::Busy(request) if is_meant(request)))?;
        self.busy -= 1;
        worker.take_late()
    }

    pub(super) fn name(&self, id: PeerId) -> Bytes {
        self.by_id.get(id).map(|worker| worker.name.clone()).unwrap_or_default()
    }

    /// A busy worker that was interrupted goes on with its request.
    pub(super) fn go_on(&mut self, id: PeerId, request: Request) {
        if let Some(worker) = self.by_id.get_mut(id) {
            worker.state = State::Busy(request);
            self.busy += 1;
        }
    }

    pub(super) fn is_lock_step(&self, id: PeerId) -> bool {
        self.by_id.get(id).is_some_and(|worker| worker.lock_step)
    }

    /// Whether it has not been ready so far, and has to wait for an answer to whatever it sends.
    pub(super) fn is_new_and_waits(&self, id: PeerId) -> bool {
        let is_new = |worker: &Worker| matches!(worker.state, State::Silent) && worker.strikes == 0;
        self.by_id.get(id).is_some_and(|worker| worker.lock_step && is_new(worker))
    }

    /// A worker may see this request yet, and answer it when it has been given another.
    pub(super) fn doubt(&mut self, id: PeerId, request: &Request) {
        if let Some(worker) = self.by_id.get_mut(id) {
            worker.doubt.get_or_insert_default().add(request);
        }
    }

    /// A worker says that it is ready. Says whether it was adopted without that.
    pub(super) fn speaks_up(&mut self, id: PeerId) -> bool {
        // Nobody is woken for those that have spoken.
        self.forget_newcomer(id);
        self.note_back(id);
        let Some(worker) = self.by_id.get_mut(id) else { return false };
        if let Some(look) = worker.look.take() {
            self.looks.remove(&(look, id));
        }
        worker.with_doubt(Doubt::forget_unknown).unwrap_or(false)
    }

    /// What a reply of a worker is to that is in doubt.
    pub(super) fn judge(&mut self, id: PeerId, name: &[u8], request: &Request) -> Verdict {
        let Some(worker) = self.by_id.get_mut(id) else { return Verdict::Nothing };
        worker.with_doubt(|doubt| doubt.judge(name, request)).unwrap_or(Verdict::This)
    }

    /// A worker that was late has answered a client of this name.
    pub(super) fn settle(&mut self, id: PeerId, name: &[u8]) {
        if let Some(worker) = self.by_id.get_mut(id) {
            worker.with_doubt(|doubt| doubt.settle(name));
        }
    }

    fn forget_newcomer(&mut self, id: PeerId) {
        let place = self.newcomers.iter().position(|&(_, other)| other == id);
        place.map(|place| self.newcomers.remove(place));
    }

    /// A worker that stays silent until then is taken for ready.
    pub(super) fn expect(&mut self, id: PeerId, until: Instant) {
        // Those that may be at work are given more time.
        let place = self.newcomers.partition_point(|&(other, _)| other <= until);
        self.newcomers.insert(place, (until, id));
    }

    /// The next worker that has been silent for long enough.
    pub(super) fn next_silent(&mut self, now: Instant) -> Option<PeerId> {
        while let Some(&(_, id)) = self.newcomers.front().filter(|(until, _)| *until <= now) {
            self.newcomers.pop_front();
            if self.is_new_and_waits(id) {
                return Some(id);
            }
        }
        None
    }

    /// Takes a silent worker for ready. What it answers first may be meant for an earlier queue, unless it was idle in this one.
    pub(super) fn adopt(&mut self, id: PeerId, was_idle: bool) {
        self.set_idle(id, Stack::default());
        if let Some(worker) = self.by_id.get_mut(id).filter(|_| !was_idle) {
            worker.doubt.get_or_insert_default().add_unknown();
        }
    }

    /// Puts a silent worker behind all that are idle.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one of its places is that of each reply")]
    pub(super) fn set_idle(&mut self, id: PeerId, stack: Stack) {
        let Some(worker) = self.by_id.get_mut(id) else { return };
        if matches!(worker.state, State::Silent) {
            worker.stack = stack;
            if worker.held {
                worker.state = State::Held;
                return;
            }
            worker.state = State::Idle;
            self.idle.push_back(id);
        }
    }

    /// Gives a request to the worker that has been idle longest. Returns which one that is, and what it
    /// is to be sent.
    #[inline]
    pub(super) fn hand_out(
        &mut self,
        request: Request,
        now: Instant,
        lease: Option<Duration>,
    ) -> Option<(PeerId, Message)> {
        let id = self.idle.pop_front()?;
        Some((id, self.give(id, request, now, lease)?))
    }

    /// Gives a request to a worker that is not busy. Returns what it is to be sent.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "one of its two places is that of each request")]
    pub(super) fn give(
        &mut self,
        id: PeerId,
        request: Request,
        now: Instant,
        lease: Option<Duration>,
    ) -> Option<Message> {
        let worker = self.by_id.get_mut(id)?;
        let mut message = request.message.clone();
        if !worker.stack.is_empty() {
            message.prepend(&worker.stack);
        }
        worker.state = State::Busy(request);
        self.busy += 1;
        if lease.is_some() || worker.until.is_some() || worker.doubt.is_some() {
            self.lease(id, now, lease);
        }
        Some(message)
    }

    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }
}

impl Worker {
    fn with_doubt<T>(&mut self, change: impl FnOnce(&mut Doubt) -> T) -> Option<T> {
        let mut doubt = self.doubt.take()?;
        let changed = change(&mut doubt);
        self.doubt = Some(doubt).filter(|doubt| !doubt.is_over());
        Some(changed)
    }

    /// Takes the request of a busy worker, which owes the reply from then on.
    fn take_late(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.state, State::Silent) {
            State::Busy(request) => {
                let Request { client, number, since, .. } = request;
                let owed = Owed { client, number, since: Some(since) };
                let owes_one = self.doubt.is_none();
                self.doubt.get_or_insert_default().add(&request);
                self.state = State::Late(owes_one.then_some(owed));
                Some(request)
            }
            other => {
                self.state = other;
                None
            }
        }
    }
}
