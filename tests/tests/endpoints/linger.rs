//! What closing a socket does with what it accepted.

use std::pin::pin;
use std::time::Duration;

use interop::{Place, Transport, accept, shaken, socket, within};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::testing::{RawListener, ScriptError};
use zmtp::{Config, Message, Rep, Req, SendErrorKind, TransportOptions};

use super::{BOTH, at, dealer, parse, peer_at, peers, quick, router, send, take};

fn patient() -> Config {
    quick().with_linger(interop::PATIENCE)
}

/// Small buffers of the system, so that much cannot be on its way.
fn narrow(config: Config) -> Config {
    config.with_transport(TransportOptions::default().with_buffers(16 << 10, 16 << 10))
}

fn body(i: usize) -> Vec<u8> {
    let mut body = vec![7; 10 << 10];
    body[..8].copy_from_slice(&i.to_be_bytes());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_delivers_all_that_was_sent_to_a_peer_that_takes_its_time() {
    let context = zmq::Context::new();
    for transport in BOTH {
        for we_bind in [true, false] {
            let place = Place::new();
            let endpoint = at(&place, transport);
            let ours = dealer(narrow(patient()));
            let peer = socket(&context, zmq::DEALER, "");
            peer.set_rcvhwm(10).unwrap();
            if we_bind {
                ours.bind(&endpoint).await.unwrap();
                peer.connect(&endpoint.to_string()).unwrap();
            } else {
                peer.bind(&endpoint.to_string()).unwrap();
                ours.connect(&endpoint).unwrap();
            }
            for i in 0..100 {
                within(ours.send(Message::from([body(i)]))).await.unwrap();
            }
            let closing = tokio::spawn(ours.close());
            for i in 0..100 {
                assert!(peer.recv_bytes(0).expect("a message in time") == body(i));
            }
            assert_eq!(within(closing).await.unwrap(), []);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_delivers_the_last_reply_and_the_last_request() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Tcp);
    let context = zmq::Context::new();
    let mut rep = Rep::new(patient()).unwrap();
    rep.bind(&endpoint).await.unwrap();
    let req = socket(&context, zmq::REQ, "");
    req.connect(&endpoint.to_string()).unwrap();
    req.send("last", 0).unwrap();
    let request = within(rep.recv()).await.unwrap();
    rep.send(request).await.unwrap();
    assert_eq!(within(rep.close()).await, []);
    assert_eq!(req.recv_bytes(0).unwrap(), b"last");
    drop(req);

    let rep = socket(&context, zmq::REP, "");
    interop::until("the port is free", || rep.bind(&endpoint.to_string()).is_ok()).await;
    let mut req = Req::new(patient()).unwrap();
    req.connect(&endpoint).unwrap();
    req.send(Message::from("nobody waits for the answer")).await.unwrap();
    assert_eq!(within(req.close()).await, []);
    assert_eq!(rep.recv_bytes(0).unwrap(), b"nobody waits for the answer");
}

/// To close a TCP connection with bytes of the peer unread would reset it, and what the peer has not
/// read would be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_gets_all_and_then_the_end_though_what_it_sent_was_never_read() {
    let place = Place::new();
    for transport in BOTH {
        let endpoint = at(&place, transport);
        let ours = router(patient().with_recv_hwm(1));
        ours.bind(&endpoint).await.unwrap();
        let mut peer = shaken(&endpoint, SocketType::Dealer, b"NAME").await;
        peers(&ours, 1).await;
        // More than is read ahead.
        peer.send(&b"\x00\x06unread".repeat(20_000)).await.unwrap();
        for i in 0..10 {
            ours.send_to(b"NAME", Message::from([body(i)])).await.unwrap();
        }
        let mut closing = tokio::spawn(ours.close());
        let early = timeout(Duration::from_millis(50), &mut closing).await;
        assert!(early.is_err(), "it waits for the peer");
        for i in 0..10 {
            assert!(peer.receive_frame().await.unwrap().1 == body(i));
        }
        let end = peer.receive(1).await;
        assert!(matches!(end, Err(ScriptError::Ended)), "{end:?}");
        drop(peer);
        assert_eq!(within(closing).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_socket_lingers_a_peer_that_appears_gets_what_waited_for_it() {
    let context = zmq::Context::new();
    for transport in BOTH {
        let place = Place::new();
        let endpoint = at(&place, transport);
        let ours = dealer(patient());
        ours.connect(&endpoint).unwrap();
        send(&ours, &["one", "two", "three"]).await;
        let sender = ours.sender();
        let mut closing = pin!(ours.close());
        assert!(timeout(Duration::ZERO, &mut closing).await.is_err(), "it waits for somebody");
        let late = sender.try_send(Message::from("late")).unwrap_err();
        assert_eq!(late.kind(), SendErrorKind::Closed);
        let peer = peer_at(&endpoint, &context).await;
        assert_eq!(take(&peer, 3), ["one", "two", "three"]);
        assert_eq!(within(closing).await, []);
    }
}

#[tokio::test]
async fn when_the_time_is_over_closing_gives_back_what_nobody_came_for() {
    for linger in [Duration::ZERO, Duration::from_millis(50)] {
        let ours = dealer(quick().with_linger(linger));
        for name in ["a", "b"] {
            ours.connect(&parse(&format!("ipc:///nonexistent/{name}"))).unwrap();
        }
        send(&ours, &["1", "2", "3"]).await;
        let mut unsent = within(ours.close()).await;
        unsent.sort_by(|a, b| a.address.cmp(&b.address));
        let [a, b] = &unsent[..] else { panic!("{unsent:?}") };
        assert_eq!((&*a.address, a.cut_off), ("ipc:///nonexistent/a", 0));
        assert_eq!(a.messages, [Message::from("1"), Message::from("3")]);
        assert_eq!((&*b.address, b.cut_off), ("ipc:///nonexistent/b", 0));
        assert_eq!(b.messages, [Message::from("2")]);
    }
}

#[tokio::test]
async fn when_the_time_is_over_closing_gives_back_what_a_peer_did_not_take() {
    const SIZE: usize = 4 << 20;
    let place = Place::new();
    for linger in [Duration::ZERO, Duration::from_millis(50)] {
        for transport in BOTH {
            let endpoint = at(&place, transport);
            let listener = RawListener::bind(&endpoint).await.unwrap();
            let ours = dealer(narrow(quick().with_linger(linger)));
            ours.connect(&endpoint).unwrap();
            let mut peer = accept(&listener).await;
            peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
            peers(&ours, 1).await;
            ours.try_send(Message::from([vec![7; SIZE]])).unwrap();
            ours.try_send(Message::from("second")).unwrap();
            ours.try_send(Message::from("third")).unwrap();
            // The first is being written.
            peer.expect(&[2]).await.unwrap();
            let unsent = within(ours.close()).await;
            assert!(unsent.iter().all(|unsent| *unsent.address == *endpoint.to_string()));
            let messages: Vec<_> = unsent.iter().flat_map(|unsent| &unsent.messages).collect();
            assert_eq!(messages, [&Message::from("second"), &Message::from("third")]);
            // The peer has all of it but what was cut off.
            let cut_off: usize = unsent.iter().map(|unsent| unsent.cut_off).sum();
            assert!(cut_off > 0);
            peer.receive(8 + SIZE - cut_off).await.unwrap();
            peer.expect_end().await.unwrap();
        }
    }
}

#[tokio::test]
async fn dropping_a_socket_ends_it_at_once_whatever_waits() {
    const SIZE: usize = 4 << 20;
    for transport in BOTH {
        for we_bind in [true, false] {
            let place = Place::new();
            let endpoint = at(&place, transport);
            let ours = dealer(narrow(patient()));
            let mut peer = if we_bind {
                ours.bind(&endpoint).await.unwrap();
                shaken(&endpoint, SocketType::Dealer, b"").await
            } else {
                let listener = RawListener::bind(&endpoint).await.unwrap();
                ours.connect(&endpoint).unwrap();
                let mut peer = accept(&listener).await;
                peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
                peer
            };
            peers(&ours, 1).await;
            ours.try_send(Message::from([vec![7; SIZE]])).unwrap();
            peer.expect(&[2]).await.unwrap();
            drop(ours);
            let rest = peer.receive(8 + SIZE).await;
            assert!(matches!(rest, Err(ScriptError::Ended)), "it went on to write");
        }
    }
}
