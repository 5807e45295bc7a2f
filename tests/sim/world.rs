//! [`World`]: peers around a queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use broker::{Action, AtLimit, OnWorkerLoss, Policy, Queue, WorkerState};
use bytes::Bytes;
use zmtp::testing::peer_id;
use zmtp::{LeaveReason, Message, PeerId};

use super::choices::Choices;
use super::client::{Client, Kind};
use super::idle::Idle;
use super::journal::Journal;
use super::ledger::Ledger;
use super::link::{Link, Seen};
use super::worker::Worker;

/// How long nothing has gone wrong until everybody has an answer.
const TIME_TO_SETTLE: Duration = Duration::from_secs(300);

/// How a world is run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Steps in which things go wrong.
    pub steps: u32,
    /// Something is lost on the way now and then, to see whether that is noticed.
    pub bug: Option<Bug>,
    /// A queue that is killed leaves a journal to the next.
    pub journal: bool,
    /// Some clients have one name.
    pub duplicates: bool,
    /// Now and then a queue leaves all to the next.
    pub upgrades: bool,
}

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Every so many replies one.
    LosesReplies(u64),
    /// Every so many records one.
    LosesRecords(u64),
}

impl Plan {
    /// As many steps as find most of what there is to be found.
    pub const USUAL: Self =
        Self { steps: 4_000, bug: None, journal: false, duplicates: false, upgrades: false };
}

/// Peers around a queue.
#[derive(Debug)]
pub struct World {
    choices: Choices,
    plan: Plan,
    /// Which things go wrong, a bit each.
    faults: usize,
    now: Instant,
    policy: Policy,
    queue: Queue,
    journal: Journal,
    clients: Vec<(Client, Option<PeerId>)>,
    workers: Vec<(Worker, Option<PeerId>)>,
    idle: Idle,
    ledger: Ledger,
    adopted: u64,
    resumed: u64,
    /// Peers so far.
    joined: u32,
    replies: u64,
}

impl World {
    /// A world with some clients and workers.
    #[must_use]
    pub fn new(mut choices: Choices, plan: Plan) -> Self {
        let now = Instant::now();
        let faults = choices.below(256) | choices.below(256);
        let pick = |choices: &mut Choices, values: [Option<u64>; 2]| values[choices.below(2)];
        let policy = Policy {
            lease: pick(&mut choices, [None, Some(20)]).map(Duration::from_secs),
            error_reply: choices.one_in(2).then(|| Bytes::from_static(b"ERROR")),
            on_worker_loss: match choices.below(8) {
                0 => OnWorkerLoss::Fail,
                _ => OnWorkerLoss::Requeue,
            },
            at_limit: AtLimit::Wait,
            // In time that flies, clients take long to come back.
            client_grace: Duration::from_secs(3600),
            ..Policy::default()
        };
        let told = policy.error_reply.is_some();
        let client = |i: usize, choices: &mut Choices| {
            let kind = match choices.below(4) {
                0 => Kind::Dealer(1 + choices.below(5)),
                1 => Kind::Relaxed,
                _ => Kind::Req,
            };
            Client::new(format!("C{i}"), kind, told)
        };
        let clients = (0..=choices.below(5)).map(|i| (client(i, &mut choices), None)).collect();
        let mut clients: Vec<(Client, _)> = clients;
        for (client, _) in clients.iter_mut().filter(|_| plan.duplicates) {
            "C".clone_into(&mut client.name);
        }
        let workers =
            (0..=choices.below(4)).map(|i| (Worker::new(format!("W{i}")), None)).collect();
        Self {
            choices,
            plan,
            faults,
            now,
            queue: Queue::new(policy.clone(), now),
            journal: Journal::default(),
            policy,
            clients,
            workers,
            idle: Idle::default(),
            ledger: Ledger::default(),
            adopted: 0,
            resumed: 0,
            joined: 0,
            replies: 0,
        }
    }

    /// Lets things happen, then lets everything settle. Panics where a promise is broken. Returns how many requests were
    /// answered.
    pub fn run(mut self) -> usize {
        if self.plan.journal {
            self.queue.keep_records();
        }
        for _ in 0..self.plan.steps {
            if self.choices.is_used_up() {
                break;
            }
            self.step();
            self.act();
        }
        self.settle();
        self.ledger.answered()
    }

    fn step(&mut self) {
        let client = self.choices.below(self.clients.len());
        let worker = self.choices.below(self.workers.len());
        match self.choices.below(16) {
            0..=3 => self.serve_client(client),
            4..=7 => self.serve_worker(worker),
            8..=9 => self.clients[client].0.ask(self.now, &mut self.ledger, &mut self.choices),
            10..=12 => self.work(worker),
            13 => {
                let millis = [1, 50, 1_000, 10_000][self.choices.below(4)];
                self.pass(Duration::from_millis(millis));
            }
            14 => self.look(client),
            _ if self.choices.one_in(4) => self.fail(client, worker),
            _ if self.plan.upgrades && self.choices.one_in(4) => self.upgrade(),
            _ => {}
        }
    }

    /// Something goes wrong.
    fn fail(&mut self, client: usize, worker: usize) {
        let fault = self.choices.below(8);
        if self.faults & (1 << fault) == 0 {
            return;
        }
        let (client, worker) = (&mut self.clients[client].0, &mut self.workers[worker].0);
        match fault {
            0 => client.link.iter_mut().for_each(|link| link.end(&mut self.choices)),
            1 => client.link.iter_mut().for_each(|link| link.spoil(&mut self.choices)),
            2 => worker.restart(&mut self.choices),
            3 => worker.disconnect(&mut self.choices),
            4 => {
                worker.link.iter_mut().for_each(|link| link.spoil(&mut self.choices));
                worker.restart(&mut self.choices);
            }
            5 => worker.misbehave(&mut self.choices),
            6 => worker.hang(),
            _ => self.restart(),
        }
    }

    /// The queue is killed and starts again.
    fn restart(&mut self) {
        if self.plan.journal {
            self.journal.check(&self.queue.snapshot());
        }
        self.queue = Queue::new(self.policy.clone(), self.now);
        self.clients.iter_mut().for_each(|(client, id)| (client.link, *id) = (None, None));
        self.workers.iter_mut().for_each(|(worker, id)| (worker.link, *id) = (None, None));
        (self.idle, self.adopted, self.resumed) = (Idle::default(), 0, 0);
        if self.plan.journal {
            self.queue.restore(self.journal.replay());
            self.queue.keep_records();
            self.journal.begin_anew(self.queue.snapshot());
            let kept = self.journal.bodies();
            self.clients.iter_mut().for_each(|(client, _)| client.goes_on_with(&kept));
        }
    }

    /// The queue leaves all to the next one, which goes on with the same connections.
    fn upgrade(&mut self) {
        self.act();
        let estate = self.queue.estate();
        let mut replay = self.journal.replay();
        estate.settle(&mut replay);
        self.queue = Queue::new(self.policy.clone(), self.now);
        if self.plan.journal {
            self.queue.restore(replay);
            self.queue.keep_records();
        }
        self.queue.go_on(estate);
        self.queue.take_records().for_each(drop);
        self.journal.begin_anew(self.queue.snapshot());
        let silent = self.in_state(&[WorkerState::Silent]);
        self.idle.go_on(|id| silent.contains(&id));
    }

    fn next_id(&mut self) -> PeerId {
        self.joined += 1;
        // Few slots, so that they are used again.
        let (slot, generation) = (self.joined % 16, self.joined / 16);
        peer_id(slot, generation)
    }

    /// Some bytes of a client arrive.
    fn serve_client(&mut self, i: usize) {
        let (client, _) = &mut self.clients[i];
        match &mut client.link {
            None => client.connect(self.now, self.plan.journal),
            Some(link) => link.flow(&mut self.choices),
        }
        while let Some(seen) = self.clients[i].0.link.as_mut().and_then(Link::see) {
            match seen {
                Seen::Ready => {
                    let id = self.free_id();
                    let lock_step = self.clients[i].0.is_lock_step();
                    let name = self.clients[i].0.name.clone();
                    self.queue.client_joined(id, name.as_bytes(), lock_step);
                    self.clients[i].1 = Some(id);
                }
                Seen::Message(message) => {
                    let id = self.clients[i].1.expect("it has joined");
                    self.queue.client_message(id, message);
                }
                Seen::End => {
                    self.clients[i].0.link = None;
                    if let Some(id) = self.clients[i].1.take() {
                        self.queue.client_left(id);
                    }
                }
            }
            self.act();
        }
    }

    /// An id in a slot that nobody has.
    fn free_id(&mut self) -> PeerId {
        loop {
            let id = self.next_id();
            let ids = self
                .clients
                .iter()
                .map(|(_, id)| *id)
                .chain(self.workers.iter().map(|(_, id)| *id));
            if ids.flatten().all(|other| other.index() != id.index()) {
                return id;
            }
        }
    }

    /// Some bytes of a worker arrive.
    fn serve_worker(&mut self, i: usize) {
        let (worker, _) = &mut self.workers[i];
        match &mut worker.link {
            None => worker.connect(self.now),
            Some(link) => link.flow(&mut self.choices),
        }
        while let Some(seen) = self.workers[i].0.link.as_mut().and_then(Link::see) {
            match seen {
                Seen::Ready => {
                    let id = self.free_id();
                    self.queue.worker_joined(
                        id,
                        &Bytes::from(self.workers[i].0.name.clone()),
                        "here",
                        true,
                    );
                    self.workers[i].1 = Some(id);
                    self.idle.join(id);
                }
                Seen::Message(message) => self.hear(i, message),
                Seen::End => {
                    self.workers[i].0.link = None;
                    if let Some(id) = self.workers[i].1.take() {
                        self.idle.leave(id);
                        self.queue.worker_left(id, &LeaveReason::Closed);
                    }
                }
            }
            self.act();
        }
    }

    fn hear(&mut self, i: usize, message: Message) {
        let id = self.workers[i].1.expect("it has joined");
        let in_front = message.parts().take(message.len().saturating_sub(1));
        let delimited = in_front.into_iter().any(<[u8]>::is_empty);
        self.act();
        self.queue.worker_message(id, message);
        let actions = self.actions();
        self.idle.note_message(id, delimited, &actions);
        self.carry_out_all(actions);
    }

    fn work(&mut self, i: usize) {
        let (worker, _) = &mut self.workers[i];
        if worker.work(self.now, &mut self.ledger, &mut self.choices) {
            worker.restart(&mut self.choices);
        }
    }

    fn look(&mut self, i: usize) {
        let (client, _) = &mut self.clients[i];
        if client.look(self.now, &mut self.ledger) {
            client.link.iter_mut().for_each(|link| link.end(&mut self.choices));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.queue.next_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.wake();
        }
        self.now = end;
        self.wake();
    }

    fn wake(&mut self) {
        self.queue.set_time(self.now);
        self.queue.handle_timeouts();
        let mut actions = self.actions();
        while self.resumed < self.queue.counters().resumed {
            let at = actions.iter().position(|action| matches!(action, Action::Dispatch(..)));
            let Some(Action::Dispatch(id, message)) = at.and_then(|at| actions.remove(at)) else {
                panic!("a worker is to be given its request again");
            };
            self.idle.resume(id);
            let worker = self.worker(id);
            worker.be_doubted();
            worker.link.as_mut().expect("it is there").send(message);
            self.resumed += 1;
        }
        while self.adopted < self.queue.counters().adopted {
            let workers = self.queue.status().workers;
            let is_silent =
                |id| workers.iter().any(|it| it.id == id && it.state == WorkerState::Silent);
            let id = self.idle.adopt(|id| !is_silent(id));
            self.worker(id).be_doubted();
            self.adopted += 1;
        }
        self.carry_out_all(actions);
        self.act();
    }

    /// The workers that the queue has in one of these states.
    fn in_state(&self, states: &[WorkerState]) -> Vec<PeerId> {
        let workers = self.queue.status().workers.into_iter();
        workers.filter(|it| states.contains(&it.state)).map(|it| it.id).collect()
    }

    fn worker(&mut self, id: PeerId) -> &mut Worker {
        let worker = self.workers.iter_mut().find(|(_, other)| *other == Some(id));
        &mut worker.expect("it is there").0
    }

    /// What the queue wants, once what has to be kept before is.
    fn actions(&mut self) -> VecDeque<Action> {
        self.journal.keep(self.queue.take_records(), self.plan.bug);
        std::iter::from_fn(|| self.queue.next_action()).collect()
    }

    fn carry_out_all(&mut self, actions: VecDeque<Action>) {
        for action in actions {
            self.carry_out(action);
        }
    }

    /// Carries out what the queue wants, and checks that nothing is amiss.
    fn act(&mut self) {
        let actions = self.actions();
        self.carry_out_all(actions);
        let counters = self.queue.counters();
        let ended = counters.replies
            + counters.given_up
            + counters.dropped
            + counters.rejected
            + counters.abandoned
            + counters.lost;
        let open = (self.queue.waiting() + self.queue.in_flight()) as u64;
        assert_eq!(counters.requests, ended + open, "{counters:?}");
        assert_eq!(self.idle.len(), self.queue.idle());
        let waits = self.queue.waiting() > self.queue.delayed();
        assert!(!waits || self.queue.idle() == 0, "somebody waits for nothing");
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Dispatch(id, message) => {
                self.idle.take(id);
                self.worker(id).link.as_mut().expect("it is there").send(message);
            }
            Action::Reply(id, message) => {
                self.replies += 1;
                if let Some(Bug::LosesReplies(count)) = self.plan.bug
                    && self.replies.is_multiple_of(count)
                {
                    return;
                }
                let client = self.clients.iter_mut().find(|(_, other)| *other == Some(id));
                let (client, _) = client.expect("it is there");
                client.link.as_mut().expect("it is there").send(message);
            }
            // What it had sent was read when it arrived.
            Action::LookAt(id) => self.queue.client_waits(id),
            Action::GiveUp(letter) => {
                let body = letter.body.part(0).expect("a body");
                self.ledger.give_up(&String::from_utf8_lossy(body));
            }
            _ => {}
        }
    }

    /// Nothing goes wrong any more: everybody gets an answer.
    fn settle(&mut self) {
        // No byte is cut off any more.
        self.choices = Choices::Given(Vec::new(), 0);
        for i in 0..self.workers.len() {
            self.workers[i].0.restart(&mut self.choices);
        }
        self.clients.iter_mut().for_each(|(client, _)| client.renew_patience(self.now));
        let end = self.now + TIME_TO_SETTLE;
        while self.now < end {
            for i in 0..self.workers.len() {
                self.serve_worker(i);
                self.work(i);
            }
            for i in 0..self.clients.len() {
                self.serve_client(i);
                let (client, _) = &mut self.clients[i];
                let gives_up = client.look(self.now, &mut self.ledger);
                assert!(!gives_up, "{} is left without an answer", client.name);
            }
            self.pass(Duration::from_millis(100));
            if self.clients.iter().all(|(client, _)| !client.is_left_waiting(&self.ledger)) {
                return;
            }
        }
        panic!("somebody is left without an answer: {:?}", self.clients);
    }
}
