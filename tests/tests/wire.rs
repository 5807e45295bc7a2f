//! The bytes that our sockets put on the wire, from the greeting on, and those they take off it.

use interop::{GREETING, PATIENCE};
use tokio::time::timeout;
use zmtp::testing::{RawListener, RawPeer};
use zmtp::{Config, Dealer, Message, Rep, Req, Router, Socket};

const READY_DEALER: &[u8] = b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
const READY_ROUTER: &[u8] = b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0";
const READY_REP: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP";
const READY_REQ_ME: &[u8] =
    b"\x04\x28\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x02ME";

async fn anywhere() -> RawListener {
    RawListener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// A raw peer that a socket has connected to, whose handshake is over: it got this READY and sent
/// that.
async fn connected(socket: &Socket, got: &[u8], sent: &[u8]) -> RawPeer {
    let listener = anywhere().await;
    socket.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept().await.unwrap().with_patience(PATIENCE);
    peer.expect(&GREETING).await.unwrap();
    peer.send(&GREETING).await.unwrap();
    peer.expect(got).await.unwrap();
    peer.send(sent).await.unwrap();
    peer
}

#[tokio::test]
async fn a_dealer_speaks_to_the_byte() {
    let listener = anywhere().await;
    let mut dealer = Dealer::new(Config::default()).unwrap();
    dealer.connect(listener.endpoint()).unwrap();
    dealer.send(Message::from("Hello")).await.unwrap();
    let mut peer = listener.accept().await.unwrap().with_patience(PATIENCE);
    // To a peer that has said nothing yet.
    peer.expect(&GREETING).await.unwrap();
    peer.send(&GREETING).await.unwrap();
    peer.expect(READY_DEALER).await.unwrap();
    peer.send(READY_ROUTER).await.unwrap();
    peer.expect(b"\x00\x05Hello").await.unwrap();

    peer.send(b"\x00\x05World").await.unwrap();
    assert_eq!(timeout(PATIENCE, dealer.recv()).await.unwrap(), Some(Message::from("World")));

    let body = vec![0xAB; 64_000];
    dealer.send(Message::from([body.clone()])).await.unwrap();
    let long = [&b"\x02\0\0\0\0\0\0\xFA\x00"[..], &body].concat();
    peer.expect(&long).await.unwrap();
    peer.send(&long).await.unwrap();
    assert_eq!(timeout(PATIENCE, dealer.recv()).await.unwrap(), Some(Message::from([body])));

    let parts = Message::from([vec![], vec![1; 255], vec![2; 256], vec![]]);
    let wire =
        [&b"\x01\x00\x01\xFF"[..], &[1; 255], b"\x03\0\0\0\0\0\0\x01\x00", &[2; 256], b"\x00\x00"]
            .concat();
    dealer.send(parts.clone()).await.unwrap();
    peer.expect(&wire).await.unwrap();
    peer.send(&wire).await.unwrap();
    assert_eq!(timeout(PATIENCE, dealer.recv()).await.unwrap(), Some(parts));

    // It says goodbye by ending, and that only.
    let (unsent, end) = tokio::join!(dealer.close(), async {
        peer.expect_end().await.unwrap();
        drop(peer);
    });
    assert_eq!((unsent, end), (vec![], ()));
}

#[tokio::test]
async fn a_req_puts_a_delimiter_in_front_and_takes_it_off() {
    let mut req = Req::new(Config::default().with_identity("ME")).unwrap();
    let mut peer = connected(&req, READY_REQ_ME, READY_REP).await;
    let (reply, ()) = tokio::join!(req.request(Message::from(["ab", ""])), async {
        peer.expect(b"\x01\x00\x01\x02ab\x00\x00").await.unwrap();
        peer.send(b"\x01\x00\x00\x03yes").await.unwrap();
    });
    assert_eq!(reply, Ok(Message::from("yes")));
}

#[tokio::test]
async fn a_rep_sends_the_envelope_back_and_announces_no_identity() {
    let mut rep = Rep::new(Config::default().with_identity("ME")).unwrap();
    let mut peer = connected(&rep, READY_REP, READY_DEALER).await;
    // Without an envelope, and with nothing behind it: neither is a request.
    peer.send(b"\x00\x01x\x01\x01x\x00\x00\x00\x00").await.unwrap();
    peer.send(b"\x01\x01X\x01\x01Y\x01\x00\x00\x01A").await.unwrap();
    assert_eq!(timeout(PATIENCE, rep.recv()).await.unwrap(), Ok(Message::from("A")));
    rep.send(Message::from(["B", ""])).await.unwrap();
    peer.expect(b"\x01\x01X\x01\x01Y\x01\x00\x01\x01B\x00\x00").await.unwrap();
}

#[tokio::test]
async fn a_router_adds_nothing_on_the_wire() {
    let mut router = Router::new(Config::default()).unwrap();
    let mut peer = connected(&router, READY_ROUTER, READY_DEALER).await;
    peer.send(b"\x01\x00\x00\x01?").await.unwrap();
    let (id, message) = timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
    assert_eq!(message, Message::from(["", "?"]));
    router.send(id, Message::from(["", "!"])).await.unwrap();
    peer.expect(b"\x01\x00\x00\x01!").await.unwrap();
}
