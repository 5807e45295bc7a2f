use std::io::ErrorKind;
use std::time::Duration;

use zmtp::LeaveReason;

use super::super::policy::Policy;
use super::super::tests::{Fixture, with_adopted_worker, with_lease};
use super::*;

/// The next queue of this policy, with the same peers.
fn next(before: &Fixture, policy: Policy) -> Fixture {
    let mut after = Fixture::at(before.now, policy);
    after.queue.go_on(before.queue.estate());
    after
}

/// The next queue, with the same peers, which leaves the same.
fn go_on(before: &Fixture) -> Fixture {
    let after = next(before, Policy::default());
    let estate = Estate { released: Vec::new(), ..before.queue.estate() };
    assert_eq!(after.queue.estate(), estate);
    after
}

#[test]
fn an_adopted_worker_is_in_doubt_in_the_next_queue_as_well() {
    let mut fixture = go_on(&with_adopted_worker(&[b"C0"]));
    fixture.client_sends(0, &["", "new"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||new"]);
    // It was at work for the queue before the last, for the same client.
    fixture.worker_sends(0, &["", "C0", "", "old"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||new"]);
}

#[test]
fn a_worker_whose_connection_failed_comes_back_to_the_next_queue() {
    let mut fixture = Fixture::with(0, 1);
    fixture.queue.worker_left(fixture.id(0), &LeaveReason::Io(ErrorKind::TimedOut));
    let mut fixture = go_on(&fixture);
    fixture.wait(Duration::from_secs(20));
    fixture.connect_worker(0, true);
    fixture.wait(Duration::from_secs(1));
    assert_eq!(fixture.queue.idle(), 1);
}

#[test]
fn a_lease_goes_on_in_the_next_queue_which_gives_one_to_who_has_none() {
    let mut fixture = with_lease(1, 1);
    fixture.client_sends(0, &["", "job"]);
    fixture.wait(Duration::from_secs(9));
    let mut fixture = go_on(&fixture);
    fixture.wait(Duration::from_millis(999));
    assert_eq!(fixture.queue.in_flight(), 1);
    fixture.wait(Duration::from_millis(1));
    assert_eq!((fixture.queue.in_flight(), fixture.queue.waiting()), (0, 1));

    let mut fixture = Fixture::with(1, 1);
    fixture.client_sends(0, &["", "job"]);
    let lease = Some(Duration::from_secs(3));
    let mut fixture = next(&fixture, Policy { lease, ..Policy::default() });
    fixture.wait(Duration::from_secs(2));
    assert_eq!(fixture.queue.in_flight(), 1);
    fixture.wait(Duration::from_secs(1));
    assert_eq!((fixture.queue.in_flight(), fixture.queue.waiting()), (0, 1));
}

#[test]
fn a_worker_that_is_not_ready_yet_is_not_taken_for_ready_by_the_next_queue() {
    let mut fixture = Fixture::new(Policy { adoption: Duration::ZERO, ..Policy::default() });
    fixture.connect_worker(0, true);
    let mut fixture = go_on(&fixture);
    fixture.wait(Duration::from_secs(5));
    assert_eq!(fixture.queue.idle(), 0);
    // One that the queue before was about to take for ready is.
    let mut fixture = Fixture::new(Policy::default());
    fixture.connect_worker(0, true);
    let mut fixture = go_on(&fixture);
    fixture.wait(Duration::from_secs(1));
    assert_eq!(fixture.queue.idle(), 1);
}

#[test]
fn a_worker_that_owes_a_reply_owes_it_to_the_next_queue_as_well() {
    let mut fixture = with_lease(1, 2);
    fixture.client_sends(0, &["", "slow"]);
    fixture.wait(Duration::from_secs(11));
    let _ = fixture.actions();
    fixture.worker_sends(1, &["", "C0", "", "fast"]);
    let mut fixture = go_on(&fixture);
    fixture.client_sends(0, &["", "another"]);
    assert_eq!(fixture.actions(), ["W1 <- |C0||another"]);
    fixture.worker_sends(0, &["", "C0", "", "late"]);
    assert_eq!(fixture.actions(), Vec::<String>::new());
    assert_eq!((fixture.queue.counters().stale_replies, fixture.queue.idle()), (1, 1));
}

/// A DEALER client, and DEALER workers that are ready.
fn with_dealers(workers: usize, policy: Policy) -> Fixture {
    let mut fixture = Fixture::new(policy);
    fixture.join_client(0, false);
    for i in 0..workers {
        fixture.connect_worker(i, false);
        fixture.worker_sends(i, &["", "READY"]);
    }
    fixture
}

#[test]
fn what_a_worker_may_answer_yet_of_before_is_told_from_what_it_is_asked_since() {
    let mut fixture = with_dealers(2, Policy::default());
    fixture.client_sends(0, &["", "first"]);
    fixture.worker_sends(0, &["", "READY"]);
    fixture.worker_sends(1, &["", "C0", "", "done"]);
    fixture.client_sends(0, &["", "second"]);
    let expected = [
        "W0 <- |C0||first",
        "Backend 0: ReadyWhileBusy",
        "W1 <- |C0||first",
        "C0 <- |done",
        "W0 <- |C0||second",
    ];
    assert_eq!(fixture.actions(), expected);
    let mut fixture = go_on(&fixture);
    // Either may be meant, so that neither is answered with what may be the other's.
    fixture.worker_sends(0, &["", "C0", "", "to the first"]);
    assert!(!fixture.actions().iter().any(|action| action.starts_with("C0")));
    assert_eq!(fixture.queue.counters().stale_replies, 1);
}

#[test]
fn a_late_reply_still_counts_for_a_request_that_waits_again() {
    let lease = Some(Duration::from_secs(10));
    let mut fixture = with_dealers(1, Policy { lease, ..Policy::default() });
    fixture.client_sends(0, &["", "job"]);
    fixture.wait(Duration::from_secs(10));
    assert_eq!(fixture.queue.waiting(), 1);
    let mut fixture = go_on(&fixture);
    fixture.worker_sends(0, &["", "C0", "", "done"]);
    assert_eq!(fixture.actions(), ["C0 <- |done"]);
    assert_eq!((fixture.queue.waiting(), fixture.queue.idle()), (0, 1));
}

#[test]
fn a_request_that_has_killed_a_worker_may_kill_one_more_and_not_two() {
    let mut fixture = Fixture::with(1, 1);
    fixture.client_sends(0, &["", "poison"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||poison"]);
    fixture.worker_leaves(0);
    let mut fixture = go_on(&fixture);
    fixture.join_worker(1);
    assert_eq!(fixture.actions(), ["W1 <- |C0||poison"]);
    fixture.worker_leaves(1);
    assert_eq!(fixture.actions(), ["gave up poison: Kills", "C0 released"]);
}

#[test]
fn a_pause_goes_on_and_so_do_the_numbers_of_requests() {
    let mut fixture = Fixture::with(2, 2);
    fixture.client_sends(0, &["", "x"]);
    (0..2).for_each(|worker| fixture.worker_sends(worker, &["", "wrong"]));
    fixture.wait(Duration::from_millis(60));
    assert_eq!(fixture.queue.delayed(), 1);
    let mut fixture = go_on(&fixture);
    fixture.wait(Duration::from_millis(39));
    assert_eq!(fixture.actions(), Vec::<String>::new());
    fixture.wait(Duration::from_millis(1));
    assert_eq!(fixture.actions(), ["W0 <- |C0||x"]);
    fixture.client_sends(1, &["", "y"]);
    let mut numbers: Vec<_> = fixture.queue.estate().requests().map(|it| it.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn all_that_waits_keeps_its_turn() {
    let mut fixture = with_dealers(2, Policy::default());
    fixture.join_client(1, false);
    for (client, body) in [(0, "1"), (0, "2"), (0, "3"), (1, "4"), (1, "5")] {
        fixture.client_sends(client, &["", body]);
    }
    fixture.worker_leaves(0);
    let _ = fixture.actions();
    let mut after = go_on(&fixture);
    (2..6).for_each(|i| [&mut fixture, &mut after].into_iter().for_each(|it| it.join_worker(i)));
    let expected =
        ["W2 <- |C0||1", "W3 <- |C1||4", "W4 <- |C0||3", "W5 <- |C1||5"].map(String::from);
    assert_eq!((fixture.actions(), after.actions()), (expected.to_vec(), expected.to_vec()));
}

#[test]
fn a_worker_whose_connection_failed_at_work_is_given_as_much_time_by_the_next_queue() {
    for is_upgraded in [false, true] {
        let mut fixture = Fixture::with(2, 1);
        fixture.client_sends(0, &["", "long"]);
        assert_eq!(fixture.actions(), ["W0 <- |C0||long"]);
        fixture.queue.worker_left(fixture.id(0), &LeaveReason::Io(ErrorKind::TimedOut));
        if is_upgraded {
            fixture = next(&fixture, Policy::default());
        }
        fixture.wait(Duration::from_secs(20));
        fixture.connect_worker(0, true);
        fixture.wait(Duration::from_secs(9));
        assert_eq!(fixture.actions(), [""; 0], "it may be at it still");
        fixture.wait(Duration::from_secs(51));
        let mut actions = fixture.actions();
        actions.retain(|action| action != "Backend 0: NotReady");
        assert_eq!(actions, ["W0 <- |C0||long"]);
    }
}

#[test]
fn the_request_of_a_worker_that_did_not_come_along_waits_before_all_others() {
    let mut fixture = Fixture::with(2, 1);
    fixture.client_sends(0, &["", "runs"]);
    fixture.client_sends(1, &["", "waits"]);
    let mut after = Fixture::new(Policy::default());
    after.queue.go_on(fixture.queue.estate().moved(Some, |_| None));
    (3..5).for_each(|i| after.join_worker(i));
    assert_eq!(after.actions(), ["W3 <- |C0||runs", "W4 <- |C1||waits"]);
    // Nor is there one whose client has not.
    let mut after = Fixture::new(Policy::default());
    after.queue.go_on(fixture.queue.estate().moved(|_| None, Some));
    after.worker_sends(0, &["", "C0", "", "in vain"]);
    assert_eq!((after.actions().len(), after.queue.idle(), after.queue.waiting()), (0, 1, 0));
}
