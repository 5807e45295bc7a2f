//! The rules of ZMTP 3.1 and 3.0 that bind these sockets, one script each, run against our ROUTER as
//! acceptor and as connector. `docs/compliance.md` says which rule is which.

mod frames;
mod greeting;
mod handshake;
mod heartbeats;

use std::time::Duration;

use interop::PATIENCE;
use tokio::time::timeout;
use zmtp::proto::{Connection, Event, GREETING, Settings, SocketType};
use zmtp::testing::{RawListener, RawPeer};
use zmtp::{
    Config, Heartbeat, LeaveReason, Message, Monitor, MonitorEvent, PeerEvent, ProtocolError,
    Router,
};

const READY_REQ: &[u8] = interop::READY_REQ;

/// Our socket and the peer that follows a script.
struct Pair {
    router: Router,
    monitor: Monitor,
    peer: RawPeer,
    /// Where the next attempt of a connecting socket arrives.
    listener: Option<RawListener>,
}

/// Runs a script with our socket as acceptor, and as connector.
async fn each_way(script: impl AsyncFn(&mut Pair)) {
    each_way_with(Config::default(), script).await;
}

async fn each_way_with(config: Config, script: impl AsyncFn(&mut Pair)) {
    let reconnect = Duration::from_millis(10);
    let config = config.with_reconnect(reconnect, reconnect);
    let anywhere = "tcp://127.0.0.1:0".parse().unwrap();

    let router = Router::new(config.clone()).unwrap();
    let endpoint = router.bind(&anywhere).await.unwrap();
    let monitor = router.monitor();
    let peer = RawPeer::connect(&endpoint).await.unwrap();
    script(&mut Pair { router, monitor, peer, listener: None }).await;

    let listener = RawListener::bind(&anywhere).await.unwrap();
    let router = Router::new(config).unwrap();
    let monitor = router.monitor();
    router.connect(listener.endpoint()).unwrap();
    let peer = listener.accept().await.unwrap();
    script(&mut Pair { router, monitor, peer, listener: Some(listener) }).await;
}

impl Pair {
    async fn event(&mut self) -> PeerEvent {
        timeout(PATIENCE, self.router.recv_event()).await.unwrap().unwrap()
    }

    async fn joined(&mut self) -> std::sync::Arc<zmtp::Peer> {
        let event = self.event().await;
        let PeerEvent::Joined(peer) = event else { panic!("{event:?}") };
        peer
    }

    async fn message(&mut self) -> Message {
        timeout(PATIENCE, self.router.recv()).await.unwrap().unwrap().1
    }

    /// The handshake of a REQ, to its end on both sides.
    async fn shake_hands(&mut self) -> zmtp::PeerId {
        self.peer.shake_hands(SocketType::Req, b"").await.unwrap();
        self.joined().await.id
    }

    /// The connection ends before the handshake does, for this reason, and nothing was delivered.
    async fn fails_with(&mut self, expected: ProtocolError) {
        loop {
            match timeout(PATIENCE, self.monitor.recv()).await.unwrap().unwrap() {
                MonitorEvent::HandshakeFailed(_, reason) => {
                    assert_eq!(reason, LeaveReason::Protocol(expected));
                    break;
                }
                MonitorEvent::HandshakeSucceeded(_) => panic!("the handshake succeeded"),
                _ => {}
            }
        }
        assert!(self.router.peers().is_empty());
    }

    /// The connection ends after the handshake, for this reason.
    async fn ends_with(&mut self, expected: ProtocolError) {
        let event = self.event().await;
        let PeerEvent::Left(_, reason) = event else { panic!("{event:?}") };
        assert_eq!(reason, LeaveReason::Protocol(expected));
    }
}

/// A greeting with some bytes replaced.
fn greeting(at: usize, bytes: &[u8]) -> [u8; 64] {
    let mut greeting = GREETING;
    greeting[at..at + bytes.len()].copy_from_slice(bytes);
    greeting
}

/// READY with these properties.
fn ready(properties: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in properties {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
    }
    command(&body)
}

/// A command frame, long if it has to be.
fn command(body: &[u8]) -> Vec<u8> {
    let head = match u8::try_from(body.len()) {
        Ok(len) => vec![4, len],
        Err(_) => [&[6][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    [&head, body].concat()
}
