//! Where sockets are bound and connected, and how that begins and ends, with libzmq peers.

mod coming_back;
mod detached;
mod linger;
mod monitor;
mod names;
mod opening;
mod transport;

use std::time::Duration;

use interop::{Place, Transport, within};
use zmtp::{Config, Dealer, Endpoint, LeaveReason, Message, PeerEvent, PeerId, Router};

const BOTH: [Transport; 2] = [Transport::Ipc, Transport::Tcp];

/// Connects again at once.
fn quick() -> Config {
    let pause = Duration::from_millis(5);
    Config::default().with_reconnect(pause, pause)
}

fn dealer(config: Config) -> Dealer {
    Dealer::new(config).unwrap()
}

fn router(config: Config) -> Router {
    Router::new(config).unwrap()
}

fn parse(endpoint: &str) -> Endpoint {
    endpoint.parse().unwrap()
}

/// A libzmq DEALER that listens. One that listened there before may still be about to go.
async fn peer_at(endpoint: &Endpoint, context: &zmq::Context) -> zmq::Socket {
    let peer = interop::socket(context, zmq::DEALER, "");
    let endpoint = endpoint.to_string();
    interop::until("the endpoint is free", || peer.bind(&endpoint).is_ok()).await;
    peer
}

fn at(place: &Place, transport: Transport) -> Endpoint {
    parse(&place.endpoint(transport, "x"))
}

async fn peers(socket: &zmtp::Socket, count: usize) {
    interop::until("the peers", || socket.peers().len() == count).await;
}

async fn joined(router: &mut Router) -> PeerId {
    let event = within(router.recv_event()).await.unwrap();
    let PeerEvent::Joined(peer) = event else { panic!("{event:?}") };
    peer.id
}

async fn left(router: &mut Router) -> (PeerId, LeaveReason) {
    let event = within(router.recv_event()).await.unwrap();
    let PeerEvent::Left(peer, reason) = event else { panic!("{event:?}") };
    (peer.id, reason)
}

async fn send(dealer: &Dealer, texts: &[&str]) {
    for &text in texts {
        within(dealer.send(Message::from(text))).await.unwrap();
    }
}

/// The next so many messages of a libzmq socket.
fn take(peer: &zmq::Socket, count: usize) -> Vec<String> {
    (0..count).map(|_| peer.recv_string(0).expect("a message in time").unwrap()).collect()
}
