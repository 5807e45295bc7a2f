//! Connections that are lost, and whether they are made again.

use std::time::Duration;

use interop::{Place, accept, socket, within};
use zmtp::proto::SocketType;
use zmtp::testing::RawListener;
use zmtp::{Config, Dealer, Message, Monitor, MonitorEvent, SendErrorKind};

use super::{BOTH, at, dealer, parse, peer_at, peers, quick, send, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_back_is_found_again_with_what_waited_for_it() {
    let context = zmq::Context::new();
    for transport in BOTH {
        let place = Place::new();
        let endpoint = at(&place, transport);
        let mut ours = dealer(quick());
        ours.connect(&endpoint).unwrap();
        for _ in 0..5 {
            send(&ours, &["while you were away"]).await;
            let peer = peer_at(&endpoint, &context).await;
            assert_eq!(take(&peer, 1), ["while you were away"]);
            peer.send("back", 0).unwrap();
            assert_eq!(within(ours.recv()).await, Some(Message::from("back")));
            drop(peer);
            peers(&ours, 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_peers_find_us_again_when_we_come_back() {
    let context = zmq::Context::new();
    for transport in BOTH {
        let place = Place::new();
        let endpoint = at(&place, transport);
        let peer = socket(&context, zmq::DEALER, "");
        peer.set_reconnect_ivl(5).unwrap();
        peer.connect(&endpoint.to_string()).unwrap();
        for _ in 0..5 {
            peer.send("to whoever is there", 0).unwrap();
            let mut ours = dealer(quick());
            ours.bind(&endpoint).await.unwrap();
            let text = Message::from("to whoever is there");
            assert_eq!(within(ours.recv()).await, Some(text));
            send(&ours, &["welcome"]).await;
            assert_eq!(within(ours.close()).await, []);
            assert_eq!(take(&peer, 1), ["welcome"]);
        }
    }
}

#[tokio::test]
async fn pauses_before_the_next_attempt_grow_from_the_least_to_the_most() {
    let (min, max) = (Duration::from_millis(10), Duration::from_millis(50));
    let dealer = dealer(Config::default().with_reconnect(min, max));
    let mut monitor = dealer.monitor();
    dealer.connect(&parse("ipc:///nonexistent/x")).unwrap();
    for expected in [10, 20, 40, 50, 50] {
        let pause = loop {
            if let MonitorEvent::ConnectRetried(_, pause) = within(monitor.recv()).await.unwrap() {
                break pause.as_micros();
            }
        };
        // Each varies by a fifth.
        assert!((expected * 800..=expected * 1200).contains(&pause), "{expected} ms: {pause} us");
    }
}

async fn event(monitor: &mut Monitor, is_it: impl Fn(&MonitorEvent) -> bool) {
    while !is_it(&within(monitor.recv()).await.unwrap()) {}
}

/// A DEALER that makes one attempt for each connect.
fn once() -> (Dealer, Monitor) {
    let dealer = dealer(Config::default().without_reconnect());
    let monitor = dealer.monitor();
    (dealer, monitor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reconnect_an_endpoint_is_forgotten_when_it_cannot_be_reached() {
    let (dealer, mut monitor) = once();
    let nowhere = parse("ipc:///nonexistent/x");
    for round in 1..=50 {
        dealer.connect(&nowhere).unwrap();
        // It may have been forgotten already, or be forgotten with this.
        let queued = dealer.try_send(Message::from("x")).is_ok();
        event(&mut monitor, |event| matches!(event, MonitorEvent::ConnectFailed(..))).await;
        let nobody = dealer.try_send(Message::from("x")).unwrap_err();
        assert_eq!(nobody.kind(), SendErrorKind::NoSuchPeer);
        dealer.disconnect(&nowhere).await.unwrap_err();
        assert!(dealer.dropped() <= round && (!queued || dealer.dropped() > 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reconnect_an_endpoint_is_forgotten_when_its_connection_is_lost() {
    let place = Place::new();
    for transport in BOTH {
        let endpoint = at(&place, transport);
        let listener = RawListener::bind(&endpoint).await.unwrap();
        let (dealer, mut monitor) = once();
        for round in 0..50 {
            dealer.connect(&endpoint).unwrap();
            let mut peer = accept(&listener).await;
            if round % 2 == 0 {
                peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
            }
            drop(peer);
            let over = |event: &MonitorEvent| {
                use MonitorEvent::{Disconnected, HandshakeFailed};
                matches!(event, Disconnected(..) | HandshakeFailed(..))
            };
            event(&mut monitor, over).await;
            let nobody = dealer.try_send(Message::from("x")).unwrap_err();
            assert_eq!(nobody.kind(), SendErrorKind::NoSuchPeer);
        }
        // The last connect is as good as the first.
        dealer.connect(&endpoint).unwrap();
        let mut peer = accept(&listener).await;
        peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
        send(&dealer, &["hi"]).await;
        peer.expect(b"\x00\x02hi").await.unwrap();
    }
}
