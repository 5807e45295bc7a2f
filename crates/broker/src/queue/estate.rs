//! [`Estate`]: what a queue leaves to the next one, which has its peers.

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::Queue;
use super::policy::AtLimit;
use super::request::Request;
use super::steering::Mode;

/// What a queue leaves to the next one, which has its peers.
#[derive(Debug)]
pub(crate) struct Estate {
    /// What clients have asked and no worker has, as they sent it, in the order of their turns.
    pub(crate) waiting: Vec<(PeerId, Message)>,
    /// The idle ones first, in the order of their turns.
    pub(crate) workers: Vec<(PeerId, Left)>,
    /// The numbers of all these requests, under which they are in a journal.
    pub(crate) numbers: Vec<u64>,
    pub(crate) paused: bool,
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
}

impl Left {
    /// Of which nothing is known.
    pub(crate) fn silent() -> Self {
        Self { work: Work::Silent, stack: Vec::new(), strikes: 0, held: false, in_doubt: false }
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
        let waiting: Vec<_> = self.clients.requests().filter(is_wanted).collect();
        let running = self.workers.requests().map(|(request, ..)| request).filter(is_wanted);
        Estate {
            numbers: running.chain(waiting.iter().copied()).map(|it| it.number).collect(),
            waiting: waiting.iter().map(|it| (it.client, it.as_asked())).collect(),
            workers: self.workers.bequeath(|request| self.clients.want(request)),
            paused: self.mode == Mode::Paused,
        }
    }

    /// A client goes on waiting that another queue had, be there room or not.
    pub(crate) fn take_in_request(&mut self, client: PeerId, message: Message) {
        let at_limit = std::mem::replace(&mut self.policy.at_limit, AtLimit::Wait);
        self.client_message(client, message);
        self.policy.at_limit = at_limit;
    }

    /// A worker goes on that another queue had.
    pub(crate) fn take_in_worker(
        &mut self,
        worker: PeerId,
        routing_id: &Bytes,
        lock_step: bool,
        left: Left,
    ) {
        if left.work == Work::Silent && left.strikes == 0 {
            self.worker_joined(worker, routing_id, lock_step);
        } else {
            self.workers.join(worker, routing_id, lock_step);
        }
        let running = left.work.running().cloned();
        self.workers.take_in(worker, left);
        if let Some(running) = running {
            self.go_on_with(worker, running);
        }
    }

    /// A worker has this request, and is not given it again.
    fn go_on_with(&mut self, worker: PeerId, running: Running) {
        let Running { client, message } = running;
        self.take_in_request(client, message);
        let number = self.number;
        let Some(request) = self.clients.take(client, number) else { return };
        // Its worker has been sent it already.
        let _ = self.workers.give(worker, request, self.now, self.policy.lease);
        if self.records.is_some() {
            self.note_handed_out(number, worker);
        }
    }
}
