//! To whom REQ and DEALER send: everybody in turn, in the order in which they came.

use std::thread::JoinHandle;
use std::time::Duration;

use interop::{PATIENCE, Place, Transport, end, socket, until};
use tokio::time::timeout;
use zmq::Context;
use zmtp::{Config, Dealer, Message, Req};

const NAMES: [&str; 3] = ["A", "B", "C"];
const TURNS: [&str; 7] = ["A", "B", "C", "A", "B", "C", "A"];

fn config() -> Config {
    let pause = Duration::from_millis(10);
    Config::default().with_reconnect(pause, pause)
}

/// A thread that answers each request of a libzmq REP with a name, until the context ends.
fn answer(rep: zmq::Socket, name: &'static str) -> JoinHandle<()> {
    rep.set_rcvtimeo(-1).unwrap();
    std::thread::spawn(move || {
        while rep.recv_bytes(0).is_ok() {
            rep.send(name, 0).unwrap();
        }
    })
}

async fn reply(req: &mut Req) -> Message {
    timeout(PATIENCE, req.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn requests_go_round_in_the_order_of_connecting_from_before_there_is_a_connection() {
    for transport in [Transport::Ipc, Transport::Tcp] {
        let context = Context::new();
        let place = Place::new();
        let endpoints = NAMES.map(|name| place.endpoint(transport, name));
        let mut req = Req::new(config()).unwrap();
        for endpoint in &endpoints {
            req.connect(&endpoint.parse().unwrap()).unwrap();
        }
        // Nobody listens anywhere, and it is sent all the same.
        req.send(Message::from("who?")).await.unwrap();
        let mut threads = Vec::new();
        for (name, endpoint) in NAMES.into_iter().zip(&endpoints).rev() {
            let rep = socket(&context, zmq::REP, "");
            rep.bind(endpoint).unwrap();
            threads.push(answer(rep, name));
        }
        let mut turns = vec![reply(&mut req).await];
        for _ in 1..TURNS.len() {
            req.send(Message::from("who?")).await.unwrap();
            turns.push(reply(&mut req).await);
        }
        assert_eq!(turns, TURNS.map(Message::from));
        end(&context);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn requests_go_round_in_the_order_in_which_peers_connected() {
    let context = Context::new();
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Tcp, "req");
    let mut req = Req::new(config()).unwrap();
    req.bind(&endpoint.parse().unwrap()).await.unwrap();
    let mut threads = Vec::new();
    for name in NAMES {
        let rep = socket(&context, zmq::REP, "");
        rep.connect(&endpoint).unwrap();
        threads.push(answer(rep, name));
        until("the peers", || req.peers().len() == threads.len()).await;
    }
    for name in TURNS {
        req.send(Message::from("who?")).await.unwrap();
        assert_eq!(reply(&mut req).await, Message::from(name));
    }
    end(&context);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dealer_deals_out_what_it_sends_before_there_is_a_connection_and_after() {
    const MESSAGES: u32 = 30;
    let context = Context::new();
    for (transport, peer_type) in [(Transport::Ipc, zmq::DEALER), (Transport::Tcp, zmq::ROUTER)] {
        let place = Place::new();
        let endpoints = NAMES.map(|name| place.endpoint(transport, name));
        let mut dealer = Dealer::new(config()).unwrap();
        for endpoint in &endpoints {
            dealer.connect(&endpoint.parse().unwrap()).unwrap();
        }
        let number = |i: u32| i.to_be_bytes().to_vec();
        for i in 0..MESSAGES {
            dealer.send(Message::from([number(i)])).await.unwrap();
        }
        let mut peers: Vec<_> = endpoints
            .iter()
            .rev()
            .map(|endpoint| {
                let peer = socket(&context, peer_type, "");
                peer.bind(endpoint).unwrap();
                peer
            })
            .collect();
        peers.reverse();
        for i in MESSAGES..2 * MESSAGES {
            dealer.send(Message::from([number(i)])).await.unwrap();
        }
        for (peer, first) in peers.iter().zip(0..) {
            for i in (first..2 * MESSAGES).step_by(NAMES.len()) {
                let message = peer.recv_multipart(0).unwrap();
                assert_eq!(message.last(), Some(&number(i)), "{first}");
                peer.send_multipart(message, 0).unwrap();
            }
        }
        let mut echoes = Vec::new();
        for _ in 0..2 * MESSAGES {
            let echo = timeout(PATIENCE, dealer.recv()).await.unwrap().unwrap();
            echoes.push(echo.part(0).unwrap().to_vec());
        }
        echoes.sort();
        assert_eq!(echoes, (0..2 * MESSAGES).map(number).collect::<Vec<_>>());
    }
}
