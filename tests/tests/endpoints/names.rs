//! How endpoints are written, and what becomes of a wildcard.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use interop::{Place, Transport, socket, within};
use zmtp::{BindErrorKind, Endpoint, Message, MonitorEvent};

use super::{at, dealer, parse, quick, router};

/// A libzmq peer finds the endpoint and is heard there.
async fn is_heard_at(endpoint: &Endpoint, router: &mut zmtp::Router) {
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    peer.connect(&endpoint.to_string().replace("0.0.0.0", "127.0.0.1")).unwrap();
    peer.send("hi", 0).unwrap();
    assert_eq!(within(router.recv()).await.unwrap().1, Message::from("hi"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_becomes_an_endpoint_of_its_own_that_is_told() {
    let mut router = router(quick());
    assert_eq!(router.endpoints(), []);
    let mut bound = Vec::new();
    for text in ["tcp://*:*", "tcp://*:0", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "ipc://*"] {
        for _ in 0..2 {
            let endpoint = router.bind(&parse(text)).await.unwrap();
            assert!(!bound.contains(&endpoint), "{endpoint} twice");
            assert!(!endpoint.to_string().contains('*') && endpoint.port() != Some(0));
            is_heard_at(&endpoint, &mut router).await;
            bound.push(endpoint);
            assert_eq!(router.endpoints(), bound);
        }
    }
    // What is connected to is not what is bound.
    router.connect(&parse("ipc:///nonexistent/x")).unwrap();
    assert_eq!(router.endpoints(), bound);
}

#[tokio::test]
async fn a_wildcard_is_no_place_to_connect_to() {
    let dealer = dealer(quick());
    for text in ["tcp://*:5555", "tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "ipc://*"] {
        let error = dealer.connect(&parse(text)).unwrap_err().to_string();
        assert!(error.contains("unusable endpoint"), "{error}");
    }
    let none = dealer.try_send(Message::from("x")).unwrap_err();
    assert_eq!(none.kind(), zmtp::SendErrorKind::NoSuchPeer);
}

/// libzmq takes the first for port 567 and the second for port 4464.
#[test]
fn a_port_that_is_none_is_refused() {
    for port in ["567bad", "70000", "65536", "-1", "+1", "", " 1", "http"] {
        let text = format!("tcp://127.0.0.1:{port}");
        assert!(text.parse::<Endpoint>().is_err(), "{text}");
    }
    assert_eq!(parse("tcp://127.0.0.1:65535").port(), Some(65535));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_in_use_is_told_by_name_and_the_first_is_not_disturbed() {
    let place = Place::new();
    let context = zmq::Context::new();
    for transport in super::BOTH {
        let endpoint = at(&place, transport);
        let mut first = router(quick());
        first.bind(&endpoint).await.unwrap();
        let second = router(quick());
        let mut monitor = second.monitor();
        let error = second.bind(&endpoint).await.unwrap_err();
        assert!(matches!(error.kind(), BindErrorKind::InUse), "{error}");
        assert_eq!(error.endpoint(), &endpoint);
        assert!(error.to_string().contains(&endpoint.to_string()), "{error}");
        let event = within(monitor.recv()).await.unwrap();
        assert!(matches!(&event, MonitorEvent::BindFailed(at, _) if *at == endpoint), "{event:?}");
        assert_eq!(second.endpoints(), []);
        is_heard_at(&endpoint, &mut first).await;
    }
    // The same where it is libzmq that listens.
    let endpoint = parse(&place.endpoint(Transport::Tcp, "theirs"));
    let _peer = super::peer_at(&endpoint, &context).await;
    let error = router(quick()).bind(&endpoint).await.unwrap_err();
    assert!(matches!(error.kind(), BindErrorKind::InUse), "{error}");
    // An address of somebody else is another error.
    let elsewhere = parse("tcp://192.0.2.1:5555");
    let error = router(quick()).bind(&elsewhere).await.unwrap_err();
    assert!(matches!(error.kind(), BindErrorKind::Io(_)), "{error}");
    assert_eq!(error.endpoint(), &elsewhere);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_sees_the_address_that_was_chosen_to_connect_from() {
    let place = Place::new();
    let target = at(&place, Transport::Tcp);
    let target_text = target.to_string();
    let target_text = target_text.strip_prefix("tcp://").unwrap();
    let from = parse(&format!("tcp://127.0.0.2:0;{target_text}"));

    let mut ours = router(quick());
    ours.bind(&target).await.unwrap();
    let connected = dealer(quick());
    connected.connect(&from).unwrap();
    super::joined(&mut ours).await;
    assert!(ours.peers()[0].address.starts_with("tcp://127.0.0.2:"), "{:?}", ours.peers());
    // The whole text names it.
    connected.disconnect(&target).await.unwrap_err();
    connected.disconnect(&from).await.unwrap();
    ours.close().await;

    let theirs = super::peer_at(&target, &zmq::Context::new()).await;
    connected.connect(&from).unwrap();
    super::send(&connected, &["hi"]).await;
    let mut message = theirs.recv_msg(0).unwrap();
    assert_eq!(message.gets("Peer-Address"), Some("127.0.0.2"));

    let error = router(quick()).bind(&from).await.unwrap_err().to_string();
    assert!(error.contains("a source address is for connecting"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_several_peers_may_come_from_one_port() {
    let place = Place::new();
    let mut routers = Vec::new();
    // A port that nobody listens on and that is free at this address of the test's own.
    let source = place.endpoint(Transport::Tcp, "source");
    let source = source.strip_prefix("tcp://").unwrap();
    let dealer = dealer(quick());
    for name in ["a", "b", "c"] {
        let target = place.endpoint(Transport::Tcp, name);
        let router = router(quick());
        router.bind(&parse(&target)).await.unwrap();
        routers.push(router);
        let target = target.strip_prefix("tcp://").unwrap();
        dealer.connect(&parse(&format!("tcp://{source};{target}"))).unwrap();
    }
    super::send(&dealer, &["x", "x", "x"]).await;
    for router in &mut routers {
        let (id, _) = within(router.recv()).await.unwrap();
        assert_eq!(&*router.peer(id).unwrap().address, format!("tcp://{source}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_chosen_is_in_a_directory_of_its_own_and_goes_with_it() {
    for close in [true, false] {
        let mut router = router(quick());
        let endpoint = router.bind(&parse("ipc://*")).await.unwrap();
        let path = endpoint.path().unwrap().to_owned();
        let directory = path.parent().unwrap().to_owned();
        assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        is_heard_at(&endpoint, &mut router).await;
        if close {
            router.close().await;
        } else {
            router.unbind(&endpoint).await.unwrap();
        }
        assert!(!path.exists() && !directory.exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_takes_107_bytes_and_not_one_more() {
    let place = Place::new();
    let directory = place.directory().display().to_string();
    let path =
        |size: usize| format!("ipc://{directory}/{}", "x".repeat(size - directory.len() - 1));
    let mut router = router(quick());
    let longest = parse(&path(107));
    assert_eq!(router.bind(&longest).await.unwrap(), longest);
    is_heard_at(&longest, &mut router).await;
    let error = path(108).parse::<Endpoint>().unwrap_err().to_string();
    assert!(error.contains("107 bytes"), "{error}");
    // libzmq draws the line at the same place.
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    assert_eq!(peer.bind(&path(108)), Err(zmq::Error::ENAMETOOLONG));
}
