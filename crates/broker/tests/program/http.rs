//! What a queue is at, over HTTP and in the terminal.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use interop::{Place, Transport, Worker, request, socket};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Program, ask_over, run, text};

/// A queue that serves HTTP: its frontend, its backend and that.
fn serve(place: &Place) -> (Program, [String; 3]) {
    let [frontend, backend] =
        ["frontend", "backend"].map(|name| place.endpoint(Transport::Ipc, name));
    let args = ["--frontend", &frontend, "--backend", &backend, "--http", "127.0.0.1:0"];
    let (program, told) = Program::serve(place.directory(), &args);
    let address = told[2].strip_prefix("http://").unwrap().to_owned();
    (program, [frontend, backend, address])
}

/// The code and the body that a request brings.
fn ask(address: &str, first_line: &str, host: &str) -> (u16, String) {
    ask_over(TcpStream::connect(address).unwrap(), first_line, host)
}

pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path}"), address)
}

fn status(address: &str) -> Value {
    let (code, body) = get(address, "/status");
    assert_eq!(code, 200);
    serde_json::from_str(&body).unwrap()
}

/// A metric, under its name with its labels.
fn metric(address: &str, name: &str) -> f64 {
    let (code, body) = get(address, "/metrics");
    assert_eq!(code, 200);
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {body}")).parse().unwrap()
}

/// Waits until the status is as it is to be.
fn wait_for(address: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = std::time::Instant::now();
    loop {
        let status = status(address);
        if is_so(&status) {
            return status;
        }
        assert!(start.elapsed() < interop::PATIENCE, "{status}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn metrics_and_status_say_the_same_of_what_has_happened_and_of_what_is() {
    let place = Place::new();
    let (_program, [frontend, backend, http]) = serve(&place);
    let context = zmq::Context::new();
    {
        let _worker = Worker::start(&backend, "GOOD", Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
        }
    }
    wait_for(&http, |status| status["workers"].as_array().unwrap().is_empty());
    let worker = socket(&context, zmq::REQ, "BUSY");
    worker.connect(&backend).unwrap();
    worker.send("READY", 0).unwrap();
    wait_for(&http, |status| status["workers"][0]["state"] == "idle");
    let [first, second] = ["FIRST", "SECOND"].map(|name| {
        let client = socket(&context, zmq::REQ, name);
        client.connect(&frontend).unwrap();
        client.send("job", 0).unwrap();
        wait_for(&http, |status| status["clients"] == if name == "FIRST" { 1 } else { 2 });
        client
    });
    let status =
        wait_for(&http, |status| status["waiting"]["requests"] == 1 && status["in_flight"] == 1);
    let worker_is = &status["workers"][0];
    assert_eq!(
        (&worker_is["name"], &worker_is["state"]),
        (&Value::from("BUSY"), &Value::from("busy"))
    );
    assert_eq!(worker_is["client"], "FIRST");
    assert!(worker_is["since"].as_f64().unwrap() >= 0.0 && status["waiting"]["oldest"].is_f64());
    assert_eq!(
        (&status["counters"]["requests"], &status["counters"]["replies"]),
        (&5.into(), &3.into())
    );
    for (name, expected) in [
        ("broker_requests_total", 5.0),
        ("broker_request_bytes_total", 29.0),
        ("broker_replies_total", 3.0),
        ("broker_reply_bytes_total", 15.0),
        ("broker_waiting", 1.0),
        ("broker_in_flight", 1.0),
        ("broker_clients", 2.0),
        ("broker_workers{state=\"busy\"}", 1.0),
        ("broker_workers{state=\"idle\"}", 0.0),
        ("broker_connections_total{side=\"frontend\"}", 5.0),
        ("broker_waited_seconds_count", 4.0),
        ("broker_served_seconds_count", 3.0),
        ("broker_served_seconds_bucket{le=\"+Inf\"}", 3.0),
    ] {
        assert_eq!(metric(&http, name).to_bits(), f64::to_bits(expected), "{name}");
    }
    assert!(metric(&http, "broker_oldest_waiting_seconds") > 0.0);
    drop((first, second));
    wait_for(&http, |status| status["counters"]["abandoned"] == 1);
}

#[test]
fn faults_are_counted_by_kind_and_losses_by_cause() {
    let place = Place::new();
    let (_program, [frontend, backend, http]) = serve(&place);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER, "D");
    client.connect(&frontend).unwrap();
    client.send("no empty frame", 0).unwrap();
    client.send_multipart(["", "job"], 0).unwrap();
    let worker = socket(&context, zmq::REQ, "W");
    worker.connect(&backend).unwrap();
    worker.send("READY", 0).unwrap();
    worker.recv_multipart(0).unwrap();
    drop(worker);
    let publisher = socket(&context, zmq::PUB, "");
    publisher.connect(&frontend).unwrap();
    wait_for(&http, |status| {
        status["losses"]["left"] == 1 && status["violations"]["no_delimiter"] == 1
    });
    assert_eq!(metric(&http, "broker_losses_total{cause=\"left\"}").to_bits(), 1f64.to_bits());
    assert_eq!(
        metric(&http, "broker_violations_total{kind=\"no_delimiter\"}").to_bits(),
        1f64.to_bits()
    );
    let start = std::time::Instant::now();
    while metric(&http, "broker_failed_handshakes_total{side=\"frontend\"}") < 1.0 {
        assert!(start.elapsed() < interop::PATIENCE);
    }
}

#[test]
fn it_can_only_be_read_and_only_under_its_own_name() {
    let place = Place::new();
    let (_program, [_, _, http]) = serve(&place);
    for host in ["localhost", "LOCALHOST:5580", "127.0.0.1", "[::1]:80", "[::1]", &http] {
        assert_eq!(ask(&http, "GET /healthz", host), (200, "ok\n".to_owned()), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:5580",
        "localhost.evil.example",
        "",
        "127.0.0.1.evil.example",
    ] {
        assert_eq!(ask(&http, "GET /status", host).0, 421, "{host}");
    }
    for path in ["/status", "/pause", "/drain", "/quarantine?worker=W", "/resubmit"] {
        let (code, body) = ask(&http, &format!("POST {path}"), &http);
        assert_eq!((code, &*body), (405, "this can only be read\n"), "{path}");
    }
    assert_eq!(get(&http, "/tap?peer=W").0, 404);
    assert_eq!(["/history", "/history?after=7"].map(|path| get(&http, path).0), [200; 2]);
    let wrong = (400, "`after` is the number of a look\n".to_owned());
    assert_eq!(get(&http, "/history?after=x"), wrong);
    let (code, body) = get(&http, "/elsewhere");
    assert_eq!((code, body.starts_with("/elsewhere is not here")), (404, true));
    assert_eq!(ask(&http, "HEAD /metrics", &http), (200, String::new()));
}

#[test]
fn a_queue_that_drains_is_healthy_and_not_ready() {
    let place = Place::new();
    let (program, [frontend, backend, http]) = serve(&place);
    assert_eq!(get(&http, "/readyz"), (200, "listening, 0 workers\n".to_owned()));
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::REQ, "W");
    worker.connect(&backend).unwrap();
    worker.send("READY", 0).unwrap();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&frontend).unwrap();
    client.send("job", 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    program.signal(Signal::TERM);
    wait_for(&http, |status| status["draining"] == true);
    assert_eq!(get(&http, "/readyz"), (503, "draining, 1 worker\n".to_owned()));
    assert_eq!(get(&http, "/healthz").0, 200);
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    assert!(program.wait().success());
}

#[test]
fn the_terminal_shows_it_at_one_look_and_for_programs() {
    let place = Place::new();
    let (_program, [frontend, backend, http]) = serve(&place);
    let _worker = Worker::start(&backend, "WORKER", Duration::ZERO);
    assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
    wait_for(&http, |status| status["clients"] == 0 && status["workers"][0]["state"] == "idle");
    let output = run(place.directory(), &["status", "--http", &http]);
    let shown = text(&output.stdout);
    for expected in [
        "queue       open, up for ",
        "waiting     0 (0 bytes)\n",
        "requests    1, 1 answered\n",
        "workers     1\n",
    ] {
        assert!(shown.contains(expected), "{expected:?} is not in {shown}");
    }
    assert!(shown.ends_with("            WORKER               idle\n"), "{shown}");
    let output = run(place.directory(), &["status", "--http", &http, "--json"]);
    let status: Value = serde_json::from_str(text(&output.stdout)).unwrap();
    assert_eq!(status["workers"][0]["name"], "WORKER");
    let output = run(place.directory(), &["status", "--http", "127.0.0.1:1"]);
    let expected = "broker: no queue at http://127.0.0.1:1: Connection refused (os error 111); `serve` with `--http` makes one, \
                    and `--control PATH` looks at one over its control socket\n";
    assert_eq!((text(&output.stderr), output.status.success()), (expected, false));
}

#[test]
fn half_a_request_and_many_connections_hold_nobody_up() {
    let place = Place::new();
    let (_program, [frontend, backend, http]) = serve(&place);
    let idle: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&http).unwrap();
            stream.write_all(b"GET /status HT").unwrap();
            stream
        })
        .collect();
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
    // Those that do not go on are ended, and others have their turn.
    assert_eq!(get(&http, "/healthz").0, 200);
    drop(idle);
}

#[test]
fn what_is_ready_made_for_prometheus_and_grafana_names_metrics_that_there_are() {
    let place = Place::new();
    let (_program, [_, _, http]) = serve(&place);
    let (_, metrics) = get(&http, "/metrics");
    let mut names = 0;
    for file in ["alerts.yml", "grafana.json"] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/").to_owned() + file;
        let text = std::fs::read_to_string(path).unwrap();
        for name in text.split(|c: char| !c.is_ascii_lowercase() && c != '_') {
            if let Some(name) = name.strip_prefix("broker_") {
                let metric = format!("# TYPE broker_{} ", name.trim_end_matches("_bucket"));
                assert!(metrics.contains(&metric), "{file} has broker_{name}");
                names += 1;
            }
        }
    }
    assert!(names > 20);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/broker.toml");
    let output = run(place.directory(), &["check", path]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_guide_explains_the_words_for_all_losses_and_faults() {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let tables = guide.split_once("| losses |").unwrap().1;
    let (losses, faults) = tables.split_once("| faults |").unwrap();
    for cause in broker::Cause::ALL {
        assert!(losses.contains(&format!("`{}`", cause.as_str().replace('_', " "))), "{cause:?}");
    }
    for violation in broker::Violation::ALL {
        let word = violation.as_str().replace('_', " ");
        assert!(faults.contains(&format!("`{word}`")), "{violation:?}");
    }
}
