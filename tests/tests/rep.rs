//! Our REP with libzmq peers, and byte by byte.

use std::time::Duration;

use interop::{GREETING, Place, READY_REQ, Transport, raw, say, shaken, socket, until, within};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::{
    Config, DuplicateIdentity, Endpoint, Message, OnFull, RecvError, Rep, SendErrorKind,
    TransportOptions,
};

/// A REP that listens on a socket file, and where.
async fn bound(config: Config) -> (Rep, Place, Endpoint) {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "rep").parse().unwrap();
    let rep = Rep::new(config).unwrap();
    rep.bind(&endpoint).await.unwrap();
    (rep, place, endpoint)
}

/// Small buffers of the system, so that much cannot be on its way.
fn narrow() -> Config {
    Config::default().with_transport(TransportOptions::default().with_buffers(16 << 10, 16 << 10))
}

async fn request(rep: &mut Rep) -> Message {
    within(rep.recv()).await.unwrap()
}

async fn reply(rep: &mut Rep, message: impl Into<Message>) {
    within(rep.send(message.into())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn req_and_dealer_peers_are_answered_whichever_side_binds() {
    let context = zmq::Context::new();
    for transport in [Transport::Ipc, Transport::Tcp] {
        for (kind, envelope) in [(zmq::REQ, &[][..]), (zmq::DEALER, &["id", ""])] {
            for we_bind in [true, false] {
                let place = Place::new();
                let endpoint = place.endpoint(transport, "x");
                let mut rep = Rep::new(Config::default()).unwrap();
                let peer = socket(&context, kind, "PEER");
                if we_bind {
                    rep.bind(&endpoint.parse().unwrap()).await.unwrap();
                    peer.connect(&endpoint).unwrap();
                } else {
                    peer.bind(&endpoint).unwrap();
                    rep.connect(&endpoint.parse().unwrap()).unwrap();
                }
                let sent = [envelope, &["a", "", "b"]].concat();
                peer.send_multipart(&sent, 0).unwrap();
                let message = request(&mut rep).await;
                assert_eq!(message, Message::from(["a", "", "b"]));
                reply(&mut rep, message).await;
                let bytes: Vec<_> = sent.iter().map(|part| part.as_bytes()).collect();
                assert_eq!(peer.recv_multipart(0).unwrap(), bytes);
            }
        }
    }
}

#[tokio::test]
async fn ready_of_a_rep_is_these_bytes_whatever_it_is_called() {
    let (mut rep, _place, endpoint) = bound(Config::default().with_identity("X")).await;
    let mut peer = raw(&endpoint).await;
    peer.send(&[&GREETING[..], READY_REQ].concat()).await.unwrap();
    peer.expect(&GREETING).await.unwrap();
    peer.expect(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP").await.unwrap();
    peer.send(b"\x01\x00\x00\x05Hello").await.unwrap();
    assert_eq!(request(&mut rep).await, Message::from("Hello"));
    reply(&mut rep, "World").await;
    peer.expect(b"\x01\x00\x00\x05World").await.unwrap();
}

#[tokio::test]
async fn the_envelope_is_taken_off_a_request_and_put_in_front_of_its_reply() {
    let (mut rep, _place, endpoint) = bound(Config::default()).await;
    let mut peer = shaken(&endpoint, SocketType::Dealer, b"").await;
    for (sent, seen, answer, received) in [
        (&b"\x01\x00\x00\x01A"[..], &["A"][..], &["B"][..], &b"\x01\x00\x00\x01B"[..]),
        (
            b"\x01\x01X\x01\x01Y\x01\x00\x00\x01A",
            &["A"],
            &["B"],
            b"\x01\x01X\x01\x01Y\x01\x00\x00\x01B",
        ),
        // Empty parts behind the first one are the application's.
        (b"\x01\x01X\x01\x00\x01\x00\x00\x00", &["", ""], &[""], b"\x01\x01X\x01\x00\x00\x00"),
        (b"\x01\x00\x01\x01A\x00\x00", &["A", ""], &["", "B"], b"\x01\x00\x01\x00\x00\x01B"),
    ] {
        peer.send(sent).await.unwrap();
        assert_eq!(request(&mut rep).await, Message::copy_from(seen));
        reply(&mut rep, Message::copy_from(answer)).await;
        peer.expect(received).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_request_is_passed_over_and_its_sender_can_ask_again() {
    let (mut rep, _place, endpoint) = bound(Config::default()).await;
    let mut peer = shaken(&endpoint, SocketType::Dealer, b"").await;
    // No delimiter; nothing behind it; the same with an address.
    for bytes in [&b"\x00\x01A"[..], b"\x01\x01A\x00\x01B", b"\x00\x00", b"\x01\x01X\x00\x00"] {
        peer.send(bytes).await.unwrap();
    }
    peer.send(b"\x01\x00\x00\x04real").await.unwrap();
    assert_eq!(request(&mut rep).await, Message::from("real"));
    reply(&mut rep, "yes").await;
    peer.expect(b"\x01\x00\x00\x03yes").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recv_and_send_take_turns() {
    let (mut rep, _place, endpoint) = bound(Config::default()).await;
    let early = rep.send(Message::from("x")).await.unwrap_err();
    assert_eq!((early.kind(), early.into_message()), (SendErrorKind::OutOfTurn, "x".into()));
    let early = rep.try_send(Message::from("x")).unwrap_err();
    assert_eq!(early.kind(), SendErrorKind::OutOfTurn);
    assert_eq!(rep.try_recv(), Err(RecvError::Nothing));
    // A receive that was dropped takes no request with it.
    assert!(timeout(Duration::ZERO, rep.recv()).await.is_err());

    let req = socket(&zmq::Context::new(), zmq::REQ, "");
    req.connect(&endpoint.to_string()).unwrap();
    for text in ["first", "second"] {
        req.send(text, 0).unwrap();
        assert_eq!(request(&mut rep).await, Message::from(text));
        assert_eq!(rep.recv().await, Err(RecvError::OutOfTurn));
        assert_eq!(rep.try_recv(), Err(RecvError::OutOfTurn));
        // A reply that is none leaves the turn as it is.
        let empty = rep.send(Message::new()).await.unwrap_err();
        assert_eq!(empty.kind(), SendErrorKind::Empty);
        rep.try_send(Message::from(text)).unwrap();
        assert_eq!(req.recv_string(0).unwrap().unwrap(), text);
        let twice = rep.try_send(Message::from(text)).unwrap_err();
        assert_eq!(twice.kind(), SendErrorKind::OutOfTurn);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_to_a_requester_that_has_left_is_dropped_and_counted() {
    let (mut rep, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    for round in 1..=5 {
        let gone = socket(&context, zmq::REQ, "");
        gone.connect(&endpoint.to_string()).unwrap();
        gone.send("anybody there?", 0).unwrap();
        assert_eq!(request(&mut rep).await, Message::from("anybody there?"));
        drop(gone);
        until("it has left", || rep.peers().is_empty()).await;
        reply(&mut rep, "yes").await;
        assert_eq!(rep.dropped(), round);

        let req = socket(&context, zmq::REQ, "");
        req.connect(&endpoint.to_string()).unwrap();
        req.send("and now?", 0).unwrap();
        assert_eq!(request(&mut rep).await, Message::from("and now?"));
        reply(&mut rep, "still").await;
        assert_eq!(req.recv_bytes(0).unwrap(), b"still");
        drop(req);
        until("it has left", || rep.peers().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requester_that_does_not_read_its_replies_holds_nobody_up() {
    let (mut rep, _place, endpoint) = bound(narrow().with_send_hwm(2)).await;
    let mut greedy = shaken(&endpoint, SocketType::Dealer, b"").await;
    greedy.send(&b"\x01\x00\x00\x04much".repeat(50)).await.unwrap();
    let req = socket(&zmq::Context::new(), zmq::REQ, "");
    req.connect(&endpoint.to_string()).unwrap();
    req.send("little", 0).unwrap();
    let (mut much, mut little) = (0_u64, 0);
    while much < 50 || little < 20 {
        if request(&mut rep).await == Message::from("much") {
            reply(&mut rep, Message::from([vec![7; 100 << 10]])).await;
            much += 1;
        } else {
            reply(&mut rep, "here").await;
            assert_eq!(req.recv_bytes(0).unwrap(), b"here");
            req.send("little", 0).unwrap();
            little += 1;
        }
    }
    // Two are queued, two more were taken to be written, and one is on its way.
    let dropped = rep.dropped();
    assert!((45..50).contains(&dropped), "{dropped}");
    for _ in 0..50 - dropped {
        greedy.expect(b"\x01\x00\x02\0\0\0\0\0\x01\x90\x00").await.unwrap();
        greedy.expect(&vec![7; 100 << 10]).await.unwrap();
    }
    greedy.send(b"\x01\x00\x00\x05again").await.unwrap();
    while request(&mut rep).await != Message::from("again") {
        reply(&mut rep, "here").await;
    }
    reply(&mut rep, "you").await;
    greedy.expect(b"\x01\x00\x00\x03you").await.unwrap();
}

#[tokio::test]
async fn a_reply_that_finds_no_room_is_still_due_where_that_is_asked_for() {
    let (mut rep, _place, endpoint) =
        bound(narrow().with_send_hwm(1).with_on_full(OnFull::Fail)).await;
    let mut greedy = shaken(&endpoint, SocketType::Dealer, b"").await;
    greedy.send(&b"\x01\x00\x00\x04much".repeat(50)).await.unwrap();
    let large = Message::from([vec![7; 100 << 10]]);
    let error = loop {
        assert_eq!(request(&mut rep).await, Message::from("much"));
        if let Err(error) = rep.send(large.clone()).await {
            break error;
        }
    };
    assert_eq!(error.kind(), SendErrorKind::Full);
    assert_eq!(error.into_message(), large);
    assert_eq!(rep.recv().await, Err(RecvError::OutOfTurn));
    greedy.receive(100 << 10).await.unwrap();
    until("there is room again", || rep.try_send(large.clone()).is_ok()).await;
    assert_eq!(rep.dropped(), 0);
}

#[tokio::test]
async fn each_requester_has_one_turn_whatever_another_has_queued() {
    let (mut rep, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = rep.monitor();
    for texts in [&["a1", "a2", "a3"][..], &["b1"], &["c1", "c2"]] {
        let bytes: Vec<u8> =
            texts.iter().flat_map(|text| [b"\x01\x00\x00\x02", text.as_bytes()].concat()).collect();
        say(&endpoint, &mut monitor, SocketType::Dealer, &bytes).await;
    }
    for text in ["a1", "b1", "c1", "a2", "c2", "a3"] {
        assert_eq!(rep.try_recv(), Ok(Message::from(text)));
        rep.try_send(Message::from("nobody hears this")).unwrap();
    }
    assert_eq!((rep.try_recv(), rep.dropped()), (Err(RecvError::Nothing), 6));
}

/// libzmq's REP ignores the second. Whatever is asked for, ours knows them by their connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requesters_with_one_identity_are_both_served() {
    let config = Config::default().with_duplicate_identity(DuplicateIdentity::Reject);
    let (mut rep, _place, endpoint) = bound(config).await;
    let context = zmq::Context::new();
    let reqs = ["a", "b"].map(|text| {
        let req = socket(&context, zmq::REQ, "SAME");
        req.connect(&endpoint.to_string()).unwrap();
        (req, text)
    });
    for _ in 0..10 {
        for (req, text) in &reqs {
            req.send(*text, 0).unwrap();
        }
        for _ in &reqs {
            let message = request(&mut rep).await;
            reply(&mut rep, message).await;
        }
        for (req, text) in &reqs {
            assert_eq!(req.recv_string(0).unwrap().unwrap(), *text);
        }
    }
}
