//! The program and the sockets with programs of other languages, and under strace. `make peers` runs
//! this.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use interop::{Echo, PATIENCE, Party, Place, Transport, messages};
use zmtp::Config;
use zmtp::proto::SocketType::{Dealer, Rep, Req, Router};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The program to test, and the interpreter that has pyzmq.
fn from_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make peers`"))
}

fn start(command: &mut Command, directory: &Path) -> Running {
    let child = command.current_dir(directory).stdout(Stdio::piped()).spawn();
    Running(Some(child.unwrap_or_else(|error| panic!("{command:?}: {error}"))))
}

/// A process that does not outlive the test.
struct Running(Option<Child>);

impl Running {
    fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn broker(directory: &Path, args: &[&str]) -> Running {
    start(Command::new(from_environment("BROKER")).args(args), directory)
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < PATIENCE, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What must hold in the seed's output, in whatever order its threads print.
fn check_seed(output: &Output) {
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut asked = HashMap::new();
    let mut answered = HashSet::new();
    for line in text.lines() {
        let (who, what) = line.split_once(": ").unwrap();
        if let Some(request) = what.strip_prefix("REQ ") {
            let client = request.split_once(" from ").unwrap().1;
            let twice = asked.insert(client.to_owned(), who.trim_start().to_owned());
            assert_eq!(twice, None, "{text}");
        } else {
            let worker = what.strip_prefix("REP OK from ").unwrap();
            assert_eq!(asked.get(who.trim_start()).map(String::as_str), Some(worker), "{text}");
            assert!(answered.insert(who.trim_start().to_owned()), "{text}");
        }
    }
    let expected: HashSet<_> = (0..10).map(|i| format!("CLIENT-{i}")).collect();
    assert_eq!(answered, expected, "{text}");
}

#[test]
fn ruby_runs_the_seed_against_the_defaults_in_any_start_order_ten_times_of_ten() {
    let runs: Vec<_> = (0..10)
        .map(|i| {
            std::thread::spawn(move || {
                let directory = tempfile::tempdir().unwrap();
                let order = ["clients-first", "workers-first"][i % 2];
                let mut seed = Command::new("ruby");
                seed.arg(repository().join("tests/peers/seed.rb")).arg(order);
                // The queue comes first, in the middle, or last.
                let queue_at = Duration::from_millis([0, 1000, 2500][i % 3]);
                if queue_at.is_zero() {
                    let _queue = broker(directory.path(), &["serve"]);
                    wait_for(&directory.path().join("backend.ipc"));
                    check_seed(&start(&mut seed, directory.path()).output());
                } else {
                    let seed = start(&mut seed, directory.path());
                    std::thread::sleep(queue_at);
                    let _queue = broker(directory.path(), &["serve"]);
                    check_seed(&seed.output());
                }
            })
        })
        .collect();
    for run in runs {
        run.join().unwrap();
    }
}

#[test]
fn ruby_runs_the_seed_to_its_end_though_the_queue_is_killed_twice_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let serve = ["serve", "--journal", "journal"];
    let mut queue = broker(directory.path(), &serve);
    wait_for(&directory.path().join("backend.ipc"));
    let mut seed = Command::new("ruby");
    seed.arg(repository().join("tests/peers/seed.rb")).arg("workers-first");
    let mut seed = start(&mut seed, directory.path());
    let lines = BufReader::new(seed.0.as_mut().unwrap().stdout.take().unwrap()).lines();
    let mut printed = HashSet::new();
    for line in lines {
        let line = line.unwrap();
        let Some((client, _)) = line.split_once(": REP OK from PROCESSOR-") else { continue };
        assert!(printed.insert(client.trim_start().to_owned()), "{line} again");
        // Of the others some run and some wait.
        if [2, 5].contains(&printed.len()) {
            drop(queue);
            queue = broker(directory.path(), &serve);
        }
    }
    assert!(seed.output().status.success());
    assert_eq!(printed, (0..10).map(|i| format!("CLIENT-{i}")).collect());
}

#[test]
fn ruby_runs_the_seed_to_its_end_through_two_upgrades_and_no_request_is_done_twice() {
    let directory = tempfile::tempdir().unwrap();
    let _queue = broker(directory.path(), &["serve", "--control"]);
    wait_for(&directory.path().join("broker.control"));
    let mut seed = Command::new("ruby");
    seed.arg(repository().join("tests/peers/seed.rb")).arg("workers-first");
    let mut seed = start(&mut seed, directory.path());
    let lines = BufReader::new(seed.0.as_mut().unwrap().stdout.take().unwrap()).lines();
    let (mut text, mut printed) = (String::new(), 0);
    for line in lines {
        let line = line.unwrap();
        printed += usize::from(line.contains(": REP "));
        // Of the others some run and some wait.
        if line.contains(": REP ") && [2, 5].contains(&printed) {
            let output = broker(directory.path(), &["upgrade"]).output();
            assert!(output.stdout.ends_with(b" goes on\n"), "{output:?}");
        }
        text += &(line + "\n");
    }
    let output = seed.output();
    check_seed(&Output { stdout: text.into(), ..output });
    assert!(broker(directory.path(), &["drain"]).output().status.success());
}

#[test]
fn the_readmes_python_example_works_as_it_is_printed() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let blocks: Vec<_> = readme
        .split("```python\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    let [worker, client] = blocks[..] else { panic!("a worker and a client") };
    let directory = tempfile::tempdir().unwrap();
    let _queue = broker(directory.path(), &["serve"]);
    wait_for(&directory.path().join("backend.ipc"));
    let python = from_environment("PYTHON");
    let _worker = start(Command::new(&python).args(["-c", worker]), directory.path());
    let output = start(Command::new(&python).args(["-c", client]), directory.path()).output();
    let shown = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), shown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_type_exchanges_messages_of_all_sorts_with_each_type_of_pyzmqs() {
    let python = from_environment("PYTHON");
    let script = repository().join("tests/peers/echo.py");
    let types = [Req, Rep, Dealer, Router];
    let pairs = types.into_iter().flat_map(|ours| types.map(|theirs| (ours, theirs)));
    for (ours, theirs) in pairs.filter(|(ours, theirs)| ours.accepts(*theirs)) {
        for transport in [Transport::Tcp, Transport::Ipc] {
            for we_bind in [true, false] {
                println!("{ours} with {theirs}, {transport:?}, {we_bind}");
                let place = Place::new();
                let endpoint = place.endpoint(transport, "x");
                let mut party = Party::ours(ours, Config::default().with_identity("ME"));
                if we_bind {
                    party.bind(&endpoint).await;
                } else {
                    party.connect(&endpoint);
                }
                let mut command = Command::new(&python);
                let echo = Echo::start(command.arg(&script), theirs, !we_bind, &endpoint);
                echo.greets(&mut party).await;
                for message in messages() {
                    echo.answers(&mut party, message).await;
                }
            }
        }
    }
}

#[test]
fn a_request_takes_two_reads_and_two_writes_and_no_read_is_in_vain() {
    const REQUESTS: usize = 200;
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let calls = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,shutdown";
    let mut strace = Command::new("strace");
    // strace as a grandchild: what is started and ended here is the queue itself.
    strace
        .args([
            "--daemonize=grandchild",
            "--follow-forks",
            "--decode-fds=path",
            "-e",
            calls,
            "--output",
        ])
        .arg(&trace);
    strace.arg(from_environment("BROKER")).arg("serve");
    let queue = start(&mut strace, directory.path());
    wait_for(&directory.path().join("backend.ipc"));
    let python = from_environment("PYTHON");
    let script = format!(
        "import threading, zmq\n\
         def worker():\n\
         \x20   req = zmq.Context.instance().socket(zmq.REQ)\n\
         \x20   req.connect('ipc://backend.ipc')\n\
         \x20   req.send(b'READY')\n\
         \x20   while True: req.send_multipart(req.recv_multipart())\n\
         threading.Thread(target=worker, daemon=True).start()\n\
         req = zmq.Context.instance().socket(zmq.REQ)\n\
         req.connect('ipc://frontend.ipc')\n\
         for _ in range({REQUESTS}): req.send(b'x' * 32); req.recv()\n\
         import os; os._exit(0)\n"
    );
    let output = start(Command::new(python).args(["-c", &script]), directory.path()).output();
    assert!(output.status.success());
    drop(queue);
    let start = Instant::now();
    let trace = loop {
        let text = std::fs::read_to_string(&trace).unwrap();
        if text.contains("+++ killed by") {
            break text;
        }
        assert!(start.elapsed() < PATIENCE, "strace does not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    let sockets =
        || trace.lines().filter(|line| line.contains("<socket:") || line.contains("<UNIX"));
    let reads = sockets().filter(|line| line.contains("recvfrom(") && !line.contains(" = 0"));
    let writes = sockets().filter(|line| line.contains("sendto(") || line.contains("writev("));
    let in_vain = sockets().filter(|line| line.contains("EAGAIN")).count();
    let (reads, writes) = (reads.count(), writes.count());
    println!("{reads} reads and {writes} writes for {REQUESTS} requests, {in_vain} in vain");
    // The runtime takes a new connection for readable until it has tried; after that it knows.
    let connections = 2;
    assert!(in_vain <= connections, "{trace}");
    // One from the client, one to the worker, one from the worker, one to the client; and a few for
    // each of the two handshakes.
    assert!((2 * REQUESTS..=2 * REQUESTS + 12).contains(&reads), "{reads}");
    assert!((2 * REQUESTS..=2 * REQUESTS + 12).contains(&writes), "{writes}");
}
