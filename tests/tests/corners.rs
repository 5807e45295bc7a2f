//! Where two things happen at once, or in an order that is rare.

use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use interop::{PATIENCE, Place, Transport, end, socket, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::testing::{RawListener, RawPeer};
use zmtp::{
    Config, Dealer, Endpoint, Heartbeat, Message, PeerEvent, RecvError, Req, ReqError, Router,
    TransportOptions,
};

fn moment() -> Duration {
    Duration::from_millis(10)
}

fn quick() -> Config {
    Config::default().with_reconnect(moment(), moment())
}

fn anywhere() -> Endpoint {
    "tcp://127.0.0.1:0".parse().unwrap()
}

fn nobody(place: &Place) -> Endpoint {
    place.endpoint(Transport::Ipc, "nobody").parse().unwrap()
}

/// A REQ and the raw peer that it is connected to.
async fn connected(config: Config) -> (RawListener, Req, RawPeer) {
    let listener = RawListener::bind(&anywhere()).await.unwrap();
    let req = Req::new(config).unwrap();
    req.connect(listener.endpoint()).unwrap();
    let peer = router_at(&listener).await;
    (listener, req, peer)
}

async fn router_at(listener: &RawListener) -> RawPeer {
    let mut peer = listener.accept().await.unwrap().with_patience(PATIENCE);
    peer.shake_hands(SocketType::Router, b"").await.unwrap();
    peer
}

/// Receives a request of one part.
async fn request(peer: &mut RawPeer) -> Vec<u8> {
    assert_eq!(peer.receive_frame().await.unwrap().1, b"");
    peer.receive_frame().await.unwrap().1
}

async fn reply(peer: &mut RawPeer, body: u8) {
    peer.send(&[1, 0, 0, 1, body]).await.unwrap();
}

/// Waits until a peer has seen our end, behind all it sent.
async fn gone(socket: &zmtp::Socket) {
    until("it has left", || socket.peers().is_empty()).await;
}

#[tokio::test]
async fn a_reply_that_has_arrived_is_received_though_its_endpoint_is_gone() {
    let (_listener, mut req, mut peer) = connected(quick().without_reconnect()).await;
    req.send(Message::from("q")).await.unwrap();
    request(&mut peer).await;
    reply(&mut peer, b'r').await;
    drop(peer);
    gone(&req).await;
    assert_eq!(within(req.recv()).await, Ok(Message::from("r")));

    let (listener, mut req, mut peer) = connected(quick()).await;
    req.send(Message::from("q")).await.unwrap();
    request(&mut peer).await;
    reply(&mut peer, b'r').await;
    drop(peer);
    gone(&req).await;
    req.disconnect(listener.endpoint()).await.unwrap();
    assert_eq!(within(req.recv()).await, Ok(Message::from("r")));
}

#[tokio::test]
async fn giving_a_request_up_makes_a_new_connection_also_without_reconnect() {
    let (listener, mut req, mut peer) = connected(quick().without_reconnect()).await;
    for body in [b'1', b'2'] {
        {
            let given_up = req.request(Message::from("given up"));
            tokio::pin!(given_up);
            tokio::select! {
                reply = &mut given_up => panic!("{reply:?}"),
                asked = request(&mut peer) => assert_eq!(asked, b"given up"),
            }
        }
        let (answer, next) = tokio::join!(within(req.request(Message::from("asked"))), async {
            let mut next = router_at(&listener).await;
            assert_eq!(request(&mut next).await, b"asked");
            reply(&mut next, body).await;
            next
        });
        assert_eq!(answer, Ok(Message::from(&[body])));
        peer = next;
    }
}

/// A relay of bytes to a local port, whose connections are cut when it is told to.
async fn relay(to: u16) -> (u16, Arc<tokio::sync::Notify>) {
    let front = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = front.local_addr().unwrap().port();
    let cut = Arc::new(tokio::sync::Notify::new());
    let is_cut = cut.clone();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = front.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = is_cut.notified() => {}
            }
        }
    });
    (port, cut)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_libzmq_brings_along_to_its_next_connection_answers_nothing() {
    let mut req = Req::new(Config::default()).unwrap();
    let bound = req.bind(&anywhere()).await.unwrap();
    let (port, cut) = relay(bound.port().unwrap()).await;
    let context = zmq::Context::new();
    let rep = socket(&context, zmq::REP, "");
    rep.connect(&format!("tcp://127.0.0.1:{port}")).unwrap();
    let (asked, was_asked) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let rep = std::thread::spawn(move || {
        let first = rep.recv_bytes(0).unwrap();
        asked.send(()).unwrap();
        may_go_on.recv().unwrap();
        rep.send(first, 0).unwrap();
        let second = rep.recv_bytes(0).unwrap();
        rep.send(second, 0).unwrap();
        rep
    });
    req.send(Message::from("first")).await.unwrap();
    tokio::task::spawn_blocking(move || was_asked.recv().unwrap()).await.unwrap();
    cut.notify_one();
    let lost = within(req.recv()).await;
    assert!(matches!(lost, Err(RecvError::PeerLost(_))), "{lost:?}");
    go_on.send(()).unwrap();
    let second = within(req.request(Message::from("second"))).await;
    assert_eq!(second, Ok(Message::from("second")));
    drop(rep.join().unwrap());
    end(&context);
}

#[test]
fn endpoints_may_be_given_up_from_several_threads_at_once() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let router = Router::new(Config::default()).unwrap();
    for _ in 0..200 {
        let both = [0, 1].map(|_| runtime.block_on(router.bind(&anywhere())).unwrap());
        let barrier = Barrier::new(2);
        std::thread::scope(|scope| {
            for endpoint in &both {
                scope.spawn(|| {
                    barrier.wait();
                    runtime.block_on(router.unbind(endpoint)).unwrap();
                });
            }
        });
        assert_eq!(router.endpoints(), []);
    }
}

#[tokio::test]
async fn a_close_or_a_disconnect_that_is_dropped_leaves_no_task_behind() {
    let place = Place::new();
    let hour = Duration::from_secs(3600);
    let config = Config::default().with_reconnect(hour, hour).with_linger(hour);
    for closes in [true, false] {
        let dealer = Dealer::new(config.clone()).unwrap();
        dealer.connect(&nobody(&place)).unwrap();
        dealer.send(Message::from("waits")).await.unwrap();
        if closes {
            assert!(timeout(moment(), dealer.close()).await.is_err());
        } else {
            assert!(timeout(moment(), dealer.disconnect(&nobody(&place))).await.is_err());
            drop(dealer);
        }
        let tasks = || Handle::current().metrics().num_alive_tasks();
        until("its task has ended", || tasks() == 0).await;
    }
}

#[tokio::test]
async fn closing_after_a_disconnect_that_was_dropped_gives_back_what_waits() {
    let place = Place::new();
    let dealer = Dealer::new(quick().with_linger(20 * moment())).unwrap();
    dealer.connect(&nobody(&place)).unwrap();
    dealer.send(Message::from("waits")).await.unwrap();
    assert!(timeout(moment(), dealer.disconnect(&nobody(&place))).await.is_err());
    let unsent = within(dealer.close()).await;
    assert_eq!(unsent[0].messages, [Message::from("waits")]);
}

#[tokio::test]
async fn commands_within_a_message_do_not_hide_how_much_of_it_is_held() {
    let router = Router::new(Config::default().with_max_total_bytes(1 << 20)).unwrap();
    let endpoint = router.bind(&anywhere()).await.unwrap();
    let mut peer = RawPeer::connect(&endpoint).await.unwrap().with_patience(PATIENCE);
    peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
    let mut frame = vec![3];
    frame.extend_from_slice(&(256_u64 << 10).to_be_bytes());
    frame.extend(vec![7; 256 << 10]);
    frame.extend_from_slice(b"\x04\x05\x04PONG");
    for _ in 0..40 {
        if peer.send(&frame).await.is_err() {
            return;
        }
    }
    peer.expect_end().await.unwrap();
}

#[tokio::test]
async fn a_peer_that_reads_slowly_gets_all_though_nothing_of_it_is_read_at_the_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let heartbeat = Heartbeat::every(2 * moment()).with_timeout(20 * moment());
    let buffers = TransportOptions::default().with_buffers(64 << 10, 64 << 10);
    let config = quick().with_heartbeat(heartbeat).with_transport(buffers).with_linger(PATIENCE);
    let dealer = Dealer::new(config).unwrap();
    dealer.connect(&endpoint).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(&interop::GREETING).await.unwrap();
    let ready = b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
    stream.write_all(ready).await.unwrap();
    until("it has joined", || dealer.peers().len() == 1).await;
    for _ in 0..50 {
        dealer.send(Message::from(vec![1; 200_000])).await.unwrap();
    }
    let reader = tokio::spawn(async move {
        let (mut total, mut buffer) = (0, vec![0; 200_000]);
        loop {
            // Longer in all than the heartbeat allows for.
            tokio::time::sleep(moment()).await;
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => total += count,
                _ => return total,
            }
        }
    });
    assert_eq!(within(dealer.close()).await, []);
    assert!(reader.await.unwrap() > 50 * 200_000);
}

#[tokio::test]
async fn a_name_is_free_again_once_its_endpoint_was_disconnected() {
    let place = Place::new();
    let endpoint: Endpoint = place.endpoint(Transport::Ipc, "x").parse().unwrap();
    let mut dealer = Dealer::new(Config::default()).unwrap();
    dealer.bind(&endpoint).await.unwrap();
    let mut router = Router::new(quick()).unwrap();
    router.connect_as(&endpoint, "A").unwrap();
    let joined = within(router.recv_event()).await;
    assert!(matches!(joined, Some(PeerEvent::Joined(_))), "{joined:?}");
    router.disconnect(&endpoint).await.unwrap();
    assert_eq!(router.find(b"A"), None);
    router.connect_as(&endpoint, "A").unwrap();
    router.send_to(b"A", Message::from("again")).await.unwrap();
    assert_eq!(within(dealer.recv()).await, Some(Message::from("again")));
}

#[tokio::test]
async fn what_arrived_before_a_reset_is_received() {
    let mut router = Router::new(Config::default().with_recv_hwm(1)).unwrap();
    let endpoint = router.bind(&anywhere()).await.unwrap();
    let address = ("127.0.0.1", endpoint.port().unwrap());
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_zero_linger().unwrap();
    let mut peer = RawPeer::new(stream);
    peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
    for i in 0..10 {
        peer.send(&[0, 1, i]).await.unwrap();
    }
    // The PONG says that all before it has been read.
    peer.send(b"\x04\x07\x04PING\0\0").await.unwrap();
    peer.expect(b"\x04\x05\x04PONG").await.unwrap();
    drop(peer);
    for i in 0..10 {
        let (_, message) = within(router.recv()).await.unwrap();
        assert_eq!(message, Message::from(&[i]));
    }
}

#[tokio::test]
async fn closing_does_not_wait_without_end_for_a_peer_that_has_all_and_stays() {
    let config = quick().with_linger(Duration::MAX).with_write_timeout(20 * moment());
    let (_listener, mut req, mut peer) = connected(config).await;
    req.send(Message::from("q")).await.unwrap();
    request(&mut peer).await;
    assert_eq!(within(req.close()).await, []);
}

#[tokio::test]
async fn a_request_to_an_endpoint_that_is_not_tried_again_says_so() {
    let place = Place::new();
    let config = quick().without_reconnect().with_on_full(zmtp::OnFull::Fail);
    let mut req = Req::new(config).unwrap();
    req.connect(&nobody(&place)).unwrap();
    let error = within(req.request(Message::from("x"))).await.unwrap_err();
    let expected = ReqError::PeerLost(zmtp::LeaveReason::Unreachable);
    assert_eq!(error, expected);
}

#[test]
fn a_message_ends_where_its_iterator_does() {
    let mut parts = ["a", "", "b"].iter();
    let with_a_gap = std::iter::from_fn(|| parts.next().copied().filter(|part| !part.is_empty()));
    assert_eq!(with_a_gap.collect::<Message>(), Message::from("a"));
}
