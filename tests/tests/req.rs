//! Our REQ with libzmq peers.

use std::time::Duration;

use interop::{PATIENCE, Place, Transport, end, socket};
use tokio::time::timeout;
use zmtp::{
    Config, LeaveReason, Message, OnFull, RecvError, Req, ReqError, SendError, SendErrorKind,
};

fn req() -> Req {
    let reconnect = Duration::from_millis(10);
    Req::new(Config::default().with_reconnect(reconnect, reconnect)).unwrap()
}

async fn request(req: &mut Req, text: &str) -> Result<Message, ReqError> {
    timeout(PATIENCE, req.request(Message::from(text))).await.unwrap()
}

/// A libzmq REP and our REQ that connects to it.
fn connected() -> (Place, zmq::Context, zmq::Socket, Req) {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "rep");
    let context = zmq::Context::new();
    let rep = socket(&context, zmq::REP, "");
    rep.bind(&endpoint).unwrap();
    let req = req();
    req.connect(&endpoint.parse().unwrap()).unwrap();
    (place, context, rep, req)
}

/// A thread that answers `count` requests of a libzmq REP with themselves.
fn echo(rep: zmq::Socket, count: usize) -> std::thread::JoinHandle<zmq::Socket> {
    std::thread::spawn(move || {
        for _ in 0..count {
            let request = rep.recv_multipart(0).unwrap();
            rep.send_multipart(request, 0).unwrap();
        }
        rep
    })
}

#[tokio::test]
async fn rep_peers_answer_whichever_side_binds() {
    let context = zmq::Context::new();
    for transport in [Transport::Ipc, Transport::Tcp] {
        for we_bind in [true, false] {
            let place = Place::new();
            let endpoint = place.endpoint(transport, "rep");
            let mut req = req();
            let rep = socket(&context, zmq::REP, "");
            if we_bind {
                req.bind(&endpoint.parse().unwrap()).await.unwrap();
                rep.connect(&endpoint).unwrap();
            } else {
                rep.bind(&endpoint).unwrap();
                req.connect(&endpoint.parse().unwrap()).unwrap();
            }
            let echo = echo(rep, 10);
            for i in 0..10 {
                let text = format!("request {i}");
                assert_eq!(request(&mut req, &text).await, Ok(Message::from(text)));
            }
            echo.join().unwrap();
        }
    }
}

#[tokio::test]
async fn the_wire_form_is_a_delimiter_and_the_parts() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "dealer");
    let context = zmq::Context::new();
    let dealer = socket(&context, zmq::ROUTER, "");
    dealer.bind(&endpoint).unwrap();
    let mut req = Req::new(Config::default().with_identity("ME")).unwrap();
    req.connect(&endpoint.parse().unwrap()).unwrap();
    let replies = std::thread::spawn(move || {
        let request = dealer.recv_multipart(0).unwrap();
        assert_eq!(request, [&b"ME"[..], b"", b"a", b"", b"c"]);
        // No delimiter, a delimiter without a body: neither is a reply.
        dealer.send_multipart(["ME", "junk", "x"], 0).unwrap();
        dealer.send_multipart(["ME", ""], 0).unwrap();
        dealer.send_multipart(["ME", "", "", "reply"], 0).unwrap();
        dealer
    });
    let reply = timeout(PATIENCE, req.request(Message::from(["a", "", "c"]))).await.unwrap();
    assert_eq!(reply, Ok(Message::from(["", "reply"])));
    replies.join().unwrap();
}

#[tokio::test]
async fn requests_go_to_the_peers_in_rotation() {
    let place = Place::new();
    let context = zmq::Context::new();
    let mut req = req();
    let names = ["a", "b", "c"];
    let mut threads = Vec::new();
    for name in names {
        let endpoint = place.endpoint(Transport::Ipc, name);
        let rep = socket(&context, zmq::REP, "");
        rep.bind(&endpoint).unwrap();
        req.connect(&endpoint.parse().unwrap()).unwrap();
        threads.push(std::thread::spawn(move || {
            rep.set_rcvtimeo(-1).unwrap();
            while rep.recv_bytes(0).is_ok() {
                rep.send(name, 0).unwrap();
            }
        }));
    }
    // Until all three have joined, fewer than three take turns.
    let mut seen = Vec::new();
    let ask = async |req: &mut Req| {
        let reply = request(req, "who?").await.unwrap();
        String::from_utf8(reply.part(0).unwrap().to_vec()).unwrap()
    };
    while names.iter().any(|&name| !seen.contains(&name.to_owned())) {
        seen.push(ask(&mut req).await);
    }
    let mut turns = Vec::new();
    for _ in 0..9 {
        turns.push(ask(&mut req).await);
    }
    assert_eq!(turns[..3], turns[3..6]);
    assert_eq!(turns[..3], turns[6..]);
    end(&context);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_late_reply_never_answers_a_later_request() {
    for we_bind in [true, false] {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Ipc, "router");
        let context = zmq::Context::new();
        let router = socket(&context, zmq::ROUTER, "");
        let mut req = req();
        if we_bind {
            req.bind(&endpoint.parse().unwrap()).await.unwrap();
            router.connect(&endpoint).unwrap();
        } else {
            router.bind(&endpoint).unwrap();
            req.connect(&endpoint.parse().unwrap()).unwrap();
        }
        let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
        let late = std::thread::spawn(move || {
            let first = router.recv_multipart(0).unwrap();
            asked.send(()).unwrap();
            let second = router.recv_multipart(0).unwrap();
            // The reply to the first comes after the second was asked. Nobody may be there for it.
            router.send_multipart(first, 0).unwrap();
            router.send_multipart(second, 0).unwrap();
            router
        });
        {
            let first = request(&mut req, "first");
            tokio::pin!(first);
            tokio::select! {
                reply = &mut first => panic!("{reply:?}"),
                _ = was_asked.recv() => {}
            }
        }
        assert_eq!(request(&mut req, "second").await, Ok(Message::from("second")));
        late.join().unwrap();
    }
}

#[tokio::test]
async fn a_peer_that_leaves_without_a_reply_is_an_error_and_the_next_request_works() {
    let (place, context, rep, mut req) = connected();
    let dies = std::thread::spawn(move || drop(rep.recv_bytes(0).unwrap()));
    let lost = request(&mut req, "first").await.unwrap_err();
    assert!(matches!(lost, ReqError::PeerLost(LeaveReason::Closed | LeaveReason::Io(_))), "{lost}");
    dies.join().unwrap();
    let endpoint = place.endpoint(Transport::Ipc, "rep");
    let rep = socket(&context, zmq::REP, "");
    while rep.bind(&endpoint).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let echo = echo(rep, 1);
    assert_eq!(request(&mut req, "second").await, Ok(Message::from("second")));
    echo.join().unwrap();
}

#[tokio::test]
async fn send_and_recv_take_turns() {
    let (_place, _context, rep, mut req) = connected();
    assert_eq!(req.recv().await, Err(RecvError::OutOfTurn));
    let kind = |error: SendError| error.kind();
    let empty = req.send(Message::new()).await.map_err(kind);
    assert_eq!(empty, Err(SendErrorKind::Empty));
    req.send(Message::from("x")).await.unwrap();
    let early = req.send(Message::from("y")).await.map_err(kind);
    assert_eq!(early, Err(SendErrorKind::OutOfTurn));
    // A receive that was dropped leaves the reply due.
    assert!(timeout(Duration::ZERO, req.recv()).await.is_err());
    let echo = echo(rep, 1);
    assert_eq!(timeout(PATIENCE, req.recv()).await.unwrap(), Ok(Message::from("x")));
    echo.join().unwrap();
}

#[tokio::test]
async fn closing_delivers_what_was_sent() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Tcp, "router");
    let context = zmq::Context::new();
    let router = socket(&context, zmq::ROUTER, "");
    router.bind(&endpoint).unwrap();
    let mut req = req();
    req.connect(&endpoint.parse().unwrap()).unwrap();
    let body = vec![7; 8 << 20];
    req.send(Message::from([body.clone()])).await.unwrap();
    req.close().await;
    let request = tokio::task::spawn_blocking(move || router.recv_multipart(0).unwrap());
    assert!(request.await.unwrap()[2] == body);
}

#[tokio::test]
async fn a_request_that_is_never_answered_does_not_cost_the_next_one_its_reply() {
    for we_bind in [true, false] {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Ipc, "router");
        let context = zmq::Context::new();
        let router = socket(&context, zmq::ROUTER, "");
        let mut req = req();
        if we_bind {
            req.bind(&endpoint.parse().unwrap()).await.unwrap();
            router.connect(&endpoint).unwrap();
        } else {
            router.bind(&endpoint).unwrap();
            req.connect(&endpoint.parse().unwrap()).unwrap();
        }
        let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
        // Every second request is forgotten.
        let forgetful = std::thread::spawn(move || {
            for _ in 0..5 {
                router.recv_multipart(0).unwrap();
                asked.send(()).unwrap();
                let request = router.recv_multipart(0).unwrap();
                router.send_multipart(request, 0).unwrap();
            }
            router
        });
        for i in 0..5 {
            {
                let forgotten = request(&mut req, "forgotten");
                tokio::pin!(forgotten);
                tokio::select! {
                    reply = &mut forgotten => panic!("{reply:?}"),
                    _ = was_asked.recv() => {}
                }
            }
            let text = i.to_string();
            assert_eq!(request(&mut req, &text).await, Ok(Message::from(text)));
        }
        forgetful.join().unwrap();
    }
}

#[tokio::test]
async fn a_bound_req_whose_peer_leaves_says_so_and_goes_on_with_the_next() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "req");
    let context = zmq::Context::new();
    let mut req = req();
    req.bind(&endpoint.parse().unwrap()).await.unwrap();
    for i in 0..3 {
        let dies = socket(&context, zmq::REP, "");
        dies.connect(&endpoint).unwrap();
        let dies = std::thread::spawn(move || drop(dies.recv_bytes(0).unwrap()));
        let lost = request(&mut req, "first").await.unwrap_err();
        assert!(matches!(lost, ReqError::PeerLost(_)), "{lost}");
        dies.join().unwrap();
        let rep = socket(&context, zmq::REP, "");
        rep.connect(&endpoint).unwrap();
        let echo = echo(rep, 1);
        let text = i.to_string();
        assert_eq!(request(&mut req, &text).await, Ok(Message::from(text)));
        // The next round is not to be answered by this one.
        drop(echo.join().unwrap());
        while !req.peers().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_request_made_before_there_is_a_connection_is_delivered_once_when_there_is() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Tcp, "rep");
    let mut req = req();
    req.connect(&endpoint.parse().unwrap()).unwrap();
    // Given up before it was written: it is taken back.
    assert!(timeout(Duration::ZERO, req.request(Message::from("taken back"))).await.is_err());
    assert!(timeout(Duration::ZERO, req.request(Message::from("x"))).await.is_err());
    assert_eq!(req.try_recv(), Err(RecvError::Nothing), "the reply to it is due");
    let context = zmq::Context::new();
    let rep = socket(&context, zmq::REP, "");
    rep.bind(&endpoint).unwrap();
    let rep = std::thread::spawn(move || {
        assert_eq!(rep.recv_bytes(0).unwrap(), b"x");
        rep.send("reply", 0).unwrap();
        assert_eq!(rep.recv_bytes(0).unwrap(), b"next");
        rep.send("next reply", 0).unwrap();
        rep
    });
    assert_eq!(timeout(PATIENCE, req.recv()).await.unwrap(), Ok(Message::from("reply")));
    assert_eq!(request(&mut req, "next").await, Ok(Message::from("next reply")));
    rep.join().unwrap();
}

#[tokio::test]
async fn full_and_nobody_there_are_errors_for_a_req_that_does_not_wait() {
    let mut req = Req::new(Config::default().with_on_full(OnFull::Fail)).unwrap();
    let kind = |error: SendError| (error.kind(), error.into_message());
    let nobody = req.send(Message::from("x")).await.map_err(kind);
    assert_eq!(nobody, Err((SendErrorKind::NoSuchPeer, Message::from("x"))));
    let not_sent = req.request(Message::from("x")).await;
    assert_eq!(not_sent, Err(ReqError::NotSent(SendErrorKind::NoSuchPeer)));
    assert_eq!(req.recv().await, Err(RecvError::OutOfTurn), "it has not sent");
}
