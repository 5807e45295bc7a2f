//! What becomes of a message for which there is no peer or no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt, stream};
use interop::{Place, shaken, socket, until, within};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::{Config, Endpoint, Message, OnFull, PeerId, Router, SendErrorKind};

use super::{bound, joined, left, narrow, send_to};

/// 64 KiB that begin with a number.
fn large(i: usize) -> Message {
    Message::from([body(i)])
}

fn body(i: usize) -> Vec<u8> {
    let mut body = vec![7; 64 << 10];
    body[..8].copy_from_slice(&i.to_be_bytes());
    body
}

/// A libzmq DEALER that takes one message and no more before it is asked, and a ROUTER that keeps
/// one for it.
async fn beside_a_slow_peer(config: Config) -> (Router, PeerId, zmq::Socket, Place, Endpoint) {
    let config = config.with_transport(narrow().transport).with_send_hwm(1);
    let (mut router, place, endpoint) = bound(config).await;
    let slow = socket(&zmq::Context::new(), zmq::DEALER, "SLOW");
    slow.set_rcvhwm(1).unwrap();
    slow.set_rcvbuf(16 << 10).unwrap();
    slow.connect(&endpoint.to_string()).unwrap();
    let id = joined(&mut router).await.id;
    (router, id, slow, place, endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_for_a_peer_that_left_or_never_was_comes_back() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    assert_eq!(send_to(&router, b"NAME", "x").await, Err(SendErrorKind::NoSuchPeer));
    let dealer = socket(&zmq::Context::new(), zmq::DEALER, "NAME");
    dealer.connect(&endpoint.to_string()).unwrap();
    let id = joined(&mut router).await.id;
    assert_eq!(send_to(&router, b"NAME", "hello").await, Ok(()));
    assert_eq!(dealer.recv_bytes(0).unwrap(), b"hello");
    drop(dealer);
    left(&mut router).await;
    assert_eq!(send_to(&router, b"NAME", "x").await, Err(SendErrorKind::NoSuchPeer));
    for result in [
        router.send(id, Message::from("x")).await,
        router.try_send(id, Message::from("x")),
        router.sender().try_send(id, Message::from("x")),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.into_message()), (SendErrorKind::NoSuchPeer, "x".into()));
    }
    assert_eq!(router.dropped(), 0, "what came back is not dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_for_a_full_peer_comes_back_and_few_are_on_their_way() {
    let (router, id, slow, _place, _endpoint) = beside_a_slow_peer(Config::default()).await;
    let (mut sent, mut refused) = (0, 0);
    // Full now may be because the last one has not been taken to be written yet.
    let filling = timeout(Duration::from_millis(300), async {
        while sent < 20 {
            match router.send(id, large(sent)).await {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert_eq!(error.kind(), SendErrorKind::Full);
                    assert_eq!(error.into_message(), large(sent));
                    refused += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    assert!(filling.await.is_err(), "20 were taken");
    assert!(refused > 0, "it waits");
    for i in 0..sent {
        assert!(slow.recv_bytes(0).unwrap() == body(i));
    }
    router.try_send(id, Message::from("room again")).unwrap();
    assert_eq!(slow.recv_bytes(0).unwrap(), b"room again");
    assert_eq!(router.dropped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_to_wait_a_send_to_a_full_peer_goes_on_once_there_is_room() {
    let config = Config::default().with_on_full(OnFull::Wait);
    let (router, id, slow, _place, _endpoint) = beside_a_slow_peer(config).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let (sender, count) = (router.sender(), Arc::clone(&sent));
    let sending = tokio::spawn(async move {
        for i in 0..40 {
            sender.send(id, large(i)).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let full = || router.try_send(id, large(99)).map_err(|error| error.kind());
    until("it is full", || sent.load(Ordering::Relaxed) > 0 && full().is_err()).await;
    assert!(sent.load(Ordering::Relaxed) < 20);
    assert!(!sending.is_finished());
    let mut received = Vec::new();
    while received.len() < 40 {
        let body = slow.recv_bytes(0).unwrap();
        let i = usize::from_be_bytes(body[..8].try_into().unwrap());
        if i != 99 {
            received.push(i);
        }
    }
    within(sending).await.unwrap();
    assert_eq!(received, (0..40).collect::<Vec<_>>());
    assert_eq!(router.dropped(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_to_be_dropped_a_message_for_a_full_peer_is_counted() {
    let config = Config::default().with_on_full(OnFull::Drop);
    let (router, id, slow, _place, _endpoint) = beside_a_slow_peer(config).await;
    for i in 0..40 {
        if i % 2 == 0 {
            router.send(id, large(i)).await.unwrap();
        } else {
            router.try_send(id, large(i)).unwrap();
        }
    }
    let arrive = 40 - usize::try_from(router.dropped()).unwrap();
    assert!((1..20).contains(&arrive), "{arrive} of 40");
    let mut last = None;
    for _ in 0..arrive {
        let body = slow.recv_bytes(0).unwrap();
        let i = usize::from_be_bytes(body[..8].try_into().unwrap());
        assert!(last < Some(i), "in order, and none twice");
        last = Some(i);
    }
    router.try_send(id, Message::from("last")).unwrap();
    assert_eq!(slow.recv_bytes(0).unwrap(), b"last");
    // Nobody is no lack of room.
    drop(slow);
    until("it has left", || router.peers().is_empty()).await;
    let nobody = router.try_send(id, Message::from("x")).unwrap_err();
    assert_eq!(nobody.kind(), SendErrorKind::NoSuchPeer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_peer_delays_no_other() {
    for on_full in [OnFull::Fail, OnFull::Wait, OnFull::Drop] {
        let config = Config::default().with_on_full(on_full);
        let (mut router, full, _slow, _place, endpoint) = beside_a_slow_peer(config).await;
        let sender = router.sender();
        // Whatever comes of it: more than has room.
        let filling = tokio::spawn(async move {
            for i in 0..20 {
                let _ = sender.send(full, large(i)).await;
            }
        });
        let is_full = || router.dropped() > 0 || router.try_send(full, large(99)).is_err();
        until("it is full", is_full).await;
        let other = socket(&zmq::Context::new(), zmq::DEALER, "");
        other.connect(&endpoint.to_string()).unwrap();
        let id = joined(&mut router).await.id;
        for i in 0..200_usize {
            let message = Message::from(i.to_string());
            within(router.send(id, message)).await.unwrap();
            assert_eq!(other.recv_string(0).unwrap().unwrap(), i.to_string());
        }
        if on_full == OnFull::Wait {
            assert!(!filling.is_finished());
            filling.abort();
        } else {
            within(filling).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_dies_amid_a_message_spoils_neither_the_next_nor_anybody_elses() {
    let (mut router, _place, endpoint) = bound(narrow()).await;
    let other = socket(&zmq::Context::new(), zmq::DEALER, "OTHER");
    other.connect(&endpoint.to_string()).unwrap();
    joined(&mut router).await;
    let message = |i: u8| Message::from([vec![i], vec![i; 200 << 10], vec![i]]);
    for i in 0..10 {
        let mut peer = shaken(&endpoint, SocketType::Dealer, b"DIES").await;
        let id = joined(&mut router).await.id;
        let sends = [(b"DIES".as_slice(), i), (b"OTHER", i), (b"DIES", 99), (b"OTHER", 100 + i)];
        for (name, i) in sends {
            router.send_to(name, message(i)).await.unwrap();
        }
        // The first whole part and some of the second, which begin anew each time.
        peer.expect(&[1, 1, i, 3, 0, 0, 0, 0, 0, 3, 0x20, 0, i]).await.unwrap();
        drop(peer);
        assert_eq!(left(&mut router).await.0, id);
        for i in [i, 100 + i] {
            let parts = other.recv_multipart(0).unwrap();
            assert!(parts == [vec![i], vec![i; 200 << 10], vec![i]]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_is_a_sink_of_peers_and_messages() {
    let (mut router, _place, endpoint) = bound(Config::default()).await;
    let context = zmq::Context::new();
    let mut peers = Vec::new();
    for _ in 0..2 {
        let peer = socket(&context, zmq::DEALER, "");
        peer.connect(&endpoint.to_string()).unwrap();
        peers.push((joined(&mut router).await.id, peer));
    }
    let gone = socket(&context, zmq::DEALER, "");
    gone.connect(&endpoint.to_string()).unwrap();
    let gone_id = joined(&mut router).await.id;
    drop(gone);
    left(&mut router).await;

    let mut sink = router.sender().into_sink();
    let error = sink.send((gone_id, Message::from("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.into_message()), (SendErrorKind::NoSuchPeer, "x".into()));
    let items = (0..100_usize).map(|i| Ok((peers[i % 2].0, Message::from(i.to_string()))));
    sink.send_all(&mut stream::iter(items)).await.unwrap();
    for i in 0..100 {
        assert_eq!(peers[i % 2].1.recv_string(0).unwrap().unwrap(), i.to_string());
    }
}
