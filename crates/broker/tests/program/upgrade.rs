//! A queue with which another process goes on, while libzmq peers are at work.

use std::fs::Permissions;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Worker, request, socket};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::support::{Program, ask_over, command, command_of, run, text};

/// A process that goes on after the one that has started it.
struct Next(Pid);

impl Next {
    /// Has another process go on.
    fn upgrade(directory: &Path) -> Self {
        let output = run(directory, &["upgrade"]);
        assert!(output.status.success(), "{output:?}");
        let said = text(&output.stdout).trim_end();
        let process = said.strip_prefix("process ").and_then(|rest| rest.strip_suffix(" goes on"));
        Self(Pid::from_raw(process.unwrap_or_else(|| panic!("{said}")).parse().unwrap()).unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).unwrap();
    }

    fn wait(self) {
        let start = Instant::now();
        while test_kill_process(self.0).is_ok() {
            assert!(start.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

fn status(directory: &Path) -> Value {
    let output = run(directory, &["status", "--json", "--control", "broker.control"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn wait_for(directory: &Path, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let status = status(directory);
        if is_so(&status) {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "{status}");
    }
}

/// A REQ client that asks so many times.
fn client(frontend: &str, name: &str, times: u32) -> JoinHandle<()> {
    let (frontend, name) = (frontend.to_owned(), name.to_owned());
    std::thread::spawn(move || {
        let context = zmq::Context::new();
        let client = socket(&context, zmq::REQ, &name);
        client.connect(&frontend).unwrap();
        for number in 0..times {
            client.send(&number.to_be_bytes()[..], 0).unwrap();
            assert_eq!(client.recv_bytes(0).unwrap(), number.to_be_bytes(), "{name:?}");
        }
    })
}

#[test]
fn all_ten_clients_print_through_upgrades_and_nothing_is_done_twice() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &["--control"]);
    let workers: Vec<_> = ["PROCESSOR-0", "", "PROCESSOR-2"]
        .into_iter()
        .map(|name| Worker::start(&backend, name, Duration::from_millis(10)))
        .collect();
    // Half of them have no name by which anybody would know them again.
    let name = |i: usize| if i < 5 { String::new() } else { format!("CLIENT-{i}") };
    let clients: Vec<_> = (0..10).map(|i| client(&frontend, &name(i), 20)).collect();
    let mut nexts = Vec::new();
    for round in 1..=3 {
        let enough = Some(25 * round);
        wait_for(place.directory(), |status| status["counters"]["replies"].as_u64() > enough);
        nexts.push(Next::upgrade(place.directory()));
        assert_eq!(program.endpoints().len(), 3, "where it listens, again");
    }
    assert!(program.wait().success());
    for client in clients {
        client.join().unwrap();
    }
    let status = status(place.directory());
    let counts = ["requests", "replies", "retries"].map(|name| &status["counters"][name]);
    assert_eq!(counts, [200, 200, 0], "{status}");
    assert_eq!(status["workers"].as_array().unwrap().len(), 3);
    let last = nexts.pop().unwrap();
    for next in nexts {
        next.wait();
    }
    drop(workers);
    last.signal(Signal::TERM);
    last.wait();
    let files = std::fs::read_dir(place.directory()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(files.is_empty(), "the sockets go with the last: {files:?}");
}

#[test]
fn a_signal_to_both_processes_is_one_and_the_next_drains() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &["--control"]);
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::REQ, "");
    worker.connect(&backend).unwrap();
    worker.send("READY", 0).unwrap();
    let asking = client(&frontend, "", 1);
    let job = worker.recv_multipart(0).unwrap();
    let next = Next::upgrade(place.directory());
    // As Ctrl-C does in a terminal.
    next.signal(Signal::INT);
    program.signal(Signal::INT);
    assert!(program.wait().success());
    wait_for(place.directory(), |status| status["draining"] == true);
    worker.send_multipart(job, 0).unwrap();
    asking.join().unwrap();
    next.wait();
}

#[test]
fn files_and_listeners_pass_to_the_next_process_and_a_journal_goes_on_after_that_was_killed() {
    let place = Place::new();
    let options =
        ["--control", "--http", "127.0.0.1:0", "--journal", "j", "--dead-letters", "letters"];
    let (program, [frontend, backend]) = Program::serve_at(&place, &options);
    let directory = place.directory();
    let context = zmq::Context::new();
    let waiting = socket(&context, zmq::REQ, "WAITS");
    waiting.connect(&frontend).unwrap();
    waiting.send("job", 0).unwrap();
    wait_for(directory, |status| status["waiting"]["requests"] == 1);
    let next = Next::upgrade(directory);
    let http = program.endpoints().into_iter().find(|endpoint| endpoint.starts_with("http:"));
    let output = run(directory, &["status", "--json", "--http", &http.unwrap()]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["waiting"]["requests"], 1);
    assert!(program.wait().success());
    next.signal(Signal::KILL);
    next.wait();
    let args = ["--frontend", &frontend, "--backend", &backend];
    let (_program, _) = Program::serve(directory, &[&args[..], &options].concat());
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(waiting.recv_bytes(0).unwrap(), b"job");
}

#[test]
fn a_program_that_does_not_start_or_ends_half_way_changes_nothing() {
    let place = Place::new();
    let directory = place.directory();
    let config = directory.join("config");
    std::fs::write(&config, "max-strikes = 3\n").unwrap();
    let options = ["--control", "--journal", "j", "--config", "config"];
    let (program, [frontend, backend]) = Program::serve_at(&place, &options);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "");
    client.connect(&frontend).unwrap();
    client.send("job", 0).unwrap();
    wait_for(directory, |status| status["waiting"]["requests"] == 1);
    // It complains of its options.
    std::fs::write(&config, "max-strikes = 0\n").unwrap();
    let output = run(directory, &["upgrade"]);
    let said = text(&output.stderr);
    assert!(said.starts_with("broker: the next process did not start, and nothing has changed"));
    // It finds out later, when it has all connections.
    std::fs::write(&config, "dead-letters = \"nowhere/letters\"\n").unwrap();
    let output = run(directory, &["upgrade"]);
    let said = text(&output.stderr);
    assert!(
        said.starts_with("broker: the next process did not go on, and this one does"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
    let status = wait_for(directory, |status| status["waiting"]["requests"] == 1);
    assert_eq!(status["clients"], 1);
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
    // Or at last, when it listens as well.
    std::fs::write(&config, "max-message-size = \"2G\"\n").unwrap();
    let output = run(directory, &["upgrade"]);
    assert!(text(&output.stderr).contains("this one does"), "{output:?}");
    assert!(!program.has_line(), "where it listens was said at its start");
    let said: Vec<_> = std::iter::repeat_with(|| program.error())
        .take(60)
        .take_while(|line| !line.contains("cannot keep") && !line.contains("journal"))
        .collect();
    assert!(said.len() < 60, "why is in the log: {said:?}");
    assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"], "it can be connected to");
    // And once it is mended, it goes on, also where somebody has removed a socket file.
    std::fs::write(&config, "").unwrap();
    std::fs::remove_file(backend.strip_prefix("ipc://").unwrap()).unwrap();
    let _next = Next::upgrade(directory);
    assert!(program.wait().success());
    client.send("another", 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"another");
}

#[test]
fn files_that_cannot_be_opened_again_end_nobody() {
    let place = Place::new();
    let directory = place.directory();
    let options = ["--control", "--journal", "j", "--dead-letters", "letters"];
    let (program, [frontend, backend]) = Program::serve_at(&place, &options);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&frontend).unwrap();
    client.send("job", 0).unwrap();
    wait_for(directory, |status| status["waiting"]["requests"] == 1);
    // The next process would have to write there, and so would this one if that did not go on.
    std::fs::create_dir(directory.join("j/journal.new")).unwrap();
    let output = run(directory, &["upgrade"]);
    let said = text(&output.stderr);
    assert!(said.contains("could not begin the journal anew, and nothing has changed"), "{said}");
    std::fs::remove_dir(directory.join("j/journal.new")).unwrap();
    // Neither may read this any more, and the one before has it open still.
    let letters = directory.join("letters");
    std::fs::set_permissions(&letters, Permissions::from_mode(0o640)).unwrap();
    let output = run(directory, &["upgrade"]);
    let said = text(&output.stderr);
    assert!(
        said.starts_with("broker: the next process did not go on, and this one does"),
        "{said}"
    );
    assert_eq!(status(directory)["waiting"]["requests"], 1);
    std::fs::set_permissions(&letters, Permissions::from_mode(0o600)).unwrap();
    let _next = Next::upgrade(directory);
    assert!(program.wait().success());
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
}

#[test]
fn a_tap_goes_on_with_the_next_process() {
    let place = Place::new();
    let (program, [frontend, backend]) = Program::serve_at(&place, &["--control"]);
    let tap = Program::start(place.directory(), &["tap", "--peer", "C"]);
    assert_eq!(program.error(), "INFO  messages of C are shown");
    assert!(tap.error().ends_with("Ctrl-C ends"));
    let _next = Next::upgrade(place.directory());
    assert_eq!(tap.error(), "broker: the queue was upgraded and goes on");
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
    for _ in 0..2 {
        assert!(tap.line().starts_with("nobody is called C now"));
    }
    assert!(tap.line().ends_with(" from client C: (empty) | x"));
    assert!(tap.line().ends_with(" to client C: (empty) | x"));
}

#[test]
fn what_was_counted_and_shown_goes_on() {
    let place = Place::new();
    let directory = place.directory();
    let (program, [frontend, backend]) = Program::serve_at(&place, &["--control"]);
    let context = zmq::Context::new();
    let strange = socket(&context, zmq::DEALER, "D");
    strange.connect(&frontend).unwrap();
    strange.send("no empty frame", 0).unwrap();
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(request(&frontend, "C", &[b"x".to_vec()]), [b"x"]);
    let ask = |path: &str| {
        let control = UnixStream::connect(directory.join("broker.control")).unwrap();
        ask_over(control, &format!("GET {path}"), "broker").1
    };
    let looks = || -> Vec<Value> { serde_json::from_str(&ask("/history")).unwrap() };
    let start = Instant::now();
    while looks().is_empty() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    let (before, seen) = (status(directory), looks().len());
    let _next = Next::upgrade(directory);
    assert!(program.wait().success());
    let after = status(directory);
    for what in ["counters", "violations", "recent"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    assert_eq!(after["served"]["count"], 1);
    assert!(after["up"].as_f64() >= before["up"].as_f64(), "{after}");
    let looks = looks();
    assert!(looks.len() >= seen && looks[0]["number"] == 1, "{looks:?}");
    assert!(ask("/metrics").contains("broker_connections_total{side=\"frontend\"} 2"));
}

#[test]
fn addresses_that_the_options_change_stay_as_they_are_which_is_told_of() {
    let place = Place::new();
    let config = place.directory().join("config");
    std::fs::write(&config, "http = \"127.0.0.1:0\"\n").unwrap();
    let endpoints = ["--frontend", "ipc://f", "--backend", "ipc://b"];
    let options = [&endpoints[..], &["--control", "--config", "config"]].concat();
    let (program, doors) = Program::serve(place.directory(), &options);
    let http = doors.iter().find_map(|door| door.strip_prefix("http://")).unwrap();
    std::fs::write(&config, "http = \"127.0.0.1:1\"\n").unwrap();
    let mut nexts = Vec::new();
    for _ in 0..2 {
        nexts.push(Next::upgrade(place.directory()));
        let told = "WARN  http is 127.0.0.1:0 until the next start, and not 127.0.0.1:1";
        assert!(std::iter::repeat_with(|| program.error()).take(20).any(|line| line == told));
    }
    std::fs::write(&config, "").unwrap();
    let _last = Next::upgrade(place.directory());
    let told = "WARN  http is 127.0.0.1:0 until the next start, and not set";
    assert!(std::iter::repeat_with(|| program.error()).take(20).any(|line| line == told));
    assert_eq!(ask_over(TcpStream::connect(http).unwrap(), "GET /healthz", "localhost").0, 200);
}

#[test]
fn a_program_that_is_still_starting_ends_with_a_queue_that_is_told_to() {
    let place = Place::new();
    let directory = place.directory();
    let (link, pipe) = (directory.join("current"), directory.join("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    symlink(env!("CARGO_BIN_EXE_broker"), &link).unwrap();
    let args = ["serve", "--frontend", "ipc://f", "--backend", "ipc://b", "--control"];
    let program = Program::spawn(&mut command_of(&link, directory, &args));
    program.endpoints();
    let at = |name: &str| format!("ipc://{}", directory.join(name).display());
    let context = zmq::Context::new();
    let [worker, client] = [("b", "READY"), ("f", "job")].map(|(name, says)| {
        let peer = socket(&context, zmq::REQ, name);
        peer.connect(&at(name)).unwrap();
        peer.send(says, 0).unwrap();
        peer
    });
    let job = worker.recv_multipart(0).unwrap();
    std::fs::remove_file(&link).unwrap();
    std::fs::write(&link, "#!/bin/sh\nexec sleep 1000 > pipe\n").unwrap();
    std::fs::set_permissions(&link, Permissions::from_mode(0o700)).unwrap();
    let mut upgrade = command(directory, &["upgrade"]).spawn().unwrap();
    let mut started = std::fs::File::open(&pipe).unwrap();
    program.signal(Signal::TERM);
    assert_eq!(started.read(&mut [0]).unwrap(), 0, "nobody has it open for writing any more");
    assert!(!upgrade.wait().unwrap().success());
    // The queue waits for what runs.
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap(), b"job");
    assert!(program.wait().success());
}

#[test]
fn the_program_to_which_a_link_leads_by_then_goes_on() {
    let place = Place::new();
    let directory = place.directory();
    let link = directory.join("current");
    symlink(env!("CARGO_BIN_EXE_broker"), &link).unwrap();
    let args = ["serve", "--frontend", "ipc://f", "--backend", "ipc://b", "--control"];
    let program = Program::spawn(&mut command_of(&link, directory, &args));
    program.endpoints();
    let next = directory.join("next");
    std::fs::write(&next, "#!/bin/sh\ntouch started\n").unwrap();
    std::fs::set_permissions(&next, Permissions::from_mode(0o700)).unwrap();
    std::fs::remove_file(&link).unwrap();
    symlink("next", &link).unwrap();
    let output = run(directory, &["upgrade"]);
    let said = text(&output.stderr);
    assert!(said.contains("the next process did not start, and nothing has changed"), "{said}");
    assert!(directory.join("started").exists());
    std::fs::remove_file(&link).unwrap();
    symlink(env!("CARGO_BIN_EXE_broker"), &link).unwrap();
    let _next = Next::upgrade(directory);
}

#[test]
fn an_upgrade_leaves_no_journal_behind() {
    let place = Place::new();
    let config = place.directory().join("config");
    std::fs::write(&config, "journal = \"one\"\n").unwrap();
    let (program, _) = Program::serve_at(&place, &["--control", "--config", "config"]);
    for other in ["", "journal = \"another\"\n"] {
        std::fs::write(&config, other).unwrap();
        let output = run(place.directory(), &["upgrade"]);
        assert!(text(&output.stderr).contains("this one does"), "{output:?}");
        let line = std::iter::repeat_with(|| program.error()).take(20);
        let mut line = line.filter(|line| line.contains("cannot change the journal"));
        assert!(line.next().is_some());
    }
    std::fs::write(&config, "journal = \"./one\"\n").unwrap();
    let _next = Next::upgrade(place.directory());
    assert!(program.wait().success());
}

#[test]
fn as_many_connections_as_there_may_be_go_on() {
    let place = Place::new();
    let script = r#"ulimit -n 200; exec "$0" serve --control"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_broker")]).current_dir(place.directory());
    let null = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    let program = Program::spawn_with(&mut command, null().into(), null().into());
    program.endpoints();
    let context = zmq::Context::new();
    let connect = |name: &str| {
        let peer = socket(&context, zmq::DEALER, "");
        peer.connect(&format!("ipc://{}/{name}.ipc", place.directory().display())).unwrap();
        peer
    };
    let peers: Vec<_> = (0..120).map(|i| connect(["frontend", "backend"][i % 2])).collect();
    let all = |status: &Value| {
        status["clients"] == 60 && status["workers"].as_array().unwrap().len() == 60
    };
    wait_for(place.directory(), all);
    let _next = Next::upgrade(place.directory());
    wait_for(place.directory(), all);
    drop(peers);
}

#[test]
fn systemd_is_told_which_process_goes_on() {
    let place = Place::new();
    let path = place.directory().join("notify");
    let notified = UnixDatagram::bind(&path).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let args = ["serve", "--frontend", "ipc://f", "--backend", "ipc://b", "--control"];
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let program = Program::start_with(place.directory(), &args, &environment);
    program.endpoints();
    let next = Next::upgrade(place.directory());
    let expected = format!("MAINPID={}", next.0.as_raw_nonzero());
    let mut buffer = [0; 256];
    while !text(&buffer).contains(&expected) {
        buffer = [0; 256];
        notified.recv(&mut buffer).expect("it is told in time");
    }
    assert!(program.wait().success());
    // What the one before has said is read by then; the next one gives signs of life.
    notified.set_nonblocking(true).unwrap();
    while notified.recv(&mut buffer).is_ok() {}
    notified.set_nonblocking(false).unwrap();
    for _ in 0..3 {
        let size = notified.recv(&mut buffer).expect("a sign of life in time");
        assert_eq!(text(&buffer[..size]).trim_end(), "WATCHDOG=1");
    }
}
