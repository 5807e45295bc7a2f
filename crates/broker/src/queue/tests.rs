use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use zmtp::{Config, PeerEvent, Router};

use super::*;

/// Ids as a socket gives them out. There is no other way to come by them.
pub(super) fn ids(count: usize) -> Vec<PeerId> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = format!("ipc://{}/x", directory.path().display()).parse().unwrap();
        let mut router = Router::new(Config::default()).unwrap();
        router.bind(&endpoint).await.unwrap();
        let others = Router::new(Config::default()).unwrap();
        (0..count).for_each(|_| others.connect(&endpoint).unwrap());
        let mut ids = Vec::new();
        while ids.len() < count {
            if let Some(PeerEvent::Joined(peer)) = router.recv_event().await {
                ids.push(peer.id);
            }
        }
        ids
    })
}

/// A queue with clients `C0`, `C1`... and workers, by number.
struct Fixture {
    queue: Queue,
    ids: Vec<PeerId>,
}

impl Fixture {
    fn new() -> Self {
        Self { queue: Queue::new("READY".into()), ids: ids(8) }
    }

    /// REQ clients and workers that are ready.
    fn with(clients: usize, workers: usize) -> Self {
        let mut fixture = Self::new();
        (0..clients).for_each(|i| fixture.join_client(i, true));
        (0..workers).for_each(|i| fixture.join_worker(i));
        fixture
    }

    fn join_client(&mut self, i: usize, lock_step: bool) {
        self.queue.client_joined(self.ids[i], format!("C{i}").as_bytes(), lock_step);
    }

    fn join_worker(&mut self, i: usize) {
        self.queue.worker_joined(self.ids[i]);
        self.worker_sends(i, &["", "READY"]);
    }

    fn client_sends(&mut self, i: usize, parts: &[&str]) {
        self.queue.client_message(self.ids[i], Message::copy_from(parts));
    }

    fn worker_sends(&mut self, i: usize, parts: &[&str]) {
        self.queue.worker_message(self.ids[i], Message::copy_from(parts));
    }

    /// What is to be done, a line each.
    fn actions(&mut self) -> Vec<String> {
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
            Action::Report(side, peer, violation) => {
                format!("{side:?} {}: {violation:?}", number(peer))
            }
        };
        std::iter::from_fn(|| self.queue.next_action()).map(line).collect()
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
    let mut fixture = Fixture::new();
    fixture.join_client(0, false);
    fixture.join_client(1, true);
    (0..3).for_each(|worker| fixture.join_worker(worker));
    for body in ["1", "2", "3", "4"] {
        fixture.client_sends(0, &["", body]);
    }
    fixture.client_sends(1, &["", "one"]);
    assert_eq!(fixture.actions(), ["W0 <- |C0||1", "W1 <- |C0||2", "W2 <- |C0||3"]);
    (0..3).for_each(|worker| fixture.queue.worker_left(fixture.ids[worker]));
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
    let mut fixture = Fixture::new();
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
    let mut fixture = Fixture::new();
    fixture.join_client(0, true);
    fixture.queue.worker_joined(fixture.ids[0]);
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
fn a_request_whose_worker_leaves_is_first_in_line_and_given_up_after_three() {
    let mut fixture = Fixture::with(2, 1);
    fixture.client_sends(0, &["", "poison"]);
    fixture.client_sends(1, &["", "other"]);
    fixture.queue.worker_left(fixture.ids[0]);
    for worker in [1, 2] {
        fixture.join_worker(worker);
        fixture.queue.worker_left(fixture.ids[worker]);
    }
    let attempts = ["W0 <- |C0||poison", "W1 <- |C0||poison", "W2 <- |C0||poison"];
    assert_eq!(
        fixture.actions(),
        [&attempts[..], &["Frontend 0: GivenUp", "C0 released"]].concat()
    );
    fixture.join_worker(3);
    assert_eq!(fixture.actions(), ["W3 <- |C1||other"]);
    assert_eq!(fixture.queue.counters().given_up, 1);
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
    fixture.queue.worker_left(fixture.ids[0]);
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
    (0..3).for_each(|_| fixture.worker_sends(0, &["", "bad"]));
    assert_eq!(fixture.queue.counters().given_up, 1, "one request, and not all of them");
    fixture.actions();
    fixture.worker_sends(0, &["", "READY"]);
    assert_eq!(fixture.actions(), ["Backend 0: Quarantined"]);
    assert_eq!((fixture.queue.waiting(), fixture.queue.in_flight()), (3, 0));
    fixture.join_worker(1);
    assert_eq!(fixture.actions(), ["W1 <- |C1||x"]);
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
    let mut fixture = Fixture::with(1, 1);
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
}

fn op() -> impl Strategy<Value = Op> {
    (0..8_usize, 0..4_usize).prop_map(|(kind, i)| match kind {
        0 => Op::ClientJoins(i),
        1 => Op::ClientLeaves(i),
        2 => Op::WorkerJoins(i),
        3 => Op::WorkerLeaves(i),
        4 => Op::Ready(i),
        5 => Op::Replies(i),
        6 => Op::Garbage(i),
        _ => Op::Asks(i),
    })
}

proptest! {
    /// A naive model beside the queue: who is there, who has what, and what became of each request.
    #[test]
    fn every_request_ends_once_and_no_worker_has_two(
        ops in proptest::collection::vec(op(), 0..300),
    ) {
        let all = {
            static IDS: std::sync::OnceLock<Vec<PeerId>> = std::sync::OnceLock::new();
            IDS.get_or_init(|| ids(4)).clone()
        };
        let mut queue = Queue::new("READY".into());
        let mut clients = HashSet::new();
        let mut workers = HashSet::new();
        let mut holds: HashMap<usize, (usize, u32)> = HashMap::new();
        let mut asked = 0_u32;
        for op in ops {
            match op {
                Op::ClientJoins(i) if clients.insert(i) => {
                    // Even ones are REQ.
                    queue.client_joined(all[i], format!("C{i}").as_bytes(), i % 2 == 0);
                }
                Op::ClientLeaves(i) if clients.remove(&i) => queue.client_left(all[i]),
                Op::Asks(i) if clients.contains(&i) => {
                    asked += 1;
                    let body = asked.to_string();
                    queue.client_message(all[i], Message::from([String::new(), body]));
                }
                Op::WorkerJoins(i) if workers.insert(i) => queue.worker_joined(all[i]),
                Op::WorkerLeaves(i) if workers.remove(&i) => {
                    holds.remove(&i);
                    queue.worker_left(all[i]);
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
                    Action::Reply(client, message) => {
                        let client = all.iter().position(|&id| id == client).unwrap();
                        prop_assert!(clients.contains(&client));
                        prop_assert_eq!(message.len(), 2);
                    }
                    Action::Release(_) | Action::Report(..) => {}
                }
            }
            let Counters { requests, replies, given_up, abandoned, .. } = queue.counters();
            let open = (queue.waiting() + queue.in_flight()) as u64;
            prop_assert_eq!(requests, u64::from(asked));
            prop_assert_eq!(requests, replies + given_up + abandoned + open);
            prop_assert_eq!(queue.in_flight(), holds.len());
            prop_assert!(queue.waiting() == 0 || queue.idle() == 0, "nobody waits for nothing");
        }
    }
}
