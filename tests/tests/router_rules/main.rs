//! What ROUTER promises of names, queues and news, with libzmq peers and byte by byte.

mod connecting;
mod events;
mod marks;
mod names;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use interop::{Place, Transport, within};
use zmtp::{
    Config, Endpoint, LeaveReason, Message, Peer, PeerEvent, PeerId, Router, SendErrorKind,
    TransportOptions,
};

/// A ROUTER that connects again at once.
fn router(config: Config) -> Router {
    let pause = Duration::from_millis(10);
    Router::new(config.with_reconnect(pause, pause)).unwrap()
}

fn parse(endpoint: &str) -> Endpoint {
    endpoint.parse().unwrap()
}

/// A ROUTER that listens on a socket file, and where.
async fn bound(config: Config) -> (Router, Place, Endpoint) {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "router"));
    let router = router(config);
    router.bind(&endpoint).await.unwrap();
    (router, place, endpoint)
}

/// Small buffers of the system, so that much cannot be on its way.
fn narrow() -> Config {
    Config::default().with_transport(TransportOptions::default().with_buffers(16 << 10, 16 << 10))
}

async fn event(router: &mut Router) -> PeerEvent {
    within(router.recv_event()).await.unwrap()
}

async fn joined(router: &mut Router) -> Arc<Peer> {
    let event = event(router).await;
    let PeerEvent::Joined(peer) = event else { panic!("{event:?}") };
    peer
}

async fn left(router: &mut Router) -> (PeerId, LeaveReason) {
    let event = event(router).await;
    let PeerEvent::Left(peer, reason) = event else { panic!("{event:?}") };
    (peer.id, reason)
}

async fn message(router: &mut Router) -> (PeerId, Message) {
    within(router.recv()).await.unwrap()
}

/// How many peers there are, seen from outside the news.
async fn peers(router: &Router, count: usize) {
    interop::until("the peers", || router.peers().len() == count).await;
}

/// Sends by name and says what came of it. A message that was not sent comes back unchanged.
async fn send_to(router: &Router, name: &[u8], text: &str) -> Result<(), SendErrorKind> {
    within(router.send_to(name, Message::from(text))).await.map_err(|error| {
        assert_eq!(error.clone().into_message(), Message::from(text));
        error.kind()
    })
}
