//! Who is sent to, what is on the wire, and what becomes of a message that cannot be sent.

use std::time::Duration;

use futures::{SinkExt, stream};
use interop::{GREETING, Place, Transport, accept, shaken, socket, until, within};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::testing::RawListener;
use zmtp::{Config, Dealer, Message, OnFull, Req, SendErrorKind, TransportOptions};

use super::{bound, dealer, joined, numbers, parse, peer_at, send_all, take};

const READY: &[u8] = b"\x04\x2A\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x01X";

#[tokio::test]
async fn greeting_ready_and_messages_are_these_bytes_and_messages_have_no_envelope() {
    let place = Place::new();
    for transport in [Transport::Ipc, Transport::Tcp] {
        let endpoint = parse(&place.endpoint(transport, "raw"));
        let listener = RawListener::bind(&endpoint).await.unwrap();
        let mut dealer = dealer(Config::default().with_identity("X"));
        dealer.connect(&endpoint).unwrap();
        let mut peer = accept(&listener).await;
        peer.expect(&GREETING).await.unwrap();
        peer.send(&GREETING).await.unwrap();
        peer.expect(READY).await.unwrap();
        peer.send(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP").await.unwrap();

        dealer.send(Message::from("Hello")).await.unwrap();
        peer.expect(b"\x00\x05Hello").await.unwrap();
        dealer.send(Message::from(["", "a", ""])).await.unwrap();
        peer.expect(b"\x01\x00\x01\x01a\x00\x00").await.unwrap();
        dealer.send(Message::from([vec![7; 64_000]])).await.unwrap();
        peer.expect(b"\x02\0\0\0\0\0\0\xFA\x00").await.unwrap();
        peer.expect(&vec![7; 64_000]).await.unwrap();

        peer.send(b"\x00\x05World\x01\x00\x00\x01b").await.unwrap();
        assert_eq!(within(dealer.recv()).await, Some(Message::from("World")));
        assert_eq!(within(dealer.recv()).await, Some(Message::from(["", "b"])));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rep_dealer_and_router_peers_are_reached_whichever_side_binds() {
    let context = zmq::Context::new();
    for transport in [Transport::Ipc, Transport::Tcp] {
        for (kind, head) in [(zmq::REP, &[""][..]), (zmq::DEALER, &[]), (zmq::ROUTER, &[])] {
            for we_bind in [true, false] {
                let place = Place::new();
                let endpoint = place.endpoint(transport, "x");
                let peer = socket(&context, kind, "");
                let mut dealer = dealer(Config::default().with_identity("ME"));
                if we_bind {
                    dealer.bind(&parse(&endpoint)).await.unwrap();
                    peer.connect(&endpoint).unwrap();
                } else {
                    peer.bind(&endpoint).unwrap();
                    dealer.connect(&parse(&endpoint)).unwrap();
                }
                let message: Message = head.iter().chain(&["a", "", "b"]).copied().collect();
                within(dealer.send(message.clone())).await.unwrap();
                let received = peer.recv_multipart(0).unwrap();
                let address = usize::from(kind == zmq::ROUTER);
                assert_eq!(received[address..], [&b"a"[..], b"", b"b"]);
                peer.send_multipart(received, 0).unwrap();
                assert_eq!(within(dealer.recv()).await, Some(message));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_to_the_peers_in_rotation_whichever_side_binds() {
    for we_bind in [true, false] {
        let (dealer, place, endpoint) = bound(Config::default()).await;
        let context = zmq::Context::new();
        let mut peers = Vec::new();
        for name in ["a", "b", "c"] {
            let peer = if we_bind {
                let peer = socket(&context, zmq::DEALER, "");
                peer.connect(&endpoint.to_string()).unwrap();
                peer
            } else {
                dealer.connect(&parse(&place.endpoint(Transport::Ipc, name))).unwrap();
                peer_at(&place, &context, name).await
            };
            peers.push(peer);
            joined(&dealer, peers.len()).await;
        }
        send_all(&dealer, numbers(0..12)).await;
        let shares: Vec<_> = peers.iter().map(|peer| take(peer, 4)).collect();
        for (i, share) in shares.iter().enumerate() {
            assert_eq!(*share, numbers((i..12).step_by(3)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_peer_is_passed_over_and_has_its_turns_again_once_its_queue_was_taken() {
    let place = Place::new();
    let context = zmq::Context::new();
    let dealer = dealer(Config::default().with_send_hwm(2));
    for name in ["full", "live"] {
        dealer.connect(&parse(&place.endpoint(Transport::Ipc, name))).unwrap();
    }
    let live = peer_at(&place, &context, "live").await;
    send_all(&dealer, numbers(0..10)).await;
    assert_eq!(take(&live, 8), numbers([1, 3, 4, 5, 6, 7, 8, 9]));

    let full = peer_at(&place, &context, "full").await;
    assert_eq!(take(&full, 2), numbers([0, 2]));
    send_all(&dealer, numbers(10..14)).await;
    let mut after = [take(&full, 2), take(&live, 2)];
    after.sort();
    assert_eq!(after, [numbers([10, 12]), numbers([11, 13])]);
    assert_eq!(dealer.dropped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_take_it_try_send_gives_the_message_back_and_send_waits() {
    let place = Place::new();
    let context = zmq::Context::new();
    let dealer = dealer(Config::default().with_send_hwm(1));
    let refused = |text: &str| {
        let error = dealer.try_send(Message::from(text)).unwrap_err();
        assert_eq!(error.clone().into_message(), Message::from(text));
        error.kind()
    };
    assert_eq!(refused("early"), SendErrorKind::NoSuchPeer);
    let sender = dealer.sender();
    let first = tokio::spawn(async move { sender.send(Message::from("first")).await });
    assert_eq!(refused("early"), SendErrorKind::NoSuchPeer);

    dealer.connect(&parse(&place.endpoint(Transport::Ipc, "x"))).unwrap();
    within(first).await.unwrap().unwrap();
    assert_eq!(refused("early"), SendErrorKind::Full);
    let sender = dealer.sender();
    let second = tokio::spawn(async move { sender.send(Message::from("second")).await });
    assert_eq!(refused("early"), SendErrorKind::Full);

    let peer = peer_at(&place, &context, "x").await;
    within(second).await.unwrap().unwrap();
    send_all(&dealer, numbers(3..6)).await;
    assert_eq!(take(&peer, 5), ["first", "second", "3", "4", "5"]);
    assert_eq!(dealer.dropped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_fails_or_drops_where_nobody_can_take_it_if_that_is_asked_for() {
    let nowhere = parse("ipc:///nonexistent/x");
    let failing = dealer(Config::default().with_send_hwm(1).with_on_full(OnFull::Fail));
    let kind = async || failing.send(Message::from("x")).await.map_err(|error| error.kind());
    assert_eq!(kind().await, Err(SendErrorKind::NoSuchPeer));
    failing.connect(&nowhere).unwrap();
    assert_eq!(kind().await, Ok(()));
    assert_eq!(kind().await, Err(SendErrorKind::Full));
    assert_eq!(failing.dropped(), 0);

    let dropping = dealer(Config::default().with_send_hwm(1).with_on_full(OnFull::Drop));
    dropping.connect(&nowhere).unwrap();
    for _ in 0..3 {
        dropping.send(Message::from("x")).await.unwrap();
    }
    dropping.try_send(Message::from("x")).unwrap();
    assert_eq!(dropping.dropped(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_a_peer_left_in_the_middle_of_is_received_by_nobody_in_part() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let listener = RawListener::bind(&endpoint).await.unwrap();
    // So that the system does not hold a whole message.
    let transport = TransportOptions::default().with_buffers(64 << 10, 64 << 10);
    let dealer = dealer(Config::default().with_transport(transport));
    dealer.connect(&endpoint).unwrap();
    for i in 0..10_u8 {
        let message = Message::from([vec![i], vec![i; 1 << 20], vec![i]]);
        within(dealer.send(message)).await.unwrap();
    }
    for i in 0..5_u8 {
        let mut peer = accept(&listener).await;
        peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
        peer.expect(&[1, 1, i]).await.unwrap();
        peer.expect(&[3, 0, 0, 0, 0, 0, 0x10, 0, 0, i, i, i]).await.unwrap();
    }
    drop(listener);
    let peer = peer_at(&place, &zmq::Context::new(), "x").await;
    for i in 5..10_u8 {
        let parts = peer.recv_multipart(0).expect("a message in time");
        assert!(parts == [vec![i], vec![i; 1 << 20], vec![i]]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_unsent_when_a_peer_that_had_connected_left_is_dropped_and_counted() {
    let transport = TransportOptions::default().with_buffers(64 << 10, 64 << 10);
    let config = Config::default().with_transport(transport).with_send_hwm_bytes(64 << 20);
    let (dealer, _place, endpoint) = bound(config).await;
    let mut peer = shaken(&endpoint, SocketType::Dealer, b"").await;
    joined(&dealer, 1).await;
    for _ in 0..20 {
        dealer.try_send(Message::from([vec![7; 1 << 20]])).unwrap();
    }
    // Part of the first message is on its way.
    peer.expect(&[2, 0, 0, 0, 0, 0, 0x10, 0, 0]).await.unwrap();
    drop(peer);
    joined(&dealer, 0).await;
    until("all are counted", || dealer.dropped() == 20).await;

    let mut next = shaken(&endpoint, SocketType::Dealer, b"").await;
    within(dealer.send(Message::from("new"))).await.unwrap();
    next.expect(b"\x00\x03new").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_or_a_receive_that_timed_out_leaves_nothing_behind() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let mut dealer = dealer(Config::default().with_send_hwm(1));
    let nobody = timeout(Duration::from_millis(1), dealer.send(Message::from("late"))).await;
    assert!(nobody.is_err());
    assert!(timeout(Duration::from_millis(1), dealer.recv()).await.is_err());
    dealer.connect(&endpoint).unwrap();
    dealer.send(Message::from("first")).await.unwrap();
    let full = timeout(Duration::from_millis(1), dealer.send(Message::from("late"))).await;
    assert!(full.is_err());

    let peer = peer_at(&place, &zmq::Context::new(), "x").await;
    assert_eq!(take(&peer, 1), ["first"]);
    send_all(&dealer, numbers(2..4)).await;
    assert_eq!(take(&peer, 2), ["2", "3"]);
    peer.send("reply", 0).unwrap();
    assert_eq!(within(dealer.recv()).await, Some(Message::from("reply")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_connect_of_a_dealer_or_a_req_to_one_endpoint_is_no_second_turn() {
    let place = Place::new();
    let context = zmq::Context::new();
    let dealer = dealer(Config::default());
    for name in ["a", "a", "b", "a"] {
        dealer.connect(&parse(&place.endpoint(Transport::Ipc, name))).unwrap();
    }
    send_all(&dealer, numbers(0..8)).await;
    let (a, b) = (peer_at(&place, &context, "a").await, peer_at(&place, &context, "b").await);
    assert_eq!((take(&a, 4), take(&b, 4)), (numbers([0, 2, 4, 6]), numbers([1, 3, 5, 7])));

    let mut req = Req::new(Config::default()).unwrap();
    let mut threads = Vec::new();
    for name in ["c", "d"] {
        let rep = socket(&context, zmq::REP, "");
        let endpoint = place.endpoint(Transport::Ipc, name);
        rep.bind(&endpoint).unwrap();
        req.connect(&parse(&endpoint)).unwrap();
        req.connect(&parse(&endpoint)).unwrap();
        threads.push(std::thread::spawn(move || {
            for _ in 0..2 {
                rep.recv_bytes(0).unwrap();
                rep.send(name, 0).unwrap();
            }
        }));
    }
    for name in ["c", "d", "c", "d"] {
        let reply = within(req.request(Message::from("who?"))).await;
        assert_eq!(reply, Ok(Message::from(name)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_is_a_sink() {
    let (dealer, _place, endpoint) = bound(Config::default().with_send_hwm(3)).await;
    let mut sink = dealer.sender().into_sink();
    let sending = tokio::spawn(async move {
        let messages = numbers(0..1000).into_iter().map(|text| Ok(Message::from(text)));
        sink.send_all(&mut stream::iter(messages)).await.unwrap();
        sink
    });
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    peer.connect(&endpoint.to_string()).unwrap();
    assert_eq!(take(&peer, 1000), numbers(0..1000));
    let mut sink = within(sending).await.unwrap();
    // An error is of one message, and the sink can be used again.
    let empty = sink.send(Message::new()).await.unwrap_err();
    assert_eq!(empty.kind(), SendErrorKind::Empty);
    sink.send(Message::from("1000")).await.unwrap();
    assert_eq!(take(&peer, 1), numbers([1000]));
    Dealer::close(dealer).await;
    assert_eq!(sink.send(Message::from("x")).await.unwrap_err().kind(), SendErrorKind::Closed);
}
