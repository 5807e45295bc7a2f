//! Connections byte by byte that are as patient as everything here.

use zmtp::proto::SocketType;
use zmtp::testing::{RawListener, RawPeer};
use zmtp::{Endpoint, LeaveReason, Monitor, MonitorEvent};

use crate::{PATIENCE, within};

/// Connects to the peer under test.
pub async fn raw(endpoint: &Endpoint) -> RawPeer {
    within(RawPeer::connect(endpoint)).await.unwrap().with_patience(PATIENCE)
}

/// Connects to the peer under test and shakes hands with it.
pub async fn shaken(endpoint: &Endpoint, socket_type: SocketType, identity: &[u8]) -> RawPeer {
    let mut peer = raw(endpoint).await;
    peer.shake_hands(socket_type, identity).await.unwrap();
    peer
}

/// The next connection of the peer under test.
pub async fn accept(listener: &RawListener) -> RawPeer {
    within(listener.accept()).await.unwrap().with_patience(PATIENCE)
}

/// A peer that shakes hands, sends these bytes and leaves. All it sent can be received afterwards.
/// Returns why it left.
pub async fn say(
    endpoint: &Endpoint,
    monitor: &mut Monitor,
    socket_type: SocketType,
    bytes: &[u8],
) -> LeaveReason {
    let mut peer = shaken(endpoint, socket_type, b"").await;
    peer.send(bytes).await.unwrap();
    drop(peer);
    disconnected(monitor).await
}

/// Why the next peer to leave does.
pub async fn disconnected(monitor: &mut Monitor) -> LeaveReason {
    loop {
        if let MonitorEvent::Disconnected(_, reason) = within(monitor.recv()).await.unwrap() {
            return reason;
        }
    }
}
