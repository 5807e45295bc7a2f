//! Each limit holds for the peer that goes beyond it, and an innocent peer beside it loses nothing.

use std::time::Duration;

use interop::{PATIENCE, Place, Transport, socket};
use tokio::time::timeout;
use zmtp::proto::SocketType;
use zmtp::testing::RawPeer;
use zmtp::{Config, LeaveReason, Limits, Message, Monitor, MonitorEvent, ProtocolError, Router};

/// A ROUTER that answers each request with itself, and a libzmq REQ that it serves.
struct Bystander {
    router: tokio::task::JoinHandle<()>,
    monitor: Monitor,
    endpoint: String,
    req: zmq::Socket,
    _place: Place,
}

impl Bystander {
    async fn new(config: Config) -> Self {
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Ipc, "router");
        let mut router = Router::new(config).unwrap();
        router.bind(&endpoint.parse().unwrap()).await.unwrap();
        let monitor = router.monitor();
        let router = tokio::spawn(async move {
            while let Some((peer, request)) = router.recv().await {
                if request.part(0) == Some(b"") {
                    router.try_send(peer, request).unwrap();
                } else {
                    // What the guilty one asks for: more than it will read.
                    let _ = router.try_send(peer, Message::from([vec![7; 8 << 20]]));
                }
            }
        });
        let req = socket(&zmq::Context::new(), zmq::REQ, "GOOD");
        req.connect(&endpoint).unwrap();
        let mut bystander = Self { router, monitor, endpoint, req, _place: place };
        bystander.is_served();
        bystander.has_joined().await;
        bystander
    }

    /// Waits for the next connection to have shaken hands.
    async fn has_joined(&mut self) {
        let joined = async {
            while !matches!(self.monitor.recv().await, Some(MonitorEvent::HandshakeSucceeded(_))) {}
        };
        timeout(PATIENCE, joined).await.unwrap();
    }

    fn is_served(&self) {
        for i in 0..20 {
            let body = i.to_string();
            self.req.send(&body, 0).unwrap();
            assert_eq!(self.req.recv_bytes(0).unwrap(), body.as_bytes());
        }
    }

    async fn guilty(&self) -> RawPeer {
        RawPeer::connect(&self.endpoint.parse().unwrap()).await.unwrap()
    }

    async fn shaken(&mut self) -> RawPeer {
        let mut peer = self.guilty().await;
        peer.shake_hands(SocketType::Dealer, b"").await.unwrap();
        self.has_joined().await;
        peer
    }

    /// A connection other than the bystander's ends for this reason; the bystander's goes on.
    async fn ends(&mut self, expected: LeaveReason) {
        let reason = timeout(PATIENCE, async {
            loop {
                match self.monitor.recv().await.unwrap() {
                    MonitorEvent::HandshakeFailed(_, reason)
                    | MonitorEvent::Disconnected(_, reason) => return reason,
                    _ => {}
                }
            }
        });
        assert_eq!(reason.await.unwrap(), expected);
        self.is_served();
        self.router.abort();
    }
}

fn protocol(error: ProtocolError) -> LeaveReason {
    LeaveReason::Protocol(error)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_a_frame() {
    let limits = Limits::default().with_max_message_size(1000);
    let mut bystander = Bystander::new(Config::default().with_limits(limits)).await;
    bystander.shaken().await.send(b"\x02\0\0\0\0\0\0\x03\xE9").await.unwrap();
    let error = ProtocolError::FrameTooLarge { size: 1001, max: 1000 };
    bystander.ends(protocol(error)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_a_message() {
    let limits = Limits::default().with_max_message_size(1000);
    let mut bystander = Bystander::new(Config::default().with_limits(limits)).await;
    let mut peer = bystander.shaken().await;
    // Sixteen empty frames cost 15 times 64 bytes.
    peer.send(&b"\x01\x00".repeat(17)).await.unwrap();
    bystander.ends(protocol(ProtocolError::MessageTooLarge { max: 1000 })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_in_a_message() {
    let mut bystander = Bystander::new(Config::default()).await;
    let mut peer = bystander.shaken().await;
    peer.send(&b"\x01\x00".repeat(1025)).await.unwrap();
    bystander.ends(protocol(ProtocolError::TooManyFrames { max: 1024 })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_a_command() {
    let mut bystander = Bystander::new(Config::default()).await;
    bystander.shaken().await.send(b"\x06\0\0\0\0\0\0\x10\x01").await.unwrap();
    let error = ProtocolError::CommandTooLarge { size: 4097, max: 4096 };
    bystander.ends(protocol(error)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_for_a_handshake() {
    let limits = Limits::default().with_handshake_timeout(Duration::from_millis(200));
    let mut bystander = Bystander::new(Config::default().with_limits(limits)).await;
    let _silent = bystander.guilty().await;
    bystander.ends(protocol(ProtocolError::HandshakeTimeout)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_at_a_time() {
    let config = Config::default().with_max_pending_handshakes(1);
    let mut bystander = Bystander::new(config).await;
    let _oldest = bystander.guilty().await;
    let _latest = bystander.guilty().await;
    bystander.ends(LeaveReason::Evicted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_at_a_time() {
    let mut bystander = Bystander::new(Config::default().with_max_connections(2)).await;
    let _joined = bystander.shaken().await;
    bystander.guilty().await.expect_end().await.unwrap();
    let refused = async {
        loop {
            if let MonitorEvent::Refused(_) = bystander.monitor.recv().await.unwrap() {
                return;
            }
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    bystander.is_served();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_held_for_all_peers_together() {
    let config = Config::default().with_max_total_bytes(4 << 20);
    let mut bystander = Bystander::new(config).await;
    let mut peers = Vec::new();
    for i in 0..3_u8 {
        let mut peer = bystander.shaken().await;
        // Unfinished messages of 640 KiB and more; the third is the largest, and one too many.
        peer.send(b"\x02\0\0\0\0\x01\0\0\0").await.unwrap();
        let sent = peer.send(&vec![i; (640 + 64 * usize::from(i)) << 10]).await;
        // It may be ended before its last bytes are written.
        assert!(sent.is_ok() || i == 2, "{sent:?}");
        peers.push(peer);
    }
    bystander.ends(LeaveReason::OverBudget).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_without_taking_what_is_written() {
    let config = Config::default().with_write_timeout(Duration::from_millis(200));
    let mut bystander = Bystander::new(config).await;
    let mut peer = bystander.shaken().await;
    peer.send(b"\x00\x04more").await.unwrap();
    bystander.ends(LeaveReason::WriteTimeout).await;
}
