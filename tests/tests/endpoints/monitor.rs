//! What a monitor tells, and in which order.

use std::time::Duration;

use futures::StreamExt;
use interop::{Place, Transport, accept, raw, socket, within};
use zmtp::proto::SocketType;
use zmtp::testing::RawListener;
use zmtp::{Limits, Monitor, MonitorEvent};

use super::{BOTH, at, dealer, parse, peer_at, quick, router};

/// The names of the next events.
async fn told(monitor: &mut Monitor, count: usize) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < count {
        names.push(name(&within(monitor.recv()).await.unwrap()));
    }
    names
}

fn name(event: &MonitorEvent) -> String {
    if let MonitorEvent::HandshakeFailed(_, reason) = event {
        return format!("HandshakeFailed: {reason}");
    }
    let text = format!("{event:?}");
    text.split('(').next().unwrap().to_owned()
}

/// The events from a connection's loss or a first attempt until the next handshake is over. An
/// attempt that fails may be made any number of times.
async fn attempts(monitor: &mut Monitor) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    while names.last().is_none_or(|last| last != "HandshakeSucceeded") {
        names.push(name(&within(monitor.recv()).await.unwrap()));
        if names.ends_with(&FAILED.map(str::to_owned)) {
            names.truncate(names.len() - FAILED.len());
        }
    }
    names
}

const FAILED: [&str; 3] = ["ConnectDelayed", "ConnectFailed", "ConnectRetried"];
const TOO_LATE: &str = "HandshakeFailed: handshake was not over in time";
const STRANGE: &str = "HandshakeFailed: not a ZMTP 3 peer: byte 0x6e where its signature should be";
const MADE: [&str; 3] = ["ConnectDelayed", "Connected", "HandshakeSucceeded"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_tells_of_itself_of_each_connection_and_of_its_end() {
    let place = Place::new();
    for transport in BOTH {
        let endpoint = at(&place, transport);
        let ours = router(quick());
        let mut monitor = ours.monitor();
        ours.bind(&endpoint).await.unwrap();
        let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
        peer.connect(&endpoint.to_string()).unwrap();
        let listening = within(monitor.recv()).await.unwrap();
        assert_eq!(listening, MonitorEvent::Listening(endpoint.clone()));
        let accepted = within(monitor.recv()).await.unwrap();
        let MonitorEvent::Accepted(address) = accepted else { panic!("{accepted:?}") };
        match transport {
            Transport::Ipc => assert_eq!(*address, *endpoint.to_string()),
            Transport::Tcp => assert!(address.starts_with("tcp://127.0.0.1:"), "{address}"),
        }
        let succeeded = within(monitor.recv()).await.unwrap();
        assert_eq!(succeeded, MonitorEvent::HandshakeSucceeded(address.clone()));
        drop(peer);
        let disconnected = within(monitor.recv()).await.unwrap();
        assert!(
            matches!(&disconnected, MonitorEvent::Disconnected(of, _) if *of == address),
            "{disconnected:?}"
        );
        ours.close().await;
        assert_eq!(within(monitor.recv()).await, Some(MonitorEvent::Closed(endpoint)));
        assert_eq!(within(monitor.recv()).await, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connecting_socket_tells_of_each_attempt_and_what_came_of_it() {
    let context = zmq::Context::new();
    for transport in BOTH {
        let place = Place::new();
        let endpoint = at(&place, transport);
        let ours = dealer(quick());
        let mut monitor = ours.monitor();
        ours.connect(&endpoint).unwrap();
        // Nobody is there: each attempt is refused, and the next one follows.
        for _ in 0..3 {
            assert_eq!(told(&mut monitor, 3).await, FAILED);
        }
        for _ in 0..3 {
            let peer = peer_at(&endpoint, &context).await;
            let events = attempts(&mut monitor).await;
            assert_eq!(events, MADE);
            drop(peer);
            assert_eq!(told(&mut monitor, 2).await, ["Disconnected", "ConnectRetried"]);
        }
        // Where somebody is there from the beginning, nothing else is told.
        let peer = peer_at(&endpoint, &context).await;
        let second = dealer(quick());
        let mut monitor = second.monitor();
        second.connect(&endpoint).unwrap();
        assert_eq!(told(&mut monitor, 3).await, MADE);
        drop(peer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_takes_too_long_is_told_at_both_ends_and_tried_again() {
    let limits = Limits::default().with_handshake_timeout(Duration::from_millis(50));
    let place = Place::new();
    let endpoint = at(&place, Transport::Tcp);
    let bound = router(quick().with_limits(limits));
    let mut monitor = bound.monitor();
    bound.bind(&endpoint).await.unwrap();
    let _silent = raw(&endpoint).await;
    assert_eq!(told(&mut monitor, 3).await, ["Listening", "Accepted", TOO_LATE]);

    let endpoint = at(&place, Transport::Ipc);
    let listener = RawListener::bind(&endpoint).await.unwrap();
    let connected = dealer(quick().with_limits(limits));
    let mut monitor = connected.monitor();
    connected.connect(&endpoint).unwrap();
    for _ in 0..2 {
        let _silent = accept(&listener).await;
        let expected = ["ConnectDelayed", "Connected", TOO_LATE, "ConnectRetried"];
        assert_eq!(told(&mut monitor, 4).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_end_of_a_handshake_is_told_for_each_connection() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Ipc);
    let ours = router(quick());
    let mut monitor = ours.monitor();
    ours.bind(&endpoint).await.unwrap();
    assert_eq!(told(&mut monitor, 1).await, ["Listening"]);
    for i in 0..20 {
        let mut peer = raw(&endpoint).await;
        if i % 2 == 0 {
            peer.shake_hands(SocketType::Req, b"").await.unwrap();
            drop(peer);
            let expected = ["Accepted", "HandshakeSucceeded", "Disconnected"];
            assert_eq!(told(&mut monitor, 3).await, expected);
        } else {
            peer.send(b"no greeting at all").await.unwrap();
            assert_eq!(told(&mut monitor, 2).await, ["Accepted", STRANGE]);
        }
    }
}

#[tokio::test]
async fn a_monitor_that_is_not_received_from_misses_events_and_says_how_many() {
    let ours = router(quick());
    let idle = ours.monitor();
    let mut late = ours.monitor().into_stream();
    for _ in 0..600 {
        let endpoint = ours.bind(&parse("ipc://*")).await.unwrap();
        ours.unbind(&endpoint).await.unwrap();
    }
    assert_eq!(late.next().await, Some(MonitorEvent::Missed(1200 - 1024)));
    assert!(matches!(late.next().await, Some(MonitorEvent::Listening(_))));
    drop((idle, ours));
    // What was told is still told, and then it is over.
    assert_eq!(late.count().await, 1023);
}
