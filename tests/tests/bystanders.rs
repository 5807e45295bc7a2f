//! What one peer does wrong, or what nobody reads, is felt by nobody else.

use interop::{GREETING, PATIENCE, Place, Transport, socket};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::testing::RawPeer;
use zmtp::{Config, Dealer, Endpoint, Message, MonitorEvent, PeerEvent, Rep, Req, Router};

/// Bytes that break the protocol, before and after the handshake.
async fn misbehave(endpoint: &Endpoint, as_type: SocketType) {
    let before: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &GREETING[..11]];
    for junk in before {
        let mut peer = RawPeer::connect(endpoint).await.unwrap();
        let _ = peer.send(junk).await;
    }
    // A reserved bit, a length that nobody has, a command cut short, the middle of a message.
    let after: [&[u8]; 4] =
        [b"\x08\x00", b"\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", b"\x04\x00", b"\x01\x05abc"];
    for junk in after {
        let mut peer = RawPeer::connect(endpoint).await.unwrap();
        peer.shake_hands(as_type, b"").await.unwrap();
        peer.send(junk).await.unwrap();
        let _ = peer.finish().await;
        while peer.receive(1).await.is_ok() {}
    }
}

fn bound_at(place: &Place) -> (Endpoint, String) {
    let endpoint = place.endpoint(Transport::Ipc, "x");
    (endpoint.parse().unwrap(), endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_peer_never_surfaces_in_what_another_gets() {
    let context = zmq::Context::new();
    let dealer_peer = |endpoint: &str| {
        let peer = socket(&context, zmq::DEALER, "");
        peer.connect(endpoint).unwrap();
        peer
    };

    let place = Place::new();
    let (endpoint, text) = bound_at(&place);
    let mut router = Router::new(Config::default()).unwrap();
    router.bind(&endpoint).await.unwrap();
    misbehave(&endpoint, SocketType::Dealer).await;
    let good = dealer_peer(&text);
    good.send("good", 0).unwrap();
    let (id, message) = timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
    assert_eq!(message, Message::from("good"));
    router.send(id, Message::from("reply")).await.unwrap();
    assert_eq!(good.recv_bytes(0).unwrap(), b"reply");

    let place = Place::new();
    let (endpoint, text) = bound_at(&place);
    let mut dealer = Dealer::new(Config::default()).unwrap();
    dealer.bind(&endpoint).await.unwrap();
    misbehave(&endpoint, SocketType::Dealer).await;
    let good = dealer_peer(&text);
    good.send("good", 0).unwrap();
    let message = timeout(PATIENCE, dealer.recv()).await.unwrap();
    assert_eq!(message, Some(Message::from("good")));

    let place = Place::new();
    let (endpoint, text) = bound_at(&place);
    let mut rep = Rep::new(Config::default()).unwrap();
    rep.bind(&endpoint).await.unwrap();
    misbehave(&endpoint, SocketType::Req).await;
    let good = socket(&context, zmq::REQ, "");
    good.connect(&text).unwrap();
    good.send("good", 0).unwrap();
    assert_eq!(timeout(PATIENCE, rep.recv()).await.unwrap(), Ok(Message::from("good")));
    rep.send(Message::from("reply")).await.unwrap();
    assert_eq!(good.recv_bytes(0).unwrap(), b"reply");

    let place = Place::new();
    let (endpoint, text) = bound_at(&place);
    let mut req = Req::new(Config::default()).unwrap();
    req.bind(&endpoint).await.unwrap();
    misbehave(&endpoint, SocketType::Rep).await;
    while !req.peers().is_empty() {
        tokio::task::yield_now().await;
    }
    let good = socket(&context, zmq::REP, "");
    good.connect(&text).unwrap();
    let good = std::thread::spawn(move || {
        let request = good.recv_bytes(0).unwrap();
        good.send(request, 0).unwrap();
        good
    });
    let reply = timeout(PATIENCE, req.request(Message::from("good"))).await.unwrap();
    assert_eq!(reply, Ok(Message::from("good")));
    good.join().unwrap();
}

#[tokio::test]
async fn a_monitor_that_nobody_reads_misses_events_says_so_and_disturbs_nobody() {
    let place = Place::new();
    let (endpoint, _) = bound_at(&place);
    let mut router = Router::new(Config::default()).unwrap();
    let mut monitor = router.monitor();
    router.bind(&endpoint).await.unwrap();
    // Each of them makes three events or more.
    for _ in 0..600 {
        let mut peer = RawPeer::connect(&endpoint).await.unwrap();
        peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
        peer.send(b"\x00\x01x").await.unwrap();
        timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
    }
    let first = monitor.recv().await;
    assert!(matches!(first, Some(MonitorEvent::Missed(missed)) if missed > 0), "{first:?}");
    router.close().await;
    while monitor.recv().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_above_16_mib_go_through_both_ways() {
    let place = Place::new();
    let (endpoint, text) = bound_at(&place);
    let mut router = Router::new(Config::default().with_send_hwm_bytes(64 << 20)).unwrap();
    router.bind(&endpoint).await.unwrap();
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::DEALER, "");
    dealer.connect(&text).unwrap();
    let body: Vec<u8> = (0..20_u32 << 20).map(|i| i.to_le_bytes()[1]).collect();
    dealer.send(&body, 0).unwrap();
    let (peer, message) = timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
    assert!(message.part(0) == Some(&body[..]) && message.len() == 1);
    router.send(peer, message).await.unwrap();
    assert!(dealer.recv_bytes(0).unwrap() == body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sockets_that_flood_each_other_both_get_on() {
    const COUNT: u32 = 20_000;
    let place = Place::new();
    let (endpoint, _) = bound_at(&place);
    let small = Config::default().with_send_hwm(10).with_recv_hwm(10);
    let bound = Dealer::new(small.clone()).unwrap();
    bound.bind(&endpoint).await.unwrap();
    let connected = Dealer::new(small).unwrap();
    connected.connect(&endpoint).unwrap();
    let both = [bound, connected].map(|mut dealer| {
        let sender = dealer.sender();
        let send = async move {
            for i in 0..COUNT {
                let body = [&i.to_le_bytes()[..], &[7; 1000]].concat();
                sender.send(Message::from(body)).await.unwrap();
            }
        };
        let receive = async move {
            for i in 0..COUNT {
                let message = dealer.recv().await.unwrap();
                assert_eq!(message.part(0).unwrap()[..4], i.to_le_bytes());
            }
            dealer
        };
        (tokio::spawn(send), tokio::spawn(receive))
    });
    let mut sockets = Vec::new();
    for (send, receive) in both {
        timeout(PATIENCE, send).await.unwrap().unwrap();
        sockets.push(timeout(PATIENCE, receive).await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn joins_and_leaves_come_in_order_whatever_happens_at_once() {
    let place = Place::new();
    let (endpoint, _) = bound_at(&place);
    let mut router = Router::new(Config::default()).unwrap();
    router.bind(&endpoint).await.unwrap();
    let mut told = std::collections::HashMap::new();
    let storm = tokio::spawn(async move {
        for i in 0..200 {
            let mut peer = RawPeer::connect(&endpoint).await.unwrap();
            peer.shake_hands(SocketType::Dealer, format!("peer {}", i % 3).as_bytes())
                .await
                .unwrap();
            let _ = peer.send(b"\x00\x01x").await;
        }
    });
    let (mut joined, mut left) = (0, 0);
    while !storm.is_finished() || joined > left {
        let Ok(event) = timeout(PATIENCE / 60, router.recv_event()).await else { continue };
        match event.unwrap() {
            PeerEvent::Joined(peer) => {
                joined += 1;
                assert_eq!(told.insert(peer.id, true), None, "joined twice");
            }
            PeerEvent::Message(peer, _) => assert_eq!(told.get(&peer), Some(&true)),
            PeerEvent::Left(peer, _) => {
                left += 1;
                assert_eq!(
                    told.insert(peer.id, false),
                    Some(true),
                    "left before it joined, or twice"
                );
            }
            event => panic!("{event:?}"),
        }
    }
    storm.await.unwrap();
    assert!(joined > 0);
}
