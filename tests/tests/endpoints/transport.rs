//! Options of the system's sockets.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use interop::{Place, Transport, socket, until, within};
use tokio::net::TcpSocket;
use zmtp::{Config, Keepalive, Message, MonitorEvent, TransportOptions};

use super::{BOTH, at, dealer, parse, peer_at, quick, router, send, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_file_has_the_permissions_that_were_asked_for() {
    let place = Place::new();
    for mode in [0o600, 0o660, 0o777] {
        let options = TransportOptions::default().with_ipc_mode(mode);
        let mut router = router(Config::default().with_transport(options));
        let endpoint = at(&place, Transport::Ipc);
        router.bind(&endpoint).await.unwrap();
        let metadata = std::fs::metadata(endpoint.path().unwrap()).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        let chosen = router.bind(&parse("ipc://*")).await.unwrap();
        let metadata = std::fs::metadata(chosen.path().unwrap()).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        // It means nothing where there is no file.
        let abstract_name = parse(&format!("ipc://@mode-{mode}-{}", std::process::id()));
        router.bind(&abstract_name).await.unwrap();
        let peer = socket(&zmq::Context::new(), zmq::DEALER, "");
        peer.connect(&endpoint.to_string()).unwrap();
        peer.send("hi", 0).unwrap();
        within(router.recv()).await.unwrap();
        router.close().await;
    }
}

/// Whether the system says that keepalive is on for the connection between these ports.
fn has_keepalive(local: u16, remote: u16) -> bool {
    let (local, remote) = (format!(":{local:04X}"), format!(":{remote:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // sl, local, remote, state, queues, the timer that runs: 2 is keepalive's.
        fields[1].ends_with(&local) && fields[2].ends_with(&remote) && fields[5].starts_with("02:")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffers_and_keepalive_are_asked_of_both_ends_and_mean_nothing_where_there_are_none() {
    let keepalive = Keepalive {
        idle: Some(Duration::from_secs(30)),
        interval: Some(Duration::from_secs(5)),
        count: Some(3),
    };
    let options = TransportOptions::default()
        .with_keepalive(keepalive)
        .with_buffers(64 << 10, 64 << 10)
        .with_nodelay(false)
        .with_backlog(16);
    let place = Place::new();
    for transport in BOTH {
        let endpoint = at(&place, transport);
        let mut bound = router(quick().with_transport(options));
        bound.bind(&endpoint).await.unwrap();
        let connected = dealer(quick().with_transport(options));
        connected.connect(&endpoint).unwrap();
        send(&connected, &["hi"]).await;
        let (id, _) = within(bound.recv()).await.unwrap();
        bound.try_send(id, Message::from([vec![7; 1 << 20]])).unwrap();
        let mut connected = connected;
        assert_eq!(within(connected.recv()).await.unwrap().body_size(), 1 << 20);
        if transport == Transport::Tcp {
            let (ours, theirs) = (endpoint.port().unwrap(), bound.peer(id).unwrap());
            let theirs = parse(&theirs.address).port().unwrap();
            until("it is on where it came in", || has_keepalive(ours, theirs)).await;
            until("and where it was made", || has_keepalive(theirs, ours)).await;
        }
    }
}

/// With the system's queue of connections full, an attempt is neither taken nor refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_to_connect_that_leads_nowhere_is_given_up_and_made_again() {
    let place = Place::new();
    let endpoint = at(&place, Transport::Tcp);
    let address = endpoint.to_string().strip_prefix("tcp://").unwrap().parse().unwrap();
    let listening = TcpSocket::new_v4().unwrap();
    listening.set_reuseaddr(true).unwrap();
    listening.bind(address).unwrap();
    let listening = listening.listen(0).unwrap();
    let mut filling = Vec::new();
    for _ in 0..8 {
        filling.push(tokio::spawn(tokio::net::TcpStream::connect(address)));
    }
    let is_connected = |task: &&tokio::task::JoinHandle<_>| task.is_finished();
    until("one is in the queue", || filling.iter().filter(is_connected).count() > 0).await;

    let options = TransportOptions::default().with_connect_timeout(Duration::from_millis(100));
    let dealer = dealer(quick().with_transport(options));
    let mut monitor = dealer.monitor();
    dealer.connect(&endpoint).unwrap();
    for _ in 0..2 {
        let event = within(monitor.recv()).await.unwrap();
        assert!(matches!(event, MonitorEvent::ConnectDelayed(_)), "{event:?}");
        let event = within(monitor.recv()).await.unwrap();
        let MonitorEvent::ConnectFailed(_, error) = event else { panic!("{event:?}") };
        assert!(error.contains("timed out"), "{error}");
        let event = within(monitor.recv()).await.unwrap();
        assert!(matches!(event, MonitorEvent::ConnectRetried(..)), "{event:?}");
    }
    // What was sent waits until somebody is there.
    send(&dealer, &["hi"]).await;
    filling.iter().for_each(tokio::task::JoinHandle::abort);
    drop(listening);
    let peer = peer_at(&endpoint, &zmq::Context::new()).await;
    assert_eq!(take(&peer, 1), ["hi"]);
}
