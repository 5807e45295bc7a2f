//! A queue that is killed and goes on with its journal, among libzmq's sockets.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use interop::{PATIENCE, Place, Transport, Worker, request, socket};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use zmq::{Context, Socket};

use super::directory;
use crate::http::get;
use crate::support::{Program, run, text, untimed};

/// A place where one queue after the other listens.
struct Queues {
    place: Place,
    context: Context,
}

impl Queues {
    fn new() -> Self {
        Self { place: Place::new(), context: Context::new() }
    }

    fn endpoint(&self, name: &str) -> String {
        self.place.endpoint(Transport::Ipc, name)
    }

    fn directory(&self) -> &Path {
        self.place.directory()
    }

    fn start(&self, options: &[&str]) -> Program {
        let (frontend, backend) = (self.endpoint("frontend"), self.endpoint("backend"));
        let args = ["--frontend", &frontend, "--backend", &backend, "--journal", "journal"];
        Program::serve(self.directory(), &[&args, options].concat()).0
    }

    /// A client that has asked for something.
    fn client(&self, kind: zmq::SocketType, name: &str, request: &[&str]) -> Socket {
        let client = socket(&self.context, kind, name);
        client.connect(&self.endpoint("frontend")).unwrap();
        client.send_multipart(request, 0).unwrap();
        client
    }

    fn worker(&self, name: &str) -> Socket {
        let worker = socket(&self.context, zmq::REQ, name);
        worker.connect(&self.endpoint("backend")).unwrap();
        worker.send("READY", 0).unwrap();
        worker
    }
}

impl Queues {
    /// One whose files may have so many blocks of 512 or 1024 bytes, by the shell, and its endpoints.
    fn start_limited(&self, blocks: u32, options: &[&str]) -> (Program, Vec<String>) {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        shell
            .args(["-c", &script, env!("CARGO_BIN_EXE_broker"), "serve", "--journal", "journal"])
            .args(["--frontend", &self.endpoint("frontend")])
            .args(["--backend", &self.endpoint("backend")])
            .args(options)
            .current_dir(self.directory())
            .stderr(Stdio::piped());
        let program = Program::spawn(&mut shell);
        let told = program.endpoints();
        (program, told)
    }

    /// Waits until something is in the journal: what has not arrived is not kept.
    fn wait_until_kept(&self, what: &str) {
        let start = Instant::now();
        let is_kept =
            |journal: Vec<u8>| journal.windows(what.len()).any(|at| at == what.as_bytes());
        while !is_kept(std::fs::read(self.directory().join("journal/journal")).unwrap()) {
            assert!(start.elapsed() < PATIENCE, "{what} is not kept in time");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn frames(socket: &Socket) -> Vec<String> {
    let frames = socket.recv_multipart(0).expect("a message in time");
    frames.iter().map(|frame| text(frame).to_owned()).collect()
}

/// A worker of the seed's, that takes tenths of its seconds and tells what it is asked.
fn processor(name: String, backend: String, told: Sender<String>) {
    std::thread::spawn(move || {
        let context = Context::new();
        let worker = socket(&context, zmq::REQ, &name);
        worker.connect(&backend).unwrap();
        worker.send("READY", 0).unwrap();
        while let Ok(job) = worker.recv_multipart(0) {
            let _ = told.send(format!("{name}: REQ from {}", text(&job[0])));
            let time: u64 = text(&job[2]).parse().unwrap();
            std::thread::sleep(Duration::from_millis(100 * time));
            let reply = format!("OK from {name}");
            worker.send_multipart([&job[0], &b""[..], reply.as_bytes()], 0).unwrap();
        }
    });
}

fn next(told: &Receiver<String>) -> String {
    told.recv_timeout(PATIENCE).expect("something happens in time")
}

#[test]
fn all_ten_clients_print_though_the_queue_is_killed_twice_in_the_middle() {
    let queues = Queues::new();
    let mut queue = queues.start(&[]);
    let (tell_jobs, jobs) = channel();
    for i in 0..3 {
        processor(format!("PROCESSOR-{i}"), queues.endpoint("backend"), tell_jobs.clone());
    }
    let (tell_replies, replies) = channel();
    let clients: Vec<_> = (0..10)
        .map(|i| {
            let name = format!("CLIENT-{i}");
            let client = queues.client(zmq::REQ, &name, &[&(1 + i % 3).to_string()]);
            let told = tell_replies.clone();
            std::thread::spawn(move || {
                let reply = client.recv_string(0).expect("a reply in time").unwrap();
                told.send(format!("{name}: REP {reply}")).unwrap();
            })
        })
        .collect();
    (0..10).for_each(|i| queues.wait_until_kept(&format!("CLIENT-{i}")));
    let mut printed = Vec::new();
    for _ in 0..2 {
        // Some are answered, some run, and some wait.
        (0..2).for_each(|_| printed.push(next(&replies)));
        queue.kill();
        queue = queues.start(&[]);
        let goes_on = queue.error();
        assert!(goes_on.starts_with("INFO  going on with "), "{goes_on}");
    }
    for client in clients {
        client.join().unwrap();
    }
    printed.extend(replies.try_iter());
    printed.sort();
    for (i, line) in printed.iter().enumerate() {
        assert!(line.starts_with(&format!("CLIENT-{i}: REP OK from PROCESSOR-")), "{printed:?}");
    }
    assert_eq!(printed.len(), 10);
    assert!(jobs.try_iter().count() >= 10);
    queue.signal(Signal::TERM);
    assert!(queue.wait().success());
}

#[test]
fn requests_that_waited_go_on_with_all_their_frames_in_their_order() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let dealer = queues.client(zmq::DEALER, "D", &["id", "", "first", "", "frame"]);
    let many: Vec<_> = (1..10).map(|i| format!("request {i}")).collect();
    for body in &many {
        dealer.send_multipart(["", body], 0).unwrap();
    }
    queues.wait_until_kept("request 9");
    let worker = queues.worker("W");
    assert_eq!(frames(&worker), ["D", "", "first", "", "frame"]);
    queue.kill();
    let queue = queues.start(&[]);
    assert_eq!(
        queue.error(),
        "INFO  going on with 9 requests that waited and 1 that a worker had, of 1 clients"
    );
    worker.send_multipart(["D", "", "reply"], 0).unwrap();
    assert_eq!(frames(&dealer), ["id", "", "reply"]);
    for body in &many {
        assert_eq!(frames(&worker), ["D", "", body]);
        worker.send_multipart(["D", "", body], 0).unwrap();
        assert_eq!(frames(&dealer), ["", body]);
    }
}

#[test]
fn a_worker_that_is_still_at_work_drops_what_it_is_given_again_and_its_reply_counts() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let client = queues.client(zmq::REQ, "C", &["job"]);
    let worker = queues.worker("W");
    assert_eq!(frames(&worker), ["C", "", "job"]);
    queue.kill();
    let queue = queues.start(&[]);
    // It is silent for a second, and is given its request again. Nothing tells of that but time.
    std::thread::sleep(Duration::from_millis(2500));
    worker.send_multipart(["C", "", "done"], 0).unwrap();
    assert_eq!(frames(&client), ["done"]);
    let other = queues.client(zmq::REQ, "D", &["next"]);
    assert_eq!(frames(&worker), ["D", "", "next"], "and not what it had dropped");
    worker.send_multipart(["D", "", "done, too"], 0).unwrap();
    assert_eq!(frames(&other), ["done, too"]);
    queue.signal(Signal::TERM);
    let said: Vec<_> = (0..3).map(|_| queue.error()).collect();
    assert_eq!(said[2], "INFO  2 requests: 2 answered; 1 handed out again");
}

#[test]
fn a_worker_that_never_comes_back_costs_its_request_the_grace() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let client = queues.client(zmq::REQ, "C", &["job"]);
    let worker = queues.worker("DIES");
    assert_eq!(frames(&worker), ["C", "", "job"]);
    drop(worker);
    queue.kill();
    let _queue = queues.start(&["--adoption-grace", "1.5"]);
    let helps = queues.worker("HELPS");
    assert_eq!(frames(&helps), ["C", "", "job"]);
    helps.send_multipart(["C", "", "done"], 0).unwrap();
    assert_eq!(frames(&client), ["done"]);
}

#[test]
fn a_client_that_asks_anew_has_given_up_what_it_asked_before() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let before = queues.client(zmq::REQ, "C", &["before"]);
    let worker = queues.worker("W");
    assert_eq!(frames(&worker), ["C", "", "before"]);
    queue.kill();
    drop(before);
    let queue = queues.start(&[]);
    let client = queues.client(zmq::REQ, "C", &["after"]);
    worker.send_multipart(["C", "", "to before"], 0).unwrap();
    assert_eq!(frames(&worker), ["C", "", "after"]);
    worker.send_multipart(["C", "", "to after"], 0).unwrap();
    assert_eq!(frames(&client), ["to after"]);
    queue.signal(Signal::TERM);
    let said: Vec<_> = (0..3).map(|_| queue.error()).collect();
    assert_eq!(said[2], "INFO  2 requests: 1 answered, 1 whose clients left or asked anew");
}

#[test]
fn a_client_whose_new_request_finds_no_room_is_not_taken_for_one_that_waits_for_the_old() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let before = queues.client(zmq::REQ, "C", &["old"]);
    let worker = queues.worker("W");
    assert_eq!(frames(&worker), ["C", "", "old"]);
    let dealer = queues.client(zmq::DEALER, "D", &["", "1"]);
    for body in ["2", "3", "the fourth"] {
        dealer.send_multipart(["", body], 0).unwrap();
    }
    queues.wait_until_kept("the fourth");
    queue.kill();
    drop(before);
    let _queue = queues.start(&["--max-waiting", "4"]);
    let client = queues.client(zmq::REQ, "C", &["new"]);
    // Long enough to be taken for silent. Nothing tells of that but time.
    std::thread::sleep(Duration::from_millis(2500));
    worker.send_multipart(["C", "", "re:old"], 0).unwrap();
    for _ in 0..5 {
        let job = frames(&worker);
        worker.send_multipart([&*job[0], "", &format!("re:{}", job[2])], 0).unwrap();
    }
    assert_eq!(frames(&client), ["re:new"]);
}

#[test]
fn requests_of_clients_without_a_name_are_told_of() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let _client = queues.client(zmq::REQ, "", &["lost"]);
    let worker = queues.worker("W");
    assert_eq!(worker.recv_multipart(0).unwrap()[2], b"lost");
    queue.kill();
    let queue = queues.start(&[]);
    let expected = "WARN  1 requests are lost: their clients have no name that nobody else has, to know them again by";
    assert_eq!(queue.error(), expected);
}

#[test]
fn a_queue_that_is_stopped_leaves_what_waits_to_the_next() {
    let queues = Queues::new();
    let queue = queues.start(&["--drain", "0"]);
    let client = queues.client(zmq::REQ, "C", &["job"]);
    let worker = queues.worker("W");
    assert_eq!(frames(&worker), ["C", "", "job"]);
    queue.signal(Signal::TERM);
    let said: Vec<_> = (0..2).map(|_| queue.error()).collect();
    assert_eq!(
        said[1],
        "INFO  stopped with 0 requests waiting and 1 in flight, which the journal keeps"
    );
    assert!(queue.wait().success());
    let _queue = queues.start(&["--durability", "fsync"]);
    worker.send_multipart(["C", "", "done"], 0).unwrap();
    assert_eq!(frames(&client), ["done"]);
}

#[test]
fn what_is_wrong_with_a_journal_is_said_in_a_sentence() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let args =
        ["serve", "--journal", "journal", "--frontend", "ipc://f.ipc", "--backend", "ipc://b.ipc"];
    let said = |directory: &Path| {
        let output = run(directory, &args);
        assert!(!output.status.success());
        untimed(text(&output.stderr)).to_owned()
    };
    let expected = "ERROR the journal journal/lock: another queue that runs writes there\n";
    assert_eq!(said(queues.directory()), expected);
    queue.kill();

    let directory = directory();
    let journal = directory.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    std::fs::write(journal.join("journal"), "Dear diary").unwrap();
    let expected = "ERROR the journal journal/journal: not a journal of a queue; give another directory, \
                    or move the file away\n";
    assert_eq!(said(directory.path()), expected);
    std::fs::rename(&journal, directory.path().join("another")).unwrap();
    std::fs::write(&journal, "Dear diary").unwrap();
    assert_eq!(said(directory.path()), expected.replace("journal/journal", "journal"));
    std::fs::remove_file(&journal).unwrap();
    std::fs::rename(directory.path().join("another"), &journal).unwrap();
    assert_eq!(std::fs::read(journal.join("journal")).unwrap(), b"Dear diary");
}

#[test]
fn a_journal_that_cannot_be_begun_anew_is_told_of_and_grows_on() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    std::fs::create_dir(queues.directory().join("journal/journal.new")).unwrap();
    let _worker = Worker::start(&queues.endpoint("backend"), "W", Duration::ZERO);
    let large = [vec![7; 16 << 20]];
    for _ in 0..5 {
        assert!(request(&queues.endpoint("frontend"), "C", &large) == large, "it is answered");
    }
    let line = queue.error();
    assert!(line.contains("could not be begun anew, and grows on"), "{line}");
    assert_eq!(request(&queues.endpoint("frontend"), "C", &[b"x".to_vec()]), [b"x"]);
}

#[test]
fn a_queue_whose_journal_has_no_room_waits_for_it_and_loses_nothing() {
    let queues = Queues::new();
    let (program, told) = queues.start_limited(20, &["--http", "127.0.0.1:0"]);
    let http = told[2].strip_prefix("http://").unwrap();
    let worker = queues.worker("W");
    let client = queues.client(zmq::REQ, "C", &["small"]);
    let job = worker.recv_multipart(0).unwrap();
    worker.send_multipart(&job, 0).unwrap();
    assert_eq!(client.recv_string(0).unwrap().unwrap(), "small");
    // One with what is left is shorter.
    for i in 0..200 {
        client.send(&format!("{i:200}"), 0).unwrap();
        let job = worker.recv_multipart(0).unwrap();
        worker.send_multipart(&job, 0).unwrap();
        client.recv_string(0).unwrap().unwrap();
    }
    client.send("small", 0).unwrap();
    let job = worker.recv_multipart(0).unwrap();
    let large = "x".repeat(30_000);
    let another = queues.client(zmq::REQ, "D", &[&large]);
    let line = program.error();
    assert!(
        line.starts_with("WARN  the journal ") && line.ends_with("before there is room"),
        "{line}"
    );
    // What is not kept does not follow.
    worker.send_multipart(&job, 0).unwrap();
    assert_eq!(get(http, "/readyz"), (503, "no room for the journal, 1 worker\n".to_owned()));
    assert!(get(http, "/metrics").1.contains("broker_journal_full 1\n"));
    assert!(client.poll(zmq::POLLIN, 0).unwrap() == 0);

    let process = Pid::from_raw(program.pid().try_into().unwrap());
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    prlimit(process, Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    assert!(program.error().ends_with("there is room for the journal again"));
    assert_eq!(client.recv_string(0).unwrap().unwrap(), "small");
    let job = worker.recv_multipart(0).unwrap();
    assert_eq!(text(&job[2]), large);
    // Nothing of the first attempt is left in between.
    program.kill();
    let program = queues.start(&[]);
    assert!(
        program.error().contains("going on with 0 requests that waited and 1 that a worker had")
    );
    worker.send_multipart(&job, 0).unwrap();
    assert_eq!(another.recv_string(0).unwrap().unwrap(), large);
}

#[test]
fn what_a_client_asks_when_it_has_its_reply_is_kept_by_a_queue_that_ends() {
    let queues = Queues::new();
    let queue = queues.start(&[]);
    let worker = queues.worker("W");
    let client = queues.client(zmq::REQ, "C", &["first"]);
    let job = worker.recv_multipart(0).unwrap();
    queue.signal(Signal::TERM);
    assert!(queue.error().contains("stopping once no request is in flight"));
    worker.send_multipart(job, 0).unwrap();
    assert_eq!(frames(&client), ["first"]);
    client.send("second", 0).unwrap();
    assert!(
        queue
            .error()
            .contains("stopped with 1 requests waiting and 0 in flight, which the journal keeps")
    );
    assert!(queue.wait().success());
    drop(worker);
    let _queue = queues.start(&[]);
    let _next = Worker::start(&queues.endpoint("backend"), "V", Duration::ZERO);
    assert_eq!(frames(&client), ["second"]);
}

#[test]
fn a_queue_that_is_told_to_end_without_room_for_its_journal_says_what_is_lost() {
    let queues = Queues::new();
    let (program, _) = queues.start_limited(1, &["--drain", "0.1"]);
    let _client = queues.client(zmq::REQ, "C", &[&"x".repeat(2000)]);
    assert!(program.error().ends_with("before there is room"));
    program.signal(Signal::TERM);
    let said: Vec<_> = std::iter::from_fn(|| program.try_error()).collect();
    assert!(said[1].contains("stopped with 1 requests waiting"), "{said:?}");
    assert!(said.last().unwrap().contains("ERROR the journal "), "{said:?}");
    assert!(!program.wait().success());
}
