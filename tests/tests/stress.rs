//! Many of our own peers at once, on both flavours of the runtime: no wake-up is lost, no reply goes
//! astray.

use std::time::Duration;

use interop::{PATIENCE, Place, Transport};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use zmtp::{Config, Endpoint, Message, PeerEvent, Req, Router};

const CLIENTS: usize = 64;
const REQUESTS: usize = 200;

fn runtimes() -> [Runtime; 2] {
    let multi = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    [Builder::new_current_thread().enable_all().build().unwrap(), multi]
}

/// A message that differs from client to client and from request to request, of all sorts of sizes.
fn request(client: usize, i: usize) -> Message {
    let size = (client * 7919 + i * 104_729) % [3, 300, 3000, 70_000][i % 4];
    let byte = u8::try_from((client + i) % 256).unwrap();
    Message::from([format!("{client} {i}").into_bytes(), vec![byte; size]])
}

async fn client(endpoint: Endpoint, number: usize, give_up: bool) {
    let reconnect = Duration::from_millis(5);
    let mut req = Req::new(Config::default().with_reconnect(reconnect, reconnect)).unwrap();
    req.connect(&endpoint).unwrap();
    for i in 0..REQUESTS {
        if give_up && i % 50 == 49 {
            // Dropped somewhere on its way.
            let _ = timeout(Duration::from_micros(i as u64), req.request(request(number, 1))).await;
        }
        let reply = timeout(PATIENCE, req.request(request(number, i))).await;
        assert_eq!(reply.expect("a reply in time"), Ok(request(number, i)));
    }
    req.close().await;
}

fn echo(endpoint: &Endpoint, give_up: bool, together: bool) {
    for runtime in runtimes() {
        let endpoint = endpoint.clone();
        runtime.block_on(async move {
            let mut router = Router::new(Config::default()).unwrap();
            let endpoint = router.bind(&endpoint).await.unwrap();
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| tokio::spawn(client(endpoint.clone(), number, give_up)))
                .collect();
            let echo = tokio::spawn(async move {
                if together {
                    return echo_together(router).await;
                }
                while let Some((peer, request)) = router.recv().await {
                    // One that has given up is gone.
                    let _ = router.try_send(peer, request);
                }
            });
            for client in clients {
                client.await.unwrap();
            }
            echo.abort();
        });
    }
}

async fn echo_together(mut router: Router) {
    let (mut events, mut replies, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    while router.recv_many(&mut events, 64).await > 0 {
        replies.extend(events.drain(..).filter_map(|event| match event {
            PeerEvent::Message(peer, request) => Some((peer, request)),
            _ => None,
        }));
        router.send_many(&mut replies, &mut failed);
    }
}

#[test]
fn every_client_gets_its_own_replies() {
    let place = Place::new();
    for (transport, together) in
        [(Transport::Ipc, false), (Transport::Ipc, true), (Transport::Tcp, false)]
    {
        echo(&place.endpoint(transport, "echo").parse().unwrap(), false, together);
    }
}

#[test]
fn requests_that_are_given_up_anywhere_do_not_confuse_the_next() {
    let place = Place::new();
    let endpoint = place.endpoint(Transport::Ipc, "echo").parse().unwrap();
    echo(&endpoint, true, false);
    echo(&endpoint, true, true);
}
