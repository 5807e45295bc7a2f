use std::sync::Arc;

use super::*;
use crate::config::{DuplicateIdentity, Release};
use crate::error::SendErrorKind;
use crate::message::Message;
use crate::proto::{Command, PeerInfo, SocketType, Version, encode_ready};
use crate::socket::event::PeerEvent;
use crate::socket::peer::Origin;

struct Fixture {
    table: Table,
}

impl Fixture {
    /// A table of a socket that sends to whoever is next, and that hears of no joins and leaves.
    fn rotating(config: Config) -> Self {
        Self { table: Table::new(Arc::new(config), true) }
    }

    /// An endpoint that is connected to.
    fn outlet(&mut self, number: u64) -> EndpointId {
        let id = EndpointId(number);
        assert!(self.table.open_outlet(id, number.to_string().into(), None));
        id
    }

    /// A connection to it that has joined.
    fn connect(&mut self, endpoint: EndpointId) -> PeerId {
        let id = self.table.admit(Origin::Local, endpoint, "there".into()).unwrap();
        self.join_as(id, "").unwrap();
        id
    }

    /// What a connection is to write now.
    fn taken(&mut self, id: PeerId) -> Vec<Message> {
        self.deliver(id, &[]).2
    }

    fn send(&mut self, body: &str) -> Result<Lane, SendErrorKind> {
        let sent = self.table.send_next(Message::from(body), |_, message| message);
        sent.map_err(|error| error.kind())
    }

    fn new(config: Config) -> Self {
        let mut table = Table::new(Arc::new(config), false);
        table.report_all();
        Self { table }
    }

    fn join(&mut self, identity: &'static str) -> PeerId {
        let id = self.admit().unwrap();
        self.join_as(id, identity).unwrap();
        id
    }

    fn join_as(&mut self, id: PeerId, identity: &'static str) -> Result<(), LeaveReason> {
        let mut ready = Vec::new();
        encode_ready(SocketType::Req, identity.as_bytes(), &[], &mut ready);
        let Ok(Command::Ready(properties)) = Command::decode(&ready[2..]) else { panic!() };
        let info = PeerInfo::decode(SocketType::Router, Version::V3_1, properties).unwrap();
        self.table.join(id, Arc::new(info))
    }

    fn admit(&mut self) -> Option<PeerId> {
        self.table.admit(Origin::Peer, EndpointId::for_test(), "here".into())
    }

    /// Delivers messages as the connection task does. Returns how many found room, what it was told
    /// to do, and what it is to write.
    fn deliver(&mut self, id: PeerId, bodies: &[&str]) -> (usize, Order, Vec<Message>) {
        let mut incoming: VecDeque<_> = bodies.iter().map(|&body| Message::from(body)).collect();
        let mut outgoing = VecDeque::new();
        let order = self.table.exchange(id, &mut incoming, Some(&mut outgoing), Waker::noop());
        (bodies.len() - incoming.len(), order, outgoing.into())
    }

    /// All there is to report, a word each.
    fn events(&mut self) -> Vec<String> {
        let word = |event| match event {
            PeerEvent::Joined(peer) => format!("+{}", peer.routing_id.escape_ascii()),
            PeerEvent::Message(_, message) => {
                String::from_utf8(message.part(0).unwrap().to_vec()).unwrap()
            }
            PeerEvent::Left(_, reason) => format!("-{reason:?}"),
        };
        std::iter::from_fn(|| self.table.next_event()).map(word).collect()
    }
}

#[test]
fn a_peer_is_reported_as_joined_then_its_messages_then_as_left() {
    let mut fixture = Fixture::new(Config::default());
    let a = fixture.join("A");
    fixture.deliver(a, &["1", "2"]);
    fixture.table.end(a, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.events(), ["+A", "1", "2", "-Closed"]);
    assert_eq!(fixture.events(), [""; 0]);
}

#[test]
fn a_peer_that_closes_before_it_was_sent_all_is_told_of_so() {
    for cut_off in [0, 1] {
        let mut fixture = Fixture::new(Config::default());
        let [a, b] = ["A", "B"].map(|name| fixture.join(name));
        fixture.table.send(Lane::Peer(a), Message::from("1")).unwrap();
        fixture.table.end(a, &LeaveReason::Closed, VecDeque::new(), cut_off);
        fixture.table.send(Lane::Peer(b), Message::from("1")).unwrap();
        let taken = fixture.taken(b).into();
        fixture.table.end(b, &LeaveReason::Closed, taken, cut_off);
        assert_eq!(fixture.events(), ["+A", "+B", "-Io(BrokenPipe)", "-Io(BrokenPipe)"]);
    }
}

#[test]
fn turns_are_by_peer_whatever_one_of_them_has_queued() {
    let mut fixture = Fixture::new(Config::default());
    let (a, b, c) = (fixture.join("A"), fixture.join("B"), fixture.join("C"));
    assert_eq!(fixture.events(), ["+A", "+B", "+C"]);
    fixture.deliver(a, &["a1", "a2", "a3", "a4"]);
    fixture.deliver(b, &["b1"]);
    fixture.deliver(c, &["c1", "c2"]);
    assert_eq!(fixture.events(), ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]);
}

#[test]
fn a_connection_that_does_not_finish_its_handshake_is_not_reported() {
    let mut fixture = Fixture::new(Config::default());
    let id = fixture.admit().unwrap();
    assert!(fixture.table.peers().is_empty());
    fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.events(), [""; 0]);
}

#[test]
fn a_peer_that_came_and_went_unseen_is_reported_and_takes_room_until_then() {
    let mut fixture = Fixture::new(Config::default().with_max_connections(1));
    let id = fixture.join("A");
    fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.admit(), None);
    assert_eq!(fixture.events(), ["+A", "-Closed"]);
    assert!(fixture.admit().is_some());
}

#[test]
fn a_socket_without_events_forgets_peers_that_came_and_went_unseen() {
    let config = Arc::new(Config::default().with_max_connections(1));
    let mut fixture = Fixture { table: Table::new(config, false) };
    for _ in 0..100 {
        let id = fixture.join("A");
        fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    }
    assert_eq!(fixture.events(), [""; 0]);
}

#[test]
fn ids_are_never_given_twice() {
    let mut fixture = Fixture::new(Config::default());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let id = fixture.join("A");
        assert!(seen.insert(id));
        fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
        fixture.events();
        let error = fixture.table.send(Lane::Peer(id), Message::from("late")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::NoSuchPeer);
    }
}

#[test]
fn connections_beyond_the_limit_find_no_place_until_one_is_free() {
    let mut fixture = Fixture::new(Config::default().with_max_connections(2));
    let a = fixture.join("A");
    fixture.join("B");
    fixture.events();
    assert_eq!(fixture.admit(), None);
    fixture.table.end(a, &LeaveReason::Closed, VecDeque::new(), 0);
    fixture.events();
    assert!(fixture.admit().is_some());
}

#[test]
fn the_oldest_handshake_makes_room_for_a_new_connection() {
    for config in [
        Config::default().with_max_connections(3),
        Config::default().with_max_pending_handshakes(2),
    ] {
        let mut fixture = Fixture::new(config);
        let joined = fixture.join("A");
        let silent = [0, 1].map(|_| fixture.admit().unwrap());
        for i in 0..100 {
            let newcomer = fixture.admit().unwrap();
            if let Some(&oldest) = silent.get(i) {
                assert_eq!(fixture.deliver(oldest, &[]).1, Order::Abort(LeaveReason::Evicted));
                fixture.table.end(oldest, &LeaveReason::Evicted, VecDeque::new(), 0);
            }
            assert_eq!(fixture.deliver(newcomer, &[]).1, Order::Run);
            assert_eq!(fixture.deliver(joined, &[]).1, Order::Run);
        }
    }
}

#[test]
fn a_connection_that_was_evicted_cannot_join_any_more() {
    let mut fixture = Fixture::new(Config::default().with_max_pending_handshakes(1));
    let oldest = fixture.admit().unwrap();
    fixture.admit().unwrap();
    assert_eq!(fixture.join_as(oldest, "A"), Err(LeaveReason::Evicted));
    fixture.table.end(oldest, &LeaveReason::Evicted, VecDeque::new(), 0);
    assert_eq!(fixture.events(), [""; 0]);
    fixture.join("A");
    assert_eq!(fixture.events(), ["+A"]);
}

#[test]
fn what_has_arrived_of_a_peer_is_unread_until_it_is_taken_or_complete() {
    let mut fixture = Fixture::new(Config::default());
    let [id, other] = ["A", "B"].map(|name| fixture.join(name));
    assert!(!fixture.table.has_unread(id));
    fixture.table.hold(id, 400);
    assert!(fixture.table.has_unread(id) && !fixture.table.has_unread(other));
    fixture.table.hold(id, 0);
    assert!(!fixture.table.has_unread(id));
    fixture.deliver(id, &["message"]);
    assert!(fixture.table.has_unread(id));
    fixture.events();
    assert!(!fixture.table.has_unread(id));
}

#[test]
fn unfinished_messages_beyond_the_budget_cost_the_peer_with_the_largest() {
    let mut fixture = Fixture::new(Config::default().with_max_total_bytes(2000));
    let (small, large) = (fixture.join("A"), fixture.join("B"));
    assert!(fixture.table.hold(small, 400));
    assert!(fixture.table.hold(large, 600));
    assert_eq!(fixture.deliver(large, &[]).1, Order::Run);
    fixture.table.hold(small, 401);
    assert_eq!(fixture.deliver(large, &[]).1, Order::Abort(LeaveReason::OverBudget));
    assert_eq!(fixture.deliver(small, &[]).1, Order::Run);
    assert!(fixture.table.hold(small, 1000), "what it had is free again");
    fixture.table.hold(large, 1000);
    fixture.table.hold(small, 1000);
    assert_eq!(fixture.deliver(small, &[]).1, Order::Run, "one that is gone holds nothing");
}

#[test]
fn large_messages_wait_while_the_queues_use_up_the_budget() {
    let mut fixture = Fixture::new(Config::default().with_max_total_bytes(42));
    let (a, b) = (fixture.join("A"), fixture.join("B"));
    // One message of a peer is always taken in, and no second one beyond the budget.
    assert_eq!(fixture.deliver(a, &["sixteen bytes...", "x"]).0, 2);
    assert_eq!(fixture.deliver(b, &["x", "x"]).0, 1);
    assert!(!fixture.table.hold(b, 1), "24 of 21 bytes are in use");
    assert_eq!(fixture.table.send(Lane::Peer(a), Message::from("x")), Ok(()));
    let error = fixture.table.send(Lane::Peer(a), Message::from("y")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Full);
    fixture.deliver(a, &[]);
    assert_eq!(fixture.events(), ["+A", "+B", "sixteen bytes...", "x", "x"]);
    assert!(fixture.table.hold(b, 1));
    assert_eq!(fixture.deliver(b, &["x"]).0, 1);
}

#[test]
fn reject_closes_the_newcomer_until_the_name_is_free() {
    let mut fixture = Fixture::new(Config::default());
    let first = fixture.join("A");
    let second = fixture.admit().unwrap();
    assert_eq!(fixture.join_as(second, "A"), Err(LeaveReason::Duplicate));
    fixture.table.end(second, &LeaveReason::Duplicate, VecDeque::new(), 0);
    fixture.deliver(first, &["unread"]);
    fixture.table.end(first, &LeaveReason::Closed, VecDeque::new(), 0);
    let third = fixture.join("A");
    assert_eq!(fixture.table.find_peer(b"A"), Some(third), "unread messages do not keep the name");
    assert_eq!(fixture.events(), ["+A", "unread", "-Closed", "+A"]);
}

#[test]
fn peers_that_bore_one_name_after_the_other_are_reported_in_that_order() {
    let mut fixture = Fixture::new(Config::default());
    let other = fixture.join("B");
    for messages in [["1", "2"], ["3", "4"], ["5", "6"], ["7", "8"]] {
        let id = fixture.join("A");
        fixture.deliver(id, &messages);
        fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    }
    fixture.deliver(other, &["b"]);
    fixture.join("A");
    let expected = "+A 1 2 -Closed +A 3 4 -Closed +A 5 6 -Closed +A 7 8 -Closed +B +A b";
    assert_eq!(fixture.events().join(" "), expected);
}

#[test]
fn handover_ends_the_first_and_reports_all_of_it_before_the_second() {
    let config = Config::default().with_duplicate_identity(DuplicateIdentity::Handover);
    let mut fixture = Fixture::new(config);
    let (other, first) = (fixture.join("B"), fixture.join("A"));
    fixture.events();
    fixture.deliver(other, &["b1", "b2"]);
    fixture.deliver(first, &["a1", "a2"]);
    let second = fixture.join("A");
    assert_eq!(fixture.deliver(first, &["late"]).1, Order::Abort(LeaveReason::Replaced));
    fixture.table.end(first, &LeaveReason::Local, VecDeque::new(), 0);
    assert_eq!(fixture.events(), ["a1", "a2", "-Replaced", "b1", "+A", "b2"]);
    assert_eq!(
        fixture.table.find_peer(b"A"),
        Some(second),
        "the clean-up of the first is harmless"
    );
}

#[test]
fn allow_keeps_both_and_makes_the_name_ambiguous() {
    let config = Config::default().with_duplicate_identity(DuplicateIdentity::Allow);
    let mut fixture = Fixture::new(config);
    let (first, second) = (fixture.join("A"), fixture.join("A"));
    assert_eq!(fixture.table.find_peer(b"A"), None);
    fixture.table.end(first, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.table.find_peer(b"A"), Some(second));
    assert_eq!(fixture.table.find_peer(b"B"), None);
}

#[test]
fn anonymous_peers_are_named_by_a_zero_byte_and_a_counter() {
    let mut fixture = Fixture::new(Config::default());
    let ids = [fixture.join(""), fixture.join("")];
    let [a, b] = ids.map(|id| fixture.table.peer(id).unwrap().routing_id.clone());
    assert_eq!((a.len(), a[0], b[0]), (5, 0, 0));
    let number = |name: &Bytes| u32::from_be_bytes(name[1..].try_into().unwrap());
    assert_eq!(number(&b), number(&a).wrapping_add(1));
    assert_eq!(fixture.table.find_peer(&a), Some(ids[0]));
}

#[test]
fn sending_fails_at_the_high_water_mark_and_the_message_comes_back() {
    let mut fixture = Fixture::new(Config::default().with_send_hwm(2));
    let a = fixture.join("A");
    let mut send = |body| fixture.table.send(Lane::Peer(a), Message::from(body));
    assert_eq!((send("1"), send("2")), (Ok(()), Ok(())));
    let error = send("3").unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Full);
    assert_eq!(error.into_message(), Message::from("3"));
    assert_eq!(fixture.deliver(a, &[]).2, [Message::from("1"), Message::from("2")]);
    assert_eq!(fixture.table.send(Lane::Peer(a), Message::from("3")), Ok(()));
}

#[test]
fn bytes_bound_a_queue_but_one_message_always_fits() {
    let config = Config { send_hwm_bytes: 10, recv_hwm_bytes: 10, ..Config::default() };
    let mut fixture = Fixture::new(config);
    let a = fixture.join("A");
    assert_eq!(fixture.table.send(Lane::Peer(a), Message::from("more than ten bytes")), Ok(()));
    let error = fixture.table.send(Lane::Peer(a), Message::from("x")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Full);
    assert_eq!(fixture.deliver(a, &["more than ten bytes", "x"]).0, 1);
}

#[test]
fn messages_beyond_the_receive_mark_wait_until_some_are_received() {
    let mut fixture = Fixture::new(Config::default().with_recv_hwm(2));
    let a = fixture.join("A");
    assert_eq!(fixture.deliver(a, &["1", "2", "3"]).0, 2);
    assert_eq!(fixture.events(), ["+A", "1", "2"]);
    assert_eq!(fixture.deliver(a, &["3"]).0, 1);
}

#[test]
fn with_explicit_release_messages_count_until_they_are_released() {
    let config = Config::default().with_recv_hwm(2).with_release(Release::Explicit);
    let mut fixture = Fixture::new(config);
    let a = fixture.join("A");
    assert_eq!(fixture.deliver(a, &["1", "2", "3"]).0, 2);
    assert_eq!(fixture.events(), ["+A", "1", "2"]);
    assert_eq!(fixture.deliver(a, &["3"]).0, 0);
    fixture.table.release(a, 1);
    assert_eq!(fixture.deliver(a, &["3", "4"]).0, 1);
    fixture.table.end(a, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.events(), ["-Closed"], "a leave overtakes what nobody received");
}

#[test]
fn while_messages_are_held_joins_and_leaves_are_told_of() {
    let mut fixture = Fixture::new(Config::default().with_release(Release::Explicit));
    let (a, b) = (fixture.join("A"), fixture.join("B"));
    assert_eq!(fixture.events(), ["+A", "+B"]);
    fixture.table.hold_messages(true);
    for peer in [a, b] {
        fixture.deliver(peer, &["1", "2"]);
    }
    fixture.join("C");
    assert_eq!(fixture.events(), ["+C"]);
    fixture.deliver(a, &["3"]);
    assert_eq!(fixture.events(), [""; 0]);
    fixture.table.end(b, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.events(), ["-Closed"], "of what it has sent nobody has heard");
    fixture.table.hold_messages(false);
    assert_eq!(fixture.events(), ["1", "2", "3"]);
}

#[test]
fn a_closing_socket_lets_out_what_is_queued_and_takes_nothing_in() {
    let mut fixture = Fixture::new(Config::default());
    let a = fixture.join("A");
    fixture.table.send(Lane::Peer(a), Message::from("last")).unwrap();
    let by = Instant::now();
    fixture.table.close(by);
    assert_eq!(fixture.admit(), None);
    let error = fixture.table.send(Lane::Peer(a), Message::from("late")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Closed);
    assert_eq!(fixture.deliver(a, &["in"]), (0, Order::Finish(by), vec![Message::from("last")]));
    fixture.table.abort();
    assert_eq!(fixture.deliver(a, &[]).1, Order::Abort(LeaveReason::Local));
}

fn bodies(bodies: &[&str]) -> Vec<Message> {
    bodies.iter().map(|&body| Message::from(body)).collect()
}

#[test]
fn messages_go_to_lanes_in_the_order_in_which_they_were_opened() {
    let mut fixture = Fixture::rotating(Config::default());
    let [a, b] = [fixture.outlet(1), fixture.outlet(2)];
    let c = fixture.join("C");
    for body in ["1", "2", "3", "4", "5"] {
        fixture.send(body).unwrap();
    }
    // Two of them have been waiting for their connections.
    let [a, b] = [fixture.connect(a), fixture.connect(b)];
    assert_eq!(fixture.taken(a), bodies(&["1", "4"]));
    assert_eq!(fixture.taken(b), bodies(&["2", "5"]));
    assert_eq!(fixture.taken(c), bodies(&["3"]));
}

#[test]
fn lanes_that_are_full_are_passed_over_and_nothing_is_dropped() {
    let mut fixture = Fixture::rotating(Config::default().with_send_hwm(1));
    assert_eq!(fixture.send("nobody"), Err(SendErrorKind::NoSuchPeer));
    let (a, b) = (fixture.join("A"), fixture.join("B"));
    assert_eq!(fixture.send("1"), Ok(Lane::Peer(a)));
    assert_eq!(fixture.send("2"), Ok(Lane::Peer(b)));
    assert_eq!(fixture.send("3"), Err(SendErrorKind::Full));
    assert_eq!(fixture.taken(b), bodies(&["2"]));
    assert_eq!(fixture.send("3"), Ok(Lane::Peer(b)));
    assert_eq!(fixture.taken(a), bodies(&["1"]));
    assert_eq!(fixture.table.dropped(), 0);
}

#[test]
fn what_waits_for_an_endpoint_survives_its_connections_in_order() {
    let mut fixture = Fixture::rotating(Config::default());
    let endpoint = fixture.outlet(1);
    let first = fixture.connect(endpoint);
    for body in ["1", "2", "3"] {
        fixture.send(body).unwrap();
    }
    // It took all, wrote one, and breaks. Two more have come meanwhile.
    let mut taken: VecDeque<_> = fixture.taken(first).into();
    taken.pop_front();
    fixture.send("4").unwrap();
    fixture.table.end(first, &LeaveReason::Closed, taken, 7);
    fixture.send("5").unwrap();
    let second = fixture.connect(endpoint);
    assert_eq!(fixture.taken(second), bodies(&["2", "3", "4", "5"]));
    assert_eq!(fixture.table.dropped(), 1, "the one that was cut off");
}

#[test]
fn what_waits_for_a_peer_that_connected_to_us_is_dropped_and_counted_when_it_leaves() {
    let mut fixture = Fixture::rotating(Config::default());
    let a = fixture.join("A");
    fixture.send("1").unwrap();
    fixture.send("2").unwrap();
    fixture.table.end(a, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.table.dropped(), 2);
    assert_eq!(fixture.send("3"), Err(SendErrorKind::NoSuchPeer));
}

#[test]
fn immediate_sends_over_connections_only() {
    let mut fixture = Fixture::rotating(Config::default().with_immediate(true));
    let endpoint = fixture.outlet(1);
    assert_eq!(fixture.send("1"), Err(SendErrorKind::NoSuchPeer));
    let id = fixture.connect(endpoint);
    fixture.send("2").unwrap();
    fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!((fixture.table.dropped(), fixture.send("3")), (1, Err(SendErrorKind::NoSuchPeer)));
}

#[test]
fn an_endpoint_that_is_finished_takes_nothing_and_keeps_what_waits_until_then() {
    let mut fixture = Fixture::rotating(Config::default());
    let endpoint = fixture.outlet(1);
    fixture.send("1").unwrap();
    let by = Instant::now();
    assert_eq!(fixture.table.lingers(endpoint), None, "it is wanted");
    fixture.table.finish(endpoint, by);
    assert_eq!(fixture.send("2"), Err(SendErrorKind::NoSuchPeer));
    assert_eq!(fixture.table.lingers(endpoint), Some(by));
    let id = fixture.connect(endpoint);
    assert_eq!(fixture.taken(id), bodies(&["1"]));
    assert_eq!(fixture.table.lingers(endpoint), None);
}

#[test]
fn closing_tells_what_was_not_sent_and_where_it_was_to_go() {
    let mut fixture = Fixture::rotating(Config::default());
    let endpoint = fixture.outlet(1);
    let a = fixture.join("A");
    for body in ["1", "2", "3", "4"] {
        fixture.send(body).unwrap();
    }
    fixture.table.close(Instant::now());
    let mut taken: VecDeque<_> = fixture.taken(a).into();
    taken.pop_front();
    fixture.table.end(a, &LeaveReason::Local, taken, 3);
    fixture.table.close_outlet(endpoint);
    let unsent = |address: &str, messages: &[&str], cut_off| Unsent {
        address: address.into(),
        messages: bodies(messages),
        cut_off,
    };
    let expected = [unsent("here", &["4"], 3), unsent("1", &["1", "3"], 0)];
    assert_eq!(fixture.table.take_unsent(), expected);
}

#[test]
fn a_reply_is_lost_with_the_connection_that_took_its_request_and_not_before() {
    let mut fixture = Fixture::rotating(Config::default());
    let endpoint = fixture.outlet(1);
    let lane = fixture.send("request").unwrap();
    fixture.table.watch(lane);
    // Taken and given back: it waits for the next one.
    let first = fixture.connect(endpoint);
    let taken = fixture.taken(first).into();
    fixture.table.end(first, &LeaveReason::Closed, taken, 0);
    assert_eq!(fixture.table.lost_reply(), None);
    let second = fixture.connect(endpoint);
    assert_eq!(fixture.taken(second), bodies(&["request"]));
    assert!(fixture.table.is_awaited(second));
    fixture.table.end(second, &LeaveReason::Closed, VecDeque::new(), 0);
    assert_eq!(fixture.table.lost_reply(), Some(LeaveReason::Closed));
}

#[test]
fn a_request_is_taken_back_unless_a_connection_has_it() {
    let mut fixture = Fixture::rotating(Config::default());
    let endpoint = fixture.outlet(1);
    let lane = fixture.send("1").unwrap();
    assert!(fixture.table.retract(lane));
    assert!(!fixture.table.retract(lane));
    let id = fixture.connect(endpoint);
    fixture.send("2").unwrap();
    assert_eq!(fixture.taken(id), bodies(&["2"]));
    assert!(!fixture.table.retract(lane));
    fixture.deliver(id, &["stale reply"]);
    fixture.table.hang_up(lane);
    assert_eq!(fixture.deliver(id, &[]).1, Order::Abort(LeaveReason::GivenUp));
    assert_eq!(fixture.events(), [""; 0], "nothing of it is received");
}

#[test]
fn who_does_not_ask_for_joins_and_leaves_keeps_nothing_of_peers_that_are_gone() {
    let config = Config::default().with_max_connections(2);
    let mut fixture = Fixture::rotating(config);
    for _ in 0..10 {
        let id = fixture.join("A");
        fixture.send("x").unwrap();
        fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    }
    assert_eq!(fixture.events(), [""; 0]);
    assert!(fixture.table.names.is_empty() && fixture.table.rotation.is_empty());
}

#[test]
fn a_name_that_was_given_belongs_to_that_endpoint_alone() {
    let mut fixture = Fixture::new(Config::default());
    let name = || Some(Bytes::from_static(b"PEER"));
    let (endpoint, other) = (EndpointId(1), EndpointId(2));
    assert!(fixture.table.open_outlet(endpoint, "there".into(), name()));
    assert!(!fixture.table.open_outlet(other, "there".into(), name()), "it is taken");
    let lane = fixture.table.find(b"PEER").unwrap();
    assert_eq!(fixture.table.send(lane, Message::from("early")), Ok(()));
    let pretender = fixture.admit().unwrap();
    assert_eq!(fixture.join_as(pretender, "PEER"), Err(LeaveReason::Duplicate));
    let id = fixture.table.admit(Origin::Local, endpoint, "there".into()).unwrap();
    fixture.join_as(id, "WHATEVER").unwrap();
    assert_eq!(&fixture.table.peer(id).unwrap().routing_id[..], b"PEER");
    assert_eq!(fixture.table.find(b"WHATEVER"), None);
    assert_eq!(fixture.taken(id), bodies(&["early"]));
    fixture.table.end(id, &LeaveReason::Closed, VecDeque::new(), 0);
    fixture.events();
    fixture.table.close_outlet(endpoint);
    assert!(fixture.table.names.is_empty());
}
