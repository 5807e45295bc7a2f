//! Every future of the sockets, dropped at every poll.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;

use interop::{PATIENCE, Place, Transport, end, socket};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use zmtp::{
    Config, Dealer, Endpoint, Message, MonitorEvent, OnFull, PeerEvent, Rep, Req, Router, SendError,
};

/// Polls a future that many times at most, others having their turn in between, and drops it.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                // It may wait for ever, and is polled again all the same.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// Runs a test on both flavours of the runtime.
fn on_each_runtime(test: impl AsyncFn()) {
    let both: [Runtime; 2] = [
        Builder::new_current_thread().enable_all().build().unwrap(),
        Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
    ];
    for runtime in both {
        runtime.block_on(async { timeout(2 * PATIENCE, test()).await.expect("in time") });
    }
}

fn endpoint(place: &Place, name: &str) -> Endpoint {
    place.endpoint(Transport::Ipc, name).parse().unwrap()
}

fn number(i: usize) -> Message {
    Message::from(i.to_string())
}

#[test]
fn bind_dropped_at_any_poll_leaves_the_endpoint_free() {
    on_each_runtime(async || {
        for transport in [Transport::Ipc, Transport::Tcp] {
            for times in 0.. {
                let place = Place::new();
                let text = place.endpoint(transport, "x");
                if transport == Transport::Ipc {
                    // A file to be replaced, which takes a look whether anybody listens.
                    let path = text.strip_prefix("ipc://").unwrap();
                    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
                }
                let endpoint: Endpoint = text.parse().unwrap();
                let (dropped, other) = (
                    Router::new(Config::default()).unwrap(),
                    Router::new(Config::default()).unwrap(),
                );
                if polled(times, dropped.bind(&endpoint)).await.is_some() {
                    assert!(other.bind(&endpoint).await.is_err(), "bound");
                    break;
                }
                assert_eq!(dropped.endpoints(), []);
                other.bind(&endpoint).await.unwrap();
            }
        }
    });
}

#[test]
fn unbind_and_disconnect_dropped_at_any_poll_happen_all_the_same() {
    on_each_runtime(async || {
        for times in 0.. {
            let place = Place::new();
            let endpoint = endpoint(&place, "x");
            let mut router = Router::new(Config::default()).unwrap();
            router.bind(&endpoint).await.unwrap();
            let dealer = Dealer::new(Config::default()).unwrap();
            dealer.connect(&endpoint).unwrap();
            let joined = router.recv_event().await;
            assert!(matches!(joined, Some(PeerEvent::Joined(_))), "{joined:?}");
            // A future that was never polled has done nothing.
            let done = polled(times, dealer.disconnect(&endpoint)).await;
            if times > 0 {
                let left = router.recv_event().await;
                assert!(matches!(left, Some(PeerEvent::Left(..))), "{left:?}");
            }
            let mut monitor = router.monitor();
            let unbound = polled(times, router.unbind(&endpoint)).await;
            if times > 0 {
                while monitor.recv().await != Some(MonitorEvent::Closed(endpoint.clone())) {}
            }
            if let (Some(done), Some(unbound)) = (done, unbound) {
                return assert_eq!((done, unbound), (Ok(()), Ok(())));
            }
        }
    });
}

/// A libzmq REP that answers everything with itself until its context ends.
fn echo(context: &zmq::Context, endpoint: &str, binds: bool) -> JoinHandle<()> {
    let rep = socket(context, zmq::REP, "");
    rep.set_rcvtimeo(-1).unwrap();
    if binds { rep.bind(endpoint) } else { rep.connect(endpoint) }.unwrap();
    std::thread::spawn(move || {
        while let Ok(request) = rep.recv_multipart(0) {
            if rep.send_multipart(request, 0).is_err() {
                break;
            }
        }
    })
}

#[test]
fn request_dropped_at_any_poll_does_not_confuse_the_next() {
    on_each_runtime(async || {
        for (we_bind, correlate) in [(true, false), (false, false), (true, true), (false, true)] {
            let place = Place::new();
            let endpoint = place.endpoint(Transport::Ipc, "x");
            let context = zmq::Context::new();
            let moment = std::time::Duration::from_millis(1);
            let config = Config::default().with_reconnect(moment, moment);
            let mut req = Req::new(config.with_correlate(correlate)).unwrap();
            let echo = if we_bind {
                req.bind(&endpoint.parse().unwrap()).await.unwrap();
                echo(&context, &endpoint, false)
            } else {
                req.connect(&endpoint.parse().unwrap()).unwrap();
                echo(&context, &endpoint, true)
            };
            for i in 0..60 {
                let dropped = Message::from(format!("dropped {i}"));
                if let Some(reply) = polled(i % 7, req.request(dropped.clone())).await {
                    assert_eq!(reply, Ok(dropped));
                }
                assert_eq!(req.request(number(i)).await, Ok(number(i)));
            }
            drop(req);
            end(&context);
            echo.join().unwrap();
        }
    });
}

#[test]
fn send_of_a_req_dropped_at_any_poll_has_sent_nothing_and_is_in_turn() {
    on_each_runtime(async || {
        let place = Place::new();
        let endpoint = endpoint(&place, "x");
        let mut req = Req::new(Config::default()).unwrap();
        req.bind(&endpoint).await.unwrap();
        for times in 0..4 {
            let dropped = polled(times, req.send(Message::from("dropped"))).await;
            assert_eq!(dropped, None, "nobody is there");
        }
        let mut rep = Rep::new(Config::default()).unwrap();
        rep.connect(&endpoint).unwrap();
        req.send(Message::from("sent")).await.unwrap();
        assert_eq!(rep.recv().await, Ok(Message::from("sent")));
        // Receiving, too: the reply stays due.
        for times in 0..4 {
            assert_eq!(polled(times, req.recv()).await, None);
        }
        rep.send(Message::from("reply")).await.unwrap();
        assert_eq!(req.recv().await, Ok(Message::from("reply")));
    });
}

#[test]
fn send_of_a_rep_dropped_at_any_poll_has_sent_nothing_and_the_reply_is_due() {
    on_each_runtime(async || {
        let place = Place::new();
        let endpoint = endpoint(&place, "x");
        let config = Config::default().with_on_full(OnFull::Wait).with_send_hwm(1);
        let mut rep = Rep::new(config).unwrap();
        rep.bind(&endpoint).await.unwrap();
        let mut dealer = Dealer::new(Config::default()).unwrap();
        dealer.connect(&endpoint).unwrap();
        for i in 0..8 {
            dealer.send(Message::from([String::new(), i.to_string()])).await.unwrap();
            assert_eq!(polled(i % 3, rep.recv()).await.unwrap_or(Ok(number(i))), Ok(number(i)));
            while rep.try_send(number(i)).is_err() {
                // The request was not received yet, because that was dropped.
                assert_eq!(rep.recv().await, Ok(number(i)));
            }
            let reply = dealer.recv().await.unwrap();
            assert_eq!(reply, Message::from([String::new(), i.to_string()]));
        }
        dealer.send(Message::from(["", "last"])).await.unwrap();
        assert_eq!(rep.recv().await, Ok(Message::from("last")));
        assert_eq!(polled(0, rep.send(Message::from("dropped"))).await, None);
        rep.send(Message::from("sent")).await.unwrap();
        assert_eq!(dealer.recv().await, Some(Message::from(["", "sent"])));
    });
}

/// Something that waits for room behind one message, and whom it is for.
async fn waits_for_room(
    send: impl AsyncFn(Message) -> Result<(), SendError>,
    appear: impl AsyncFnOnce() -> Dealer,
) {
    send(Message::from("first")).await.unwrap();
    for times in 0..4 {
        assert_eq!(polled(times, send(Message::from("dropped"))).await, None, "there is no room");
    }
    let mut peer = appear().await;
    assert_eq!(peer.recv().await, Some(Message::from("first")));
    send(Message::from("second")).await.unwrap();
    assert_eq!(peer.recv().await, Some(Message::from("second")));
}

#[test]
fn send_dropped_at_any_poll_has_sent_nothing() {
    on_each_runtime(async || {
        let config = Config::default().with_send_hwm(1).with_on_full(OnFull::Wait);
        let bound = async |endpoint: Endpoint| {
            let dealer = Dealer::new(Config::default()).unwrap();
            dealer.bind(&endpoint).await.unwrap();
            dealer
        };
        let place = Place::new();
        let dealer = Dealer::new(config.clone()).unwrap();
        dealer.connect(&endpoint(&place, "dealer")).unwrap();
        let peer = async || bound(endpoint(&place, "dealer")).await;
        waits_for_room(async |message| dealer.send(message).await, peer).await;

        let dealer = Dealer::new(config.clone()).unwrap();
        dealer.connect(&endpoint(&place, "sender")).unwrap();
        let sender = dealer.sender();
        let peer = async || bound(endpoint(&place, "sender")).await;
        waits_for_room(async |message| sender.send(message).await, peer).await;

        let router = Router::new(config).unwrap();
        router.connect_as(&endpoint(&place, "router"), "PEER").unwrap();
        let peer = async || bound(endpoint(&place, "router")).await;
        waits_for_room(async |message| router.send_to(b"PEER", message).await, peer).await;
    });
}

#[test]
fn receiving_dropped_at_any_poll_loses_nothing() {
    const COUNT: usize = 60;
    on_each_runtime(async || {
        let place = Place::new();
        let mut router = Router::new(Config::default()).unwrap();
        router.bind(&endpoint(&place, "router")).await.unwrap();
        let mut dealer = Dealer::new(Config::default()).unwrap();
        dealer.bind(&endpoint(&place, "dealer")).await.unwrap();
        for to in ["router", "dealer"] {
            let peer = Dealer::new(Config::default()).unwrap();
            peer.connect(&endpoint(&place, to)).unwrap();
            tokio::spawn(async move {
                for i in 0..COUNT {
                    peer.send(number(i)).await.unwrap();
                    tokio::task::yield_now().await;
                }
                std::future::pending::<()>().await;
            });
        }
        let mut received = Vec::new();
        for i in 0.. {
            if received.len() == COUNT {
                break;
            }
            let times = i % 3;
            match i % 4 {
                0 => received.extend(polled(times, router.recv()).await.flatten().map(|(_, m)| m)),
                1 => {
                    let event = polled(times, router.recv_event()).await.flatten();
                    if let Some(PeerEvent::Message(_, message)) = event {
                        received.push(message);
                    }
                }
                _ => {
                    let mut events = Vec::new();
                    let _ = polled(times, router.recv_many(&mut events, 7)).await;
                    received.extend(events.into_iter().filter_map(|event| match event {
                        PeerEvent::Message(_, message) => Some(message),
                        _ => None,
                    }));
                }
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(received, (0..COUNT).map(number).collect::<Vec<_>>());

        received.clear();
        for i in 0.. {
            if received.len() == COUNT {
                break;
            }
            if i % 2 == 0 {
                received.extend(polled(i % 3, dealer.recv()).await.flatten());
            } else {
                let _ = polled(i % 3, dealer.recv_many(&mut received, 7)).await;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(received, (0..COUNT).map(number).collect::<Vec<_>>());
    });
}

#[test]
fn close_dropped_at_any_poll_ends_the_socket_at_once() {
    on_each_runtime(async || {
        for times in 0..4 {
            let place = Place::new();
            let endpoint = endpoint(&place, "x");
            let linger = Config::default().with_linger(std::time::Duration::MAX);
            let router = Router::new(linger).unwrap();
            router.bind(&endpoint).await.unwrap();
            // What waits here keeps the socket from ending by itself.
            router.connect_as(&"ipc://@nobody-is-here".parse().unwrap(), "NOBODY").unwrap();
            router.send_to(b"NOBODY", Message::from("waits")).await.unwrap();
            let mut dealer = Dealer::new(Config::default()).unwrap();
            dealer.connect(&endpoint).unwrap();
            let joined = dealer.recv_event().await;
            assert!(matches!(joined, Some(PeerEvent::Joined(_))), "{joined:?}");
            assert!(polled(times, router.close()).await.is_none());
            let left = dealer.recv_event().await;
            assert!(matches!(left, Some(PeerEvent::Left(..))), "{left:?}");
            while endpoint.path().unwrap().exists() {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn a_monitor_dropped_at_any_poll_misses_nothing() {
    on_each_runtime(async || {
        let place = Place::new();
        let router = Router::new(Config::default()).unwrap();
        let mut monitor = router.monitor();
        for i in 0..20 {
            let endpoint = endpoint(&place, &i.to_string());
            router.bind(&endpoint).await.unwrap();
            let event = match polled(i % 3, monitor.recv()).await {
                Some(event) => event,
                None => monitor.recv().await,
            };
            assert_eq!(event, Some(MonitorEvent::Listening(endpoint)));
        }
    });
}
