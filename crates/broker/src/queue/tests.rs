use std::collections::{HashMap, HashSet};

use std::io::ErrorKind;

use proptest::prelude::*;
use zmtp::ProtocolError;
use zmtp::testing::peer_id;

use super::*;

/// Ids as a socket gives them out.
pub(super) fn ids(count: u32) -> Vec<PeerId> {
    (0..count).map(|index| peer_id(index, 1)).collect()
}

/// A queue with clients `C0`, `C1`... and workers, by number.
pub(super) struct Fixture {
    pub(super) queue: Queue,
    ids: Vec<PeerId>,
    pub(super) now: Instant,
}

impl Fixture {
    pub(super) fn new(policy: Policy) -> Self {
        Self::at(Instant::now(), policy)
    }

    pub(super) fn at(now: Instant, policy: Policy) -> Self {
        Self { queue: Queue::new(policy, now), ids: ids(8), now }
    }

    /// REQ clients and workers that are ready.
    pub(super) fn with(clients: usize, workers: usize) -> Self {
        Self::with_policy(clients, workers, Policy::default())
    }

    pub(super) fn with_policy(clients: usize, workers: usize, policy: Policy) -> Self {
        let mut fixture = Self::new(policy);
        (0..clients).for_each(|i| fixture.join_client(i, true));
        (0..workers).for_each(|i| fixture.join_worker(i));
        fixture
    }

    pub(super) fn id(&self, i: usize) -> PeerId {
        self.ids[i]
    }

    pub(super) fn join_client(&mut self, i: usize, lock_step: bool) {
        self.queue.client_joined(self.ids[i], format!("C{i}").as_bytes(), lock_step);
    }

    pub(super) fn join_worker(&mut self, i: usize) {
        self.connect_worker(i, true);
        self.worker_sends(i, &["", "READY"]);
    }

    pub(super) fn connect_worker(&mut self, i: usize, lock_step: bool) {
        self.connect_worker_as(i, &Bytes::from(format!("W{i}")), lock_step);
    }

    fn connect_worker_as(&mut self, i: usize, name: &Bytes, lock_step: bool) {
        self.queue.worker_joined(self.ids[i], name, "tcp://10.0.0.7:4000", lock_step);
    }

    pub(super) fn worker_leaves(&mut self, i: usize) {
        self.queue.worker_left(self.ids[i], &LeaveReason::Closed);
    }

    /// Lets time pass as a timer does that looks whenever something is due.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.queue.next_timeout().filter(|&due| due <= end) {
            self.wake_at(due.max(self.now));
        }
        self.wake_at(end);
    }

    pub(super) fn wake_at(&mut self, now: Instant) {
        self.now = now;
        self.queue.set_time(now);
        self.queue.handle_timeouts();
    }

    pub(super) fn client_sends(&mut self, i: usize, parts: &[&str]) {
        self.queue.client_message(self.ids[i], Message::copy_from(parts));
    }

    pub(super) fn worker_sends(&mut self, i: usize, parts: &[&str]) {
        self.queue.worker_message(self.ids[i], Message::copy_from(parts));
    }

    /// What is to be done, a line each.
    pub(super) fn actions(&mut self) -> Vec<String> {
        let ids = self.ids.clone();
        let number = |id: PeerId| ids.iter().position(|&other| other == id).unwrap();
        let text = |message: Message| {
            let parts: Vec<_> =
                message.parts().map(|part| part.escape_ascii().to_string()).collect();
            parts.join("|")
        };
        let line = |action| match action {
            Action::Dispatch(worker, message) => {
                format!("W{} <- {}", number(worker), text(message))
            }
            Action::Reply(client, message) => format!("C{} <- {}", number(client), text(message)),
            Action::Release(client) => format!("C{} released", number(client)),
            Action::LookAt(_) => unreachable!("that is done below"),
            Action::GiveUp(letter) => format!("gave up {}: {:?}", text(letter.body), letter.reason),
            Action::Report(side, peer, violation, request) => {
                let request = request.map_or(String::new(), |number| format!(" of {number}"));
                format!("{side:?} {}: {violation:?}{request}", number(peer))
            }
        };
        let mut lines = Vec::new();
        while let Some(action) = self.queue.next_action() {
            match action {
                Action::LookAt(client) => self.queue.client_waits(client),
                action => lines.push(line(action)),
            }
        }
        lines
    }
}

#[test]
fn a_request_goes_to_the_worker_under_the_clients_address_and_the_reply_back() {
    let mut fixture = Fixture::with(1, 1);
    fixture.client_sends(0, &["", "a", "", "c"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||a||c"]);
    fixture.worker_sends(0, &["", "C0", "", "x", "", "z"]);
    assert_eq!(fixture.actions(), ["C0 <- |x||z"]);
}

#[test]
fn the_least_recently_used_worker_gets_the_next_request() {
    let mut fixture = Fixture::with(4, 3);
    for client in [0, 1] {
        fixture.client_sends(client, &["", "x"]);
    }
    assert_eq!(fixture.actions(), ["W0 <- |C0||x", "W1 <- |C1||x"]);
    fixture.worker_sends(1, &["", "C1", "", "y"]);
    fixture.worker_sends(0, &["", "C0", "", "y"]);
    fixture.actions();
    for client in [0, 1, 2] {
        fixture.client_sends(client, &["", "x"]);
    }
    assert_eq!(fixture.actions(), ["W2 <- |C0||x", "W1 <- |C1||x", "W0 <- |C2||x"]);
}

#[test]
fn of_a_clients_lost_requests_one_goes_first_and_the_others_wait_for_its_turns() {
    let mut fixture = Fixture::new(Policy::default());
    fixture.join_client(0, false);
    fixture.join_client(1, true);
    (0..3).for_each(|worker| fixture.join_worker(worker));
    for body in ["1", "2", "3", "4"] {
        fixture.client_sends(0, &["", body]);
    }
    fixture.client_sends(1, &["", "one"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||1", "W1 <- |C0||2", "W2 <- |C0||3"]);
    (0..3).for_each(|worker| fixture.worker_leaves(worker));
    assert_eq!(fixture.queue.waiting(), 5);
    (3..8).for_each(|worker| fixture.join_worker(worker));
    let expected =
        ["W3 <- |C0||1", "W4 <- |C1||one", "W5 <- |C0||2", "W6 <- |C0||3", "W7 <- |C0||4"];
    assert_eq!(
        (fixture.actions(), fixture.queue.waiting()),
        (expected.map(String::from).to_vec(), 0)
    );
}

#[test]
fn requests_wait_while_no_worker_is_idle() {
    let mut fixture = Fixture::with(3, 0);
    for client in [0, 1, 2] {
        fixture.client_sends(client, &["", "x"]);
    }
    assert_eq!((fixture.actions(), fixture.queue.waiting()), (vec![], 3));
    fixture.join_worker(0);
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"]);
    fixture.worker_sends(0, &["", "C0", "", "y"]);
    assert_eq!(fixture.actions(), ["C0 <- |y", "W0 <- |C1||x"]);
    assert_eq!((fixture.queue.waiting(), fixture.queue.in_flight()), (1, 1));
}

#[test]
fn clients_take_turns_whatever_one_of_them_has_queued() {
    let mut fixture = Fixture::new(Policy::default());
    fixture.join_client(0, false);
    fixture.join_client(1, true);
    for body in ["1", "2", "3"] {
        fixture.client_sends(0, &["", body]);
    }
    fixture.client_sends(1, &["", "one"]);
    (0..4).for_each(|worker| fixture.join_worker(worker));
    let expected = ["W0 <- |C0||1", "W1 <- |C1||one", "W2 <- |C0||2", "W3 <- |C0||3"];
    assert_eq!(fixture.actions(), expected);
}

#[test]
fn what_stands_in_front_of_the_delimiter_stays_with_the_queue() {
    let mut fixture = Fixture::new(Policy::default());
    fixture.join_client(0, true);
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["wid1", "", "READY"]);
    fixture.client_sends(0, &["cid1", "", "x"]);
    assert_eq!(fixture.actions(), ["W0 <- wid1||C0||x"]);
    fixture.worker_sends(0, &["wid2", "", "C0", "", "y"]);
    fixture.client_sends(0, &["cid2", "", "x"]);
    assert_eq!(fixture.actions(), ["C0 <- cid1||y", "W0 <- wid2||C0||x"]);
}

#[test]
fn a_client_called_ready_gets_its_replies() {
    let mut fixture = Fixture::with(0, 1);
    fixture.queue.client_joined(fixture.ids[0], b"READY", true);
    fixture.client_sends(0, &["", "x"]);
    assert_eq!(fixture.actions(), ["W0 <- |READY||x"]);
    fixture.worker_sends(0, &["", "READY", "", "READY"]);
    assert_eq!(fixture.actions(), ["C0 <- |READY"]);
}

#[test]
fn a_client_that_leaves_takes_what_it_waits_for_with_it() {
    let mut fixture = Fixture::with(2, 0);
    fixture.client_sends(0, &["", "x"]);
    fixture.client_sends(1, &["", "y"]);
    fixture.queue.client_left(fixture.ids[0]);
    fixture.join_worker(0);
    assert_eq!(fixture.actions(), ["W0 <- |C1||y"]);
    fixture.queue.client_left(fixture.ids[1]);
    fixture.worker_sends(0, &["", "C1", "", "late"]);
    fixture.actions();
    assert_eq!(fixture.queue.idle(), 1, "its worker is free again");
    assert_eq!(fixture.queue.counters().abandoned, 2);
}

#[test]
fn a_req_that_asks_again_has_given_up_what_it_asked_before() {
    let mut fixture = Fixture::with(1, 0);
    fixture.client_sends(0, &["", "1"]);
    fixture.client_sends(0, &["", "2"]);
    assert_eq!(fixture.actions(), ["C0 released"]);
    fixture.join_worker(0);
    assert_eq!(fixture.actions(), ["W0 <- |C0||2"]);
    fixture.client_sends(0, &["", "3"]);
    fixture.worker_sends(0, &["", "C0", "", "two"]);
    assert_eq!(fixture.actions(), ["C0 released", "W0 <- |C0||3"]);
    fixture.worker_sends(0, &["", "C0", "", "three"]);
    assert_eq!(fixture.actions(), ["C0 <- |three"]);
}

#[test]
fn a_request_whose_worker_leaves_is_first_in_line_and_given_up_with_its_history_after_two() {
    let mut fixture = Fixture::with(2, 1);
    fixture.client_sends(0, &["id", "", "poison", "frame"]);
    fixture.client_sends(1, &["", "other"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||poison|frame"]);
    fixture.worker_leaves(0);
    fixture.join_worker(1);
    assert_eq!(fixture.actions(), ["W1 <- |C0||poison|frame"]);
    fixture.worker_leaves(1);
    let Some(Action::GiveUp(letter)) = fixture.queue.next_action() else { panic!("a dead letter") };
    let loss =
        |worker: &'static str| Loss { worker: worker.into(), cause: Cause::Left, at: fixture.now };
    let expected = DeadLetter {
        number: 1,
        peer: fixture.ids[0],
        client: "C0".into(),
        stack: vec!["id".into()],
        body: Message::from(["poison", "frame"]),
        losses: vec![loss("W0"), loss("W1")],
        reason: GaveUp::Kills,
    };
    assert_eq!(*letter, expected);
    assert_eq!(fixture.actions(), ["C0 released"]);
    fixture.join_worker(2);
    assert_eq!(fixture.actions(), ["W2 <- |C1||other"]);
    assert_eq!(fixture.queue.counters().given_up, 1);
}

#[test]
fn a_worker_that_leaves_before_it_has_read_its_request_was_not_killed_by_it() {
    let mut fixture = Fixture::with(1, 5);
    fixture.client_sends(0, &["", "x"]);
    for worker in 0..5 {
        fixture.wait(Duration::from_secs(1));
        assert_eq!(fixture.actions(), [format!("W{worker} <- |C0||x")]);
        let unread = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe][worker % 2];
        fixture.queue.worker_left(fixture.ids[worker], &LeaveReason::Io(unread));
    }
    assert_eq!(fixture.actions(), ["gave up x: Attempts", "C0 released"]);
}

#[test]
fn a_client_that_says_ready_is_told_of_and_served() {
    let mut fixture = Fixture::with(1, 1);
    fixture.client_sends(0, &["", "READY"]);
    assert_eq!(fixture.actions(), ["Frontend 0: ReadyAsRequest", "W0 <- |C0||READY"]);
    fixture.worker_sends(0, &["", "C0", "", "y"]);
    fixture.actions();
    fixture.client_sends(0, &["", "READY", "steady"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||READY|steady"]);
}

#[test]
fn the_second_time_and_later_a_request_pauses_before_it_is_in_line_again() {
    let mut fixture = Fixture::with(1, 5);
    fixture.client_sends(0, &["", "x"]);
    for (worker, pause) in [0, 100, 200, 400].into_iter().enumerate() {
        fixture.actions();
        fixture.worker_sends(worker, &["", "wrong"]);
        fixture.actions();
        if pause > 0 {
            assert_eq!((fixture.queue.waiting(), fixture.queue.delayed()), (1, 1));
            fixture.wait(Duration::from_millis(pause - 1));
            assert_eq!(fixture.queue.in_flight(), 0);
            fixture.wait(Duration::from_millis(1));
        }
        assert_eq!((fixture.queue.in_flight(), fixture.queue.delayed()), (1, 0));
    }
    fixture.actions();
    fixture.worker_sends(4, &["", "wrong"]);
    assert_eq!(fixture.actions()[..2], ["gave up x: Attempts", "C0 released"]);
    assert_eq!(fixture.queue.counters().given_up, 1);
}

#[test]
fn what_pauses_goes_with_its_client_and_with_the_next_request_of_a_req() {
    let mut fixture = Fixture::with(2, 5);
    for client in [0, 1] {
        fixture.client_sends(client, &["", "x"]);
    }
    for worker in [0, 1, 2, 3] {
        fixture.worker_sends(worker, &["", "wrong"]);
    }
    assert_eq!(fixture.queue.delayed(), 2);
    fixture.queue.client_left(fixture.ids[0]);
    assert_eq!((fixture.queue.delayed(), fixture.queue.counters().abandoned), (1, 1));
    fixture.actions();
    fixture.client_sends(1, &["", "y"]);
    assert_eq!(fixture.actions(), ["W4 <- |C1||y"]);
    fixture.wait(Duration::from_secs(1));
    assert_eq!(fixture.actions(), ["C1 released"]);
    assert_eq!((fixture.queue.waiting(), fixture.queue.counters().abandoned), (0, 2));
}

#[test]
fn a_request_may_be_given_up_or_forgotten_with_its_first_worker() {
    for (on_worker_loss, expected) in [
        (OnWorkerLoss::Fail, &["gave up x: Fails", "C0 released"][..]),
        (OnWorkerLoss::Drop, &["C0 released"]),
    ] {
        let policy = Policy { on_worker_loss, ..Policy::default() };
        let mut fixture = Fixture::with_policy(1, 2, policy);
        fixture.client_sends(0, &["", "x"]);
        fixture.actions();
        fixture.worker_leaves(0);
        assert_eq!(fixture.actions(), expected);
        let Counters { given_up, dropped, .. } = fixture.queue.counters();
        assert_eq!(given_up + dropped, 1);
    }
}

#[test]
fn a_client_is_told_that_its_request_was_given_up_if_that_is_wanted() {
    let policy = Policy {
        error_reply: Some("ERROR".into()),
        on_worker_loss: OnWorkerLoss::Fail,
        ..Policy::default()
    };
    let mut fixture = Fixture::with_policy(1, 1, policy);
    fixture.client_sends(0, &["id", "", "x"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"]);
    fixture.worker_leaves(0);
    assert_eq!(fixture.actions(), ["gave up x: Fails", "C0 <- id||ERROR"]);
    assert_eq!(fixture.queue.counters().errors, 1);
}

pub(super) fn with_lease(clients: usize, workers: usize) -> Fixture {
    let policy = Policy { lease: Some(Duration::from_secs(10)), ..Policy::default() };
    Fixture::with_policy(clients, workers, policy)
}

#[test]
fn a_request_whose_lease_is_over_goes_to_the_next_and_its_worker_gets_nothing_before_it_answers() {
    let mut fixture = with_lease(2, 2);
    fixture.client_sends(0, &["", "x"]);
    fixture.wait(Duration::from_millis(9_999));
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"]);
    fixture.wait(Duration::from_millis(1));
    assert_eq!(fixture.actions(), ["Backend 0: LeaseOver of 1", "W1 <- |C0||x"]);
    fixture.worker_sends(1, &["", "C0", "", "y"]);
    fixture.client_sends(1, &["", "z"]);
    assert_eq!(fixture.actions(), ["C0 <- |y", "W1 <- |C1||z"]);
    fixture.worker_sends(0, &["", "C0", "", "late"]);
    assert_eq!((fixture.actions(), fixture.queue.idle()), (vec![], 1));
    let Counters { stale_replies, violations, .. } = fixture.queue.counters();
    assert_eq!((stale_replies, violations), (1, 1));
}

#[test]
fn a_lease_counts_from_when_a_worker_was_given_its_request() {
    let mut fixture = with_lease(1, 1);
    for _ in 0..10 {
        fixture.client_sends(0, &["", "x"]);
        fixture.wait(Duration::from_secs(9));
        fixture.worker_sends(0, &["", "C0", "", "y"]);
    }
    assert_eq!(fixture.queue.counters().replies, 10);
    assert_eq!(fixture.queue.counters().violations, 0);
    fixture.worker_leaves(0);
    assert_eq!(fixture.queue.next_timeout(), None);
}

#[test]
fn times_longer_than_the_clock_are_for_ever() {
    let (lease, adoption) = (Some(Duration::MAX), Duration::MAX);
    let mut fixture = Fixture::with_policy(1, 1, Policy { lease, adoption, ..Policy::default() });
    fixture.client_sends(0, &["", "x"]);
    fixture.wait(Duration::from_secs(3600));
    assert_eq!((fixture.actions().len(), fixture.queue.in_flight()), (1, 1));
}

#[test]
fn a_late_reply_counts_while_no_other_worker_was_faster() {
    // The request waits for another worker, or another one has it.
    for others in [0, 1] {
        let mut fixture = with_lease(2, 1 + others);
        fixture.queue.keep_times();
        fixture.client_sends(0, &["", "x"]);
        fixture.wait(Duration::from_secs(12));
        fixture.actions();
        fixture.worker_sends(0, &["", "C0", "", "late"]);
        assert_eq!(fixture.actions(), ["C0 <- |late"]);
        let served = fixture.queue.status().times.unwrap().served;
        assert_eq!(served.sum(), Duration::from_secs(12), "as long as it took this worker");
        assert_eq!((fixture.queue.waiting(), fixture.queue.in_flight()), (0, 0));
        if others > 0 {
            fixture.client_sends(1, &["", "z"]);
            assert_eq!(fixture.actions(), ["W0 <- |C1||z"]);
            fixture.worker_sends(1, &["", "C0", "", "later"]);
            assert_eq!((fixture.actions(), fixture.queue.idle()), (vec![], 1));
        }
        assert_eq!(fixture.queue.counters().stale_replies, others as u64);
    }
}

#[test]
fn a_worker_that_never_says_ready_is_told_of_once() {
    let mut fixture =
        Fixture::with_policy(1, 0, Policy { adoption: Duration::ZERO, ..Policy::default() });
    fixture.connect_worker(0, true);
    fixture.connect_worker(1, false);
    fixture.join_worker(2);
    fixture.wait(Duration::from_secs(9));
    assert_eq!(fixture.actions(), [""; 0]);
    fixture.wait(Duration::from_secs(1));
    assert_eq!(fixture.actions(), ["Backend 0: NotReady", "Backend 1: NotReady"]);
    assert_eq!(fixture.queue.next_timeout(), None, "nobody is woken for those that are ready");
    fixture.client_sends(0, &["", "x"]);
    fixture.worker_sends(0, &["", "READY"]);
    assert_eq!(fixture.actions(), ["W2 <- |C0||x"], "it may say so yet");
    assert_eq!(fixture.queue.idle(), 1);
}

#[test]
fn who_was_stopped_does_not_take_the_leases_of_all_for_over() {
    let mut fixture = with_lease(1, 1);
    fixture.client_sends(0, &["", "x"]);
    fixture.actions();
    // An hour in which nobody looked.
    fixture.wake_at(fixture.now + Duration::from_secs(3600));
    assert_eq!((fixture.actions(), fixture.queue.in_flight()), (vec![], 1));
    fixture.wait(Duration::from_secs(10));
    assert_eq!(fixture.actions()[0], "Backend 0: LeaseOver of 1");
}

#[test]
fn where_too_many_wait_a_request_is_rejected() {
    let policy = Policy {
        at_limit: AtLimit::Reject,
        max_waiting: 3,
        max_waiting_per_client: 2,
        error_reply: Some("FULL".into()),
        ..Policy::default()
    };
    let mut fixture = Fixture::with_policy(3, 0, policy);
    fixture.join_client(3, false);
    (0..3).for_each(|_| fixture.client_sends(3, &["", "x"]));
    let rejected = |client| [format!("Frontend {client}: Rejected"), format!("C{client} <- |FULL")];
    assert_eq!(fixture.actions(), rejected(3), "one client has two");
    (0..2).for_each(|client| fixture.client_sends(client, &["", "y"]));
    assert_eq!(fixture.actions(), rejected(1), "all have three");
    assert!(fixture.queue.is_full());
    fixture.client_sends(0, &["", "anew"]);
    assert_eq!(fixture.actions(), ["C0 released"], "it takes no more room than before");
    let Counters { requests, rejected, errors, abandoned, .. } = fixture.queue.counters();
    assert_eq!((requests, rejected, errors, abandoned), (6, 2, 2, 1));
}

#[test]
fn bytes_that_wait_count_as_long_as_they_do() {
    let policy = Policy { max_waiting_bytes: 1000, ..Policy::default() };
    let mut fixture = Fixture::with_policy(1, 0, policy);
    fixture.client_sends(0, &["", &"x".repeat(1000)]);
    assert!(fixture.queue.is_full());
    fixture.client_sends(0, &["", "short"]);
    assert!(!fixture.queue.is_full());
    fixture.client_sends(0, &["", &"x".repeat(1000)]);
    fixture.join_worker(0);
    assert!(!fixture.queue.is_full());
    fixture.worker_leaves(0);
    assert!(fixture.queue.is_full());
    fixture.queue.client_left(fixture.ids[0]);
    assert!(!fixture.queue.is_full());
}

#[test]
fn a_req_that_begins_with_a_reply_was_asked_on_an_earlier_connection_and_is_idle() {
    let mut fixture = Fixture::with(1, 0);
    fixture.connect_worker(0, true);
    fixture.connect_worker(1, false);
    for worker in [0, 1] {
        fixture.worker_sends(worker, &["", "C7", "", "stale"]);
    }
    assert_eq!(fixture.actions(), ["Backend 1: UnaskedReply"]);
    assert_eq!((fixture.queue.idle(), fixture.queue.counters().stale_replies), (1, 1));
}

#[test]
fn an_idle_worker_that_sends_what_it_should_not_three_times_gets_nothing_more() {
    let mut fixture = Fixture::with(1, 1);
    (0..3).for_each(|_| fixture.worker_sends(0, &["", "junk"]));
    assert_eq!(fixture.actions()[2..], ["Backend 0: UnaskedReply", "Backend 0: Quarantined"]);
    fixture.client_sends(0, &["", "x"]);
    assert_eq!((fixture.actions(), fixture.queue.waiting()), (vec![], 1));
}

#[test]
fn a_reply_that_may_be_to_a_request_which_crossed_ready_costs_a_retry_and_no_wrong_answer() {
    let mut fixture = Fixture::new(Policy::default());
    fixture.join_client(0, false);
    fixture.join_worker(0);
    fixture.client_sends(0, &["", "1"]);
    // It has not seen the request when it says so, and sees it then.
    fixture.worker_sends(0, &["", "READY"]);
    fixture.join_worker(1);
    fixture.client_sends(0, &["", "2"]);
    let twice = "W0 <- |C0||1";
    assert_eq!(fixture.actions(), [twice, "Backend 0: ReadyWhileBusy", twice, "W1 <- |C0||2"]);
    // The first of the two copies, and the second, when it has been given something else of the same client.
    fixture.worker_sends(0, &["", "C0", "", "one"]);
    fixture.client_sends(0, &["", "3"]);
    fixture.actions();
    fixture.worker_sends(0, &["", "C0", "", "one"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||3"], "which is not the reply to the third");
    fixture.worker_sends(0, &["", "C0", "", "three"]);
    assert_eq!(fixture.actions(), ["C0 <- |three"]);
}

/// A queue that has just started, and a worker that has been silent for the second it takes to be adopted.
pub(super) fn with_adopted_worker(clients: &[&[u8]]) -> Fixture {
    let mut fixture = Fixture::new(Policy::default());
    for (i, name) in clients.iter().enumerate() {
        fixture.queue.client_joined(fixture.ids[i], name, true);
    }
    fixture.connect_worker(0, true);
    fixture.wait(Duration::from_millis(999));
    assert_eq!(fixture.queue.idle(), 0);
    fixture.wait(Duration::from_millis(1));
    assert_eq!((fixture.queue.idle(), fixture.queue.counters().adopted), (1, 1));
    fixture
}

#[test]
fn a_silent_req_is_adopted_only_in_a_while_after_the_start() {
    let mut fixture = with_adopted_worker(&[]);
    fixture.connect_worker(1, false);
    fixture.wait(Duration::from_secs(10));
    fixture.connect_worker(2, true);
    fixture.wait(Duration::from_secs(60));
    assert_eq!(fixture.queue.idle(), 1, "neither a DEALER nor one that comes later");
}

#[test]
fn workers_that_leave_at_once_are_one_attempt_of_a_request() {
    let mut fixture = Fixture::with(1, 4);
    fixture.client_sends(0, &["", "job"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    let closed = LeaveReason::Closed;
    let had = [0, 1, 2].map(|i| fixture.queue.worker_left(fixture.id(i), &closed));
    assert_eq!(had, [Some(1), None, None], "the others were never sent it");
    assert_eq!(fixture.actions(), ["W3 <- |C0||job"]);
    assert_eq!(fixture.queue.status().faults.losses, [(Cause::Left, 1)].into());
}

#[test]
fn a_worker_whose_name_is_taken_over_was_not_killed_by_its_request() {
    let mut fixture = Fixture::with(1, 3);
    fixture.client_sends(0, &["", "job"]);
    for i in 0..3 {
        assert_eq!(fixture.actions(), [format!("W{i} <- |C0||job")]);
        fixture.queue.worker_left(fixture.id(i), &LeaveReason::Replaced);
        fixture.wait(Duration::from_millis(100));
    }
    assert_eq!(fixture.queue.waiting(), 1, "it is not given up");
}

#[test]
fn an_idle_req_whose_connection_failed_is_known_again_by_its_name() {
    let failed = LeaveReason::Protocol(ProtocolError::HeartbeatTimeout);
    // It fails, or the worker ends; the worker is a REQ; silent workers are adopted; whether it is taken for ready.
    let cases = [
        (&failed, true, 10, 1),
        (&LeaveReason::Replaced, true, 10, 1),
        (&LeaveReason::Closed, true, 10, 0),
        (&failed, false, 10, 0),
        (&failed, true, 0, 0),
    ];
    for (reason, lock_step, adoption, idle) in cases {
        let adoption = Duration::from_secs(adoption);
        let mut fixture = Fixture::new(Policy { adoption, ..Policy::default() });
        fixture.connect_worker(0, lock_step);
        fixture.worker_sends(0, &["", "READY"]);
        fixture.wait(Duration::from_secs(60));
        fixture.queue.worker_left(fixture.id(0), reason);
        assert_eq!(fixture.queue.idle(), 0);
        fixture.connect_worker(0, lock_step);
        fixture.wait(Duration::from_millis(999));
        assert_eq!(fixture.queue.idle(), 0, "it may say READY yet");
        fixture.wait(Duration::from_millis(1));
        assert_eq!(fixture.queue.idle(), idle, "{reason:?} {lock_step} {adoption:?}");
        // That was so once.
        fixture.worker_leaves(0);
        fixture.connect_worker(0, lock_step);
        fixture.wait(Duration::from_secs(1));
        assert_eq!(fixture.queue.idle(), 0);
    }
}

#[test]
fn as_many_reqs_without_a_name_are_known_again_by_their_host_as_have_failed_there() {
    let failed = LeaveReason::Io(ErrorKind::TimedOut);
    let mut fixture = Fixture::with(0, 0);
    let name = |i: u8| Bytes::from(vec![0, 0, 0, 0, i]);
    for i in 0..3 {
        fixture.connect_worker_as(i, &name(0), true);
        fixture.worker_sends(i, &["", "READY"]);
    }
    fixture.wait(Duration::from_secs(60));
    for i in 0..3 {
        fixture.queue.worker_left(fixture.id(i), &failed);
    }
    // One of them ends for good, and another one is started in its place.
    fixture.connect_worker_as(0, &name(1), true);
    fixture.worker_sends(0, &["", "READY"]);
    for idle in 2..=3 {
        fixture.connect_worker_as(idle, &name(2), true);
        fixture.wait(Duration::from_secs(1));
        assert_eq!(fixture.queue.idle(), idle);
    }
    fixture.connect_worker_as(4, &name(3), true);
    fixture.wait(Duration::from_secs(1));
    assert_eq!(fixture.queue.idle(), 3, "nobody else is missing");
}

#[test]
fn a_req_that_was_never_sent_its_request_is_known_again() {
    let failed = LeaveReason::Protocol(ProtocolError::HeartbeatTimeout);
    for is_taken_back in [true, false] {
        let mut fixture = Fixture::with(1, 2);
        fixture.wait(Duration::from_secs(60));
        fixture.client_sends(0, &["", "job"]);
        assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
        fixture.queue.worker_left(fixture.id(0), &failed);
        if !is_taken_back {
            // That it has left is told when the request cannot be sent any more.
            assert_eq!(fixture.actions(), ["W1 <- |C0||job"]);
            fixture.queue.dispatch_failed(fixture.id(1));
        }
        fixture.queue.worker_left(fixture.id(1), &failed);
        assert_eq!(fixture.actions(), [""; 0]);
        fixture.connect_worker(1, true);
        fixture.wait(Duration::from_secs(1));
        assert_eq!(fixture.actions(), ["W1 <- |C0||job"], "{is_taken_back}");
    }
}

#[test]
fn workers_that_cannot_be_reached_any_more_were_not_killed() {
    let gone = [
        LeaveReason::Protocol(ProtocolError::HeartbeatTimeout),
        LeaveReason::Io(ErrorKind::TimedOut),
        LeaveReason::Io(ErrorKind::HostUnreachable),
    ];
    let mut fixture = Fixture::with(1, 4);
    fixture.client_sends(0, &["", "job"]);
    for (i, reason) in gone.iter().enumerate() {
        assert_eq!(fixture.actions(), [format!("W{i} <- |C0||job")]);
        fixture.queue.worker_left(fixture.id(i), reason);
        fixture.wait(Duration::from_millis(200));
    }
    assert_eq!(fixture.actions(), ["W3 <- |C0||job"], "it is not given up");
    assert_eq!(fixture.queue.status().faults.losses, [(Cause::Unreachable, 3)].into());
}

#[test]
fn a_req_that_is_known_by_its_name_to_have_been_idle_is_in_no_doubt() {
    let mut fixture = Fixture::with(1, 1);
    fixture.wait(Duration::from_secs(60));
    fixture.queue.worker_left(fixture.id(0), &LeaveReason::Io(ErrorKind::TimedOut));
    fixture.connect_worker(0, true);
    fixture.wait(Duration::from_secs(1));
    fixture.client_sends(0, &["", "job"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!(fixture.actions(), ["C0 <- |done"]);
}

#[test]
fn whoever_is_ready_takes_the_place_of_one_that_has_failed() {
    let mut fixture = Fixture::with(0, 0);
    for i in 0..10_u8 {
        fixture.connect_worker_as(0, &Bytes::from(vec![0, 0, 0, 0, i]), true);
        // It answers what it was asked before, and is ready by that.
        fixture.worker_sends(0, &["", "C9", "", "y"]);
        assert_eq!(fixture.queue.idle(), 1);
        fixture.queue.worker_left(fixture.id(0), &LeaveReason::Io(ErrorKind::TimedOut));
        assert_eq!(fixture.queue.estate().away.len(), 1);
    }
}

#[test]
fn a_busy_req_whose_connection_failed_is_given_time_unless_it_cannot_be_at_work() {
    let (short, long) = (Some(1), Some(60));
    let cases = [
        (LeaveReason::Protocol(ProtocolError::HeartbeatTimeout), long, "it may be at it still"),
        (LeaveReason::Io(ErrorKind::ConnectionReset), long, "it may be at it still"),
        (LeaveReason::Closed, None, "it has ended"),
        (LeaveReason::Protocol(ProtocolError::TruncatedAtEof), short, "it has answered"),
        (LeaveReason::Io(ErrorKind::BrokenPipe), short, "it never had the request"),
    ];
    for (reason, ready_after, why) in cases {
        let mut fixture = Fixture::with(1, 1);
        fixture.wait(Duration::from_secs(60));
        fixture.client_sends(0, &["", "job"]);
        assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
        fixture.queue.worker_left(fixture.id(0), &reason);
        fixture.connect_worker(0, true);
        let before = Duration::from_millis(1000 * ready_after.unwrap_or(600) - 1);
        fixture.wait(before);
        let mut actions = fixture.actions();
        actions.retain(|action| action != "Backend 0: NotReady");
        assert_eq!(actions, [""; 0], "{reason:?}: {why}");
        fixture.wait(Duration::from_millis(1));
        let again: &[&str] = if ready_after.is_some() { &["W0 <- |C0||job"] } else { &[] };
        assert_eq!(fixture.actions(), again, "{reason:?}: {why}");
    }
}

#[test]
fn what_an_adopted_worker_answers_first_counts_if_it_can_be_meant_for_nobody_else() {
    let mut fixture = with_adopted_worker(&[b"\x00new"]);
    fixture.client_sends(0, &["", "x"]);
    assert_eq!(fixture.actions(), ["W0 <- |\\x00new||x"]);
    fixture.worker_sends(0, &["", "\x00new", "", "y"]);
    assert_eq!(fixture.actions(), ["C0 <- |y"]);
}

#[test]
fn an_adopted_worker_that_was_at_work_for_another_gets_its_request_again() {
    for (client, reply) in [(&b"\x00new"[..], "earlier"), (b"C0", "C0")] {
        let mut fixture = with_adopted_worker(&[client]);
        fixture.client_sends(0, &["", "x"]);
        let handed_out = fixture.actions();
        fixture.worker_sends(0, &["", reply, "", "of what was asked before"]);
        assert_eq!(fixture.actions(), handed_out, "and nobody is struck");
        let client = std::str::from_utf8(client).unwrap();
        fixture.worker_sends(0, &["", client, "", "y"]);
        assert_eq!(fixture.actions(), ["C0 <- |y"]);
        assert_eq!(fixture.queue.counters().violations, 0);
    }
}

#[test]
fn an_adopted_worker_has_no_lease_for_what_comes_later() {
    let mut fixture = with_adopted_worker(&[b"\x00new"]);
    fixture.client_sends(0, &["", "x"]);
    fixture.worker_sends(0, &["", "\x00new", "", "y"]);
    fixture.wait(Duration::from_secs(50));
    fixture.client_sends(0, &["", "long"]);
    fixture.actions();
    fixture.wait(Duration::from_secs(3600));
    assert_eq!((fixture.actions(), fixture.queue.in_flight()), (vec![], 1));
    assert_eq!(fixture.queue.next_timeout(), None);
}

#[test]
fn an_adopted_workers_only_client_pays_for_the_doubt_a_few_times_and_not_for_ever() {
    let mut fixture = with_adopted_worker(&[b"C0"]);
    let mut runs = 0;
    for body in 0..100 {
        fixture.client_sends(0, &["", &body.to_string()]);
        while fixture.queue.in_flight() > 0 {
            runs += 1;
            fixture.worker_sends(0, &["", "C0", "", "y"]);
        }
    }
    assert_eq!(fixture.queue.counters().replies, 100);
    assert!(runs <= 120, "{runs} runs");
}

#[test]
fn a_dealer_that_answers_what_crossed_ready_goes_on_with_what_it_has() {
    let mut fixture = Fixture::with(2, 0);
    fixture.connect_worker(0, false);
    fixture.worker_sends(0, &["", "READY"]);
    fixture.client_sends(0, &["", "1"]);
    fixture.worker_sends(0, &["", "READY"]);
    fixture.worker_sends(0, &["", "C0", "", "one"]);
    fixture.client_sends(1, &["", "2"]);
    fixture.actions();
    // The second copy of the first, and then what comes behind it.
    fixture.worker_sends(0, &["", "C0", "", "one"]);
    assert_eq!((fixture.actions(), fixture.queue.in_flight()), (vec![], 1));
    fixture.worker_sends(0, &["", "C1", "", "two"]);
    assert_eq!(fixture.actions(), ["C1 <- |two"]);
}

#[test]
fn a_client_that_connects_to_the_backend_by_mistake_gets_nobodys_request() {
    let mut fixture = Fixture::with(1, 0);
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "hello"]);
    fixture.client_sends(0, &["", "x"]);
    assert_eq!(fixture.actions(), ["Backend 0: UnaskedReply"]);
}

#[test]
fn an_adopted_worker_may_say_ready_after_all() {
    let mut fixture = with_adopted_worker(&[b"C0"]);
    fixture.client_sends(0, &["", "x"]);
    fixture.worker_sends(0, &["", "READY"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"; 2]);
    assert_eq!(fixture.queue.counters().violations, 0);
}

#[test]
fn a_request_that_an_adopted_worker_does_not_answer_goes_to_another_after_a_minute() {
    let mut fixture = with_adopted_worker(&[b"C0"]);
    fixture.client_sends(0, &["", "x"]);
    fixture.join_worker(1);
    fixture.wait(Duration::from_secs(60));
    assert_eq!(fixture.actions(), ["W0 <- |C0||x", "Backend 0: LeaseOver of 1", "W1 <- |C0||x"]);
}

#[test]
fn the_guides_workers_say_ready_with_a_byte_of_1() {
    let mut fixture = Fixture::with(1, 0);
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "\x01"]);
    fixture.client_sends(0, &["", "x"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"]);
}

#[test]
fn a_dispatch_that_failed_costs_no_attempt() {
    let mut fixture = Fixture::with(1, 0);
    fixture.client_sends(0, &["", "x"]);
    for worker in 0..6 {
        fixture.join_worker(worker);
        assert_eq!(fixture.actions(), [format!("W{worker} <- |C0||x")]);
        fixture.queue.dispatch_failed(fixture.ids[worker]);
    }
    assert_eq!(fixture.queue.waiting(), 1);
}

#[test]
fn an_idle_worker_that_leaves_gets_nothing() {
    let mut fixture = Fixture::with(1, 2);
    fixture.worker_leaves(0);
    fixture.client_sends(0, &["", "x"]);
    assert_eq!(fixture.actions(), ["W1 <- |C0||x"]);
}

#[test]
fn ready_twice_keeps_the_place_in_line_and_gives_no_second_request() {
    let mut fixture = Fixture::with(2, 2);
    fixture.worker_sends(0, &["", "READY"]);
    assert_eq!(fixture.actions(), ["Backend 0: DuplicateReady"]);
    for client in [0, 1] {
        fixture.client_sends(client, &["", "x"]);
    }
    assert_eq!(fixture.actions(), ["W0 <- |C0||x", "W1 <- |C1||x"]);
}

#[test]
fn ready_from_a_busy_worker_gives_its_request_to_the_next() {
    let mut fixture = Fixture::with(1, 2);
    fixture.client_sends(0, &["", "x"]);
    fixture.worker_sends(0, &["", "READY"]);
    let expected = ["W0 <- |C0||x", "Backend 0: ReadyWhileBusy", "W1 <- |C0||x"];
    assert_eq!(fixture.actions(), expected);
    assert_eq!(fixture.queue.idle(), 1);
}

#[test]
fn a_worker_cannot_answer_a_client_that_did_not_ask_it() {
    let mut fixture = Fixture::with(2, 1);
    fixture.worker_sends(0, &["", "C1", "", "injected"]);
    assert_eq!(fixture.actions(), ["Backend 0: UnaskedReply"]);
    fixture.client_sends(0, &["", "x"]);
    for wrong in [&["", "C1", "", "y"][..], &["", "C0", "y"], &["", "C0", ""], &["", "x"]] {
        assert_eq!(fixture.actions().last().unwrap(), "W0 <- |C0||x");
        fixture.worker_sends(0, wrong);
        let actions = fixture.actions();
        assert_eq!(actions[0], "Backend 0: WrongReply");
        fixture = Fixture::with(2, 1);
        fixture.client_sends(0, &["", "x"]);
    }
}

#[test]
fn a_worker_that_answers_wrongly_three_times_gets_nothing_more() {
    let mut fixture = Fixture::with(4, 1);
    (0..4).for_each(|client| fixture.client_sends(client, &["", "x"]));
    for _ in 0..3 {
        fixture.worker_sends(0, &["", "bad"]);
        fixture.wait(Duration::from_secs(1));
    }
    assert_eq!(fixture.actions().last().unwrap(), "Backend 0: Quarantined");
    fixture.worker_sends(0, &["", "READY"]);
    assert_eq!(fixture.actions(), ["Backend 0: Quarantined"]);
    assert_eq!((fixture.queue.waiting(), fixture.queue.in_flight()), (4, 0));
    fixture.join_worker(1);
    assert_eq!(fixture.actions().len(), 1);
}

#[test]
fn an_envelope_has_at_most_16_frames_and_4_kib() {
    let mut fixture = Fixture::with(1, 0);
    let deep = |frames: usize, size: usize| {
        let mut parts = vec!["x".repeat(size); frames];
        parts.extend([String::new(), "body".to_owned()]);
        parts.into_iter().collect()
    };
    for (message, fits) in
        [(deep(16, 1), true), (deep(17, 1), false), (deep(1, 4096), true), (deep(1, 4097), false)]
    {
        fixture.queue.client_message(fixture.ids[0], message);
        let reported = fixture.actions().contains(&"Frontend 0: NoDelimiter".to_owned());
        assert_eq!(reported, !fits);
    }
}

#[test]
fn messages_without_a_delimiter_or_a_body_are_reported() {
    let policy = Policy { max_strikes: 100, ..Policy::default() };
    let mut fixture = Fixture::with_policy(1, 1, policy);
    for wrong in [&["x"][..], &["x", "y"], &[""], &["x", ""]] {
        fixture.client_sends(0, wrong);
        assert_eq!(fixture.actions(), ["Frontend 0: NoDelimiter", "C0 released"]);
        fixture.worker_sends(0, wrong);
        assert_eq!(fixture.actions(), ["Backend 0: NoDelimiter"]);
    }
    fixture.client_sends(0, &["", ""]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||"], "an empty body is a body");
}

#[test]
fn a_paused_queue_hands_out_nothing_until_it_is_resumed_unless_it_drains() {
    let mut fixture = Fixture::with(2, 2);
    fixture.client_sends(0, &["", "runs"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||runs"]);
    fixture.queue.pause();
    fixture.client_sends(1, &["", "waits"]);
    fixture.worker_sends(0, &["", "C0", "", "reply"]);
    assert_eq!(fixture.actions(), ["C0 <- |reply"]);
    fixture.queue.resume();
    assert_eq!(fixture.actions(), ["W1 <- |C1||waits"]);
    fixture.queue.pause();
    fixture.queue.drain();
    fixture.queue.resume();
    fixture.client_sends(0, &["", "too late"]);
    assert_eq!(fixture.actions(), Vec::<String>::new());
}

#[test]
fn a_worker_in_quarantine_finishes_what_it_has_and_is_passed_over() {
    let mut fixture = Fixture::with(2, 2);
    fixture.client_sends(0, &["", "runs"]);
    let counts = [&b"W0"[..], b"W1", b"another"].map(|name| fixture.queue.quarantine_worker(name));
    assert_eq!(counts, [1, 1, 0]);
    fixture.worker_sends(0, &["", "C0", "", "reply"]);
    fixture.client_sends(0, &["", "waits"]);
    fixture.client_sends(1, &["", "waits"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||runs", "C0 <- |reply"]);
    let workers = fixture.queue.status().workers;
    assert!(workers.iter().all(|worker| worker.state == WorkerState::Quarantined));
    // Whoever leaves and comes back is given requests again.
    fixture.worker_leaves(1);
    fixture.join_worker(1);
    assert_eq!(fixture.actions(), ["W1 <- |C0||waits"]);
    assert_eq!(fixture.queue.release_worker(b"W0"), 1);
    assert_eq!(fixture.actions(), ["W0 <- |C1||waits"]);
}

#[test]
fn the_clients_that_have_waited_longest_are_told_of_each_once() {
    let mut fixture = Fixture::new(Policy::default());
    fixture.queue.keep_times();
    (0..3).for_each(|i| fixture.join_client(i, false));
    for (i, after) in [(2, 3), (0, 2), (2, 1), (1, 1)] {
        fixture.client_sends(i, &["", "waits"]);
        fixture.wait(Duration::from_secs(after));
    }
    let status = fixture.queue.status();
    let told = status.longest.iter().map(|client| (&client.name[..], client.waits.as_secs()));
    assert_eq!(told.collect::<Vec<_>>(), [(&b"C2"[..], 7), (b"C0", 4), (b"C1", 1)]);
    assert_eq!(status.oldest(), Some(Duration::from_secs(7)));
}

#[test]
fn a_draining_queue_hands_out_nothing_and_lets_replies_through() {
    let mut fixture = Fixture::with(2, 2);
    fixture.client_sends(0, &["", "x"]);
    fixture.queue.drain();
    fixture.client_sends(1, &["", "x"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"]);
    fixture.worker_sends(0, &["", "C0", "", "y"]);
    assert_eq!(fixture.actions(), ["C0 <- |y"]);
    assert_eq!((fixture.queue.waiting(), fixture.queue.in_flight()), (1, 0));
}

/// What may happen to a queue of four clients and four workers.
#[derive(Clone, Copy, Debug)]
enum Op {
    ClientJoins(usize),
    ClientLeaves(usize),
    Asks(usize),
    WorkerJoins(usize),
    WorkerLeaves(usize),
    Ready(usize),
    Replies(usize),
    Garbage(usize),
    Waits(u64),
    /// The next queue goes on.
    GoesOn,
}

fn op() -> impl Strategy<Value = Op> {
    (0..10_usize, 0..4_usize).prop_map(|(kind, i)| match kind {
        0 => Op::ClientJoins(i),
        1 => Op::ClientLeaves(i),
        2 => Op::WorkerJoins(i),
        3 => Op::WorkerLeaves(i),
        4 => Op::Ready(i),
        5 => Op::Replies(i),
        6 => Op::Garbage(i),
        7 => Op::Waits(10_u64.pow(u32::try_from(i).unwrap_or(0) + 1)),
        8 if i == 0 => Op::GoesOn,
        _ => Op::Asks(i),
    })
}

proptest! {
    /// A naive model beside the queue: who is there, who has what, and what became of each request.
    #[test]
    fn every_request_ends_once_and_no_worker_has_two(
        ops in proptest::collection::vec(op(), 0..300),
    ) {
        let all = ids(4);
        let policy = Policy { lease: Some(Duration::from_secs(5)), ..Policy::default() };
        let mut now = Instant::now();
        let mut queue = Queue::new(policy.clone(), now);
        let mut clients = HashSet::new();
        let mut workers = HashSet::new();
        let mut holds: HashMap<usize, (usize, u32)> = HashMap::new();
        let mut asked = 0_u32;
        for op in ops {
            queue.set_time(now);
            match op {
                Op::Waits(millis) => now += Duration::from_millis(millis),
                Op::ClientJoins(i) if clients.insert(i) => {
                    // Even ones are REQ.
                    queue.client_joined(all[i], format!("C{i}").as_bytes(), i % 2 == 0);
                }
                Op::GoesOn => {
                    let estate = queue.estate();
                    queue = Queue::new(policy.clone(), now);
                    queue.go_on(estate.clone());
                    let expected = Estate { released: Vec::new(), ..estate };
                    prop_assert_eq!(queue.estate(), expected);
                }
                Op::ClientLeaves(i) if clients.remove(&i) => queue.client_left(all[i]),
                Op::Asks(i) if clients.contains(&i) => {
                    asked += 1;
                    let body = asked.to_string();
                    queue.client_message(all[i], Message::from([String::new(), body]));
                }
                Op::WorkerJoins(i) if workers.insert(i) => {
                    queue.worker_joined(all[i], &Bytes::from_static(b"W"), "here", i % 2 == 0);
                }
                Op::WorkerLeaves(i) if workers.remove(&i) => {
                    holds.remove(&i);
                    let ends = i % 3 > 0;
                    let reason = if ends { LeaveReason::Closed } else { LeaveReason::Replaced };
                    queue.worker_left(all[i], &reason);
                }
                Op::Ready(i) if workers.contains(&i) => {
                    holds.remove(&i);
                    queue.worker_message(all[i], Message::from(["", "READY"]));
                }
                Op::Replies(i) => if let Some((client, number)) = holds.remove(&i) {
                    let reply = ["", &format!("C{client}"), "", &number.to_string()];
                    queue.worker_message(all[i], Message::copy_from(&reply));
                },
                Op::Garbage(i) if workers.contains(&i) => {
                    holds.remove(&i);
                    queue.worker_message(all[i], Message::from(["", "junk", "more"]));
                }
                _ => {}
            }
            queue.set_time(now);
            queue.handle_timeouts();
            while let Some(action) = queue.next_action() {
                match action {
                    Action::Dispatch(worker, message) => {
                        let worker = all.iter().position(|&id| id == worker).unwrap();
                        prop_assert!(workers.contains(&worker));
                        let text = |i| std::str::from_utf8(message.part(i).unwrap()).unwrap();
                        let client = text(1)[1..].parse().unwrap();
                        prop_assert!(clients.contains(&client));
                        let job = (client, text(3).parse().unwrap());
                        prop_assert_eq!(holds.insert(worker, job), None, "two at a time");
                    }
                    Action::LookAt(_) => prop_assert!(false, "nobody was there before"),
                    Action::Reply(client, message) => {
                        let client = all.iter().position(|&id| id == client).unwrap();
                        prop_assert!(clients.contains(&client));
                        prop_assert_eq!(message.len(), 2);
                    }
                    Action::Release(_) | Action::Report(..) | Action::GiveUp(_) => {}
                }
            }
            let Counters { requests, replies, given_up, abandoned, .. } = queue.counters();
            let open = (queue.waiting() + queue.in_flight()) as u64;
            prop_assert_eq!(requests, u64::from(asked));
            prop_assert_eq!(requests, replies + given_up + abandoned + open);
            // Those that are late hold what has been taken from them.
            prop_assert!(queue.in_flight() <= holds.len());
            let waits = queue.waiting() > queue.delayed();
            prop_assert!(!waits || queue.idle() == 0, "nobody waits for nothing");
        }
    }
}
