//! Our DEALER with libzmq peers, and byte by byte.

mod absent;
mod receiving;
mod sending;

use std::time::Duration;

use interop::{Place, Transport, socket};
use zmtp::{Config, Dealer, Endpoint, Message};

/// A DEALER that connects again at once.
fn dealer(config: Config) -> Dealer {
    let pause = Duration::from_millis(10);
    Dealer::new(config.with_reconnect(pause, pause)).unwrap()
}

fn parse(endpoint: &str) -> Endpoint {
    endpoint.parse().unwrap()
}

/// A DEALER that listens on a socket file, and where.
async fn bound(config: Config) -> (Dealer, Place, Endpoint) {
    let place = Place::new();
    let endpoint = parse(&place.endpoint(Transport::Ipc, "dealer"));
    let dealer = dealer(config);
    dealer.bind(&endpoint).await.unwrap();
    (dealer, place, endpoint)
}

/// A libzmq DEALER that listens on a socket file. One that listened there before may still be about
/// to go.
async fn peer_at(place: &Place, context: &zmq::Context, name: &str) -> zmq::Socket {
    let endpoint = place.endpoint(Transport::Ipc, name);
    let peer = socket(context, zmq::DEALER, "");
    interop::until("the path is free", || peer.bind(&endpoint).is_ok()).await;
    peer
}

async fn joined(dealer: &Dealer, count: usize) {
    interop::until("all have joined", || dealer.peers().len() == count).await;
}

fn numbers(range: impl IntoIterator<Item = usize>) -> Vec<String> {
    range.into_iter().map(|i| i.to_string()).collect()
}

async fn send_all(dealer: &Dealer, texts: Vec<String>) {
    for text in texts {
        interop::within(dealer.send(Message::from(text))).await.unwrap();
    }
}

/// The next so many messages of a libzmq socket.
fn take(peer: &zmq::Socket, count: usize) -> Vec<String> {
    (0..count).map(|_| peer.recv_string(0).expect("a message in time").unwrap()).collect()
}
