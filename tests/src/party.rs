//! [`Party`]: a socket of either library, talked to in one way.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::timeout;
use zmq::Context;
use zmtp::proto::SocketType;
use zmtp::{Config, Dealer, Endpoint, Message, Rep, Req, Router};

use crate::{PATIENCE, payload, socket, until};

/// A message as libzmq's calls have it: that of a ROUTER begins with a routing id.
pub type Frames = Vec<Vec<u8>>;

/// A socket of either library, which sends and receives [`Frames`].
///
/// Calls to libzmq hold their thread up, so the runtime needs another for the sockets of ours.
#[expect(missing_debug_implementations, reason = "a libzmq socket has nothing to show")]
#[expect(clippy::exhaustive_enums, reason = "tests name them all")]
pub enum Party {
    /// libzmq's.
    Libzmq(zmq::Socket),
    /// Ours, as are the others.
    Req(Req),
    /// A REP.
    Rep(Rep),
    /// A DEALER.
    Dealer(Dealer),
    /// A ROUTER.
    Router(Router),
}

impl Party {
    /// A socket of libzmq's.
    #[must_use]
    pub fn libzmq(context: &Context, of: SocketType, identity: &str) -> Self {
        let socket = socket(context, raw_type(of), identity);
        if of == SocketType::Router {
            socket.set_router_mandatory(true).unwrap();
        }
        Self::Libzmq(socket)
    }

    /// A socket of ours.
    #[must_use]
    pub fn ours(of: SocketType, config: Config) -> Self {
        let pause = Duration::from_millis(10);
        let config = config.with_reconnect(pause, pause);
        match of {
            SocketType::Req => Self::Req(Req::new(config).unwrap()),
            SocketType::Rep => Self::Rep(Rep::new(config).unwrap()),
            SocketType::Dealer => Self::Dealer(Dealer::new(config).unwrap()),
            SocketType::Router => Self::Router(Router::new(config).unwrap()),
            _ => unreachable!("there are four"),
        }
    }

    /// What the sockets of ours have in common.
    #[must_use]
    pub fn socket(&self) -> &zmtp::Socket {
        match self {
            Self::Libzmq(_) => panic!("it is libzmq's"),
            Self::Req(req) => req,
            Self::Rep(rep) => rep,
            Self::Dealer(dealer) => dealer,
            Self::Router(router) => router,
        }
    }

    /// Listens on an endpoint.
    pub async fn bind(&self, endpoint: &str) {
        match self {
            Self::Libzmq(socket) => socket.bind(endpoint).unwrap(),
            ours => drop(ours.socket().bind(&parse(endpoint)).await.unwrap()),
        }
    }

    /// Connects to an endpoint.
    pub fn connect(&self, endpoint: &str) {
        match self {
            Self::Libzmq(socket) => socket.connect(endpoint).unwrap(),
            ours => ours.socket().connect(&parse(endpoint)).unwrap(),
        }
    }

    /// Binds one of two and connects the other.
    pub async fn join(binds: &Self, connects: &Self, endpoint: &str) {
        binds.bind(endpoint).await;
        connects.connect(endpoint);
    }

    /// Sends a message. A ROUTER waits until it knows the peer, which it does after the handshake.
    pub async fn send(&mut self, frames: &[Vec<u8>]) {
        let message = Message::copy_from(frames);
        let sent = match self {
            Self::Libzmq(socket) => {
                let send = || socket.send_multipart(frames, 0);
                return until("it is routable", || match send() {
                    Err(zmq::Error::EHOSTUNREACH) => false,
                    sent => sent.map(|()| true).unwrap(),
                })
                .await;
            }
            Self::Req(req) => timeout(PATIENCE, req.send(message)).await,
            Self::Rep(rep) => timeout(PATIENCE, rep.send(message)).await,
            Self::Dealer(dealer) => timeout(PATIENCE, dealer.send(message)).await,
            Self::Router(router) => {
                until("it is routable", || router.find(&frames[0]).is_some()).await;
                let body = Message::copy_from(&frames[1..]);
                timeout(PATIENCE, router.send_to(&frames[0], body)).await
            }
        };
        sent.expect("room in time").map_err(|error| error.kind()).unwrap();
    }

    /// Receives a message.
    pub async fn recv(&mut self) -> Frames {
        const IN_TIME: &str = "a message in time";
        match self {
            Self::Libzmq(socket) => socket.recv_multipart(0).expect(IN_TIME),
            Self::Req(req) => frames(&timeout(PATIENCE, req.recv()).await.expect(IN_TIME).unwrap()),
            Self::Rep(rep) => frames(&timeout(PATIENCE, rep.recv()).await.expect(IN_TIME).unwrap()),
            Self::Dealer(dealer) => {
                frames(&timeout(PATIENCE, dealer.recv()).await.expect(IN_TIME).unwrap())
            }
            Self::Router(router) => {
                let next = timeout(PATIENCE, router.recv()).await;
                let (peer, message) = next.expect(IN_TIME).unwrap();
                let peer = router.peer(peer).expect("it is still there");
                [vec![peer.routing_id.to_vec()], frames(&message)].concat()
            }
        }
    }

    /// Ends it, and what it has bound can be bound again. libzmq does that a moment later.
    pub async fn close(self) {
        let unsent = match self {
            Self::Libzmq(_) => return,
            Self::Req(req) => req.close().await,
            Self::Rep(rep) => rep.close().await,
            Self::Dealer(dealer) => dealer.close().await,
            Self::Router(router) => router.close().await,
        };
        assert_eq!(unsent, []);
    }
}

fn raw_type(of: SocketType) -> zmq::SocketType {
    match of {
        SocketType::Req => zmq::REQ,
        SocketType::Rep => zmq::REP,
        SocketType::Dealer => zmq::DEALER,
        SocketType::Router => zmq::ROUTER,
        _ => unreachable!("there are four"),
    }
}

fn parse(endpoint: &str) -> Endpoint {
    endpoint.parse().unwrap()
}

fn frames(message: &Message) -> Frames {
    message.parts().map(<[u8]>::to_vec).collect()
}

/// Messages of all sorts: one part and many, empty ones wherever they can be, and sizes where the
/// form of a frame or the way through a buffer changes.
#[must_use]
pub fn messages() -> &'static [Frames] {
    static MESSAGES: LazyLock<Vec<Frames>> = LazyLock::new(|| {
        let texts: [&[&str]; 5] =
            [&["Hello"], &[""], &["", ""], &["a", "", "b", ""], &["", "", "c"]];
        let of_text = |parts: &[&str]| parts.iter().map(|part| part.as_bytes().to_vec()).collect();
        let mut messages: Vec<Frames> = texts.into_iter().map(of_text).collect();
        let sizes = [255, 256, 8191, 8193, 64 << 10, 1 << 20];
        messages.extend(sizes.map(|size| payload(size, 1)));
        messages.push(payload(64 << 10, 100));
        let [large, larger] = [64 << 10, 1 << 20].map(|size| payload(size, 1));
        messages.push([&large[..], &[vec![]], &larger, &[vec![]]].concat());
        messages
    });
    &MESSAGES
}
