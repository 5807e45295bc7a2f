//! What a REQ of ours takes for the reply to its request, and what it does without peers.

use std::time::Duration;

use interop::{PATIENCE, until};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::testing::{RawListener, RawPeer};
use zmtp::{Config, Endpoint, Message, RecvError, Req, SendErrorKind};

fn anywhere() -> Endpoint {
    "tcp://127.0.0.1:0".parse().unwrap()
}

/// A REQ that has connected to a raw peer.
async fn connected(config: Config) -> (Req, RawPeer) {
    let listener = RawListener::bind(&anywhere()).await.unwrap();
    let req = Req::new(config).unwrap();
    req.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept().await.unwrap().with_patience(PATIENCE);
    peer.shake_hands(SocketType::Router, b"").await.unwrap();
    (req, peer)
}

/// The bodies of the frames of the next message.
async fn message(peer: &mut RawPeer) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    loop {
        let (header, body) = peer.receive_frame().await.unwrap();
        parts.push(body);
        if !header.more() {
            return parts;
        }
    }
}

fn wire(parts: &[&[u8]]) -> Vec<u8> {
    let frame = |(i, part): (usize, &&[u8])| {
        let more = u8::from(i + 1 < parts.len());
        [&[more, u8::try_from(part.len()).unwrap()], *part].concat()
    };
    parts.iter().enumerate().flat_map(frame).collect()
}

/// Everything that a peer has sent is behind the socket's door once this is over.
async fn round_trip(peer: &mut RawPeer) {
    peer.send(b"\x04\x07\x04PING\0\0").await.unwrap();
    peer.expect(b"\x04\x05\x04PONG").await.unwrap();
}

async fn reply(req: &mut Req) -> Result<Message, RecvError> {
    timeout(PATIENCE, req.recv()).await.unwrap()
}

#[tokio::test]
async fn a_req_that_correlates_takes_the_reply_with_its_number_and_no_other() {
    let (mut req, mut peer) = connected(Config::default().with_correlate(true)).await;
    let mut last: Option<u32> = None;
    for _ in 0..3 {
        req.send(Message::from(["ABC", "DEF"])).await.unwrap();
        let request = message(&mut peer).await;
        let [number, delimiter, body @ ..] = &request[..] else { panic!("{request:?}") };
        assert_eq!((&delimiter[..], body), (&b""[..], &[b"ABC".to_vec(), b"DEF".to_vec()][..]));
        let id = u32::from_ne_bytes(number[..].try_into().expect("four bytes"));
        assert!(last.is_none_or(|last| last.wrapping_add(1) == id), "they count up");
        last = Some(id);
        for wrong in [id.wrapping_add(1), id.wrapping_sub(1), !id] {
            peer.send(&wire(&[&wrong.to_ne_bytes(), b"", b"wrong"])).await.unwrap();
        }
        for wrong in [
            &[&b""[..], b"no number"][..],
            &[&number[..3], b"", b"too short"],
            &[&[number, &b"\0"[..]].concat(), b"", b"too long"],
            &[number, b"no delimiter"],
            &[number, b""],
            &[number],
        ] {
            peer.send(&wire(wrong)).await.unwrap();
        }
        round_trip(&mut peer).await;
        assert_eq!(req.try_recv(), Err(RecvError::Nothing), "the wait goes on");
        peer.send(&wire(&[number, b"", b"GHI"])).await.unwrap();
        assert_eq!(reply(&mut req).await, Ok(Message::from("GHI")));
    }
}

#[tokio::test]
async fn replies_that_are_none_are_skipped_and_the_wait_goes_on() {
    let (mut req, mut peer) = connected(Config::default()).await;
    for _ in 0..3 {
        req.send(Message::from("r")).await.unwrap();
        peer.expect(b"\x01\x00\x00\x01r").await.unwrap();
        for wrong in [
            &[&b""[..]][..],
            &[b"body"],
            &[b"address", b"", b"body"],
            &[b"four", b"", b"body"],
            &[b"address", b"body"],
        ] {
            peer.send(&wire(wrong)).await.unwrap();
        }
        round_trip(&mut peer).await;
        assert_eq!(req.try_recv(), Err(RecvError::Nothing), "the wait goes on");
        // An empty body is one.
        peer.send(&wire(&[b"", b""])).await.unwrap();
        assert_eq!(reply(&mut req).await, Ok(Message::from("")));
    }
}

#[tokio::test]
async fn a_req_listens_to_the_peer_that_it_asked_and_to_no_other() {
    let mut req = Req::new(Config::default()).unwrap();
    let endpoint = req.bind(&anywhere()).await.unwrap();
    let mut peers = Vec::new();
    for count in 1..=3 {
        let mut peer = RawPeer::connect(&endpoint).await.unwrap().with_patience(PATIENCE);
        peer.shake_hands(SocketType::Rep, b"").await.unwrap();
        // They have their turns in the order in which they joined.
        until("the peers", || req.peers().len() == count).await;
        peers.push(peer);
    }
    for asked in [0, 1, 2, 0] {
        // Before the request, and while it waits.
        for peer in &mut peers {
            peer.send(&wire(&[b"", b"unasked"])).await.unwrap();
            round_trip(peer).await;
        }
        req.send(Message::from("r")).await.unwrap();
        peers[asked].expect(b"\x01\x00\x00\x01r").await.unwrap();
        for other in (0..3).filter(|&other| other != asked) {
            peers[other].send(&wire(&[b"", b"not yours"])).await.unwrap();
            round_trip(&mut peers[other]).await;
        }
        assert_eq!(req.try_recv(), Err(RecvError::Nothing));
        peers[asked].send(&wire(&[b"", b"mine"])).await.unwrap();
        assert_eq!(reply(&mut req).await, Ok(Message::from("mine")));
    }
}

#[tokio::test]
async fn without_peers_a_req_sends_nothing_and_it_is_still_its_turn_to_send() {
    let mut req = Req::new(Config::default()).unwrap();
    let endpoint = req.bind(&anywhere()).await.unwrap();
    let message = || Message::from(["to", "whom?"]);
    for _ in 0..2 {
        let error = req.try_send(message()).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::NoSuchPeer);
        assert_eq!(error.into_message(), message());
        // It waits, and when that is given up nothing has happened.
        assert!(timeout(Duration::ZERO, req.send(message())).await.is_err());
        assert_eq!(req.recv().await, Err(RecvError::OutOfTurn));
        assert_eq!(req.try_recv(), Err(RecvError::OutOfTurn));
    }
    let peer = async {
        let mut peer = RawPeer::connect(&endpoint).await.unwrap().with_patience(PATIENCE);
        peer.shake_hands(SocketType::Rep, b"").await.unwrap();
        peer.expect(b"\x01\x00\x01\x02to\x00\x05whom?").await.unwrap();
        peer.send(b"\x01\x00\x00\x03you").await.unwrap();
        round_trip(&mut peer).await;
        peer
    };
    let (sent, _peer) = tokio::join!(timeout(PATIENCE, req.send(message())), peer);
    sent.unwrap().unwrap();
    assert_eq!(reply(&mut req).await, Ok(Message::from("you")));
}
