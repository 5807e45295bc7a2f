//! Peers whose process is killed and started again: sockets that wait for them go on.

use std::process::Command;
use std::time::Duration;

use interop::{Echo, Frames, MUTE, PATIENCE, Party, Place, Transport, until};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::{
    Config, Dealer, LeaveReason, Message, Req, ReqError, Router, SendErrorKind, Socket,
    TransportOptions,
};

fn peer(of: SocketType, binds: bool, endpoint: &str) -> Echo {
    Echo::start(&mut Command::new(env!("CARGO_BIN_EXE_peer")), of, binds, endpoint)
}

fn config() -> Config {
    let pause = Duration::from_millis(10);
    Config::default().with_reconnect(pause, pause)
}

fn text(parts: &[&str]) -> Frames {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

/// Runs a test over both transports, with our side binding and connecting, each time in a new place:
/// a process that another test starts holds our sockets for a moment, and what was bound stays so.
async fn everywhere(test: impl AsyncFn(&str, bool)) {
    for transport in [Transport::Ipc, Transport::Tcp] {
        for we_bind in [true, false] {
            let place = Place::new();
            test(&place.endpoint(transport, "x"), we_bind).await;
        }
    }
}

async fn start(socket: &Socket, endpoint: &str, we_bind: bool) {
    let endpoint = endpoint.parse().unwrap();
    if we_bind {
        socket.bind(&endpoint).await.unwrap();
    } else {
        socket.connect(&endpoint).unwrap();
    }
}

/// Waits until our side has seen that nobody is there any more.
async fn alone(socket: &Socket) {
    until("they have left", || socket.peers().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_goes_on_with_a_peer_of_each_type_after_it_was_killed() {
    use SocketType::{Dealer, Rep, Req, Router};
    const PAIRS: [(SocketType, SocketType); 10] = [
        (Req, Rep),
        (Req, Router),
        (Rep, Req),
        (Rep, Dealer),
        (Dealer, Rep),
        (Dealer, Dealer),
        (Dealer, Router),
        (Router, Req),
        (Router, Dealer),
        (Router, Router),
    ];
    for (ours, theirs) in PAIRS {
        everywhere(async |endpoint, we_bind| {
            println!("{ours} with {theirs}, {endpoint}, {we_bind}");
            let mut party = Party::ours(ours, config().with_identity("ME"));
            start(party.socket(), endpoint, we_bind).await;
            for i in 0..3 {
                let peer = peer(theirs, !we_bind, endpoint);
                peer.greets(&mut party).await;
                for body in ["first", "second"] {
                    peer.answers(&mut party, &text(&[body, "", &i.to_string()])).await;
                }
                peer.kill();
                if ours == Rep {
                    // It has been sent what it said as another request, and the reply goes nowhere.
                    party.send(&text(&["late"])).await;
                }
                alone(party.socket()).await;
            }
            party.close().await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dealer_sends_while_its_peer_is_dead_reaches_the_next_one() {
    everywhere(async |endpoint, we_bind| {
        let mut dealer = Dealer::new(config()).unwrap();
        start(&dealer, endpoint, we_bind).await;
        let sender = dealer.sender();
        for i in 0..3 {
            let message = || Message::from(format!("message {i}"));
            {
                let sent = sender.send(message());
                tokio::pin!(sent);
                if we_bind {
                    // There is nobody to send it to, and nowhere to keep it.
                    let error = dealer.try_send(message()).unwrap_err();
                    assert_eq!(error.kind(), SendErrorKind::NoSuchPeer);
                    assert!(timeout(Duration::ZERO, &mut sent).await.is_err());
                } else {
                    timeout(PATIENCE, &mut sent).await.unwrap().unwrap();
                }
                let peer = peer(SocketType::Router, !we_bind, endpoint);
                if we_bind {
                    timeout(PATIENCE, &mut sent).await.unwrap().unwrap();
                }
                let echo = timeout(PATIENCE, dealer.recv()).await.unwrap();
                assert_eq!(echo, Some(message()));
                peer.kill();
            }
            alone(&dealer).await;
        }
        assert_eq!(dealer.dropped(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_peer_had_not_been_sent_reaches_the_next_one_in_order() {
    const MESSAGES: u32 = 100;
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "x");
    // Little is on its way, and most of it waits here.
    let transport = TransportOptions::default().with_buffers(64 << 10, 64 << 10);
    let mut dealer = Dealer::new(config().with_transport(transport)).unwrap();
    dealer.connect(&endpoint.parse().unwrap()).unwrap();
    let first = peer(SocketType::Router, true, &endpoint);
    dealer.send(Message::from("alive")).await.unwrap();
    let echo = timeout(PATIENCE, dealer.recv()).await.unwrap();
    assert_eq!(echo, Some(Message::from("alive")));
    first.stop();
    for i in 0..MESSAGES {
        dealer.send(Message::from([i.to_be_bytes().to_vec(), vec![7; 100_000]])).await.unwrap();
    }
    first.kill();
    alone(&dealer).await;
    let _second = peer(SocketType::Router, true, &endpoint);
    let mut received = Vec::new();
    while received.last() != Some(&(MESSAGES - 1)) {
        let echo = timeout(PATIENCE, dealer.recv()).await.unwrap().unwrap();
        assert_eq!(echo.part(1).map(<[u8]>::len), Some(100_000));
        received.push(u32::from_be_bytes(echo.part(0).unwrap().try_into().unwrap()));
    }
    assert!(received.len() > 50, "{received:?}");
    assert_eq!(received, (received[0]..MESSAGES).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_req_whose_peer_is_killed_before_it_replies_hears_of_it_and_asks_the_next() {
    for theirs in [SocketType::Rep, SocketType::Router] {
        everywhere(async |endpoint, we_bind| {
            let mut req = Req::new(config()).unwrap();
            start(&req, endpoint, we_bind).await;
            for _ in 0..3 {
                let peer = peer(theirs, !we_bind, endpoint);
                let request = timeout(PATIENCE, req.request(Message::from("alive")));
                assert_eq!(request.await.unwrap(), Ok(Message::from("alive")));
                // It is killed with the request in hand.
                let killed = tokio::task::spawn_blocking(move || {
                    peer.says("muted");
                    peer.kill();
                });
                let request = timeout(PATIENCE, req.request(Message::from(MUTE)));
                let lost = request.await.unwrap().unwrap_err();
                let ReqError::PeerLost(reason) = lost else { panic!("{lost}") };
                assert!(matches!(reason, LeaveReason::Closed | LeaveReason::Io(_)), "{reason}");
                killed.await.unwrap();
            }
            req.close().await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_reaches_a_named_peer_again_and_knows_that_it_is_another() {
    everywhere(async |endpoint, we_bind| {
        let mut router = Router::new(config()).unwrap();
        start(&router, endpoint, we_bind).await;
        let mut earlier = None;
        for _ in 0..3 {
            let peer = peer(SocketType::Dealer, !we_bind, endpoint);
            let (id, ready) = timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
            assert_eq!(ready, Message::from(["", "READY"]));
            assert_eq!(router.find(b"PEER"), Some(id));
            if let Some(earlier) = earlier.replace(id) {
                let error = router.try_send(earlier, Message::from("you?")).unwrap_err();
                assert_eq!(error.kind(), SendErrorKind::NoSuchPeer);
            }
            router.send_to(b"PEER", Message::from("you?")).await.unwrap();
            let echo = timeout(PATIENCE, router.recv()).await.unwrap();
            assert_eq!(echo, Some((id, Message::from("you?"))));
            peer.kill();
            alone(&router).await;
            assert_eq!(router.find(b"PEER"), None);
            let error = router.send_to(b"PEER", Message::from("x")).await.unwrap_err();
            assert_eq!(error.kind(), SendErrorKind::NoSuchPeer);
        }
        router.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_given_to_an_endpoint_is_routable_while_the_peer_there_is_dead() {
    for transport in [Transport::Ipc, Transport::Tcp] {
        let place = Place::new();
        let endpoint = place.endpoint(transport, "x");
        let mut router = Router::new(config()).unwrap();
        router.connect_as(&endpoint.parse().unwrap(), "GIVEN").unwrap();
        for i in 0..3 {
            // Nobody is there yet, or any more.
            let message = || Message::from(format!("message {i}"));
            router.send_to(b"GIVEN", message()).await.unwrap();
            let peer = peer(SocketType::Dealer, true, &endpoint);
            let (_, ready) = timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
            assert_eq!(ready, Message::from(["", "READY"]));
            let (id, echo) = timeout(PATIENCE, router.recv()).await.unwrap().unwrap();
            assert_eq!((router.find(b"GIVEN"), echo), (Some(id), message()));
            assert_eq!(&router.peer(id).unwrap().routing_id[..], b"GIVEN");
            peer.kill();
            alone(&router).await;
        }
        assert_eq!(router.dropped(), 0);
    }
}
