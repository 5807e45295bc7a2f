//! What people look at: the page in Chromium and `broker top` in a terminal, with libzmq peers at work. `make peers` runs this.
//!
//! Each writes pictures to the directory that `PICTURES` names, if it is set: those in `docs` are made so.

mod browser;
mod page;
mod terminal;
mod top;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Worker, socket};
use serde_json::Value;

fn from_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make peers`"))
}

/// Where a picture is to be.
fn picture(name: &str) -> PathBuf {
    let directory = std::env::var("PICTURES");
    Path::new(directory.as_deref().unwrap_or(env!("CARGO_TARGET_TMPDIR"))).join(name)
}

/// The program, which serves HTTP and can be controlled.
struct Queue {
    child: Child,
    place: Place,
    frontend: String,
    backend: String,
    http: String,
}

impl Queue {
    fn start() -> Self {
        let place = Place::new();
        let endpoint = |name: &str| format!("ipc://{}/{name}.ipc", place.directory().display());
        let [frontend, backend] = ["frontend", "backend"].map(endpoint);
        let mut child = Command::new(from_environment("BROKER"))
            .args(["serve", "--http", "127.0.0.1:0", "--control", "--max-strikes", "1"])
            .current_dir(place.directory())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let http =
            lines.find_map(|line| Some(line.unwrap().strip_prefix("http http://")?.to_owned()));
        assert!(lines.any(|line| line.unwrap() == "ready"));
        Self { child, place, frontend, backend, http: http.unwrap() }
    }

    /// What there is at a path, and what is said of it.
    fn get(&self, path: &str) -> (String, Vec<u8>) {
        get(&self.http, path)
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.get("/status").1).unwrap()
    }

    /// Waits until the status is as it is to be.
    fn wait_for(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "{status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until there are so many looks at what it was at.
    fn wait_for_looks(&self, count: usize) {
        let start = Instant::now();
        let looks = || serde_json::from_slice::<Vec<Value>>(&self.get("/history").1).unwrap();
        while looks().len() < count {
            assert!(start.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn command(&self, args: &[&str]) {
        let mut command = Command::new(from_environment("BROKER"));
        command.args(args).current_dir(self.place.directory()).stdout(Stdio::null());
        assert!(command.status().unwrap().success(), "{command:?}");
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

/// Eight clients who ask as soon as they are answered, and three workers.
struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
    _workers: Vec<Worker>,
}

impl Traffic {
    fn start(queue: &Queue) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |i: u64| {
            let time = Duration::from_millis(2 + i);
            Worker::start(&queue.backend, &format!("PROCESSOR-{i}"), time)
        };
        let client = |i: u32| {
            let (frontend, stop) = (queue.frontend.clone(), stop.clone());
            std::thread::spawn(move || {
                let context = zmq::Context::new();
                let client = socket(&context, zmq::REQ, &format!("WEB-{i}"));
                client.connect(&frontend).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    client.send("3", 0).unwrap();
                    client.recv_multipart(0).unwrap();
                }
            })
        };
        Self { clients: (1..9).map(client).collect(), _workers: (1..4).map(worker).collect(), stop }
    }

    /// Ends the clients, once each is answered.
    fn end_clients(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
    }
}

/// Peers that are misconfigured, stuck or in quarantine, and clients that wait.
struct Trouble(#[expect(dead_code, reason = "they stay")] Vec<zmq::Socket>);

impl Trouble {
    fn cause(queue: &Queue) -> Self {
        let context = zmq::Context::new();
        let connect = |of, endpoint: &str, name: &str| {
            let peer = socket(&context, of, name);
            peer.connect(endpoint).unwrap();
            peer
        };
        let dealer = connect(zmq::DEALER, &queue.frontend, "DEALER");
        dealer.send("no empty frame", 0).unwrap();
        let publisher = connect(zmq::PUB, &queue.frontend, "");
        let stuck = connect(zmq::REQ, &queue.backend, "STUCK");
        stuck.send("READY", 0).unwrap();
        queue.wait_for(|status| status["workers"][0]["state"] == "idle");
        let clients = ["FIRST", "SECOND", "THIRD"].map(|name| {
            let client = connect(zmq::REQ, &queue.frontend, name);
            client.send("<b>payload</b>", 0).unwrap();
            queue.wait_for(|status| {
                status["clients"].as_u64()
                    > Some(match name {
                        "FIRST" => 1,
                        "SECOND" => 2,
                        _ => 3,
                    })
            });
            client
        });
        queue.wait_for(|status| status["in_flight"] == 1);
        let wrong = connect(zmq::REQ, &queue.backend, "<i>WRONG</i>");
        wrong.send_multipart(["READY", "or not"], 0).unwrap();
        queue.wait_for(|status| {
            let states = status["workers"].as_array().unwrap().iter();
            let is = |state: &str| states.clone().any(|worker| worker["state"] == state);
            is("busy") && is("quarantined") && status["waiting"]["requests"] == 2
        });
        queue.wait_for(|status| status["recent"].as_array().unwrap().len() >= 4);
        let peers = [dealer, publisher, stuck, wrong];
        Self(peers.into_iter().chain(clients).collect())
    }
}
