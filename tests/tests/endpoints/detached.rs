//! A ROUTER that is taken apart, and another one that goes on with its connections, as if in another process.

use std::thread::JoinHandle;

use interop::{Place, Transport, socket, within};
use zmtp::proto::SocketType;
use zmtp::testing::RawPeer;
use zmtp::{
    Config, DetachedConnection, DetachedListener, DuplicateIdentity, Message, PeerEvent, Router,
};

use super::{BOTH, at, joined, peers, quick, router};

fn roomy() -> Config {
    Config::default().with_send_hwm(100_000).with_duplicate_identity(DuplicateIdentity::Allow)
}

/// What another process would make of a connection.
fn passed_on(connection: DetachedConnection) -> DetachedConnection {
    let bytes = connection.encode();
    for size in [0, 1, 2, 9, 10, bytes.len() - 1] {
        let socket = connection.socket.try_clone().unwrap();
        assert!(DetachedConnection::decode(SocketType::Router, &bytes[..size], socket).is_none());
    }
    let passed_on = DetachedConnection::decode(SocketType::Router, &bytes, connection.socket);
    passed_on.expect("all of it")
}

/// Takes a ROUTER apart and has another one go on.
async fn go_on(before: Router, config: Config) -> Router {
    let listeners = within(before.detach_listeners()).await;
    let connections = before.detach();
    let after = router(config);
    for (_, connection) in connections {
        after.attach(passed_on(connection)).unwrap();
    }
    for listener in listeners {
        after.attach_listener(listener).unwrap();
    }
    after.claim_files();
    after
}

/// The messages of a peer: numbered, and some of them large.
fn message(number: u32) -> Vec<Vec<u8>> {
    let size = if number.is_multiple_of(50) { 100_000 } else { 10 };
    vec![number.to_be_bytes().to_vec(), vec![7; size]]
}

/// A libzmq peer that sends so many messages and then receives as many.
fn talk(endpoint: String, name: String, count: u32) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let context = zmq::Context::new();
        let peer = socket(&context, zmq::DEALER, &name);
        peer.set_sndhwm(0).unwrap();
        peer.set_rcvhwm(0).unwrap();
        peer.connect(&endpoint).unwrap();
        for number in 0..count {
            peer.send_multipart(message(number), 0).unwrap();
        }
        for number in 0..count {
            assert!(peer.recv_multipart(0).unwrap() == message(number), "{number} of {name:?}");
        }
    })
}

#[tokio::test]
async fn peers_do_not_notice_that_another_router_goes_on() {
    const COUNT: u32 = 400;
    for transport in BOTH {
        let place = Place::new();
        let endpoint = at(&place, transport);
        let mut ours = router(roomy());
        ours.bind(&endpoint).await.unwrap();
        let named = |i: usize| if i < 3 { String::new() } else { format!("peer {i}") };
        let talking: Vec<_> = (0..6).map(|i| talk(endpoint.to_string(), named(i), COUNT)).collect();
        let mut echoed = 0;
        while echoed < 6 * COUNT {
            let (peer, message) = within(ours.recv()).await.unwrap();
            within(ours.send(peer, message)).await.unwrap();
            echoed += 1;
            if echoed.is_multiple_of(31) {
                ours = go_on(ours, roomy()).await;
            }
        }
        // The last of it is still to be written.
        let ended =
            tokio::task::spawn_blocking(|| talking.into_iter().try_for_each(JoinHandle::join));
        within(ended).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_message_that_has_half_arrived_is_whole_in_the_end_and_what_is_half_written_too() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Ipc);
    let mut ours = router(quick());
    ours.bind(&endpoint).await.unwrap();
    let mut raw = RawPeer::connect(&endpoint).await.unwrap();
    raw.shake_hands(SocketType::Dealer, b"").await.unwrap();
    let id = joined(&mut ours).await;
    let large = vec![7; 4 << 20];
    for _ in 0..3 {
        ours.send(id, Message::from([large.clone()])).await.unwrap();
    }
    let ping = b"\x04\x07\x04PING\x00\x00";
    let wire = [&b"\x01\x03one"[..], ping, b"\x01\x03two\x00\x05three\x00\x04next"].concat();
    for (at, byte) in wire.iter().enumerate() {
        raw.send(&[*byte]).await.unwrap();
        if at % 5 == 2 {
            tokio::task::yield_now().await;
            ours = go_on(ours, quick()).await;
        }
    }
    let (_, message) = within(ours.recv()).await.unwrap();
    assert_eq!(message, Message::from(["one", "two", "three"]));
    assert_eq!(within(ours.recv()).await.unwrap().1, Message::from("next"));
    let mut pongs = 0;
    for _ in 0..4 {
        let (header, body) = within(raw.receive_frame()).await.unwrap();
        if header.is_command() {
            pongs += 1;
        } else {
            assert!(body == large);
        }
    }
    assert_eq!(pongs, 1);
}

#[tokio::test]
async fn whoever_connects_meanwhile_waits_and_the_socket_file_goes_with_the_last() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Ipc);
    let ours = router(quick());
    ours.bind(&endpoint).await.unwrap();
    let path = endpoint.path().unwrap();
    let mut listeners = within(ours.detach_listeners()).await;
    assert!(ours.detach().is_empty());
    let context = zmq::Context::new();
    let peer = socket(&context, zmq::DEALER, "LATE");
    peer.connect(&endpoint.to_string()).unwrap();
    peer.send("hello", 0).unwrap();
    assert!(path.exists());
    let mut ours = router(quick());
    // One that comes to nothing leaves the file alone.
    let socket = listeners[0].socket.try_clone().unwrap();
    let failing = router(quick());
    failing.attach_listener(DetachedListener { socket, owns_file: true }).unwrap();
    drop(failing);
    assert_eq!(ours.attach_listener(listeners.remove(0)).unwrap(), endpoint);
    ours.claim_files();
    assert_eq!(within(ours.recv()).await.unwrap().1, Message::from("hello"));
    within(ours.close()).await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_keeps_its_name_and_is_not_told_of_as_one_that_joins() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Tcp);
    let mut ours = router(quick());
    ours.bind(&endpoint).await.unwrap();
    let context = zmq::Context::new();
    let peer = socket(&context, zmq::DEALER, "");
    peer.connect(&endpoint.to_string()).unwrap();
    peers(&ours, 1).await;
    let id = joined(&mut ours).await;
    let name = ours.peer(id).unwrap().routing_id.clone();
    let (before, connection) = ours.detach().remove(0);
    assert_eq!((before, &connection.routing_id), (id, &name));
    let again = DetachedConnection::decode(
        SocketType::Router,
        &connection.encode(),
        connection.socket.try_clone().unwrap(),
    );
    let mut ours = router(quick());
    let attached = ours.attach(connection).unwrap();
    assert_eq!(attached.routing_id, name);
    assert!(ours.attach(again.unwrap()).is_err(), "the name is taken");
    peer.send("hello", 0).unwrap();
    let event = within(ours.recv_event()).await.unwrap();
    assert!(matches!(event, PeerEvent::Message(id, _) if id == attached.id), "{event:?}");
    ours.send_to(&name, Message::from("found")).await.unwrap();
    assert_eq!(peer.recv_bytes(0).unwrap(), b"found");
    drop(peer);
    let event = within(ours.recv_event()).await.unwrap();
    assert!(matches!(event, PeerEvent::Left(ref peer, _) if peer.id == attached.id), "{event:?}");
}

#[tokio::test]
async fn a_connection_may_go_on_again_before_it_has_begun_to() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Ipc);
    let mut ours = router(quick());
    ours.bind(&endpoint).await.unwrap();
    let mut raw = RawPeer::connect(&endpoint).await.unwrap();
    raw.shake_hands(SocketType::Dealer, b"").await.unwrap();
    let _ = joined(&mut ours).await;
    raw.send(b"\x00\x05early").await.unwrap();
    let mut connections = ours.detach();
    for _ in 0..3 {
        let next = router(quick());
        let peer = next.attach(connections.remove(0).1).unwrap();
        // Its task has not had a turn.
        next.try_send(peer.id, Message::from("answer")).unwrap();
        connections = next.detach();
        assert_eq!(connections.len(), 1);
    }
    let mut last = router(quick());
    last.attach(connections.remove(0).1).unwrap();
    assert_eq!(within(last.recv()).await.unwrap().1, Message::from("early"));
    for _ in 0..3 {
        raw.expect(b"\x00\x06answer").await.unwrap();
    }
}
