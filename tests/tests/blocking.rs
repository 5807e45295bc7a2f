//! The sockets for programs without a runtime, with libzmq peers.

use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Transport, socket};
use zmtp::blocking::{Dealer, Rep, Req, Router};
use zmtp::{Config, Message, MonitorEvent, PeerEvent, RecvError, ReqError, SendErrorKind};

fn moment() -> Duration {
    Duration::from_millis(20)
}

#[test]
fn each_socket_exchanges_messages_with_libzmqs() {
    let context = zmq::Context::new();
    let place = Place::new();
    let at = |name| place.endpoint(Transport::Ipc, name);

    let mut rep = Rep::new(Config::default()).unwrap();
    rep.set_timeout(Some(PATIENCE));
    rep.bind(&at("rep").parse().unwrap()).unwrap();
    let peer = socket(&context, zmq::REQ, "");
    peer.connect(&at("rep")).unwrap();
    peer.send("request", 0).unwrap();
    assert_eq!(rep.recv(), Ok(Message::from("request")));
    rep.send(Message::from("reply")).unwrap();
    assert_eq!(peer.recv_bytes(0).unwrap(), b"reply");
    assert_eq!(rep.close(), []);

    let mut req = Req::new(Config::default()).unwrap();
    req.set_timeout(Some(PATIENCE));
    req.connect(&at("req").parse().unwrap()).unwrap();
    let peer = socket(&context, zmq::REP, "");
    peer.bind(&at("req")).unwrap();
    let echo = std::thread::spawn(move || {
        for _ in 0..2 {
            let request = peer.recv_bytes(0).unwrap();
            peer.send(request, 0).unwrap();
        }
        peer
    });
    assert_eq!(req.request(Message::from("one")), Ok(Message::from("one")));
    req.send(Message::from("two")).unwrap();
    assert_eq!(req.recv(), Ok(Message::from("two")));
    echo.join().unwrap();

    let mut router = Router::new(Config::default()).unwrap();
    router.set_timeout(Some(PATIENCE));
    router.bind(&at("router").parse().unwrap()).unwrap();
    let mut dealer = Dealer::new(Config::default().with_identity("DEALER")).unwrap();
    dealer.set_timeout(Some(PATIENCE));
    dealer.connect(&at("router").parse().unwrap()).unwrap();
    let joined = router.recv_event();
    assert!(matches!(joined, Ok(PeerEvent::Joined(_))), "{joined:?}");
    dealer.send(Message::from("to the router")).unwrap();
    let (peer, message) = router.recv().unwrap();
    assert_eq!(message, Message::from("to the router"));
    router.send(peer, Message::from("by id")).unwrap();
    router.send_to(b"DEALER", Message::from("by name")).unwrap();
    assert_eq!(dealer.recv(), Ok(Message::from("by id")));
    assert_eq!(dealer.recv(), Ok(Message::from("by name")));
    assert_eq!(router.get_ref().peers().len(), 1);
}

#[test]
fn what_waits_too_long_says_so_and_the_socket_goes_on() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x");
    let mut req = Req::new(Config::default()).unwrap();
    req.set_timeout(Some(moment()));
    let error = req.send(Message::from("x")).unwrap_err();
    assert_eq!(
        (error.kind(), error.into_message()),
        (SendErrorKind::NoSuchPeer, Message::from("x"))
    );
    req.connect(&endpoint.parse().unwrap()).unwrap();
    assert_eq!(req.request(Message::from("given up")), Err(ReqError::TimedOut));
    let mut rep = Rep::new(Config::default()).unwrap();
    rep.set_timeout(Some(moment()));
    assert_eq!(rep.recv(), Err(RecvError::Nothing));
    rep.bind(&endpoint.parse().unwrap()).unwrap();
    rep.set_timeout(Some(PATIENCE));
    req.set_timeout(Some(PATIENCE));
    let service = std::thread::spawn(move || {
        let request = rep.recv().unwrap();
        rep.send(request).unwrap();
        rep
    });
    assert_eq!(req.request(Message::from("asked again")), Ok(Message::from("asked again")));
    service.join().unwrap();
}

#[test]
fn heartbeats_are_answered_whatever_the_program_does() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x");
    let mut router = Router::new(Config::default()).unwrap();
    router.set_timeout(Some(PATIENCE));
    router.bind(&endpoint.parse().unwrap()).unwrap();
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::DEALER, "");
    dealer.set_heartbeat_ivl(20).unwrap();
    dealer.set_heartbeat_timeout(2000).unwrap();
    dealer.connect(&endpoint).unwrap();
    dealer.send("before", 0).unwrap();
    let (peer, _) = router.recv().unwrap();
    // Longer than libzmq waits for a PONG.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        std::thread::sleep(moment());
    }
    dealer.send("after", 0).unwrap();
    assert_eq!(router.recv(), Ok((peer, Message::from("after"))), "the same connection");
}

#[test]
fn endpoints_open_and_close_and_a_monitor_tells() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x").parse().unwrap();
    let mut dealer = Dealer::new(Config::default()).unwrap();
    dealer.set_timeout(Some(PATIENCE));
    let mut monitor = dealer.get_mut().monitor();
    dealer.bind(&endpoint).unwrap();
    assert_eq!(dealer.next_event(&mut monitor), Some(MonitorEvent::Listening(endpoint.clone())));
    dealer.unbind(&endpoint).unwrap();
    assert_eq!(dealer.next_event(&mut monitor), Some(MonitorEvent::Closed(endpoint.clone())));
    dealer.connect(&endpoint).unwrap();
    dealer.disconnect(&endpoint).unwrap();
    assert!(dealer.disconnect(&endpoint).is_err());
}
