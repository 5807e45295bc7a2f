//! Any number of endpoints, opened in any order and left one by one.

use std::pin::pin;
use std::time::Duration;

use interop::{GREETING, PATIENCE, Place, READY_REQ, Transport, socket, within};
use tokio::time::timeout;
use zmtp::testing::{RawListener, RawPeer, ScriptError};
use zmtp::{Config, LeaveReason, Message, MonitorEvent, SendErrorKind};

use super::{BOTH, at, dealer, joined, left, parse, peer_at, peers, quick, router, send, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_before_anybody_listens_delivers_in_order_once_somebody_does() {
    let context = zmq::Context::new();
    for transport in BOTH {
        let place = Place::new();
        let endpoint = at(&place, transport);
        let early = dealer(quick());
        early.connect(&endpoint).unwrap();
        send(&early, &["one", "two", "three"]).await;
        let peer = peer_at(&endpoint, &context).await;
        assert_eq!(take(&peer, 3), ["one", "two", "three"]);

        // The other way round.
        let endpoint = parse(&place.endpoint(transport, "ours"));
        let peer = socket(&context, zmq::DEALER, "");
        peer.connect(&endpoint.to_string()).unwrap();
        for text in ["one", "two", "three"] {
            peer.send(text, 0).unwrap();
        }
        let mut late = dealer(quick());
        late.bind(&endpoint).await.unwrap();
        for text in ["one", "two", "three"] {
            assert_eq!(within(late.recv()).await, Some(Message::from(text)));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_socket_binds_and_connects_several_over_both_transports() {
    let place = Place::new();
    let context = zmq::Context::new();
    let mut ours = router(quick());
    let mut theirs = Vec::new();
    for transport in BOTH {
        for name in ["a", "b"] {
            let bound = parse(&place.endpoint(transport, name));
            ours.bind(&bound).await.unwrap();
            let peer = socket(&context, zmq::DEALER, &format!("to {bound}"));
            peer.connect(&bound.to_string()).unwrap();
            theirs.push(peer);

            let connected = parse(&place.endpoint(transport, &format!("their {name}")));
            let peer = socket(&context, zmq::DEALER, &format!("at {connected}"));
            peer.bind(&connected.to_string()).unwrap();
            ours.connect(&connected).unwrap();
            theirs.push(peer);
        }
    }
    peers(&ours, 8).await;
    assert_eq!(ours.endpoints().len(), 4);
    for peer in &theirs {
        let name = peer.get_identity().unwrap();
        peer.send(&name, 0).unwrap();
        let (id, message) = within(ours.recv()).await.unwrap();
        assert_eq!(message, Message::from(&name[..]));
        assert_eq!(ours.peer(id).unwrap().routing_id, name);
        ours.send(id, message).await.unwrap();
        assert_eq!(peer.recv_bytes(0).unwrap(), name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbinding_ends_what_came_in_there_and_nothing_else() {
    let context = zmq::Context::new();
    for wildcard in ["tcp://127.0.0.1:*", "ipc://*"] {
        let mut ours = router(quick());
        let bound = ours.bind(&parse(wildcard)).await.unwrap();
        let stays = ours.bind(&parse("tcp://127.0.0.1:*")).await.unwrap();
        let [ended, other] = [&bound, &stays].map(|endpoint| {
            let peer = socket(&context, zmq::DEALER, "");
            peer.connect(&endpoint.to_string()).unwrap();
            peer
        });
        let ids = [joined(&mut ours).await, joined(&mut ours).await];
        for peer in [&ended, &other] {
            peer.send("hi", 0).unwrap();
        }
        let first = within(ours.recv()).await.unwrap().0;
        let second = within(ours.recv()).await.unwrap().0;
        assert!(first != second && ids.contains(&first) && ids.contains(&second));

        // It goes by the name it was given.
        ours.unbind(&parse(wildcard)).await.unwrap_err();
        let mut monitor = ours.monitor();
        ours.unbind(&bound).await.unwrap();
        ours.unbind(&bound).await.unwrap_err();
        assert_eq!(ours.endpoints(), [stays]);
        let (gone, reason) = left(&mut ours).await;
        assert_eq!(reason, LeaveReason::Local);
        let late = ours.try_send(gone, Message::from("x")).unwrap_err();
        assert_eq!(late.kind(), SendErrorKind::NoSuchPeer);
        let closed = |event| matches!(event, MonitorEvent::Closed(at) if at == bound);
        while !closed(within(monitor.recv()).await.unwrap()) {}

        let stayed = if gone == first { second } else { first };
        ours.send(stayed, Message::from("still here")).await.unwrap();
        assert_eq!(other.recv_bytes(0).unwrap(), b"still here");

        // The place is free, and the peer comes back to whoever has it now.
        if let Some(directory) = bound.path().and_then(std::path::Path::parent) {
            std::fs::create_dir(directory).unwrap();
        }
        let mut next = dealer(quick());
        next.bind(&bound).await.unwrap();
        ended.send("again", 0).unwrap();
        assert_eq!(within(next.recv()).await, Some(Message::from("again")));
        next.close().await;
        if let Some(directory) = bound.path().and_then(std::path::Path::parent) {
            std::fs::remove_dir(directory).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_unbinding_there_is_nobody_to_send_to_and_what_was_queued_has_left() {
    let place = Place::new();
    let context = zmq::Context::new();
    for transport in BOTH {
        let endpoint = at(&place, transport);
        let ours = dealer(quick());
        ours.bind(&endpoint).await.unwrap();
        let peer = socket(&context, zmq::DEALER, "");
        peer.connect(&endpoint.to_string()).unwrap();
        peers(&ours, 1).await;
        let texts: Vec<_> = (0..500).map(|i| i.to_string()).collect();
        for text in &texts {
            ours.try_send(Message::from(text.as_str())).unwrap();
        }
        ours.unbind(&endpoint).await.unwrap();
        let late = ours.try_send(Message::from("late")).unwrap_err();
        assert_eq!(late.kind(), SendErrorKind::NoSuchPeer);
        assert_eq!(take(&peer, 500), texts);
        assert_eq!(ours.dropped(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_comes_in_while_its_endpoint_is_unbound_does_not_stay() {
    for _ in 0..100 {
        let ours = router(quick());
        let endpoint = ours.bind(&parse("ipc://*")).await.unwrap();
        let mut monitor = ours.monitor();
        let connecting = {
            let endpoint = endpoint.clone();
            tokio::spawn(async move {
                let hello = [&GREETING[..], READY_REQ].concat();
                let mut made = Vec::new();
                while made.len() < 100
                    && let Ok(mut peer) = RawPeer::connect(&endpoint).await
                {
                    if peer.send(&hello).await.is_ok() {
                        made.push(peer);
                    }
                }
                made
            })
        };
        let accepted = |event| matches!(event, MonitorEvent::Accepted(_));
        while !accepted(within(monitor.recv()).await.unwrap()) {}
        ours.unbind(&endpoint).await.unwrap();
        for peer in within(connecting).await.unwrap() {
            let mut peer = peer.with_patience(PATIENCE);
            // It may have been greeted before, and no more.
            let ended = peer.receive(64 + 44).await;
            assert!(matches!(ended, Err(ScriptError::Ended | ScriptError::Io(_))), "{ended:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnecting_delivers_what_was_queued_and_ends_and_connecting_again_works() {
    let place = Place::new();
    let context = zmq::Context::new();
    for transport in BOTH {
        let endpoint = at(&place, transport);
        let peer = peer_at(&endpoint, &context).await;
        let mut ours = dealer(quick());
        let error = ours.disconnect(&endpoint).await.unwrap_err().to_string();
        assert!(error.contains(&endpoint.to_string()), "{error}");
        for round in 0..3 {
            ours.connect(&endpoint).unwrap();
            let texts: Vec<_> = (0..500).map(|i| format!("{round} {i}")).collect();
            send(&ours, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
            within(ours.disconnect(&endpoint)).await.unwrap();
            assert_eq!(ours.peers().len(), 0);
            let late = ours.try_send(Message::from("late")).unwrap_err();
            assert_eq!(late.kind(), SendErrorKind::NoSuchPeer);
            ours.disconnect(&endpoint).await.unwrap_err();
            assert_eq!(take(&peer, 500), texts);
        }
        assert_eq!(ours.dropped(), 0);
        // What has arrived before is still received.
        ours.connect(&endpoint).unwrap();
        peers(&ours, 1).await;
        peer.send("reply", 0).unwrap();
        let reply = within(ours.recv()).await;
        assert_eq!(reply, Some(Message::from("reply")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnecting_tries_on_for_what_waits_and_gives_it_up_when_the_time_is_over() {
    let place = Place::new();
    let context = zmq::Context::new();
    let endpoint = at(&place, Transport::Ipc);
    let patient = dealer(quick().with_linger(PATIENCE));
    patient.connect(&endpoint).unwrap();
    send(&patient, &["one", "two"]).await;
    let mut leaving = pin!(patient.disconnect(&endpoint));
    assert!(timeout(Duration::ZERO, &mut leaving).await.is_err(), "it waits for somebody");
    let late = patient.try_send(Message::from("late")).unwrap_err();
    assert_eq!(late.kind(), SendErrorKind::NoSuchPeer);
    let peer = peer_at(&endpoint, &context).await;
    within(leaving).await.unwrap();
    assert_eq!(take(&peer, 2), ["one", "two"]);
    assert_eq!(patient.dropped(), 0);

    let hasty = dealer(Config::default().with_linger(Duration::ZERO));
    let nowhere = parse("ipc:///nonexistent/x");
    hasty.connect(&nowhere).unwrap();
    send(&hasty, &["one", "two"]).await;
    within(hasty.disconnect(&nowhere)).await.unwrap();
    assert_eq!(hasty.dropped(), 2);
}

#[tokio::test]
async fn disconnecting_leaves_all_connections_to_that_endpoint_and_no_other() {
    let place = Place::new();
    let (left, kept) = (at(&place, Transport::Ipc), at(&place, Transport::Tcp));
    let listener = router(quick());
    listener.bind(&left).await.unwrap();
    listener.bind(&kept).await.unwrap();
    let ours = router(quick());
    for endpoint in [&left, &left, &kept] {
        ours.connect(endpoint).unwrap();
    }
    peers(&ours, 3).await;
    within(ours.disconnect(&left)).await.unwrap();
    let addresses: Vec<_> = ours.peers().iter().map(|peer| peer.address.clone()).collect();
    assert_eq!(addresses, [kept.to_string().into()]);
    peers(&listener, 1).await;
    // One that is still in its handshake is left as well.
    let raw_at = parse(&place.endpoint(Transport::Ipc, "raw"));
    let raw_listener = RawListener::bind(&raw_at).await.unwrap();
    ours.connect(&raw_at).unwrap();
    let mut half = interop::accept(&raw_listener).await;
    half.expect(&GREETING).await.unwrap();
    within(ours.disconnect(&raw_at)).await.unwrap();
    half.expect_end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_somebody_else_has_made_is_listened_on_and_its_file_left_alone() {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::OwnedFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};

    let place = Place::new();
    let context = zmq::Context::new();
    let path = place.directory().join("theirs");
    let name = format!("zmtp-{}", std::process::id());
    let of_name = SocketAddr::from_abstract_name(&name).unwrap();
    let tcp = TcpListener::bind("[::1]:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let expected =
        [format!("tcp://{address}"), format!("ipc://{}", path.display()), format!("ipc://@{name}")];
    let listeners: [OwnedFd; 3] = [
        tcp.into(),
        UnixListener::bind(&path).unwrap().into(),
        UnixListener::bind_addr(&of_name).unwrap().into(),
    ];
    let mut ours = router(quick());
    for (listener, expected) in listeners.into_iter().zip(&expected) {
        assert_eq!(ours.bind_fd(listener).unwrap().to_string(), *expected);
        let peer = socket(&context, zmq::DEALER, "");
        peer.set_ipv6(true).unwrap();
        peer.connect(expected).unwrap();
        peer.send("heard", 0).unwrap();
        let (_, message) = within(ours.recv()).await.unwrap();
        assert_eq!(message, Message::from("heard"));
    }
    for refused in [
        OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()),
        TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
            .unwrap()
            .into(),
        std::fs::File::open("/dev/null").unwrap().into(),
    ] {
        assert!(ours.bind_fd(refused).is_err());
    }
    ours.close().await;
    assert!(path.exists());
}
