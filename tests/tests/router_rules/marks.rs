//! What high-water marks bound, and what becomes of what is queued when a connection ends.

use interop::{Place, Transport, accept, raw, shaken, socket, until, within};
use zmtp::proto::SocketType;
use zmtp::testing::RawListener;
use zmtp::{Config, Dealer, Message, Release, SendErrorKind, TransportOptions};

use super::{bound, joined, message, narrow, parse, peers, router};

fn dealer(config: Config) -> Dealer {
    let pause = std::time::Duration::from_millis(5);
    Dealer::new(config.with_reconnect(pause, pause)).unwrap()
}

/// How many of these messages are taken for an endpoint where nobody is.
async fn room(config: Config, message: &Message) -> usize {
    let router = router(config);
    router.connect_as(&parse("ipc:///nonexistent/x"), "X").unwrap();
    for taken in 0..10_000 {
        if let Err(error) = within(router.send_to(b"X", message.clone())).await {
            assert_eq!(error.kind(), SendErrorKind::Full);
            assert_eq!(error.into_message(), *message);
            return taken;
        }
    }
    panic!("there is no mark")
}

#[tokio::test]
async fn the_send_mark_counts_messages_whatever_their_parts_and_their_bytes() {
    let config = Config::default;
    let of_parts = |count: usize| Message::from(vec!["x"; count]);
    assert_eq!(room(config(), &of_parts(1)).await, 1000);
    assert_eq!(room(config().with_send_hwm(3), &of_parts(1)).await, 3);
    assert_eq!(room(config().with_send_hwm(3), &of_parts(10)).await, 3);
    // Headers count: two bytes each, nine where the body is larger than 255.
    assert_eq!(room(config().with_send_hwm_bytes(30), &of_parts(1)).await, 10);
    assert_eq!(room(config().with_send_hwm_bytes(29), &of_parts(1)).await, 9);
    let large = Message::from([vec![7; 991]]);
    assert_eq!(room(config().with_send_hwm_bytes(5000), &large).await, 5);
    // One is taken whatever its size.
    assert_eq!(room(config().with_send_hwm_bytes(1), &large).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_a_receive_mark_a_peer_is_read_no_further_and_nothing_is_lost() {
    let marks = [
        narrow().with_recv_hwm(10),
        narrow().with_recv_hwm(1_000_000).with_recv_hwm_bytes(10_000),
        // Nothing is released here, so nothing is free.
        narrow().with_recv_hwm(10).with_release(Release::Explicit),
    ];
    for config in marks {
        let explicit = config.release == Release::Explicit;
        let (mut router, _place, endpoint) = bound(config).await;
        let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
        peer.set_sndhwm(10).unwrap();
        peer.set_sndbuf(16 << 10).unwrap();
        // When nothing was taken for so long, nothing will be.
        peer.set_sndtimeo(300).unwrap();
        peer.connect(&endpoint.to_string()).unwrap();
        let id = joined(&mut router).await.id;
        let body = |i: usize| [&i.to_be_bytes()[..], &[7; 992]].concat();
        let mut sent = 0;
        while peer.send(body(sent), 0).is_ok() {
            sent += 1;
            assert!(sent < 2000, "it is read on and on");
        }
        for i in 0..sent {
            assert!(message(&mut router).await.1 == Message::from([body(i)]));
            if explicit {
                router.release(id, 1);
            }
        }
        peer.set_sndtimeo(-1).unwrap();
        peer.send("room again", 0).unwrap();
        assert_eq!(message(&mut router).await.1, Message::from("room again"));
    }
}

#[tokio::test]
async fn what_waits_for_an_endpoint_waits_through_connections_that_do_not_come_about() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let dealer = dealer(Config::default());
    dealer.connect(&endpoint).unwrap();
    for i in 0..100_u8 {
        dealer.try_send(Message::from(&[i][..])).unwrap();
    }
    let listener = RawListener::bind(&endpoint).await.unwrap();
    for bytes in [&b""[..], &interop::GREETING, b"GET / HTTP/1.1\r\n\r\n"] {
        accept(&listener).await.send(bytes).await.unwrap();
    }
    let mut peer = accept(&listener).await;
    peer.shake_hands(SocketType::Router, b"").await.unwrap();
    for i in 0..100 {
        peer.expect(&[0, 1, i]).await.unwrap();
    }
    assert_eq!(dealer.dropped(), 0);
}

/// Many small ones are gathered to be written at once.
#[tokio::test]
async fn a_message_of_which_no_byte_was_written_waits_for_the_next_connection() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let listener = RawListener::bind(&endpoint).await.unwrap();
    // The system takes a few kilobytes at a time.
    let transport = TransportOptions::default().with_buffers(1, 1);
    let dealer = dealer(Config::default().with_transport(transport));
    dealer.connect(&endpoint).unwrap();
    for i in 0..1000_u16 {
        let body = [&i.to_be_bytes()[..], &[7; 98]].concat();
        dealer.try_send(Message::from([body])).unwrap();
    }
    let mut first = accept(&listener).await;
    first.shake_hands(SocketType::Dealer, b"").await.unwrap();
    first.expect(&[0, 100, 0, 0]).await.unwrap();
    drop(first);

    let mut second = accept(&listener).await;
    second.shake_hands(SocketType::Dealer, b"").await.unwrap();
    let mut number = async || {
        let (_, body) = second.receive_frame().await.unwrap();
        u16::from_be_bytes([body[0], body[1]])
    };
    let next = number().await;
    assert!((1..300).contains(&next), "{next} were lost");
    for i in next + 1..1000 {
        assert_eq!(number().await, i);
    }
    // One may have been cut off.
    assert!(dealer.dropped() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_reconnects_messages_keep_their_order_and_none_arrives_twice() {
    const MESSAGES: usize = 5000;
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x");
    let context = zmq::Context::new();
    let dealer = dealer(narrow().with_send_hwm(100));
    dealer.connect(&parse(&endpoint)).unwrap();
    let sender = dealer.sender();
    let sending = tokio::spawn(async move {
        for i in 0..MESSAGES {
            let body = [&i.to_be_bytes()[..], &[7; 992]].concat();
            sender.send(Message::from([body])).await.unwrap();
        }
    });
    let mut last = None;
    for round in 0.. {
        let peer = socket(&context, zmq::DEALER, "");
        peer.set_rcvhwm(10).unwrap();
        until("the path is free", || peer.bind(&endpoint).is_ok()).await;
        let mut count = 0;
        // Each dies with much on its way to it; the last one hears the end.
        while count < 100 || round == 10 {
            let body = peer.recv_bytes(0).expect("a message in time");
            let i = usize::from_be_bytes(body[..8].try_into().unwrap());
            assert!(last < Some(i), "{i} after {last:?}");
            last = Some(i);
            count += 1;
            if i == MESSAGES - 1 {
                assert_eq!(round, 10, "it goes on beyond ten deaths");
                within(sending).await.unwrap();
                return;
            }
        }
    }
}

#[tokio::test]
async fn what_was_unsent_to_a_peer_of_a_router_is_dropped_and_what_it_sent_is_received() {
    let (mut router, _place, endpoint) = bound(narrow()).await;
    let mut peer = shaken(&endpoint, SocketType::Dealer, b"NAME").await;
    peer.send(&b"\x00\x04from".repeat(10)).await.unwrap();
    let id = message(&mut router).await.0;
    for _ in 0..20 {
        router.try_send(id, Message::from([vec![7; 100 << 10]])).unwrap();
    }
    // Part of the first message is on its way.
    peer.expect(&[2, 0, 0, 0, 0, 0, 1, 0x90, 0]).await.unwrap();
    drop(peer);
    peers(&router, 0).await;
    until("all are counted", || router.dropped() == 20).await;
    for _ in 0..9 {
        assert_eq!(message(&mut router).await, (id, Message::from("from")));
    }
    let mut next = shaken(&endpoint, SocketType::Dealer, b"NAME").await;
    until("it is there", || router.find(b"NAME").is_some()).await;
    router.send_to(b"NAME", Message::from("new")).await.unwrap();
    next.expect(b"\x00\x03new").await.unwrap();
}

#[tokio::test]
async fn with_immediate_what_was_unsent_goes_with_its_connection() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let listener = RawListener::bind(&endpoint).await.unwrap();
    let dealer = dealer(narrow().with_immediate(true));
    dealer.connect(&endpoint).unwrap();
    let mut peer = accept(&listener).await;
    peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
    for _ in 0..20 {
        within(dealer.send(Message::from([vec![7; 100 << 10]]))).await.unwrap();
    }
    peer.expect(&[2, 0, 0, 0, 0, 0, 1, 0x90, 0]).await.unwrap();
    drop(peer);
    until("all are counted", || dealer.dropped() == 20).await;
    let mut next = accept(&listener).await;
    next.shake_hands(SocketType::Dealer, b"").await.unwrap();
    within(dealer.send(Message::from("new"))).await.unwrap();
    next.expect(b"\x00\x03new").await.unwrap();
}

/// A connection that says nothing must not take messages from those that do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_without_a_handshake_have_no_turn() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let dealer = dealer(Config::default());
    dealer.bind(&endpoint).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..10 {
        let mut peer = raw(&endpoint).await;
        peer.expect(&interop::GREETING).await.unwrap();
        silent.push(peer);
    }
    let good = socket(&zmq::Context::new(), zmq::DEALER, "");
    good.connect(&endpoint.to_string()).unwrap();
    for i in 0..20 {
        within(dealer.send(Message::from(i.to_string()))).await.unwrap();
    }
    for i in 0..20 {
        assert_eq!(good.recv_string(0).unwrap().unwrap(), i.to_string());
    }
}
