//! How peers are called, and for how long.

use interop::{disconnected, shaken, socket, until, within};
use zmtp::proto::SocketType;
use zmtp::{Config, LeaveReason, Message, MonitorEvent, ProtocolError, SendErrorKind};

use super::{bound, joined, left, message, peers, router, send_to};

#[tokio::test]
async fn a_message_has_no_address_on_the_wire_either_way() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let mut peer = shaken(&endpoint, SocketType::Dealer, b"NAME").await;
    peer.send(b"\x01\x01a\x00\x01b").await.unwrap();
    let (id, received) = message(&mut router).await;
    assert_eq!(received, Message::from(["a", "b"]));
    assert_eq!(&router.peer(id).unwrap().routing_id[..], b"NAME");
    router.send(id, Message::from(["c", "d"])).await.unwrap();
    peer.expect(b"\x01\x01c\x00\x01d").await.unwrap();
    assert_eq!(send_to(&router, b"NAME", "e").await, Ok(()));
    peer.expect(b"\x00\x01e").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_of_an_anonymous_peer_is_called_by_the_next_number() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let mut last: Option<u32> = None;
    for _ in 0..5 {
        let dealer = socket(&context, zmq::DEALER, "");
        dealer.connect(&endpoint.to_string()).unwrap();
        let peer = joined(&mut router).await;
        assert!(peer.info.identity.is_empty());
        let &[0, ref number @ ..] = &peer.routing_id[..] else { panic!("{:?}", peer.routing_id) };
        let number = u32::from_be_bytes(<[u8; 4]>::try_from(number).unwrap());
        assert!(last.is_none_or(|last| number == last.wrapping_add(1)));
        last = Some(number);
        assert_eq!(send_to(&router, &peer.routing_id, "hi").await, Ok(()));
        assert_eq!(dealer.recv_bytes(0).unwrap(), b"hi");
        drop(dealer);
        left(&mut router).await;
        let late = send_to(&router, &peer.routing_id, "late").await;
        assert_eq!(late, Err(SendErrorKind::NoSuchPeer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_1_to_255_bytes_are_taken_as_they_are() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    for name in [vec![1], vec![0xFF, 0, 0xFF], vec![7; 255]] {
        let dealer = socket(&context, zmq::DEALER, "");
        dealer.set_identity(&name).unwrap();
        dealer.connect(&endpoint.to_string()).unwrap();
        let peer = joined(&mut router).await;
        assert_eq!((&peer.routing_id[..], &peer.info.identity[..]), (&name[..], &name[..]));
        assert_eq!(router.find(&name), Some(peer.id));
        assert_eq!(send_to(&router, &name, "hi").await, Ok(()));
        assert_eq!(dealer.recv_bytes(0).unwrap(), b"hi");
        drop(dealer);
        left(&mut router).await;
    }
}

/// With libzmq as the receiver it would take the other's messages, or end the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_calls_itself_what_another_was_called_here_is_refused() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = router.monitor();
    let context = zmq::Context::new();
    let good = socket(&context, zmq::DEALER, "");
    good.connect(&endpoint.to_string()).unwrap();
    let good_name = joined(&mut router).await.routing_id.clone();
    let joined = |event| matches!(event, MonitorEvent::HandshakeSucceeded(_));
    while !joined(within(monitor.recv()).await.unwrap()) {}
    let mut next_name = good_name.to_vec();
    next_name[4] = next_name[4].wrapping_add(1);
    for name in [good_name.to_vec(), next_name] {
        let bad = socket(&context, zmq::DEALER, "");
        bad.set_identity(&name).unwrap();
        bad.connect(&endpoint.to_string()).unwrap();
        let reason = loop {
            match within(monitor.recv()).await.unwrap() {
                MonitorEvent::HandshakeFailed(_, reason) => break reason,
                MonitorEvent::HandshakeSucceeded(_) => panic!("it was let in"),
                _ => {}
            }
        };
        assert_eq!(reason, LeaveReason::Protocol(ProtocolError::BadIdentity));
        assert_eq!(send_to(&router, &good_name, "yours").await, Ok(()));
        assert_eq!(good.recv_bytes(0).unwrap(), b"yours");
    }
}

#[tokio::test]
async fn a_named_peer_that_died_with_messages_unread_is_let_in_again_and_can_be_sent_to() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = router.monitor();
    for round in 0..20_u8 {
        let mut peer = shaken(&endpoint, SocketType::Dealer, b"NAME").await;
        peer.send(&[0, 1, round, 0, 1, round]).await.unwrap();
        // It is routable although nothing of those before it has been received.
        until("it is routable", || router.find(b"NAME").is_some()).await;
        assert_eq!(send_to(&router, b"NAME", "hi").await, Ok(()));
        peer.expect(b"\x00\x02hi").await.unwrap();
        drop(peer);
        disconnected(&mut monitor).await;
        assert_eq!(router.find(b"NAME"), None);
    }
    for round in 0..20 {
        for _ in 0..2 {
            assert_eq!(message(&mut router).await.1, Message::from(&[round][..]));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_libzmq_peer_that_is_replaced_at_once_is_let_in_again() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let mut last = None;
    for round in 0..20_u8 {
        let dealer = socket(&context, zmq::DEALER, "NAME");
        dealer.set_reconnect_ivl(1).unwrap();
        dealer.set_linger(-1).unwrap();
        dealer.connect(&endpoint.to_string()).unwrap();
        // What it sent before it is let in would be lost with a connection that is refused.
        let newcomer = || router.find(b"NAME").filter(|id| Some(*id) != last);
        until("it is let in", || newcomer().is_some()).await;
        last = newcomer();
        router.send(last.unwrap(), Message::from("welcome")).await.unwrap();
        assert_eq!(dealer.recv_bytes(0).unwrap(), b"welcome");
        dealer.send(&[round][..], 0).unwrap();
        dealer.send(&[round][..], 0).unwrap();
    }
    for round in 0..20 {
        for _ in 0..2 {
            assert_eq!(message(&mut router).await.1, Message::from(&[round][..]));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_fresh_peers_can_each_be_sent_to_as_soon_as_they_have_joined() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    for i in 0..100 {
        let name = format!("peer {i}");
        let dealer = socket(&context, zmq::DEALER, &name);
        dealer.connect(&endpoint.to_string()).unwrap();
        let peer = joined(&mut router).await;
        assert_eq!(&peer.routing_id[..], name.as_bytes());
        assert_eq!(send_to(&router, name.as_bytes(), "hello").await, Ok(()));
        assert_eq!(dealer.recv_bytes(0).unwrap(), b"hello");
        drop(dealer);
        assert_eq!(left(&mut router).await.0, peer.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_restarts_under_another_name_is_known_by_that() {
    let place = interop::Place::new();
    let endpoint = place.endpoint(interop::Transport::Ipc, "x");
    let context = zmq::Context::new();
    let mut router = router(Config::default());
    router.connect(&endpoint.parse().unwrap()).unwrap();
    let mut before = None;
    for name in ["ONE", "TWO", "", "THREE"] {
        let dealer = socket(&context, zmq::DEALER, name);
        until("the path is free", || dealer.bind(&endpoint).is_ok()).await;
        let peer = joined(&mut router).await;
        assert_eq!(&peer.info.identity[..], name.as_bytes());
        assert!(name.is_empty() || peer.routing_id == name);
        assert_eq!(send_to(&router, &peer.routing_id, "hi").await, Ok(()));
        assert_eq!(dealer.recv_bytes(0).unwrap(), b"hi");
        if let Some(before) = before.replace(peer.routing_id.clone()) {
            let late = send_to(&router, &before, "late").await;
            assert_eq!(late, Err(SendErrorKind::NoSuchPeer));
        }
        drop(dealer);
        left(&mut router).await;
        peers(&router, 0).await;
    }
}
