//! What is left of sockets and connections that have ended: nothing.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Transport};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::timeout;
use zmtp::{Config, Dealer, Endpoint, Message, PeerEvent, Rep, Req, Router};

/// These tests count what their process has.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn endpoint(place: &Place, name: &str) -> Endpoint {
    place.endpoint(Transport::Ipc, name).parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Waits until nothing but these is left.
async fn settle(tasks: usize, open: usize) {
    let start = Instant::now();
    loop {
        let now = (Handle::current().metrics().num_alive_tasks(), descriptors());
        if now.0 <= tasks && now.1 <= open {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "tasks and descriptors: {now:?}, not {tasks}, {open}");
        tokio::task::yield_now().await;
    }
}

/// Connections that come and go; as many as CONNECTIONS says, if it is set.
#[test]
fn connections_that_came_and_went_leave_no_task_no_descriptor_and_no_memory() {
    let _alone = alone();
    let count = std::env::var("CONNECTIONS").map_or(20_000, |count| count.parse().unwrap());
    let place = Place::new();
    let endpoint = endpoint(&place, "x");
    let path = endpoint.path().unwrap().to_owned();
    runtime().block_on(async {
        let mut router = Router::new(Config::default()).unwrap();
        router.bind(&endpoint).await.unwrap();
        tokio::spawn(async move {
            while let Some(event) = router.recv_event().await {
                if let PeerEvent::Message(peer, request) = event {
                    // Some peers are gone by now.
                    let _ = router.send(peer, request).await;
                }
            }
        });
        let churn = async |count: usize| {
            let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
            load.arg("churn").arg(&path).arg(count.to_string());
            let done = tokio::task::spawn_blocking(move || load.status().unwrap());
            assert!(done.await.unwrap().success());
        };
        let (tasks, open) = (Handle::current().metrics().num_alive_tasks(), descriptors());
        churn(count / 10).await;
        settle(tasks, open).await;
        let before = resident_bytes();
        let start = Instant::now();
        churn(count - count / 10).await;
        let elapsed = start.elapsed();
        settle(tasks, open).await;
        let grown = resident_bytes().saturating_sub(before);
        println!("{count} connections, the last nine tenths in {elapsed:?}: {grown} bytes more");
        assert!(grown < 4 << 20, "{grown} bytes more");
    });
}

#[test]
fn sockets_that_came_and_went_leave_no_task_no_descriptor_and_no_file() {
    let _alone = alone();
    let place = Place::new();
    runtime().block_on(async {
        let (tasks, open) = (Handle::current().metrics().num_alive_tasks(), descriptors());
        for i in 0..300 {
            let endpoint = endpoint(&place, &i.to_string());
            let mut rep = Rep::new(Config::default()).unwrap();
            rep.bind(&endpoint).await.unwrap();
            let mut req = Req::new(Config::default()).unwrap();
            req.connect(&endpoint).unwrap();
            req.connect(&"ipc://@nobody-is-here".parse().unwrap()).unwrap();
            req.send(Message::from("x")).await.unwrap();
            assert_eq!(rep.recv().await, Ok(Message::from("x")));
            if i % 2 == 0 {
                rep.send(Message::from("y")).await.unwrap();
                assert_eq!(req.recv().await, Ok(Message::from("y")));
                assert_eq!(timeout(PATIENCE, req.close()).await.unwrap(), []);
                assert_eq!(timeout(PATIENCE, rep.close()).await.unwrap(), []);
                assert!(!endpoint.path().unwrap().exists());
            }
        }
        settle(tasks, open).await;
    });
    assert_eq!(std::fs::read_dir(place.directory()).unwrap().count(), 0);
}

#[test]
fn dropping_a_socket_does_not_wait_for_what_lingers() {
    let _alone = alone();
    let place = Place::new();
    runtime().block_on(async {
        let dealer = Dealer::new(Config::default().with_linger(Duration::MAX)).unwrap();
        dealer.connect(&endpoint(&place, "nobody")).unwrap();
        dealer.bind(&endpoint(&place, "x")).await.unwrap();
        dealer.send(Message::from("waits")).await.unwrap();
        let tasks = Handle::current().metrics().num_alive_tasks();
        assert!(tasks >= 2, "{tasks}");
        drop(dealer);
        settle(0, usize::MAX).await;
    });
}

#[test]
fn a_runtime_that_ends_before_its_sockets_does_no_harm() {
    let _alone = alone();
    let place = Place::new();
    let runtime = runtime();
    let dealer = runtime.block_on(async {
        let dealer = Dealer::new(Config::default()).unwrap();
        dealer.bind(&endpoint(&place, "x")).await.unwrap();
        dealer
    });
    drop(runtime);
    drop(dealer);
    assert_eq!(std::fs::read_dir(place.directory()).unwrap().count(), 0);
}
