//! Thousands of connections that lead nowhere, and a good client among them.
//!
//! One test, because it measures the memory of its process and exhausts its descriptors. With
//! `cargo test --release -p interop --test hostile -- --nocapture` it prints what it measured.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use interop::{Place, Transport, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use zmtp::{Config, Limits, MonitorEvent, Router};

/// Connections made by `load`, kept until this is dropped.
struct Load(Child);

impl Load {
    fn start(mode: &str, place: &Place, count: usize) -> Self {
        let mut load = Command::new(env!("CARGO_BIN_EXE_load"));
        load.arg(mode).arg(place.directory().join("router.ipc")).arg(count.to_string());
        let mut child = load.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < interop::PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A ROUTER that answers each request with itself, on threads of its own.
fn echo(place: &Place, config: Config) -> (Runtime, zmtp::Monitor) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = place.endpoint(Transport::Ipc, "router").parse().unwrap();
    let mut router = Router::new(config).unwrap();
    let monitor = router.monitor();
    runtime.block_on(router.bind(&endpoint)).unwrap();
    runtime.spawn(async move {
        while let Some((peer, request)) = router.recv().await {
            let _ = router.try_send(peer, request);
        }
    });
    (runtime, monitor)
}

/// The 99th percentile of so many round trips of a libzmq REQ, all of which succeed.
fn p99(place: &Place, requests: usize) -> Duration {
    let context = zmq::Context::new();
    let req = socket(&context, zmq::REQ, "GOOD");
    req.connect(&place.endpoint(Transport::Ipc, "router")).unwrap();
    let mut times: Vec<_> = (0..requests)
        .map(|i| {
            let start = Instant::now();
            let body = i.to_string();
            req.send(&body, 0).unwrap();
            assert_eq!(req.recv_bytes(0).unwrap(), body.as_bytes());
            start.elapsed()
        })
        .collect();
    times.sort();
    times[requests * 99 / 100]
}

fn half_open_connections_cost_at_most_8_kib_each() {
    let place = Place::new();
    let limits = Limits::default().with_handshake_timeout(Duration::from_secs(600));
    let config = Config::default()
        .with_limits(limits)
        .with_max_connections(20_000)
        .with_max_pending_handshakes(20_000);
    let (_runtime, _monitor) = echo(&place, config);
    let idle = p99(&place, 1000);
    let (before, open) = (resident_bytes(), descriptors());
    let silent = Load::start("silent", &place, 10_000);
    let drip = Load::start("drip", &place, 1000);
    wait_until("11000 connections", || descriptors() >= open + 11_000);
    let busy = p99(&place, 1000);
    let each = (resident_bytes() - before) / 11_000;
    println!("10000 silent and 1000 dripping connections: {each} bytes each");
    println!("99th percentile of a round trip: {idle:?} without them, {busy:?} among them");
    assert!(each <= 8 << 10, "{each} bytes for each connection");
    drop((silent, drip));
    wait_until("all closed", || descriptors() <= open);
}

fn by_default_a_thousand_are_kept_and_the_oldest_make_room() {
    let place = Place::new();
    let (_runtime, _monitor) = echo(&place, Config::default());
    let open = descriptors();
    let _silent = Load::start("silent", &place, 10_000);
    wait_until("the latest 1024", || descriptors() <= open + 1024);
    p99(&place, 200);
}

fn running_out_of_descriptors_backs_off_says_so_and_recovers() {
    let place = Place::new();
    let (runtime, mut monitor) = echo(&place, Config::default());
    let limit = getrlimit(Resource::Nofile);
    let few = Some(descriptors() as u64 + 40);
    setrlimit(Resource::Nofile, Rlimit { current: few, maximum: limit.maximum }).unwrap();
    let load = Load::start("silent", &place, 100);
    let told = runtime.block_on(async {
        loop {
            if let Some(MonitorEvent::AcceptFailed(_, error)) = monitor.recv().await {
                return error;
            }
        }
    });
    assert!(told.contains("Too many open files"), "{told}");
    drop(load);
    setrlimit(Resource::Nofile, limit).unwrap();
    p99(&place, 10);
}

#[test]
fn thousands_of_connections_that_lead_nowhere_do_not_disturb_a_good_client() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(maximum.is_none_or(|limit| limit >= 12_000), "this needs 12000 descriptors");
    half_open_connections_cost_at_most_8_kib_each();
    by_default_a_thousand_are_kept_and_the_oldest_make_room();
    running_out_of_descriptors_backs_off_says_so_and_recovers();
}
