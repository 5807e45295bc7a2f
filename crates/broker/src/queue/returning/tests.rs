use std::time::Duration;

use bytes::Bytes;
use zmtp::Message;

use super::super::tests::Fixture;
use super::super::{Asked, OnWorkerLoss, Policy, Record, Replay};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn asked(number: u64, client: &str, connection: u64, body: &str) -> Record {
    let message = Message::copy_from(&["", client, "", body]);
    Record::Asked(Asked { number, connection, lock_step: true, stack: Vec::new(), message })
}

fn of_dealer(number: u64, client: &str, body: &str) -> Record {
    let message = Message::copy_from(&["", client, "", body]);
    let stack = vec![Bytes::from_static(b"id")];
    Record::Asked(Asked { number, connection: 1, lock_step: false, stack, message })
}

fn handed_out(number: u64, worker: &str) -> Record {
    Record::HandedOut { number, worker: Bytes::from(worker.to_owned()), in_doubt: false }
}

fn ended(number: u64) -> Record {
    Record::Ended { number }
}

fn replay(records: impl IntoIterator<Item = Record>) -> Replay {
    let mut replay = Replay::default();
    records.into_iter().for_each(|record| replay.apply(record));
    replay
}

/// A queue that goes on with what is left of these records.
fn after(records: impl IntoIterator<Item = Record>) -> Fixture {
    with_policy(records, Policy::default())
}

fn with_policy(records: impl IntoIterator<Item = Record>, policy: Policy) -> Fixture {
    let mut fixture = Fixture::new(policy);
    fixture.queue.restore(replay(records));
    fixture.queue.keep_records();
    fixture
}

fn restored(records: impl IntoIterator<Item = Record>) -> Restored {
    Fixture::new(Policy::default()).queue.restore(replay(records))
}

/// Requests that wait, and those in flight.
fn open(fixture: &Fixture) -> (usize, usize) {
    (fixture.queue.waiting(), fixture.queue.in_flight())
}

#[test]
fn a_request_that_waited_goes_to_a_worker_once_its_client_is_back_and_has_been_silent() {
    let mut fixture = after([asked(1, "C0", 1, "job")]);
    assert_eq!(open(&fixture), (1, 0));
    fixture.join_worker(0);
    fixture.wait(SECOND);
    fixture.join_client(0, true);
    fixture.wait(Duration::from_millis(999));
    assert_eq!(fixture.actions(), [""; 0], "it may yet ask something else");
    fixture.wait(Duration::from_millis(1));
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!(fixture.actions(), ["C0 <- |done"]);
    assert_eq!(fixture.queue.snapshot(), []);
}

#[test]
fn a_client_that_is_back_and_asks_has_given_up_what_it_asked_before() {
    let records = [asked(1, "C0", 1, "waits"), asked(2, "C1", 2, "runs"), handed_out(2, "W0")];
    let mut fixture = after(records);
    for client in [0, 1] {
        fixture.join_client(client, true);
        fixture.client_sends(client, &["", "new"]);
    }
    let numbers: Vec<_> = fixture.queue.take_records().collect();
    assert_eq!((&numbers[0], &numbers[2]), (&ended(1), &ended(2)));
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "C1", "", "to what was asked before"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||new"]);
    assert_eq!(fixture.queue.counters().stale_replies, 1);
}

#[test]
fn the_reply_of_a_worker_that_was_at_work_waits_for_its_client() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    assert_eq!(open(&fixture), (0, 1));
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!((fixture.actions(), open(&fixture)), (vec![], (0, 1)));
    assert_eq!(
        fixture.queue.take_records().count(),
        0,
        "it has not ended before its client has the reply"
    );
    assert_eq!(fixture.queue.snapshot().len(), 1);
    fixture.join_client(0, true);
    fixture.wait(SECOND);
    assert_eq!((fixture.actions(), open(&fixture)), (vec!["C0 <- |done".to_owned()], (0, 0)));
    assert_eq!(fixture.queue.take_records().collect::<Vec<_>>(), [ended(1)]);
    fixture.join_client(1, true);
    fixture.client_sends(1, &["", "next"]);
    assert_eq!(fixture.actions(), ["W0 <- |C1||next"], "the worker is of use");
}

#[test]
fn a_worker_that_is_back_and_silent_is_given_its_request_again() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.join_client(0, true);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    assert_eq!(open(&fixture), (0, 1));
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!(fixture.actions(), ["C0 <- |done"]);
    assert_eq!(fixture.queue.counters().resumed, 1);
}

#[test]
fn a_worker_that_was_given_its_request_again_may_answer_it_twice() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.join_client(0, true);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    fixture.client_sends(0, &["", "next"]);
    assert_eq!(fixture.actions(), ["C0 <- |done", "W0 <- |C0||next"]);
    fixture.worker_sends(0, &["", "C0", "", "done again"]);
    assert_eq!(
        fixture.actions(),
        ["W0 <- |C0||next"],
        "that is not passed on as the reply to another"
    );
}

#[test]
fn a_worker_that_begins_anew_leaves_its_request_to_the_next() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.join_client(0, true);
    fixture.join_worker(1);
    fixture.wait(SECOND);
    fixture.join_worker(0);
    assert_eq!(fixture.actions(), ["W1 <- |C0||job"]);
}

#[test]
fn a_worker_that_is_not_back_in_time_leaves_its_request_to_the_next() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.join_client(0, true);
    fixture.join_worker(1);
    fixture.wait(4 * SECOND);
    assert_eq!(fixture.actions(), [""; 0]);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W1 <- |C0||job"]);
}

#[test]
fn a_worker_that_leaves_again_may_have_been_killed_by_its_request() {
    let policy =
        Policy { max_worker_kills: 1, error_reply: Some("sorry".into()), ..Policy::default() };
    let mut fixture = with_policy([asked(1, "C0", 1, "job"), handed_out(1, "W0")], policy);
    fixture.connect_worker(0, true);
    fixture.worker_leaves(0);
    assert_eq!(fixture.actions(), ["gave up job: Kills"]);
    assert_eq!(fixture.queue.take_records().collect::<Vec<_>>(), [ended(1)]);
    fixture.join_client(0, true);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["C0 <- |sorry"], "the client is told once it is back");
}

#[test]
fn what_a_worker_answers_that_is_not_to_its_request_is_not_passed_on() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.join_client(0, true);
    fixture.wait(SECOND);
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "C9", "", "to somebody else"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
}

#[test]
fn a_client_that_is_not_back_in_time_is_forgotten() {
    let mut fixture =
        after([asked(1, "C0", 1, "waits"), asked(2, "C1", 2, "runs"), handed_out(2, "W0")]);
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "C1", "", "done"]);
    fixture.wait(60 * SECOND);
    assert_eq!((fixture.actions(), open(&fixture)), (vec![], (0, 0)));
    assert_eq!(fixture.queue.counters().abandoned, 2);
    assert_eq!(fixture.queue.take_records().collect::<Vec<_>>(), [ended(1), ended(2)]);
    assert_eq!(fixture.queue.next_timeout(), None);
}

#[test]
fn a_client_that_comes_and_goes_may_come_again() {
    let mut fixture = after([asked(1, "C0", 1, "job")]);
    fixture.join_worker(0);
    fixture.join_client(0, true);
    let id = fixture.id(0);
    fixture.queue.client_left(id);
    fixture.wait(SECOND);
    assert_eq!((fixture.actions(), open(&fixture)), (vec![], (1, 0)));
    let id = fixture.id(3);
    fixture.queue.client_joined(id, b"C0", true);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!(fixture.actions(), ["C3 <- |done"]);
}

#[test]
fn the_requests_of_a_dealer_go_on_at_once_and_in_their_order() {
    let records = [1, 2, 3].map(|number| of_dealer(number, "C0", &number.to_string()));
    let mut fixture = after(records.into_iter().chain([handed_out(1, "W0")]));
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "C0", "", "re:1"]);
    fixture.join_client(0, false);
    assert_eq!(fixture.actions(), ["C0 <- id||re:1", "W0 <- |C0||2"]);
    fixture.client_sends(0, &["id", "", "4"]);
    for number in [2, 3, 4] {
        let (number, reply) = (number.to_string(), format!("re:{number}"));
        fixture.worker_sends(0, &["", "C0", "", &reply]);
        let actions = fixture.actions();
        assert_eq!(actions[0], format!("C0 <- id||re:{number}"));
    }
}

#[test]
fn clients_that_cannot_be_told_apart_lose_their_requests_and_nobody_gets_anothers_reply() {
    let dealer =
        |number| Record::Asked(Asked { connection: 3, ..asked_of(of_dealer(number, "C", "x")) });
    for records in [
        vec![asked(1, "C", 1, "x"), asked(2, "C", 2, "x")],
        vec![asked(1, "C", 1, "x"), dealer(2)],
        vec![asked(1, "C", 0, "x"), dealer(2)],
        vec![asked(1, "\0 one", 1, "x"), asked(2, "\0 two", 2, "x")],
    ] {
        let restored = restored(records);
        assert_eq!((restored.lost, restored.clients), (2, 0));
    }
}

fn asked_of(record: Record) -> Asked {
    let Record::Asked(asked) = record else { panic!("it is not") };
    asked
}

#[test]
fn what_a_lock_step_client_asks_takes_the_place_of_what_it_asked_before() {
    for before in [0, 1] {
        let records = [asked(1, "C", before, "a"), handed_out(1, "W"), asked(2, "C", 1, "b")];
        let replay = replay(records);
        let left: Vec<_> = replay.requests().map(|asked| asked.number).collect();
        assert_eq!(left, [2], "of connection {before}");
        let restored = Fixture::new(Policy::default()).queue.restore(replay);
        assert_eq!((restored.waiting, restored.running), (1, 0));
    }
}

#[test]
fn a_worker_has_what_it_was_given_last() {
    let two =
        [asked(1, "C", 1, "a"), asked(2, "D", 2, "b"), handed_out(1, "W"), handed_out(2, "W")];
    assert_eq!((restored(two.clone()).waiting, restored(two.clone()).running), (1, 1));
    // If it may answer something else first, it is not known what that is to.
    let in_doubt =
        Record::HandedOut { number: 2, worker: Bytes::from_static(b"W"), in_doubt: true };
    let records = two[..3].iter().cloned().chain([in_doubt]);
    assert_eq!(restored(records).running, 0);
    // What has been handed to another worker is not at the first.
    let records = two.into_iter().chain([handed_out(2, "X"), ended(2)]);
    assert_eq!(restored(records).running, 0);
}

#[test]
fn a_queue_that_was_stopped_gives_those_that_are_back_the_time_it_was() {
    let mut fixture = after([asked(1, "C0", 1, "job")]);
    fixture.join_worker(0);
    fixture.join_client(0, true);
    let stopped = fixture.now + 30 * SECOND;
    fixture.wake_at(stopped);
    assert_eq!(fixture.actions(), [""; 0], "what it has said meanwhile is still to be read");
    fixture.client_sends(0, &["", "new"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||new"]);
}

#[test]
fn a_worker_that_is_lost_before_its_client_is_back_costs_what_the_policy_says() {
    for (on_worker_loss, expected) in [
        (OnWorkerLoss::Requeue, (1, 0)),
        (OnWorkerLoss::Fail, (0, 0)),
        (OnWorkerLoss::Drop, (0, 0)),
    ] {
        let policy = Policy { on_worker_loss, ..Policy::default() };
        let mut fixture = with_policy([asked(1, "C0", 1, "job"), handed_out(1, "W0")], policy);
        fixture.connect_worker(0, true);
        fixture.worker_leaves(0);
        assert_eq!(open(&fixture), expected);
        let released = fixture.actions().iter().any(|action| action.contains("released"));
        assert!(!released, "nobody has to be released");
    }
}

#[test]
fn a_client_of_which_something_is_unread_has_asked_something_else() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    fixture.join_client(0, true);
    fixture.wake_at(fixture.now + SECOND);
    assert!(matches!(fixture.queue.next_action(), Some(Action::LookAt(id)) if id == fixture.id(0)));
    // It waits in the socket, because the queue is full.
    let id = fixture.id(0);
    fixture.queue.client_asks(id);
    assert_eq!((fixture.actions(), open(&fixture)), (vec![], (0, 0)));
}

#[test]
fn what_a_client_has_running_ends_for_the_next_queue_when_it_leaves() {
    for lock_step in [true, false] {
        let mut fixture = Fixture::new(Policy::default());
        fixture.queue.keep_records();
        fixture.join_client(0, lock_step);
        fixture.join_worker(0);
        fixture.client_sends(0, &["", "before"]);
        let id = fixture.id(0);
        fixture.queue.client_left(id);
        let id = fixture.id(1);
        fixture.queue.client_joined(id, b"C0", lock_step);
        fixture.queue.client_message(id, Message::copy_from(&["", "after"]));
        let replay = replay(fixture.queue.take_records());
        let left: Vec<_> = replay.requests().map(|asked| asked.number).collect();
        assert_eq!(left, [2]);
        assert_eq!(restored(fixture.queue.snapshot()).waiting, 1);
        assert_eq!(
            Fixture::new(Policy::default()).queue.restore(replay).lost,
            0,
            "it was one after the other"
        );
    }
}

#[test]
fn what_a_forgotten_client_has_running_ends_for_the_next_queue() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.wait(2 * SECOND);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    fixture.wait(60 * SECOND);
    assert_eq!(fixture.queue.take_records().collect::<Vec<_>>(), [ended(1)]);
    assert_eq!(fixture.queue.snapshot(), []);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!((fixture.actions(), open(&fixture)), (vec![], (0, 0)));
}

#[test]
fn a_client_that_comes_back_while_its_worker_has_the_request_again_gets_the_reply() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.wait(2 * SECOND);
    fixture.join_client(0, true);
    fixture.wait(SECOND);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job", "C0 <- |done"]);
}

#[test]
fn a_client_that_comes_back_at_the_last_moment_has_its_second_and_nobody_is_woken_in_vain() {
    let mut fixture = after([asked(1, "C0", 1, "job"), asked(2, "C1", 2, "job")]);
    fixture.join_worker(0);
    fixture.wait(59 * SECOND + SECOND / 2);
    fixture.join_client(0, true);
    fixture.join_client(1, true);
    fixture.wake_at(fixture.now + SECOND / 2);
    assert!(fixture.queue.next_timeout().is_some_and(|due| due > fixture.now));
    let id = fixture.id(1);
    fixture.queue.client_left(id);
    assert_eq!(open(&fixture), (1, 0), "one that leaves after that is forgotten");
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
}

#[test]
fn requests_of_an_earlier_queue_count_among_those_that_may_wait() {
    let policy = Policy { max_waiting: 3, ..Policy::default() };
    let records = (1..=3).map(|number| asked(number, &format!("C{number}"), number, "job"));
    let mut fixture = with_policy(records, policy);
    assert!(fixture.queue.is_full() && fixture.queue.holds_requests());
    fixture.wait(60 * SECOND);
    assert!(!fixture.queue.is_full() && !fixture.queue.holds_requests());
}

#[test]
fn a_worker_that_has_its_request_again_is_known_to_have_that() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.wait(2 * SECOND);
    assert_eq!(restored(fixture.queue.snapshot()).running, 1);
}

#[test]
fn thousands_that_come_back_or_ask_anew_are_looked_at_once_each() {
    const COUNT: u64 = 4000;
    let records = (1..=COUNT).flat_map(|number| {
        [
            asked(number, &format!("C{number}"), number, "job"),
            handed_out(number, &format!("W{number}")),
        ]
    });
    let mut fixture = after(records);
    let ids = super::super::tests::ids(u32::try_from(COUNT).unwrap() + 1);
    for number in 1..=COUNT {
        let (id, name) = (ids[usize::try_from(number).unwrap()], format!("C{number}"));
        fixture.queue.client_joined(id, name.as_bytes(), true);
        if number % 2 == 0 {
            fixture.queue.client_asks(id);
        }
    }
    fixture.wake_at(fixture.now + SECOND);
    while let Some(action) = fixture.queue.next_action() {
        if let Action::LookAt(client) = action {
            fixture.queue.client_waits(client);
        }
    }
    assert_eq!(open(&fixture).1, usize::try_from(COUNT / 2).unwrap());
}

#[test]
fn a_worker_that_comes_back_while_the_queue_is_paused_or_is_in_quarantine_goes_on_afterwards() {
    let paused: fn(&mut Queue) = Queue::pause;
    let held: fn(&mut Queue) = |queue| assert_eq!(queue.quarantine_worker(b"W0"), 1);
    for stop in [paused, held] {
        let start = || {
            let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
            fixture.join_client(0, true);
            fixture.connect_worker(0, true);
            stop(&mut fixture.queue);
            fixture.wait(SECOND * 3);
            assert_eq!(fixture.actions(), Vec::<String>::new());
            fixture
        };
        let mut fixture = start();
        fixture.queue.resume();
        fixture.queue.release_worker(b"W0");
        fixture.wait(SECOND);
        assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
        // It was at work all the time.
        let mut fixture = start();
        fixture.worker_sends(0, &["", "C0", "", "done"]);
        assert_eq!(fixture.actions(), ["C0 <- |done"]);
        assert_eq!(fixture.queue.counters().violations, 0);
    }
}

#[test]
fn what_a_worker_was_given_again_goes_on_in_a_queue_that_takes_over_before_its_client_is_back() {
    let mut fixture = after([asked(1, "C0", 1, "job"), handed_out(1, "W0")]);
    fixture.connect_worker(0, true);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W0 <- |C0||job"]);
    let (estate, snapshot) = (fixture.queue.estate(), fixture.queue.snapshot());
    assert_eq!(estate.requests().count(), 0);
    let mut next = after(snapshot);
    next.queue.go_on(estate);
    next.join_client(0, true);
    // It answers at once, and does nothing twice.
    next.worker_sends(0, &["", "C0", "", "done"]);
    next.wait(SECOND * 2);
    assert_eq!(next.actions(), ["C0 <- |done"]);
    assert_eq!((open(&next), next.queue.idle()), ((0, 0), 1));
}

#[test]
fn replies_that_are_kept_for_clients_that_are_not_back_are_kept_by_a_queue_that_takes_over() {
    let policy = || Policy {
        on_worker_loss: OnWorkerLoss::Fail,
        error_reply: Some("ERROR".into()),
        ..Policy::default()
    };
    let records = [asked(1, "C0", 1, "job"), asked(2, "C1", 2, "poison")];
    let had = [handed_out(1, "W0"), handed_out(2, "W1")];
    let mut fixture = with_policy(records.into_iter().chain(had), policy());
    (0..2).for_each(|i| fixture.connect_worker(i, true));
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    fixture.wait(SECOND);
    assert_eq!(fixture.actions(), ["W1 <- |C1||poison"]);
    fixture.worker_leaves(1);
    let (estate, snapshot) = (fixture.queue.estate(), fixture.queue.snapshot());
    let mut next = with_policy(snapshot, policy());
    next.queue.go_on(estate);
    assert_eq!(next.actions(), Vec::<String>::new());
    (0..2).for_each(|i| next.join_client(i, true));
    next.wait(SECOND);
    assert_eq!(next.actions(), ["C0 <- |done", "C1 <- |ERROR"]);
    assert_eq!(open(&next), (0, 0));
}
