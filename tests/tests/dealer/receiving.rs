//! Whose turn it is to be received from, and the ways to receive.

use futures::StreamExt;
use interop::{disconnected, shaken, socket, within};
use zmtp::proto::SocketType;
use zmtp::{
    Config, Dealer, Endpoint, LeaveReason, Message, Monitor, PeerEvent, ProtocolError, RecvError,
    SendErrorKind,
};

use super::{bound, numbers, take};

/// A peer that sends these bytes and leaves.
async fn say(endpoint: &Endpoint, monitor: &mut Monitor, bytes: &[u8]) -> LeaveReason {
    interop::say(endpoint, monitor, SocketType::Dealer, bytes).await
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| str::from_utf8(message.part(0).unwrap()).unwrap()).collect()
}

async fn next(dealer: &mut Dealer) -> Message {
    within(dealer.recv()).await.unwrap()
}

#[tokio::test]
async fn each_peer_gives_one_message_a_turn_whatever_another_has_queued() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = dealer.monitor();
    for bytes in
        [&b"\x00\x02a1\x00\x02a2\x00\x02a3\x00\x02a4"[..], b"\x00\x02b1", b"\x00\x02c1\x00\x02c2"]
    {
        assert_eq!(say(&endpoint, &mut monitor, bytes).await, LeaveReason::Closed);
    }
    let mut messages = Vec::new();
    while let Ok(message) = dealer.try_recv() {
        messages.push(message);
    }
    assert_eq!(texts(&messages), ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_on_one_link_does_not_starve_another() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut context = zmq::Context::new();
    let flooding = socket(&context, zmq::DEALER, "");
    flooding.connect(&endpoint.to_string()).unwrap();
    let flood = std::thread::spawn(move || while flooding.send("many", 0).is_ok() {});
    assert_eq!(next(&mut dealer).await, Message::from("many"));
    let quiet = socket(&context, zmq::DEALER, "");
    quiet.connect(&endpoint.to_string()).unwrap();
    for text in numbers(0..50) {
        quiet.send(&text, 0).unwrap();
    }
    let mut received = Vec::new();
    while received.len() < 50 {
        let message = next(&mut dealer).await;
        if message != Message::from("many") {
            received.push(message);
        }
    }
    assert_eq!(texts(&received), numbers(0..50));
    drop((dealer, quiet));
    context.destroy().unwrap();
    flood.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrived_before_a_peer_left_is_still_received() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = dealer.monitor();
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    peer.set_linger(-1).unwrap();
    peer.connect(&endpoint.to_string()).unwrap();
    for text in numbers(0..500) {
        peer.send(&text, 0).unwrap();
    }
    drop(peer);
    disconnected(&mut monitor).await;
    let received: Vec<_> = within((&mut dealer).take(500).collect()).await;
    assert_eq!(texts(&received), numbers(0..500));
    assert_eq!(dealer.try_recv(), Err(RecvError::Nothing));
}

#[tokio::test]
async fn half_a_message_of_a_peer_that_left_is_not_received() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = dealer.monitor();
    let reason = say(&endpoint, &mut monitor, b"\x00\x05whole\x01\x04half\x01\x02of").await;
    assert_eq!(reason, LeaveReason::Protocol(ProtocolError::TruncatedAtEof));
    say(&endpoint, &mut monitor, b"\x00\x04next").await;
    assert_eq!(dealer.try_recv(), Ok(Message::from("whole")));
    assert_eq!(dealer.try_recv(), Ok(Message::from("next")));
    assert_eq!(dealer.try_recv(), Err(RecvError::Nothing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_peer_keep_their_order_both_ways() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    peer.connect(&endpoint.to_string()).unwrap();
    let echo = std::thread::spawn(move || {
        for _ in 0..20_000 {
            let message = peer.recv_multipart(0).unwrap();
            peer.send_multipart(message, 0).unwrap();
        }
        peer
    });
    let sender = dealer.sender();
    let sending = tokio::spawn(async move {
        for text in numbers(0..20_000) {
            sender.send(Message::from(text)).await.unwrap();
        }
    });
    for text in numbers(0..20_000) {
        assert_eq!(next(&mut dealer).await, Message::from(text));
    }
    sending.await.unwrap();
    echo.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_sends_from_another_task_while_the_socket_waits_to_receive() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let sender = dealer.sender();
    let late = dealer.sender();
    let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
    peer.connect(&endpoint.to_string()).unwrap();
    let receiving = tokio::spawn(async move { (next(&mut dealer).await, dealer) });
    let sending = tokio::spawn(async move { sender.send(Message::from("question")).await });
    assert_eq!(take(&peer, 1), ["question"]);
    assert!(!receiving.is_finished());
    peer.send("answer", 0).unwrap();
    let (answer, dealer) = within(receiving).await.unwrap();
    assert_eq!(answer, Message::from("answer"));
    sending.await.unwrap().unwrap();
    drop(dealer);
    let error = late.try_send(Message::from("late")).unwrap_err();
    assert_eq!((error.kind(), error.into_message()), (SendErrorKind::Closed, "late".into()));
}

#[tokio::test]
async fn recv_many_takes_what_there_is_and_no_more_than_asked() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = dealer.monitor();
    say(&endpoint, &mut monitor, b"\x00\x011\x00\x012\x00\x013\x00\x014\x00\x015").await;
    let mut messages = vec![Message::from("0")];
    assert_eq!(dealer.recv_many(&mut messages, 0).await, 0);
    assert_eq!(within(dealer.recv_many(&mut messages, 3)).await, 3);
    assert_eq!(texts(&messages), ["0", "1", "2", "3"]);
    assert_eq!(within(dealer.recv_many(&mut messages, 3)).await, 2);
    assert_eq!(texts(&messages), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn try_recv_takes_what_is_there_and_does_not_wait() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut monitor = dealer.monitor();
    assert_eq!(dealer.try_recv(), Err(RecvError::Nothing));
    say(&endpoint, &mut monitor, b"\x00\x01x").await;
    assert_eq!(dealer.try_recv(), Ok(Message::from("x")));
    assert_eq!(dealer.try_recv(), Err(RecvError::Nothing));
}

#[tokio::test]
async fn recv_event_tells_of_joins_messages_and_leaves_in_order() {
    let (mut dealer, _place, endpoint) = bound(Config::default()).await;
    let mut peer = shaken(&endpoint, SocketType::Rep, b"").await;
    let Some(PeerEvent::Joined(joined)) = within(dealer.recv_event()).await else { panic!() };
    assert_eq!(joined.info.socket_type, SocketType::Rep);
    peer.send(b"\x00\x01x").await.unwrap();
    drop(peer);
    let event = within(dealer.recv_event()).await;
    let Some(PeerEvent::Message(id, message)) = event else { panic!("{event:?}") };
    assert_eq!((id, message), (joined.id, Message::from("x")));
    let event = within(dealer.recv_event()).await;
    let Some(PeerEvent::Left(peer, reason)) = event else { panic!("{event:?}") };
    assert_eq!((peer.id, reason), (joined.id, LeaveReason::Closed));
}
