//! A queue of a ROUTER and a DEALER of ours between libzmq's REQs and REPs: replies find their way back
//! through every envelope.

use interop::{Place, Transport, end, payload, socket};
use zmq::Context;
use zmtp::{Config, Dealer, Router};

/// Passes requests on in rotation, and replies back to who asked.
async fn relay(mut frontend: Router, mut backend: Dealer) {
    loop {
        tokio::select! {
            Some((peer, mut request)) = frontend.recv() => {
                let Some(peer) = frontend.peer(peer) else { continue };
                request.prepend(&[&peer.routing_id]);
                let _ = backend.send(request).await;
            }
            Some(mut reply) = backend.recv() => {
                let Some(routing_id) = reply.pop_front() else { continue };
                // One that has left wants no reply.
                let _ = frontend.send_to(&routing_id, reply).await;
            }
            else => return,
        }
    }
}

async fn bound(endpoint: &str) -> Router {
    let router = Router::new(Config::default()).unwrap();
    router.bind(&endpoint.parse().unwrap()).await.unwrap();
    router
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_clients_and_workers_meet_through_two_relays() {
    const CLIENTS: usize = 6;
    const WORKERS: usize = 3;
    const REQUESTS: usize = 40;
    let place = Place::new();
    let [front, middle, back] =
        ["front", "middle", "back"].map(|name| place.endpoint(Transport::Ipc, name));
    // The first connects to the second, to which workers connect.
    let (first, second) = (bound(&front).await, bound(&middle).await);
    let [to_second, to_workers] = [(); 2].map(|()| Dealer::new(Config::default()).unwrap());
    to_second.connect(&middle.parse().unwrap()).unwrap();
    to_workers.bind(&back.parse().unwrap()).await.unwrap();
    tokio::spawn(relay(first, to_second));
    tokio::spawn(relay(second, to_workers));

    let context = Context::new();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let rep = socket(&context, zmq::REP, "");
            rep.set_rcvtimeo(-1).unwrap();
            rep.connect(&back).unwrap();
            std::thread::spawn(move || {
                let mut served = 0;
                while let Ok(mut request) = rep.recv_multipart(0) {
                    request.reverse();
                    rep.send_multipart(request, 0).unwrap();
                    served += 1;
                }
                served
            })
        })
        .collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            // Some are anonymous, some have names, and some make their envelopes longer.
            let identity = if client % 2 == 0 { String::new() } else { format!("CLIENT-{client}") };
            let req = socket(&context, zmq::REQ, &identity);
            req.set_req_correlate(client % 3 == 0).unwrap();
            req.connect(&front).unwrap();
            std::thread::spawn(move || {
                for i in 0..REQUESTS {
                    let mut body = payload(client + 100 * i, 1 + i % 4);
                    body.push(format!("{client} {i}").into_bytes());
                    req.send_multipart(&body, 0).unwrap();
                    body.reverse();
                    assert!(req.recv_multipart(0).unwrap() == body, "{client} {i}");
                }
            })
        })
        .collect();
    let joined = tokio::task::spawn_blocking(move || {
        for client in clients {
            client.join().unwrap();
        }
        end(&context);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let served: Vec<usize> = joined.await.unwrap();
    assert_eq!(served.iter().sum::<usize>(), CLIENTS * REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_leaves_every_part_of_an_envelope_where_it_is() {
    let place = Place::new();
    let [front, back] = ["front", "back"].map(|name| place.endpoint(Transport::Tcp, name));
    let backend = Dealer::new(Config::default()).unwrap();
    backend.bind(&back.parse().unwrap()).await.unwrap();
    tokio::spawn(relay(bound(&front).await, backend));

    let context = Context::new();
    let worker = socket(&context, zmq::DEALER, "");
    worker.connect(&back).unwrap();
    let req = socket(&context, zmq::REQ, "REQ");
    req.connect(&front).unwrap();
    let dealer = socket(&context, zmq::DEALER, "DEALER");
    dealer.connect(&front).unwrap();

    req.send_multipart(["ABC", "", "DEF"], 0).unwrap();
    let request = worker.recv_multipart(0).unwrap();
    assert_eq!(request, [&b"REQ"[..], b"", b"ABC", b"", b"DEF"]);
    dealer.send_multipart(["far", "near", "", "GHI"], 0).unwrap();
    let other = worker.recv_multipart(0).unwrap();
    assert_eq!(other, [&b"DEALER"[..], b"far", b"near", b"", b"GHI"]);
    // The later one is answered first.
    worker.send_multipart(other, 0).unwrap();
    assert_eq!(dealer.recv_multipart(0).unwrap(), [&b"far"[..], b"near", b"", b"GHI"]);
    // A reply to nobody disturbs nobody.
    worker.send_multipart(["STRANGER", "", "x"], 0).unwrap();
    worker.send_multipart(request, 0).unwrap();
    assert_eq!(req.recv_multipart(0).unwrap(), [&b"ABC"[..], b"", b"DEF"]);
}
