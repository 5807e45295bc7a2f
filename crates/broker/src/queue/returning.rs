//! What an earlier queue left: requests of clients that are not back yet, and of workers that may be at them still.
//!
//! ```text
//! client:  absent --connects--> back --silent for a second--> it waits: its requests are put in line
//!                                '--asks--> it has given up what it asked before
//!
//! worker:  absent --connects--> back --silent for a second--> it is given its request again
//!                                '--READY--> its request goes to the next, '--reply--> that is passed on
//! ```

mod holding;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::action::Action;
use super::replay::{Replay, Unended};
use super::request::{Cause, Request, is_made_up};
use super::{Policy, Queue, SILENCE};

/// Clients and workers that may come back. Their requests belong to [`PeerId::NOBODY`] until the client is known.
#[derive(Debug)]
pub(super) struct Returning {
    clients: BTreeMap<Bytes, Absent>,
    /// Clients that are back, and that silence will settle.
    back: BTreeMap<PeerId, Bytes>,
    /// Until when they have to be silent, in this order.
    silent_until: VecDeque<(Instant, PeerId)>,
    /// By worker, the request that it had.
    running: BTreeMap<Bytes, Request>,
    /// By number, who has been given its request again while the client was not there.
    resumed: BTreeMap<u64, PeerId>,
    workers_until: Option<Instant>,
    clients_until: Option<Instant>,
    /// Who is not back by now does not come back.
    is_over: bool,
}

/// A client that has not been heard of.
#[derive(Debug, Default)]
struct Absent {
    lock_step: bool,
    /// Its last connection, if it is back.
    back: Option<PeerId>,
    waiting: Vec<Request>,
    /// Which requests workers had, and what these are called.
    running: Vec<(u64, Bytes)>,
    /// What was answered meanwhile.
    held: Vec<(Request, Message)>,
    /// Error replies.
    errors: Vec<Message>,
}

/// What a queue goes on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Requests that wait for their client, and then for a worker.
    pub waiting: usize,
    /// Requests that a worker had, which may bring the reply.
    pub running: usize,
    /// The clients whose requests these are.
    pub clients: usize,
    /// Requests of clients that cannot be known again: they have no name of their own, or one that others had as well.
    pub lost: usize,
}

impl Returning {
    fn new(now: Instant, policy: &Policy) -> Self {
        Self {
            clients: BTreeMap::new(),
            back: BTreeMap::new(),
            silent_until: VecDeque::new(),
            running: BTreeMap::new(),
            resumed: BTreeMap::new(),
            workers_until: now.checked_add(policy.adoption_grace),
            clients_until: now.checked_add(policy.client_grace),
            is_over: false,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.clients.values().map(|client| client.waiting.len()).sum()
    }

    /// Those that are answered count until their client has the reply.
    pub(super) fn in_flight(&self) -> usize {
        let held: usize = self.clients.values().map(|client| client.held.len()).sum();
        self.running.len() + held
    }

    /// All of them, and who had it.
    pub(super) fn requests(&self) -> impl Iterator<Item = (&Request, Option<&Bytes>)> {
        let running = self.running.iter().map(|(name, request)| (request, Some(name)));
        let clients = self.clients.values().flat_map(|client| {
            let held = client.held.iter().map(|(request, _)| request);
            client.waiting.iter().chain(held).map(|request| (request, None))
        });
        running.chain(clients)
    }

    fn next_due(&self) -> Option<Instant> {
        let silent_until = self.silent_until.front().map(|&(until, _)| until);
        let workers = self.workers_until.filter(|_| !self.running.is_empty());
        let clients = self.clients_until.filter(|_| !self.clients.is_empty());
        [silent_until, workers, clients].into_iter().flatten().min()
    }

    /// Takes the next client that has been silent for long enough.
    fn take_silent(&mut self, now: Instant) -> Option<PeerId> {
        while let Some(&(_, client)) = self.silent_until.front().filter(|(until, _)| *until <= now)
        {
            self.silent_until.pop_front();
            if self.back.contains_key(&client) {
                return Some(client);
            }
        }
        None
    }
}

impl Queue {
    /// Goes on with what an earlier queue left. To be called before anybody joins.
    pub fn restore(&mut self, replay: Replay) -> Restored {
        self.number = self.number.max(replay.last());
        let mut returning = Returning::new(self.now, &self.policy);
        let mut restored = Restored::default();
        for (name, requests) in replay.by_client() {
            self.counters.requests += requests.len() as u64;
            if is_made_up(&name) || are_of_several(&requests) {
                restored.lost += requests.len();
                continue;
            }
            let client = returning.clients.entry(name).or_default();
            for Unended { asked, worker } in requests {
                client.lock_step = asked.lock_step;
                let request = Request::restored(asked, self.micros);
                if let Some(worker) = worker {
                    client.running.push((request.number, worker.clone()));
                    returning.running.insert(worker, request);
                } else {
                    self.clients.note_waits(&request);
                    client.waiting.push(request);
                }
            }
        }
        restored.waiting = returning.waiting();
        restored.running = returning.running.len();
        restored.clients = returning.clients.len();
        self.counters.lost += restored.lost as u64;
        self.returning = Some(Box::new(returning));
        self.forget_returning_if_over();
        restored
    }

    /// Whether anybody waits for the reply to this request, or may be back for it.
    pub(super) fn is_wanted(&self, request: &Request) -> bool {
        self.clients.want(request) || self.awaits_client_of(request)
    }

    fn awaits_client_of(&self, request: &Request) -> bool {
        let returning = self.returning.as_ref().filter(|_| request.client == PeerId::NOBODY);
        returning.is_some_and(|returning| returning.clients.contains_key(request.client_name()))
    }

    /// The client of a request that is with no worker any more.
    fn take_home(&mut self, request: &Request) -> Option<&mut Absent> {
        let returning = self.returning.as_mut().filter(|_| request.client == PeerId::NOBODY)?;
        returning.resumed.remove(&request.number);
        let client = returning.clients.get_mut(request.client_name())?;
        client.running.retain(|(number, _)| *number != request.number);
        Some(client)
    }

    /// A request waits for its client, and then for a worker.
    pub(super) fn await_client(&mut self, request: Request) {
        self.clients.note_waits(&request);
        match self.take_home(&request) {
            Some(client) => client.waiting.push(request),
            None => self.clients.note_gone(&request),
        }
    }

    /// A client has connected that may be one of an earlier queue. A lock-step client that waits for its reply is silent; of
    /// any other it cannot be told, and it is taken for the one it is called like.
    pub(super) fn note_client(&mut self, client: PeerId, name: &[u8], lock_step: bool) {
        let Some(returning) = &mut self.returning else { return };
        let absent = returning.clients.get_mut(name);
        let Some(absent) = absent.filter(|absent| absent.lock_step == lock_step) else { return };
        let name = Bytes::copy_from_slice(name);
        if !lock_step {
            self.settle(client, &name);
            return self.forget_returning_if_over();
        }
        if let Some(before) = absent.back.replace(client) {
            returning.back.remove(&before);
        }
        returning.back.insert(client, name);
        returning.silent_until.push_back((self.now + SILENCE, client));
    }

    /// A client that an earlier queue may have known has sent something.
    pub fn client_asks(&mut self, client: PeerId) {
        let name = self.returning.as_mut().and_then(|returning| returning.back.remove(&client));
        if let Some(name) = name {
            self.forget(&name);
            self.forget_returning_if_over();
        }
    }

    /// A client that an earlier queue may have known waits: nothing of it is [unread](Action::LookAt).
    pub fn client_waits(&mut self, client: PeerId) {
        let name = self.returning.as_mut().and_then(|returning| returning.back.remove(&client));
        if let Some(name) = name {
            self.settle(client, &name);
            self.forget_returning_if_over();
            self.dispatch();
        }
    }

    /// A client that may have been one of an earlier queue has left. It may come back, if there is time.
    pub(super) fn note_leaves(&mut self, client: PeerId) {
        let Some(returning) = &mut self.returning else { return };
        let Some(name) = returning.back.remove(&client) else { return };
        if returning.is_over {
            self.forget(&name);
            self.forget_returning_if_over();
        } else if let Some(absent) = returning.clients.get_mut(&name) {
            absent.back = None;
        }
    }

    /// A client is back.
    fn settle(&mut self, client: PeerId, name: &Bytes) {
        let Some(returning) = &mut self.returning else { return };
        let Some(absent) = returning.clients.remove(name) else { return };
        for (number, worker) in absent.running {
            let request = match returning.resumed.remove(&number) {
                Some(worker) => self.workers.request_mut(worker),
                None => returning.running.get_mut(&worker),
            };
            if let Some(request) = request.filter(|request| request.number == number) {
                request.client = client;
            }
        }
        for (request, reply) in absent.held {
            self.counters.replies += 1;
            self.note_ended(request.number);
            self.actions.push_back(Action::Reply(client, reply));
        }
        for reply in absent.errors {
            self.actions.push_back(Action::Reply(client, reply));
        }
        for request in absent.waiting {
            self.clients.note_gone(&request);
            self.clients.push_urgent(Request { client, ..request });
        }
    }

    /// A client has given up what it asked, or does not come back. What a worker has of it is done in vain.
    fn forget(&mut self, name: &Bytes) {
        let Some(returning) = &mut self.returning else { return };
        let Some(absent) = returning.clients.remove(name) else { return };
        let (mut given_up, mut ended) = (Vec::new(), Vec::new());
        for (number, worker) in absent.running {
            returning.resumed.remove(&number);
            let is_meant = |request: &Request| request.number == number;
            if returning.running.get(&worker).is_some_and(is_meant) {
                given_up.extend(returning.running.remove(&worker));
            } else {
                ended.push(number);
            }
        }
        for number in ended {
            self.note_ended(number);
        }
        for request in &absent.waiting {
            self.clients.note_gone(request);
        }
        given_up.extend(absent.waiting);
        given_up.extend(absent.held.into_iter().map(|(request, _)| request));
        for request in &given_up {
            self.abandon(request);
        }
    }

    /// Takes the request that a worker of this name had.
    pub(super) fn take_assigned(&mut self, name: &Bytes) -> Option<Request> {
        self.returning.as_mut()?.running.remove(name)
    }

    /// Whether a worker of this name had a request.
    pub(super) fn is_assigned(&self, name: &Bytes) -> bool {
        self.returning.as_ref().is_some_and(|returning| returning.running.contains_key(name))
    }

    /// A worker is back that does not know of the request that it had.
    pub(super) fn requeue_assigned(&mut self, worker: PeerId) {
        if self.returning.is_some()
            && let Some(request) = self.take_assigned(&self.workers.name(worker))
        {
            self.requeue(request);
        }
    }

    /// A worker has left that had a request, and was not given it again yet. Returns its number.
    pub(super) fn lose_assigned(&mut self, worker: PeerId, cause: Cause) -> Option<u64> {
        self.returning.as_ref()?;
        let name = self.workers.name(worker);
        let request = self.take_assigned(&name)?;
        let number = request.number;
        self.lose_with(name, request, cause);
        Some(number)
    }

    /// A worker that is back and silent is at its request still, and will drop what it gets, or waits for it.
    pub(super) fn hand_out_again(&mut self, worker: PeerId, request: Request) {
        self.counters.resumed += 1;
        self.workers.doubt(worker, &request);
        if request.client == PeerId::NOBODY
            && let Some(returning) = &mut self.returning
        {
            returning.resumed.insert(request.number, worker);
        }
        let request = Request { since: self.micros, ..request };
        let sent = self.workers.give(worker, request, self.now, self.policy.lease);
        self.actions.extend(sent.map(|message| Action::Dispatch(worker, message)));
    }

    pub(super) fn next_return(&self) -> Option<Instant> {
        self.returning.as_ref()?.next_due()
    }

    /// Everybody has this much more time to come back.
    pub(super) fn extend_returning(&mut self, by: std::time::Duration) {
        let Some(returning) = &mut self.returning else { return };
        returning.silent_until.iter_mut().for_each(|(until, _)| *until += by);
        for until in [&mut returning.workers_until, &mut returning.clients_until] {
            *until = until.and_then(|until| until.checked_add(by));
        }
    }

    /// Clients that have been silent for long enough are looked at; who is not back in time does not come back.
    #[cold]
    pub(super) fn expire_returning(&mut self) {
        let now = self.now;
        let Some(returning) = &mut self.returning else { return };
        while let Some(client) = returning.take_silent(now) {
            self.actions.push_back(Action::LookAt(client));
        }
        if returning.workers_until.take_if(|until| *until <= now).is_some() {
            for request in std::mem::take(&mut returning.running).into_values() {
                self.requeue(request);
            }
        }
        if let Some(returning) = &mut self.returning
            && returning.clients_until.take_if(|until| *until <= now).is_some()
        {
            returning.is_over = true;
            let absent = returning.clients.iter().filter(|(_, client)| client.back.is_none());
            let absent: Vec<_> = absent.map(|(name, _)| name.clone()).collect();
            for name in &absent {
                self.forget(name);
            }
        }
        self.forget_returning_if_over();
    }

    fn forget_returning_if_over(&mut self) {
        self.returning
            .take_if(|returning| returning.clients.is_empty() && returning.running.is_empty());
    }
}

/// Whether these are of clients that have one name among them.
fn are_of_several(requests: &[Unended]) -> bool {
    let of_a_kind = |kind| requests.iter().all(|request| request.asked.lock_step == kind);
    let mut connections = requests
        .iter()
        .map(|request| request.asked.connection)
        .filter(|&connection| connection > 0);
    let first = connections.next();
    connections.any(|connection| Some(connection) != first)
        || !(of_a_kind(true) || of_a_kind(false))
}

#[cfg(test)]
mod tests;
