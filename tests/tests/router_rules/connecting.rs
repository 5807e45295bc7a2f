//! Peers that were given a name when they were connected to, and probes.

use interop::{GREETING, Place, Transport, accept, raw, shaken, socket, until, within};
use zmtp::proto::{SocketType, encode_ready};
use zmtp::testing::RawListener;
use zmtp::{
    Config, Dealer, LeaveReason, Message, MonitorEvent, PeerEvent, Req, Router, SendErrorKind,
};

use super::{bound, event, joined, message, parse, router, send_to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_was_given_a_name_can_be_sent_to_before_it_is_there() {
    for (theirs, ours) in [("THEIRS", "OURS"), ("", "")] {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Ipc, "x");
        let mut router = router(Config::default().with_identity(ours));
        router.connect_as(&parse(&endpoint), "X").unwrap();
        assert_eq!(send_to(&router, b"X", "early").await, Ok(()));
        assert_eq!(router.find(b"X"), None, "nobody is there yet");

        let peer = socket(&zmq::Context::new(), zmq::ROUTER, theirs);
        peer.bind(&endpoint).unwrap();
        let [address, body] = &peer.recv_multipart(0).unwrap()[..] else { panic!() };
        assert_eq!(body, b"early");
        assert!(if ours.is_empty() { address[0] == 0 } else { address == ours.as_bytes() });
        peer.send_multipart([&address[..], b"ok"], 0).unwrap();

        // It goes by the name it was given, whatever it calls itself.
        let known = joined(&mut router).await;
        assert_eq!(&known.routing_id[..], b"X");
        assert_eq!(&known.info.identity[..], theirs.as_bytes());
        assert_eq!(router.find(b"X"), Some(known.id));
        assert_eq!(send_to(&router, b"THEIRS", "x").await, Err(SendErrorKind::NoSuchPeer));
        assert_eq!(message(&mut router).await, (known.id, Message::from("ok")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_to_a_given_name_waits_for_the_peer_to_come_back() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x");
    let context = zmq::Context::new();
    let router = router(Config::default());
    router.connect_as(&parse(&endpoint), "X").unwrap();
    for round in 0..5 {
        let peer = socket(&context, zmq::DEALER, "");
        until("the path is free", || peer.bind(&endpoint).is_ok()).await;
        if round > 0 {
            assert_eq!(peer.recv_bytes(0).unwrap(), b"while you were away");
        }
        assert_eq!(send_to(&router, b"X", "hi").await, Ok(()));
        assert_eq!(peer.recv_bytes(0).unwrap(), b"hi");
        drop(peer);
        super::peers(&router, 0).await;
        assert_eq!(send_to(&router, b"X", "while you were away").await, Ok(()));
    }
}

#[tokio::test]
async fn what_a_peer_with_a_given_name_refuses_waits_for_its_next_connection() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let listener = RawListener::bind(&endpoint).await.unwrap();
    let mut router = router(Config::default());
    router.connect_as(&endpoint, "X").unwrap();
    let mut peer = accept(&listener).await;
    peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
    let id = joined(&mut router).await.id;
    drop(peer);
    // Before anybody has told of the end.
    let mut failed = Vec::new();
    router.send_many(&mut vec![(id, Message::from("one"))], &mut failed);
    assert!(failed.is_empty(), "{failed:?}");
    router.try_send_to(b"X", Message::from("two")).unwrap();
    let mut peer = accept(&listener).await;
    peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
    peer.expect(b"\x00\x03one\x00\x03two").await.unwrap();
}

#[tokio::test]
async fn a_name_that_somebody_has_or_that_is_none_is_an_error() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let elsewhere = parse("ipc:///nonexistent/x");
    for name in [vec![], vec![7; 256], vec![0, 7]] {
        let error = router.connect_as(&elsewhere, name).unwrap_err().to_string();
        assert!(error.contains("1 to 255 bytes"), "{error}");
    }
    let taken = |name: &'static str| {
        let error = router.connect_as(&elsewhere, name).unwrap_err().to_string();
        assert!(error.contains("name for its peer is taken"), "{error}");
    };
    router.connect_as(&elsewhere, "X").unwrap();
    taken("X");
    let _peer = shaken(&endpoint, SocketType::Dealer, b"PEER").await;
    until("it has joined", || router.find(b"PEER").is_some()).await;
    taken("PEER");
    // What failed has changed nothing, and an end makes the name free.
    within(router.disconnect(&elsewhere)).await.unwrap();
    assert_eq!(send_to(&router, b"X", "x").await, Err(SendErrorKind::NoSuchPeer));
    router.connect_as(&elsewhere, "X").unwrap();
    assert_eq!(send_to(&router, b"X", "x").await, Ok(()));
    assert_eq!(&joined(&mut router).await.routing_id[..], b"PEER");
}

#[tokio::test]
async fn a_peer_that_announces_a_name_which_was_given_to_another_is_refused() {
    let (router, place, endpoint) = bound(Config::default()).await;
    let other = parse(&place.endpoint(Transport::Ipc, "other"));
    let listener = RawListener::bind(&other).await.unwrap();
    router.connect_as(&other, "X").unwrap();
    let mut monitor = router.monitor();
    let mut rival = shaken(&endpoint, SocketType::Dealer, b"X").await;
    rival.expect_end().await.unwrap();
    let reason = loop {
        if let MonitorEvent::HandshakeFailed(_, reason) = within(monitor.recv()).await.unwrap() {
            break reason;
        }
    };
    assert_eq!(reason, LeaveReason::Duplicate);
    // Its bearer may call itself anything, even the same.
    let mut bearer = accept(&listener).await;
    bearer.shake_hands(SocketType::Dealer, b"X").await.unwrap();
    assert_eq!(send_to(&router, b"X", "hi").await, Ok(()));
    bearer.expect(b"\x00\x02hi").await.unwrap();
}

#[tokio::test]
async fn a_name_is_given_to_the_peer_connected_to_while_another_is_being_identified() {
    let (mut router, place, endpoint) = bound(Config::default()).await;
    let other = parse(&place.endpoint(Transport::Ipc, "other"));
    let listener = RawListener::bind(&other).await.unwrap();
    // One comes in, and its handshake has only begun.
    let mut incoming = raw(&endpoint).await;
    incoming.send(&GREETING).await.unwrap();
    incoming.expect(&GREETING).await.unwrap();
    router.connect_as(&other, "GIVEN").unwrap();
    let mut outgoing = accept(&listener).await;
    outgoing.shake_hands(SocketType::Router, b"ITS OWN").await.unwrap();
    let known = joined(&mut router).await;
    assert_eq!(&known.routing_id[..], b"GIVEN");

    let mut ready = Vec::new();
    encode_ready(SocketType::Router, b"INCOMING", &[], &mut ready);
    incoming.send(&ready).await.unwrap();
    assert_eq!(&joined(&mut router).await.routing_id[..], b"INCOMING");
    assert_eq!(send_to(&router, b"GIVEN", "out").await, Ok(()));
    outgoing.expect(b"\x00\x03out").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_or_a_rep_may_connect_to_one_endpoint_twice() {
    let (_router, _place, endpoint) = bound(Config::default()).await;
    let twice = router(Config::default());
    twice.connect(&endpoint).unwrap();
    twice.connect(&endpoint).unwrap();
    super::peers(&twice, 2).await;

    let dealer = Dealer::new(Config::default()).unwrap();
    let elsewhere = dealer.bind(&parse("tcp://127.0.0.1:0")).await.unwrap();
    let rep = zmtp::Rep::new(Config::default()).unwrap();
    rep.connect(&elsewhere).unwrap();
    rep.connect(&elsewhere).unwrap();
    until("two connections", || rep.peers().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_of_ours_are_the_first_message_on_each_new_connection() {
    let context = zmq::Context::new();
    let probing = |name: &'static str| Config::default().with_identity(name).with_probe(true);
    for we_bind in [true, false] {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Ipc, "x");
        let peer = socket(&context, zmq::ROUTER, "");
        let (dealer, req) = (Dealer::new(probing("DEALER")), Req::new(probing("REQ")));
        let (dealer, req, router) =
            (dealer.unwrap(), req.unwrap(), Router::new(probing("ROUTER")).unwrap());
        if !we_bind {
            peer.bind(&endpoint).unwrap();
        }
        for (name, ours) in [("DEALER", &*dealer), ("REQ", &*req), ("ROUTER", &*router)] {
            let endpoint = if we_bind { format!("{endpoint}-{name}") } else { endpoint.clone() };
            if we_bind {
                ours.bind(&parse(&endpoint)).await.unwrap();
                peer.connect(&endpoint).unwrap();
            } else {
                ours.connect(&parse(&endpoint)).unwrap();
            }
            assert_eq!(peer.recv_multipart(0).unwrap(), [name.as_bytes(), b""]);
        }
        // They can be sent to, and what they send comes behind.
        peer.send_multipart(["ROUTER", "hi"], 0).unwrap();
        dealer.send(Message::from("next")).await.unwrap();
        assert_eq!(peer.recv_multipart(0).unwrap(), [&b"DEALER"[..], b"next"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_of_libzmq_peers_are_received_as_an_empty_message() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    for (kind, name) in [(zmq::DEALER, "DEALER"), (zmq::ROUTER, "ROUTER"), (zmq::REQ, "REQ")] {
        let peer = socket(&context, kind, name);
        peer.set_probe_router(true).unwrap();
        peer.connect(&endpoint.to_string()).unwrap();
        let known = joined(&mut router).await;
        assert_eq!(&known.routing_id[..], name.as_bytes());
        let event = event(&mut router).await;
        let PeerEvent::Message(id, probe) = event else { panic!("{event:?}") };
        assert_eq!((id, probe), (known.id, Message::from("")));
        drop(peer);
        super::left(&mut router).await;
    }
}
