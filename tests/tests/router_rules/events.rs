//! Whom a ROUTER hears of, and what.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use interop::{GREETING, Place, READY_REQ, Transport, raw, shaken, socket, within};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zmtp::proto::{SocketType, encode_ready};
use zmtp::{
    Config, Dealer, LeaveReason, Message, MonitorEvent, OnFull, Origin, PeerEvent, PeerId,
    ProtocolError, Req, Router, SendErrorKind,
};

use super::{bound, event, joined, left, message, parse, router, send_to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_peers_that_finished_their_handshake_join_and_leave() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = router.monitor();
    let strange = [&GREETING[..], b"\x04\x0B\x05READYnonsense"].concat();
    for bytes in [&b""[..], &GREETING[..10], &GREETING, &strange, b"GET / HTTP/1.1\r\n\r\n"] {
        let mut peer = raw(&endpoint).await;
        peer.send(bytes).await.unwrap();
        drop(peer);
        let failed = |event| matches!(event, MonitorEvent::HandshakeFailed(..));
        while !failed(within(monitor.recv()).await.unwrap()) {}
    }
    let dealer = socket(&zmq::Context::new(), zmq::DEALER, "GOOD");
    dealer.connect(&endpoint.to_string()).unwrap();
    let good = joined(&mut router).await;
    assert_eq!((&good.routing_id[..], good.origin), (&b"GOOD"[..], Origin::Peer));
    assert_eq!(good.info.socket_type, SocketType::Dealer);
    drop(dealer);
    assert_eq!(left(&mut router).await.0, good.id);
}

#[tokio::test]
async fn half_a_message_is_not_heard_of_before_its_sender_left() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let mut peer = shaken(&endpoint, SocketType::Dealer, b"").await;
    peer.send(b"\x00\x05whole\x01\x04half\x01\x02of\x00\x07mor").await.unwrap();
    drop(peer);
    let id = joined(&mut router).await.id;
    let event = event(&mut router).await;
    assert!(
        matches!(&event, PeerEvent::Message(_, whole) if *whole == "whole".into()),
        "{event:?}"
    );
    let reason = LeaveReason::Protocol(ProtocolError::TruncatedAtEof);
    assert_eq!(left(&mut router).await, (id, reason));
}

#[tokio::test]
async fn a_peer_that_was_gone_before_a_message_was_sent_to_it_is_told_of_so() {
    for transport in [Transport::Ipc, Transport::Tcp] {
        let place = Place::new();
        let endpoint = parse(&place.endpoint(transport, "router"));
        let mut router = router(Config::default());
        router.bind(&endpoint).await.unwrap();
        for is_sent_to in [true, false] {
            let peer = shaken(&endpoint, SocketType::Req, b"").await;
            let id = joined(&mut router).await.id;
            drop(peer);
            // Nothing is read before the next `await`.
            if is_sent_to {
                router.try_send(id, Message::from("late")).unwrap();
            }
            let gone = LeaveReason::Io(ErrorKind::BrokenPipe);
            let reason = if is_sent_to { gone } else { LeaveReason::Closed };
            assert_eq!(left(&mut router).await, (id, reason), "{transport:?}");
        }
    }
}

#[tokio::test]
async fn the_last_message_of_a_peer_and_its_end_are_heard_of_together() {
    for transport in [Transport::Ipc, Transport::Tcp] {
        let place = Place::new();
        let endpoint = parse(&place.endpoint(transport, "router"));
        let mut router = router(Config::default());
        router.bind(&endpoint).await.unwrap();
        let mut req = Req::new(Config::default()).unwrap();
        req.connect(&endpoint).unwrap();
        let id = joined(&mut router).await.id;
        req.send(Message::from("last")).await.unwrap();
        let mut events = Vec::new();
        tokio::join!(req.close(), within(router.recv_many(&mut events, 64)));
        let is_last = |peer, message: &Message| peer == id && *message == ["", "last"].into();
        assert!(
            matches!(&events[..], [PeerEvent::Message(peer, last), PeerEvent::Left(left, LeaveReason::Closed)]
                if is_last(*peer, last) && left.id == id),
            "{transport:?}: {events:?}"
        );
    }
}

#[tokio::test]
async fn what_a_peer_refuses_comes_back_and_what_it_still_sends_is_heard() {
    for size in [7, 5000, 100_000] {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Ipc, "router");
        let mut router = router(Config::default());
        router.bind(&parse(&endpoint)).await.unwrap();
        let mut peer = UnixStream::connect(endpoint.strip_prefix("ipc://").unwrap()).unwrap();
        peer.write_all(&[&GREETING[..], READY_REQ].concat()).unwrap();
        let id = joined(&mut router).await.id;
        peer.shutdown(Shutdown::Read).unwrap();
        let refused = Message::from(vec![b'x'; size]);
        let mut failed = Vec::new();
        router.send_many(&mut vec![(id, refused.clone())], &mut failed);
        let [(to, error)] = &failed[..] else { panic!("{size}: {failed:?}") };
        assert_eq!((*to, error.kind()), (id, SendErrorKind::NoSuchPeer));
        assert_eq!(failed.remove(0).1.into_message(), refused);
        // It is in the middle of a message.
        peer.write_all(b"\x01\x00\x00\x05first\x01\x00\x00\x04la").unwrap();
        assert_eq!(message(&mut router).await, (id, ["", "first"].into()));
        peer.write_all(b"st").unwrap();
        assert_eq!(message(&mut router).await, (id, ["", "last"].into()));
        drop(peer);
        assert_eq!(left(&mut router).await, (id, LeaveReason::Closed), "it has been sent all");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_peer_that_came_and_went_is_heard_of_in_order_though_nobody_listened_then() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    // From here on nothing is passed over.
    assert!(timeout(Duration::ZERO, router.recv_event()).await.is_err());
    let mut monitor = router.monitor();
    for i in 0..20 {
        let request: &[u8] = if i < 10 { b"\x01\x00\x00\x01x" } else { b"" };
        interop::say(&endpoint, &mut monitor, SocketType::Req, request).await;
    }
    let mut heard: HashMap<PeerId, Vec<&str>> = HashMap::new();
    for _ in 0..10 * 3 + 10 * 2 {
        let (id, what) = match event(&mut router).await {
            PeerEvent::Joined(peer) => (peer.id, "joined"),
            PeerEvent::Message(id, _) => (id, "message"),
            PeerEvent::Left(peer, LeaveReason::Closed) => (peer.id, "left"),
            event => panic!("{event:?}"),
        };
        heard.entry(id).or_default().push(what);
    }
    let count = |expected: &[&str]| heard.values().filter(|each| *each == expected).count();
    assert_eq!(count(&["joined", "message", "left"]), 10, "{heard:?}");
    assert_eq!(count(&["joined", "left"]), 10, "{heard:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_peers_say_of_themselves_arrives_both_ways() {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "x"));
    let config = Config::default().with_property("X-colour", "blue").with_property("X-empty", "");
    let mut router = router(config);
    router.bind(&endpoint).await.unwrap();

    let config = Config::default().with_identity("ME").with_property("X-Size", vec![0, 255]);
    let mut dealer = Dealer::new(config).unwrap();
    dealer.connect(&endpoint).unwrap();
    let info = joined(&mut router).await.info.clone();
    assert_eq!(info.property("x-size"), Some(&[0, 255][..]));
    assert_eq!(info.property("Identity"), Some(&b"ME"[..]));
    assert_eq!(info.property("X-colour"), None);
    let Some(PeerEvent::Joined(peer)) = within(dealer.recv_event()).await else { panic!() };
    assert_eq!(peer.info.property("X-Colour"), Some(&b"blue"[..]));
    assert_eq!(peer.info.property("X-empty"), Some(&b""[..]));

    // On the wire they stand behind what a socket has to say.
    let mut peer = raw(&endpoint).await;
    peer.send(&[&GREETING[..], READY_REQ].concat()).await.unwrap();
    peer.expect(&GREETING).await.unwrap();
    let properties = [("X-colour".to_owned(), "blue".into()), ("X-empty".to_owned(), "".into())];
    let mut ready = Vec::new();
    encode_ready(SocketType::Router, b"", &properties, &mut ready);
    peer.expect(&ready).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_shows_our_properties_with_each_message() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Tcp, "x");
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    peer.bind(&endpoint).unwrap();
    let config = Config::default().with_identity("ME").with_property("X-colour", "blue");
    let mut router = router(config);
    router.connect(&parse(&endpoint)).unwrap();
    let id = joined(&mut router).await.id;
    router.send(id, Message::from("hi")).await.unwrap();
    let mut received = peer.recv_msg(0).unwrap();
    assert_eq!(received.gets("X-colour"), Some("blue"));
    assert_eq!(received.gets("Socket-Type"), Some("ROUTER"));
    assert_eq!(received.gets("Identity"), Some("ME"));
    assert_eq!(received.gets("Peer-Address"), Some("127.0.0.1"));
}

/// Greets whoever joins until somebody answers on the connection that is to stay. What was sent on
/// another one is not lost in silence: it was seen to end.
async fn meet(router: &mut Router, name: &[u8]) -> PeerId {
    let mut greeted = HashSet::new();
    loop {
        match event(router).await {
            PeerEvent::Joined(peer) => {
                assert_eq!(&peer.routing_id[..], name);
                // It may be gone by now.
                if router.try_send(peer.id, Message::from("hello")).is_ok() {
                    greeted.insert(peer.id);
                }
            }
            PeerEvent::Message(id, hello) => {
                assert_eq!(hello, Message::from("hello"));
                assert_eq!(greeted, HashSet::from([id]));
                return id;
            }
            PeerEvent::Left(peer, _) => {
                greeted.remove(&peer.id);
            }
            event => panic!("{event:?}"),
        }
    }
}

async fn receive_all(router: &mut Router, id: PeerId, count: usize) {
    for i in 0..count {
        let event = event(router).await;
        let PeerEvent::Message(from, message) = event else { panic!("{event:?}") };
        assert_eq!((from, message), (id, Message::from(i.to_string())));
    }
}

fn send_all(router: &Router, id: PeerId, count: usize) -> JoinHandle<()> {
    let sender = router.sender();
    tokio::spawn(async move {
        for i in 0..count {
            sender.send(id, Message::from(i.to_string())).await.unwrap();
        }
    })
}

/// There are two connections between them under one name, and each side may refuse either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_routers_that_connect_to_each_other_lose_nothing_in_silence() {
    for _ in 0..10 {
        let place = Place::new();
        let at = |name| parse(&place.endpoint(Transport::Ipc, name));
        let new = |name| router(Config::default().with_identity(name).with_on_full(OnFull::Wait));
        let (mut a, mut b) = (new("A"), new("B"));
        a.bind(&at("a")).await.unwrap();
        b.bind(&at("b")).await.unwrap();
        a.connect(&at("b")).unwrap();
        b.connect(&at("a")).unwrap();
        let (to_b, to_a) = tokio::join!(meet(&mut a, b"B"), meet(&mut b, b"A"));
        let (from_a, from_b) = (send_all(&a, to_b, 1000), send_all(&b, to_a, 1000));
        tokio::join!(receive_all(&mut a, to_b, 1000), receive_all(&mut b, to_a, 1000));
        from_a.await.unwrap();
        from_b.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_anonymous_routers_that_name_each_other_keep_both_connections() {
    let place = Place::new();
    let at = |name| parse(&place.endpoint(Transport::Ipc, name));
    let (mut a, mut b) = (router(Config::default()), router(Config::default()));
    a.connect_as(&at("b"), "B").unwrap();
    b.connect_as(&at("a"), "A").unwrap();
    a.bind(&at("a")).await.unwrap();
    b.bind(&at("b")).await.unwrap();
    for i in 0..100 {
        let text = i.to_string();
        assert_eq!(send_to(&a, b"B", &text).await, Ok(()));
        assert_eq!(send_to(&b, b"A", &text).await, Ok(()));
        assert_eq!(message(&mut b).await.1, Message::from(text.clone()));
        assert_eq!(message(&mut a).await.1, Message::from(text));
    }
    assert_eq!((a.peers().len(), b.peers().len()), (2, 2));
}
