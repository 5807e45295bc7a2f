//! REQ sockets that correlate and that may ask anew: ours with libzmq's peers, libzmq's with ours.

use std::time::Duration;

use interop::{Frames, PATIENCE, Party, Place, Transport, messages, socket, until};
use tokio::time::timeout;
use zmq::Context;
use zmtp::proto::SocketType;
use zmtp::testing::RawListener;
use zmtp::{Config, Message, PeerId, Req};

fn config() -> Config {
    let pause = Duration::from_millis(10);
    Config::default().with_reconnect(pause, pause)
}

fn text(parts: &[&str]) -> Frames {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

async fn recv(req: &mut Req) -> Message {
    timeout(PATIENCE, req.recv()).await.unwrap().unwrap()
}

fn number(part: &[u8]) -> u32 {
    u32::from_ne_bytes(part.try_into().expect("four bytes"))
}

/// Joins a REQ of ours and a socket of libzmq's.
async fn join(req: &Req, peer: &zmq::Socket, endpoint: &str, we_bind: bool) {
    if we_bind {
        req.bind(&endpoint.parse().unwrap()).await.unwrap();
        peer.connect(endpoint).unwrap();
    } else {
        peer.bind(endpoint).unwrap();
        req.connect(&endpoint.parse().unwrap()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_req_of_either_library_that_correlates_is_answered_by_the_others_rep_and_router() {
    let context = Context::new();
    for (we_ask, req_binds) in [(true, true), (true, false), (false, true), (false, false)] {
        for peer_type in [SocketType::Rep, SocketType::Router] {
            let place = Place::new();
            let endpoint = place.endpoint(Transport::Ipc, "x");
            let (req, peer) = if we_ask {
                let config = config().with_correlate(true).with_identity("ME");
                let peer = Party::libzmq(&context, peer_type, "");
                (Party::ours(SocketType::Req, config), peer)
            } else {
                let req = socket(&context, zmq::REQ, "ME");
                req.set_req_correlate(true).unwrap();
                (Party::Libzmq(req), Party::ours(peer_type, Config::default()))
            };
            if req_binds {
                Party::join(&req, &peer, &endpoint).await;
            } else {
                Party::join(&peer, &req, &endpoint).await;
            }
            ask(req, peer, peer_type).await;
        }
    }
}

/// Messages of all sorts, each answered with its parts in reverse.
async fn ask(mut req: Party, mut peer: Party, peer_type: SocketType) {
    let mut last = None;
    for message in messages() {
        req.send(message).await;
        let mut request = peer.recv().await;
        let mut head = Vec::new();
        // A REP keeps the number to itself.
        if peer_type == SocketType::Router {
            head = request.drain(..3).collect();
            assert_eq!((&head[0][..], &head[2][..]), (&b"ME"[..], &b""[..]));
            let id = number(&head[1]);
            assert!(last.is_none_or(|last: u32| last.wrapping_add(1) == id), "they count up");
            last = Some(id);
        }
        assert!(request == *message);
        request.reverse();
        peer.send(&[&head[..], &request].concat()).await;
        assert!(req.recv().await == request);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmqs_req_that_correlates_and_relaxes_gets_the_reply_to_what_it_asked_last() {
    let context = Context::new();
    for our_type in [SocketType::Rep, SocketType::Router] {
        for we_bind in [true, false] {
            let place = Place::new();
            let endpoint = place.endpoint(Transport::Ipc, "x");
            let mut ours = Party::ours(our_type, Config::default());
            let req = socket(&context, zmq::REQ, "REQ");
            req.set_req_correlate(true).unwrap();
            req.set_req_relaxed(true).unwrap();
            let mut req = Party::Libzmq(req);
            if we_bind {
                Party::join(&ours, &req, &endpoint).await;
            } else {
                Party::join(&req, &ours, &endpoint).await;
            }
            for _ in 0..3 {
                req.send(&text(&["first"])).await;
                let first = ours.recv().await;
                req.send(&text(&["second"])).await;
                if our_type == SocketType::Rep {
                    assert_eq!(first, text(&["first"]));
                    ours.send(&first).await;
                    let second = ours.recv().await;
                    assert_eq!(second, text(&["second"]));
                    ours.send(&second).await;
                } else {
                    let second = ours.recv().await;
                    let id = number(&first[1]);
                    assert_eq!(number(&second[1]), id.wrapping_add(1));
                    assert_eq!(first[2..], text(&["", "first"]));
                    ours.send(&first).await;
                    ours.send(&second).await;
                }
                assert_eq!(req.recv().await, text(&["second"]));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relaxed_req_that_sends_twice_is_given_the_second_reply_only() {
    let context = Context::new();
    for correlate in [true, false] {
        for we_bind in [true, false] {
            let place = Place::new();
            let config = config().with_relaxed(true).with_correlate(correlate);
            let mut req = Req::new(config).unwrap();
            let router = socket(&context, zmq::ROUTER, "");
            join(&req, &router, &place.endpoint(Transport::Ipc, "x"), we_bind).await;
            for _ in 0..3 {
                req.send(Message::from("first")).await.unwrap();
                let first = router.recv_multipart(0).unwrap();
                assert_eq!(first.last().unwrap(), b"first");
                req.send(Message::from("second")).await.unwrap();
                let second = router.recv_multipart(0).unwrap();
                assert_eq!(second.last().unwrap(), b"second");
                // Without numbers they have to come by another connection.
                let told_apart = first[1] != second[1] || first[0] != second[0];
                assert!(told_apart, "{first:?} {second:?}");
                router.send_multipart(first, 0).unwrap();
                router.send_multipart(second, 0).unwrap();
                assert_eq!(recv(&mut req).await, Message::from("second"));
            }
        }
    }
}

#[tokio::test]
async fn a_reply_that_is_there_when_a_relaxed_req_asks_anew_is_dropped() {
    let listener = RawListener::bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut req = Req::new(config().with_relaxed(true).with_correlate(true)).unwrap();
    req.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept().await.unwrap().with_patience(PATIENCE);
    peer.shake_hands(SocketType::Rep, b"").await.unwrap();
    for _ in 0..3 {
        req.send(Message::from("H")).await.unwrap();
        let envelope = peer.receive(8).await.unwrap();
        peer.expect(b"\x00\x01H").await.unwrap();
        // Once the PING is answered, the reply before it has arrived.
        let stale = [&envelope[..], b"\x00\x03BAD\x04\x07\x04PING\0\0"].concat();
        peer.send(&stale).await.unwrap();
        peer.expect(b"\x04\x05\x04PONG").await.unwrap();
        req.send(Message::from("I")).await.unwrap();
        let envelope = peer.receive(8).await.unwrap();
        peer.expect(b"\x00\x01I").await.unwrap();
        peer.send(&[&envelope[..], b"\x00\x04GOOD"].concat()).await.unwrap();
        assert_eq!(recv(&mut req).await, Message::from("GOOD"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relaxed_req_that_correlates_disconnects_nobody_and_goes_on_in_turn() {
    const PEERS: usize = 3;
    let context = Context::new();
    for we_bind in [true, false] {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Tcp, "req");
        let mut req = Req::new(config().with_relaxed(true).with_correlate(true)).unwrap();
        if we_bind {
            req.bind(&endpoint.parse().unwrap()).await.unwrap();
        }
        let mut reps = Vec::new();
        for name in ["a", "b", "c"] {
            let rep = socket(&context, zmq::REP, "");
            if we_bind {
                rep.connect(&endpoint).unwrap();
                // They have their turns in the order in which they joined.
                until("the peers", || req.peers().len() == reps.len() + 1).await;
            } else {
                join(&req, &rep, &place.endpoint(Transport::Tcp, name), false).await;
            }
            reps.push(rep);
        }
        until("the peers", || req.peers().len() == PEERS).await;
        let ids = |req: &Req| {
            let mut ids: Vec<PeerId> = req.peers().iter().map(|peer| peer.id).collect();
            ids.sort();
            ids
        };
        let before = ids(&req);
        for _ in 0..3 {
            req.send(Message::from(["A", "B"])).await.unwrap();
            assert_eq!(reps[0].recv_multipart(0).unwrap(), text(&["A", "B"]));
            req.send(Message::from(["C", "D"])).await.unwrap();
            assert_eq!(reps[1].recv_multipart(0).unwrap(), text(&["C", "D"]));
            reps[0].send("WRONG", 0).unwrap();
            reps[1].send("OK", 0).unwrap();
            assert_eq!(recv(&mut req).await, Message::from("OK"));
            req.send(Message::from("E")).await.unwrap();
            assert_eq!(reps[2].recv_multipart(0).unwrap(), text(&["E"]));
            reps[2].send_multipart(["F", "G"], 0).unwrap();
            assert_eq!(recv(&mut req).await, Message::from(["F", "G"]));
        }
        assert_eq!(ids(&req), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_relaxed_requests_made_before_anybody_was_there_the_last_is_sent_and_answered() {
    let context = Context::new();
    for correlate in [true, false] {
        for transport in [Transport::Ipc, Transport::Tcp] {
            let place = Place::new();
            let endpoint = place.endpoint(transport, "late");
            let config = config().with_relaxed(true).with_correlate(correlate);
            let mut req = Req::new(config).unwrap();
            req.connect(&endpoint.parse().unwrap()).unwrap();
            req.send(Message::from("to be discarded")).await.unwrap();
            req.send(Message::from("to be answered")).await.unwrap();
            let router = socket(&context, zmq::ROUTER, "");
            router.bind(&endpoint).unwrap();
            let request = router.recv_multipart(0).unwrap();
            assert_eq!(request.last().unwrap(), b"to be answered");
            assert_eq!(request.len(), if correlate { 4 } else { 3 });
            router.send_multipart(request, 0).unwrap();
            assert_eq!(recv(&mut req).await, Message::from("to be answered"));
        }
    }
}
