//! Each pair of socket types that may talk, with libzmq on either side and on none, whichever side
//! binds, over both transports: what arrives is what was sent.

use interop::{Frames, PATIENCE, Party, Place, Transport, messages};
use tokio::time::timeout;
use zmq::Context;
use zmtp::proto::SocketType::{self, Dealer, Rep, Req, Router};
use zmtp::{Config, MonitorEvent};

const TYPES: [SocketType; 4] = [Req, Rep, Dealer, Router];

/// Who is on the left and on the right.
#[derive(Clone, Copy, Debug)]
enum Sides {
    OursAndLibzmq,
    LibzmqAndOurs,
    Ours,
}

const SIDES: [Sides; 3] = [Sides::OursAndLibzmq, Sides::LibzmqAndOurs, Sides::Ours];

/// Two sockets that are to be joined.
struct Pair {
    left: Party,
    right: Party,
    types: [SocketType; 2],
}

const NAMES: [&str; 2] = ["LEFT", "RIGHT"];

impl Pair {
    /// Two sockets of these types and names, joined over an endpoint.
    async fn join(
        names: [&'static str; 2],
        sides: Sides,
        types: [SocketType; 2],
        left_binds: bool,
        context: &Context,
        endpoint: &str,
    ) -> Self {
        let ours = |i: usize| Party::ours(types[i], Config::default().with_identity(names[i]));
        let libzmq = |i: usize| Party::libzmq(context, types[i], names[i]);
        let (left, right) = match sides {
            Sides::OursAndLibzmq => (ours(0), libzmq(1)),
            Sides::LibzmqAndOurs => (libzmq(0), ours(1)),
            Sides::Ours => (ours(0), ours(1)),
        };
        if left_binds {
            Party::join(&left, &right, endpoint).await;
        } else {
            Party::join(&right, &left, endpoint).await;
        }
        Self { left, right, types }
    }

    /// All sorts of messages, both ways where there are no turns.
    async fn exchange(&mut self) {
        let [left, right] = self.types;
        if left == Req || right == Rep {
            ask(&mut self.left, &mut self.right, [left, right], NAMES[0]).await;
        } else if right == Req || left == Rep {
            ask(&mut self.right, &mut self.left, [right, left], NAMES[1]).await;
        } else {
            self.both_ways().await;
        }
    }

    /// Each side sends all there is, and then receives.
    async fn both_ways(&mut self) {
        let [left, right] = self.types.map(|of| of == Router);
        let with = |is_router, peer, message: &Frames| {
            let head = if is_router { text(&[peer]) } else { Vec::new() };
            [head, message.clone()].concat()
        };
        for message in messages() {
            self.left.send(&with(left, NAMES[1], message)).await;
            self.right.send(&with(right, NAMES[0], message)).await;
        }
        for message in messages() {
            same(&self.right.recv().await, &with(right, NAMES[0], message));
        }
        for message in messages() {
            same(&self.left.recv().await, &with(left, NAMES[1], message));
        }
    }
}

/// Requests of all sorts, each answered with its parts in reverse before the next.
async fn ask(
    asks: &mut Party,
    answers: &mut Party,
    [asking, answering]: [SocketType; 2],
    name: &str,
) {
    // A REP sends the envelope back as it came, however long it is.
    let envelope = if asking == Dealer { text(&["far", "near", ""]) } else { Vec::new() };
    let head = if answering == Router { text(&[name, ""]) } else { Vec::new() };
    for body in messages() {
        asks.send(&[&envelope[..], body].concat()).await;
        same(&answers.recv().await, &[&head[..], body].concat());
        let reply: Frames = body.iter().rev().cloned().collect();
        answers.send(&[&head[..], &reply].concat()).await;
        same(&asks.recv().await, &[&envelope[..], &reply].concat());
    }
}

fn text(parts: &[&str]) -> Frames {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

/// Says no more than sizes if they differ.
fn same(received: &Frames, expected: &Frames) {
    let sizes = |frames: &Frames| frames.iter().map(Vec::len).collect::<Vec<_>>();
    assert!(received == expected, "{:?} for {:?}", sizes(received), sizes(expected));
}

/// Joins and tries every pair with the given types on the left.
async fn row(left: SocketType) {
    let context = Context::new();
    for right in TYPES.into_iter().filter(|&right| left.accepts(right)) {
        for sides in SIDES {
            for left_binds in [true, false] {
                for transport in [Transport::Tcp, Transport::Ipc] {
                    println!("{left} and {right}, {sides:?}, {left_binds}, {transport:?}");
                    let place = Place::new();
                    let endpoint = place.endpoint(transport, "x");
                    let types = [left, right];
                    let pair = Pair::join(NAMES, sides, types, left_binds, &context, &endpoint);
                    pair.await.exchange().await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn req_on_the_left_with_all_it_may_talk_to() {
    row(Req).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rep_on_the_left_with_all_it_may_talk_to() {
    row(Rep).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dealer_on_the_left_with_all_it_may_talk_to() {
    row(Dealer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn router_on_the_left_with_all_it_may_talk_to() {
    row(Router).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anonymous_peer_has_a_routing_id_of_a_zero_byte_and_four_others_on_either_side() {
    let context = Context::new();
    for types in [[Req, Router], [Dealer, Router], [Router, Router]] {
        for sides in SIDES {
            for left_binds in [true, false] {
                let place = Place::new();
                let endpoint = place.endpoint(Transport::Ipc, "x");
                let names = ["", "RIGHT"];
                let pair = Pair::join(names, sides, types, left_binds, &context, &endpoint);
                let Pair { mut left, mut right, .. } = pair.await;
                let head = if types[0] == Router { text(&["RIGHT"]) } else { Vec::new() };
                left.send(&[&head[..], &text(&["Hello"])].concat()).await;
                let received = right.recv().await;
                assert_eq!((received[0].len(), received[0][0]), (5, 0), "{types:?} {sides:?}");
                right.send(&received).await;
                assert_eq!(left.recv().await, [head, text(&["Hello"])].concat());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_may_not_talk_do_not_join_whoever_is_on_the_other_side() {
    let context = Context::new();
    for left in TYPES {
        for right in TYPES.into_iter().filter(|&right| !left.accepts(right)) {
            for left_binds in [true, false] {
                for sides in [Sides::OursAndLibzmq, Sides::Ours] {
                    let place = Place::new();
                    let endpoint = place.endpoint(Transport::Ipc, "x");
                    let ours = Party::ours(left, Config::default());
                    let mut monitor = ours.socket().monitor();
                    let theirs = match sides {
                        Sides::Ours => Party::ours(right, Config::default()),
                        _ => Party::libzmq(&context, right, ""),
                    };
                    if left_binds {
                        Party::join(&ours, &theirs, &endpoint).await;
                    } else {
                        Party::join(&theirs, &ours, &endpoint).await;
                    }
                    loop {
                        match timeout(PATIENCE, monitor.recv()).await.unwrap().unwrap() {
                            MonitorEvent::HandshakeFailed(..) => break,
                            MonitorEvent::HandshakeSucceeded(_) => panic!("{left} and {right}"),
                            _ => {}
                        }
                    }
                    assert!(ours.socket().peers().is_empty());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_reaches_each_of_many_named_peers() {
    const PEERS: usize = 20;
    let context = Context::new();
    for (router_is_ours, dealers_are_ours) in [(true, false), (false, true), (true, true)] {
        let make = |ours, of, name: &str| {
            if ours {
                Party::ours(of, Config::default().with_identity(name.to_owned()))
            } else {
                Party::libzmq(&context, of, name)
            }
        };
        let place = Place::new();
        let endpoint = place.endpoint(Transport::Tcp, "router");
        let mut router = make(router_is_ours, Router, "");
        router.bind(&endpoint).await;
        let mut dealers: Vec<_> = (0..PEERS)
            .map(|i| {
                let name = format!("DEALER-{i}");
                let dealer = make(dealers_are_ours, Dealer, &name);
                dealer.connect(&endpoint);
                (name, dealer)
            })
            .collect();
        for (name, _) in dealers.iter().rev() {
            router.send(&text(&[name, "for", name])).await;
        }
        for (name, dealer) in &mut dealers {
            assert_eq!(dealer.recv().await, text(&["for", name]));
        }
    }
}
