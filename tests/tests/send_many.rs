//! Messages that are sent together: each arrives once and in order, whatever the peers take, on both
//! flavours of the runtime.

use interop::{Place, Transport, shaken, within};
use tokio::runtime::{Builder, Runtime};
use zmtp::proto::SocketType;
use zmtp::testing::RawPeer;
use zmtp::{Config, Dealer, Endpoint, Message, PeerEvent, PeerId, Router, SendErrorKind};

const PEERS: usize = 8;
const ROUNDS: u32 = 500;

fn runtimes() -> [Runtime; 2] {
    let multi = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    [Builder::new_current_thread().enable_all().build().unwrap(), multi]
}

async fn bound(config: Config, place: &Place, transport: Transport) -> (Router, Endpoint) {
    let router = Router::new(config).unwrap();
    let endpoint = place.endpoint(transport, "many").parse().unwrap();
    let endpoint = router.bind(&endpoint).await.unwrap();
    (router, endpoint)
}

async fn joined(router: &mut Router) -> PeerId {
    loop {
        if let Some(PeerEvent::Joined(peer)) = within(router.recv_event()).await {
            return peer.id;
        }
    }
}

/// Of all sorts of sizes, so that some are written in part.
fn numbered(i: u32) -> Message {
    let size = [0, 40, 4000, 100_000][i as usize % 4];
    Message::from([i.to_be_bytes().to_vec(), vec![7; size]])
}

#[test]
fn each_message_arrives_once_and_in_order() {
    for (runtime, transport) in runtimes().into_iter().zip([Transport::Ipc, Transport::Tcp]) {
        runtime.block_on(async {
            let place = Place::new();
            // Little, so that often a message finds no room and the next could.
            let config = Config::default().with_send_hwm(50);
            let (mut router, endpoint) = bound(config, &place, transport).await;
            let mut peers = Vec::new();
            let mut receivers = Vec::new();
            for peer in 0..PEERS {
                let mut dealer = Dealer::new(Config::default()).unwrap();
                dealer.connect(&endpoint).unwrap();
                peers.push(joined(&mut router).await);
                receivers.push(tokio::spawn(async move {
                    for i in 0..ROUNDS {
                        if i as usize % 50 == peer {
                            // Who does not read for a while is no different from the others.
                            tokio::task::yield_now().await;
                        }
                        assert_eq!(within(dealer.recv()).await.unwrap(), numbered(i));
                    }
                }));
            }
            let (mut messages, mut failed) = (Vec::new(), Vec::new());
            for i in 0..ROUNDS {
                // Some have two in one batch.
                messages.extend(peers.iter().map(|&peer| (peer, numbered(i))));
                if i % 3 != 0 || i + 1 == ROUNDS {
                    send_all(&router, &mut messages, &mut failed).await;
                }
            }
            for receiver in receivers {
                receiver.await.unwrap();
            }
        });
    }
}

/// What finds no room goes with the next attempt, behind it nothing of the same peer.
async fn send_all(
    router: &Router,
    messages: &mut Vec<(PeerId, Message)>,
    failed: &mut Vec<(PeerId, zmtp::SendError)>,
) {
    let attempts = async {
        while !messages.is_empty() {
            router.send_many(messages, failed);
            assert!(messages.is_empty());
            for (peer, error) in failed.drain(..) {
                assert_eq!(error.kind(), SendErrorKind::Full);
                messages.push((peer, error.into_message()));
            }
            tokio::task::yield_now().await;
        }
    };
    within(attempts).await;
}

/// The first byte of each of so many messages of one part of this size.
async fn numbers(peer: &mut RawPeer, count: usize, size: usize) -> Vec<u8> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let frame = within(peer.receive(9 + size)).await.unwrap();
        assert_eq!(frame[..9], [&[2][..], &(size as u64).to_be_bytes()].concat());
        numbers.push(frame[9]);
    }
    numbers
}

#[test]
fn what_finds_no_room_comes_back_and_what_was_taken_arrives() {
    const SIZE: usize = 50_000;
    for runtime in runtimes() {
        runtime.block_on(async {
            let place = Place::new();
            let config = Config::default().with_send_hwm(5);
            let (mut router, endpoint) = bound(config, &place, Transport::Ipc).await;
            let mut lazy = shaken(&endpoint, SocketType::Dealer, b"").await;
            let lazy_id = joined(&mut router).await;
            let mut other = shaken(&endpoint, SocketType::Dealer, b"").await;
            let other_id = joined(&mut router).await;
            let message = |i: u8| Message::from([vec![i; SIZE]]);
            let mut messages: Vec<_> = (0..100).map(|i| (lazy_id, message(i))).collect();
            messages.push((other_id, Message::from("x")));
            let mut failed = Vec::new();
            router.send_many(&mut messages, &mut failed);
            // Nobody waits for one that does not read.
            within(other.expect(b"\x00\x01x")).await.unwrap();
            assert!(
                failed.iter().all(|(peer, error)| {
                    *peer == lazy_id && error.kind() == SendErrorKind::Full
                })
            );
            let taken = 100 - failed.len();
            assert!((5..100).contains(&taken), "{taken}");
            let expected: Vec<u8> = (0..100).take(taken).collect();
            assert_eq!(numbers(&mut lazy, taken, SIZE).await, expected);
        });
    }
}

#[tokio::test]
async fn who_has_left_gets_nothing_and_the_message_comes_back() {
    let place = Place::new();
    let (mut router, endpoint) = bound(Config::default(), &place, Transport::Ipc).await;
    let gone = shaken(&endpoint, SocketType::Dealer, b"").await;
    let gone_id = joined(&mut router).await;
    let mut here = shaken(&endpoint, SocketType::Dealer, b"").await;
    let here_id = joined(&mut router).await;
    drop(gone);
    let Some(PeerEvent::Left(..)) = within(router.recv_event()).await else { panic!() };
    let mut failed = Vec::new();
    let message = Message::from("x");
    router
        .send_many(&mut vec![(gone_id, message.clone()), (here_id, message.clone())], &mut failed);
    here.expect(b"\x00\x01x").await.unwrap();
    let [(peer, error)] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!((*peer, error.kind()), (gone_id, SendErrorKind::NoSuchPeer));
    let mut failed = Vec::new();
    router.send_many(&mut vec![(here_id, Message::new())], &mut failed);
    assert_eq!(failed[0].1.kind(), SendErrorKind::Empty);
}

#[tokio::test]
async fn what_a_peer_sent_before_it_left_is_received_though_a_write_finds_it_gone_first() {
    let place = Place::new();
    let (mut router, endpoint) = bound(Config::default(), &place, Transport::Ipc).await;
    let message = Message::from("x");
    let mut failed = Vec::new();
    for in_place in [false, true] {
        let mut peer = shaken(&endpoint, SocketType::Dealer, b"").await;
        let id = joined(&mut router).await;
        peer.send(b"\0\x01a").await.unwrap();
        let (from, first) = within(router.recv()).await.unwrap();
        assert_eq!((from, first), (id, Message::from("a")));
        peer.send(b"\0\x01b").await.unwrap();
        drop(peer);
        // Before anybody has told of what there is to read.
        if in_place {
            router.send_many(&mut vec![(id, message.clone())], &mut failed);
        } else {
            router.try_send(id, message.clone()).unwrap();
        }
        let event = within(router.recv_event()).await;
        assert!(matches!(event, Some(PeerEvent::Message(..))), "{event:?}");
        assert!(matches!(within(router.recv_event()).await, Some(PeerEvent::Left(..))));
    }
    let [(_, error)] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(error.kind(), SendErrorKind::NoSuchPeer, "what was written at once comes back");
}
