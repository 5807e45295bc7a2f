//! Our ROUTER with libzmq peers.

use std::time::Duration;

use interop::{PATIENCE, Place, Transport, end, socket};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::{
    Config, DuplicateIdentity, Endpoint, Heartbeat, LeaveReason, Message, Peer, PeerEvent, PeerId,
    ProtocolError, Router,
};

fn router(config: Config) -> Router {
    Router::new(config).unwrap()
}

/// A ROUTER that listens on a socket file, and its endpoint as libzmq writes it.
async fn bound(config: Config) -> (Router, Place, String) {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "router");
    let router = router(config);
    router.bind(&endpoint.parse().unwrap()).await.unwrap();
    (router, place, endpoint)
}

async fn event(router: &mut Router) -> PeerEvent {
    timeout(PATIENCE, router.recv_event()).await.unwrap().unwrap()
}

async fn joined(router: &mut Router) -> std::sync::Arc<Peer> {
    let event = event(router).await;
    let PeerEvent::Joined(peer) = event else { panic!("{event:?}") };
    peer
}

async fn left(router: &mut Router) -> (PeerId, LeaveReason) {
    let event = event(router).await;
    let PeerEvent::Left(peer, reason) = event else { panic!("{event:?}") };
    (peer.id, reason)
}

async fn message(router: &mut Router) -> (PeerId, Message) {
    timeout(PATIENCE, router.recv()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn req_dealer_and_router_peers_are_served_on_bound_and_connected_endpoints() {
    let context = zmq::Context::new();
    for transport in [Transport::Ipc, Transport::Tcp] {
        for (socket_type, ours) in [
            (zmq::REQ, SocketType::Req),
            (zmq::DEALER, SocketType::Dealer),
            (zmq::ROUTER, SocketType::Router),
        ] {
            for we_bind in [true, false] {
                let endpoint = Place::new().endpoint(transport, "x");
                let place = Place::new();
                let endpoint = if transport == Transport::Ipc {
                    place.endpoint(transport, "x")
                } else {
                    endpoint
                };
                let peer = socket(&context, socket_type, "PEER");
                let mut router = router(Config::default().with_identity("ROUTER"));
                if we_bind {
                    router.bind(&endpoint.parse().unwrap()).await.unwrap();
                    peer.connect(&endpoint).unwrap();
                } else {
                    peer.bind(&endpoint).unwrap();
                    router.connect(&endpoint.parse().unwrap()).unwrap();
                }
                let info = joined(&mut router).await;
                assert_eq!((info.info.socket_type, &info.routing_id[..]), (ours, &b"PEER"[..]));
                exchange(&mut router, info.id, &peer, socket_type).await;
            }
        }
    }
}

/// A message each way, in the form that the peer's type has on the wire.
async fn exchange(router: &mut Router, id: PeerId, peer: &zmq::Socket, of: zmq::SocketType) {
    let (head, wire): (&[&str], _) = match of {
        zmq::REQ => (&[], Message::from(["", "Hello"])),
        zmq::ROUTER => (&["ROUTER"], Message::from("Hello")),
        _ => (&[], Message::from("Hello")),
    };
    if of == zmq::ROUTER {
        // A libzmq ROUTER can address us once our identity has arrived.
        peer.set_router_mandatory(true).unwrap();
        while peer.send_multipart(head.iter().chain(&["Hello"]), 0).is_err() {
            tokio::task::yield_now().await;
        }
    } else {
        peer.send("Hello", 0).unwrap();
    }
    assert_eq!(message(router).await, (id, wire.clone()));
    router.try_send(id, wire).unwrap();
    let reply = peer.recv_multipart(0).unwrap();
    assert_eq!(reply[head.len()..], [b"Hello".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_peer_keep_their_order() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::DEALER, "");
    dealer.connect(&endpoint).unwrap();
    let sender = std::thread::spawn(move || {
        for i in 0..20_000_u32 {
            dealer.send(i.to_be_bytes().as_slice(), 0).unwrap();
        }
        dealer
    });
    for i in 0..20_000_u32 {
        assert_eq!(message(&mut router).await.1, Message::from(&i.to_be_bytes()[..]));
    }
    sender.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dealer_that_never_stops_does_not_keep_a_req_from_being_served() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::DEALER, "");
    dealer.connect(&endpoint).unwrap();
    let flood = std::thread::spawn(move || while dealer.send("many", 0).is_ok() {});
    let req = socket(&context, zmq::REQ, "REQ");
    req.connect(&endpoint).unwrap();
    let asked = std::thread::spawn(move || {
        for _ in 0..50 {
            req.send("one", 0).unwrap();
            req.recv_bytes(0).unwrap();
        }
    });
    let mut flooded = 0;
    while !asked.is_finished() {
        let (peer, request) = message(&mut router).await;
        flooded += usize::from(request.len() == 1);
        if request.len() == 2 {
            router.try_send(peer, request).unwrap();
        }
    }
    asked.join().unwrap();
    assert!(flooded > 0, "there was a flood");
    drop(router);
    end(&context);
    flood.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_leaves_more_behind_than_is_read_ahead_is_seen_to_leave_though_nothing_is_released()
 {
    let config = Config::default().with_release(zmtp::Release::Explicit).with_recv_hwm(1);
    let (mut router, _place, endpoint) = bound(config).await;
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::DEALER, "");
    dealer.set_linger(-1).unwrap();
    dealer.connect(&endpoint).unwrap();
    let id = joined(&mut router).await.id;
    // More than is read ahead; libzmq writes the rest, and so can leave, while that
    // takes no more than a quarter of the system's buffer.
    for _ in 0..100 {
        dealer.send(vec![7_u8; 1000], 0).unwrap();
    }
    // Before it leaves, for what has not been received goes with it.
    assert!(matches!(event(&mut router).await, PeerEvent::Message(..)));
    drop(dealer);
    match event(&mut router).await {
        PeerEvent::Left(peer, _) => assert_eq!(peer.id, id),
        event => panic!("{event:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_peers_answer_our_pings_and_we_answer_theirs() {
    let heartbeat = Heartbeat::every(Duration::from_millis(100))
        .with_timeout(Duration::from_secs(10))
        .with_ttl(Duration::from_secs(10));
    let (mut router, _place, endpoint) = bound(Config::default().with_heartbeat(heartbeat)).await;
    let context = zmq::Context::new();
    let peers = [zmq::REQ, zmq::DEALER, zmq::ROUTER].map(|socket_type| {
        let peer = socket(&context, socket_type, "");
        peer.set_heartbeat_ivl(100).unwrap();
        peer.set_heartbeat_timeout(10_000).unwrap();
        peer.set_heartbeat_ttl(10_000).unwrap();
        peer.connect(&endpoint).unwrap();
        peer
    });
    for _ in &peers {
        joined(&mut router).await;
    }
    // Ten PINGs each way, and nobody leaves.
    let event = timeout(Duration::from_secs(1), router.recv_event()).await;
    assert!(event.is_err(), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anonymous_peer_is_shown_as_a_zero_byte_and_a_number() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let req = socket(&context, zmq::REQ, "");
    req.connect(&endpoint).unwrap();
    let peer = joined(&mut router).await;
    assert!(peer.info.identity.is_empty());
    assert_eq!((peer.routing_id.len(), peer.routing_id[0]), (5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_is_another_peer() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let mut ids = Vec::new();
    for _ in 0..20 {
        let dealer = socket(&context, zmq::DEALER, "SAME");
        dealer.connect(&endpoint).unwrap();
        let peer = joined(&mut router).await;
        assert_eq!(router.find(b"SAME"), Some(peer.id));
        assert!(!ids.contains(&peer.id));
        ids.push(peer.id);
        drop(dealer);
        assert_eq!(left(&mut router).await.0, peer.id);
        assert!(router.try_send(peer.id, Message::from("late")).is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reject_closes_the_second_of_two_peers_with_one_name() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let first = socket(&context, zmq::DEALER, "NAME");
    first.connect(&endpoint).unwrap();
    let id = joined(&mut router).await.id;

    let second = socket(&context, zmq::DEALER, "NAME");
    second.monitor("inproc://second", zmq::SocketEvent::DISCONNECTED.to_raw().into()).unwrap();
    let events = socket(&context, zmq::PAIR, "");
    events.connect("inproc://second").unwrap();
    second.connect(&endpoint).unwrap();
    // The newcomer can see that it was closed. libzmq tries again for ever.
    tokio::task::spawn_blocking(move || events.recv_multipart(0).unwrap()).await.unwrap();

    first.send("still here", 0).unwrap();
    assert_eq!(message(&mut router).await, (id, Message::from("still here")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handover_gives_the_name_to_the_second_of_two_peers() {
    let config = Config::default().with_duplicate_identity(DuplicateIdentity::Handover);
    let (mut router, _place, endpoint) = bound(config).await;
    let context = zmq::Context::new();
    let first = socket(&context, zmq::DEALER, "NAME");
    first.set_reconnect_ivl(-1).unwrap();
    first.connect(&endpoint).unwrap();
    let old = joined(&mut router).await.id;
    let second = socket(&context, zmq::DEALER, "NAME");
    second.connect(&endpoint).unwrap();
    assert_eq!(left(&mut router).await, (old, LeaveReason::Replaced));
    let new = joined(&mut router).await.id;
    assert_eq!(router.find(b"NAME"), Some(new));
    router.try_send(new, Message::from("hi")).unwrap();
    assert_eq!(second.recv_bytes(0).unwrap(), b"hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allow_serves_both_peers_with_one_name() {
    let config = Config::default().with_duplicate_identity(DuplicateIdentity::Allow);
    let (mut router, _place, endpoint) = bound(config).await;
    let context = zmq::Context::new();
    let reqs = ["a", "b"].map(|body| {
        let req = socket(&context, zmq::REQ, "NAME");
        req.connect(&endpoint).unwrap();
        req.send(body, 0).unwrap();
        (req, body)
    });
    for _ in 0..2 {
        let (peer, request) = message(&mut router).await;
        router.try_send(peer, request).unwrap();
    }
    for (req, body) in reqs {
        assert_eq!(req.recv_string(0).unwrap().unwrap(), body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_works_before_the_peer_exists_and_again_after_it_was_gone() {
    let place = Place::new();
    for transport in [Transport::Ipc, Transport::Tcp] {
        let endpoint = place.endpoint(transport, "late");
        let reconnect = Duration::from_millis(10);
        let mut router = router(Config::default().with_reconnect(reconnect, reconnect * 10));
        router.connect(&endpoint.parse().unwrap()).unwrap();
        let context = zmq::Context::new();
        for _ in 0..3 {
            let dealer = socket(&context, zmq::DEALER, "");
            // libzmq frees the address a moment after it was told to.
            while dealer.bind(&endpoint).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let peer = joined(&mut router).await;
            dealer.send("x", 0).unwrap();
            assert_eq!(message(&mut router).await.0, peer.id);
            drop(dealer);
            assert_eq!(left(&mut router).await.0, peer.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_peer_does_wrong_ends_its_connection_and_no_other() {
    use std::io::{Read, Write};
    let (mut router, place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let good = socket(&context, zmq::DEALER, "");
    good.connect(&endpoint).unwrap();
    let id = joined(&mut router).await.id;
    let hello = [&interop::GREETING[..], interop::READY_REQ].concat();
    let with = |tail: &[u8]| [&hello, tail].concat();
    let too_long = ProtocolError::LengthOutOfRange(u64::MAX);
    for (bytes, error) in [
        (with(b"\x01\x00\x08\x05Hello"), Some(ProtocolError::ReservedFlags(8))),
        (with(b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), Some(too_long)),
        (with(b"\x01\x00\x00\x05Hel"), Some(ProtocolError::TruncatedAtEof)),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), None),
        (vec![0; 5000], None),
    ] {
        let path = place.directory().join("router.ipc");
        let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let ended = std::thread::spawn(move || {
            let mut stream = stream;
            // It may be closed before all has been written.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        if let Some(error) = error {
            joined(&mut router).await;
            let reason = left(&mut router).await.1;
            assert_eq!(reason, LeaveReason::Protocol(error));
        }
        while !ended.is_finished() {
            tokio::task::yield_now().await;
        }
        good.send("fine", 0).unwrap();
        let next = event(&mut router).await;
        assert!(matches!(next, PeerEvent::Message(peer, _) if peer == id), "{next:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_names_and_both_address_families_can_be_bound_and_connected() {
    for text in ["tcp://localhost:0", "tcp://127.0.0.1:*", "tcp://[::1]:0", "tcp://*:0"] {
        let mut router = router(Config::default());
        let bound: Endpoint = router.bind(&text.parse().unwrap()).await.unwrap();
        assert_ne!(bound.port(), Some(0));
        let context = zmq::Context::new();
        let req = socket(&context, zmq::REQ, "");
        req.set_ipv6(true).unwrap();
        req.connect(&bound.to_string().replace("0.0.0.0", "localhost")).unwrap();
        req.send("x", 0).unwrap();
        message(&mut router).await;
    }
}
