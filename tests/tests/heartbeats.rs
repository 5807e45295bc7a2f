//! Heartbeats between our sockets and libzmq's, counted on the wire.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use interop::{Frames, PATIENCE, Party, Place, Transport, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use zmq::Context;
use zmtp::proto::SocketType;
use zmtp::{Config, Heartbeat};

const INTERVAL: Duration = Duration::from_millis(50);

/// How many PINGs are waited for, and how many PONGs.
const ENOUGH: usize = 5;

/// Bytes that went one way.
type Carried = Arc<Mutex<Vec<u8>>>;

/// A relay between two TCP endpoints that keeps what it has carried.
struct Tap {
    endpoint: String,
    from_binding: Carried,
    from_connecting: Carried,
    connections: Arc<Mutex<usize>>,
}

impl Tap {
    /// Where to connect to instead of `target`.
    async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Self {
            endpoint: format!("tcp://{}", listener.local_addr().unwrap()),
            from_binding: Carried::default(),
            from_connecting: Carried::default(),
            connections: Arc::default(),
        };
        let carried = (tap.from_binding.clone(), tap.from_connecting.clone());
        let connections = tap.connections.clone();
        let target = target.strip_prefix("tcp://").unwrap().to_owned();
        tokio::spawn(async move {
            loop {
                let (connecting, _) = listener.accept().await.unwrap();
                *connections.lock().unwrap() += 1;
                let binding = TcpStream::connect(&target).await.unwrap();
                let (from_binding, to_binding) = binding.into_split();
                let (from_connecting, to_connecting) = connecting.into_split();
                tokio::spawn(carry(from_binding, to_connecting, carried.0.clone()));
                tokio::spawn(carry(from_connecting, to_binding, carried.1.clone()));
            }
        });
        tap
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, carried: Carried) {
    let mut buffer = vec![0; 4096];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        carried.lock().unwrap().extend(&buffer[..size]);
        if to.write_all(&buffer[..size]).await.is_err() {
            return;
        }
    }
}

fn count(carried: &Carried, command: &[u8]) -> usize {
    carried.lock().unwrap().windows(command.len()).filter(|&bytes| bytes == command).count()
}

/// A link of ours with libzmq, through a tap, on which a request waits for its reply.
struct Link {
    what: String,
    asks: Party,
    answers: Party,
    request: Frames,
    tap: Tap,
    we_bind: bool,
    /// Who sends PINGs: ours, libzmq.
    pings: (bool, bool),
    _place: Place,
}

impl Link {
    async fn join(
        context: &Context,
        (ours, theirs): (SocketType, SocketType),
        we_bind: bool,
        pings: (bool, bool),
    ) -> Self {
        let what = format!("{ours} with {theirs}, {we_bind}, {pings:?}");
        // Nothing is to end a link on a slow machine.
        let heartbeat = Heartbeat::every(INTERVAL).with_timeout(PATIENCE).with_ttl(PATIENCE);
        let mut config = Config::default();
        if pings.0 {
            config = config.with_heartbeat(heartbeat);
        }
        let our_party = Party::ours(ours, config);
        let their_party = Party::libzmq(context, theirs, "");
        if let (Party::Libzmq(socket), true) = (&their_party, pings.1) {
            beat(socket);
        }

        let place = Place::new();
        let endpoint = place.endpoint(Transport::Tcp, "x");
        let (binds, connects) =
            if we_bind { (&our_party, &their_party) } else { (&their_party, &our_party) };
        binds.bind(&endpoint).await;
        let tap = Tap::start(endpoint).await;
        connects.connect(&tap.endpoint);

        let we_ask = matches!(ours, SocketType::Req | SocketType::Dealer);
        let (mut asks, mut answers) =
            if we_ask { (our_party, their_party) } else { (their_party, our_party) };
        asks.send(&[b"Hello".to_vec()]).await;
        let request = answers.recv().await;
        Self { what, asks, answers, request, tap, we_bind, pings, _place: place }
    }

    /// Both sides have said as much as they should.
    fn has_beaten(&self) -> bool {
        const PING: &[u8] = b"\x04PING";
        const PONG: &[u8] = b"\x04PONG";
        let Tap { from_binding, from_connecting, .. } = &self.tap;
        let (ours, theirs) = if self.we_bind {
            (from_binding, from_connecting)
        } else {
            (from_connecting, from_binding)
        };
        let beats = |ping, pong| count(ping, PING) >= ENOUGH && count(pong, PONG) >= ENOUGH;
        (!self.pings.0 || beats(ours, theirs)) && (!self.pings.1 || beats(theirs, ours))
    }

    async fn finish(mut self) {
        until("heartbeats", || self.has_beaten()).await;
        // What was waited for is still waited for, over the same connection.
        self.answers.send(&self.request).await;
        assert_eq!(self.asks.recv().await, [b"Hello".to_vec()], "{}", self.what);
        assert_eq!(*self.tap.connections.lock().unwrap(), 1, "{}", self.what);
    }
}

fn beat(socket: &zmq::Socket) {
    let [interval, patience] =
        [INTERVAL, PATIENCE].map(|time| i32::try_from(time.as_millis()).unwrap());
    socket.set_heartbeat_ivl(interval).unwrap();
    socket.set_heartbeat_timeout(patience).unwrap();
    socket.set_heartbeat_ttl(patience).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_of_either_side_are_answered_while_a_request_waits_and_the_link_stays() {
    use SocketType::{Dealer, Rep, Req, Router};
    let context = Context::new();
    let mut links = Vec::new();
    for types in [(Req, Rep), (Rep, Req), (Dealer, Router), (Router, Dealer)] {
        for we_bind in [true, false] {
            for pings in [(true, false), (false, true), (true, true)] {
                links.push(Link::join(&context, types, we_bind, pings).await);
            }
        }
    }
    for link in links {
        link.finish().await;
    }
}
