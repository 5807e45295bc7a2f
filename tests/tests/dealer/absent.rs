//! Peers that are not there, or not any more.

use interop::{Place, Transport, within};
use zmtp::{Config, Message, SendErrorKind};

use super::{dealer, joined, numbers, parse, peer_at, send_all, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_the_messages_wait_for_an_endpoint_where_nobody_is_yet() {
    let place = Place::new();
    let context = zmq::Context::new();
    let dealer = dealer(Config::default());
    for name in ["dead", "live"] {
        dealer.connect(&parse(&place.endpoint(Transport::Ipc, name))).unwrap();
    }
    let live = peer_at(&place, &context, "live").await;
    joined(&dealer, 1).await;
    send_all(&dealer, numbers(0..10)).await;
    assert_eq!(take(&live, 5), numbers([1, 3, 5, 7, 9]));
    let dead = peer_at(&place, &context, "dead").await;
    assert_eq!(take(&dead, 5), numbers([0, 2, 4, 6, 8]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_immediate_all_messages_go_to_who_is_there() {
    let place = Place::new();
    let context = zmq::Context::new();
    let dealer = dealer(Config::default().with_immediate(true));
    for name in ["dead", "live"] {
        dealer.connect(&parse(&place.endpoint(Transport::Ipc, name))).unwrap();
    }
    let early = dealer.try_send(Message::from("early")).unwrap_err();
    assert_eq!(early.kind(), SendErrorKind::NoSuchPeer);
    let live = peer_at(&place, &context, "live").await;
    send_all(&dealer, numbers(0..10)).await;
    assert_eq!(take(&live, 10), numbers(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_immediate_there_is_nobody_to_send_to_until_a_peer_that_died_is_back() {
    let place = Place::new();
    let context = zmq::Context::new();
    let dealer = dealer(Config::default().with_immediate(true));
    dealer.connect(&parse(&place.endpoint(Transport::Ipc, "x"))).unwrap();
    for round in 0..3 {
        let peer = peer_at(&place, &context, "x").await;
        joined(&dealer, 1).await;
        dealer.try_send(Message::from(round.to_string())).unwrap();
        assert_eq!(take(&peer, 1), numbers([round]));
        drop(peer);
        joined(&dealer, 0).await;
        let error = dealer.try_send(Message::from("lost?")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::NoSuchPeer);
        assert_eq!(error.into_message(), Message::from("lost?"));
    }
    let sender = dealer.sender();
    let waiting = tokio::spawn(async move { sender.send(Message::from("waited")).await });
    let peer = peer_at(&place, &context, "x").await;
    within(waiting).await.unwrap().unwrap();
    assert_eq!(take(&peer, 1), ["waited"]);
}
