//! Any program as a worker.

use std::fs::Permissions;
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use interop::{Place, Transport, Worker, request, socket};
use rustix::process::Signal;

use crate::http::get;
use crate::support::{Program, command, run, text};

fn work(place: &Place, backend: &str, options: &[&str], script: &str) -> Program {
    let args = [&["work", "--connect", backend], options, &["--", "sh", "-c", script]].concat();
    let work = Program::start(place.directory(), &args);
    assert!(work.error().contains(" is ready for requests from "));
    work
}

fn ask(frontend: &str, body: &str) -> String {
    let reply = request(frontend, "C", &[body.as_bytes().to_vec()]);
    assert_eq!(reply.len(), 1);
    text(&reply[0]).to_owned()
}

fn await_file(place: &Place, name: &str) {
    while !place.directory().join(name).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_reads_the_request_and_writes_the_reply() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let _work =
        work(&place, &backend, &[], r#"echo "$BROKER_REQUEST_FROM asks for $(tr a-z A-Z)""#);
    assert_eq!(ask(&frontend, "this"), "C asks for THIS");
    let frames = [&b"two"[..], b"frames"].map(<[u8]>::to_vec);
    assert_eq!(request(&frontend, "D", &frames), [b"D asks for TWO\nFRAMES"]);
    assert_eq!(ask(&frontend, ""), "C asks for ");
}

#[test]
fn each_frame_is_a_line_unless_bytes_are_to_stay_as_they_are() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let frames = ["one", "two three", ""].map(|frame| frame.as_bytes().to_vec());
    {
        let script = r#"while read -r line; do echo "[$line]"; done"#;
        let _work = work(&place, &backend, &[], script);
        assert_eq!(request(&frontend, "C", &frames), [b"[one]\n[two three]\n[]"]);
    }
    let _work = work(&place, &backend, &["--raw"], "cat");
    let bytes = [b"\n\0".to_vec(), b"\n".to_vec()];
    assert_eq!(request(&frontend, "C", &bytes), [b"\n\0\n"]);
}

#[test]
fn a_program_has_the_limits_that_its_worker_was_started_with() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let mut shell = Command::new("sh");
    let script = "ulimit -S -n 200; exec \"$0\" work --connect \"$1\" -- sh -c 'ulimit -S -n'";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_broker"), &backend]).stderr(Stdio::piped());
    let _work = Program::spawn(&mut shell);
    assert_eq!(ask(&frontend, "x"), "200");
}

#[test]
fn what_is_written_may_be_large_and_need_not_be_read() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let body = vec![b'x'; 4 << 20];
    {
        let _work = work(&place, &backend, &[], "cat");
        assert_eq!(request(&frontend, "C", std::slice::from_ref(&body)), [&body[..]]);
    }
    let _work = work(&place, &backend, &[], "echo unread");
    assert_eq!(request(&frontend, "C", &[body]), [b"unread"]);
}

#[test]
fn what_may_be_larger_for_the_queue_may_be_larger_for_who_talks_to_it() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &["--max-message-size", "32K"]);
    let ask = |options: &[&str]| {
        let ask = ["request", "--connect", &frontend, "--timeout", "0.5", "x"];
        run(place.directory(), &[&ask[..], options].concat())
    };
    let script = "head -c 20000 /dev/zero | tr '\\0' x";
    {
        let options = ["--max-message-size", "4K", "--on-failure", "error", "--error-reply", "no"];
        let work = work(&place, &backend, &options, script);
        assert_eq!(text(&ask(&[]).stdout), "no\n");
        assert!(work.error().contains("wrote more than the 4096 bytes that a reply may have"));
    }
    let _work = work(&place, &backend, &["--max-message-size", "32K"], script);
    assert_eq!(ask(&["--max-message-size", "32K"]).stdout.len(), 20_001);
    let output = ask(&["--max-message-size", "4K"]);
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn several_work_at_a_time_each_under_a_name_of_its_own() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    // Each waits for the other.
    let script =
        "read name; touch $name; while ! [ -e one -a -e two ]; do sleep 0.01; done; echo done";
    let work = Program::start(
        place.directory(),
        &[
            "work",
            "--connect",
            &backend,
            "--processes",
            "2",
            "--identity",
            "W",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    let mut said = [work.error(), work.error()];
    said.sort();
    let expected =
        ["W-0", "W-1"].map(|name| format!("broker: {name} is ready for requests from {backend}"));
    assert_eq!(said, expected);
    let context = zmq::Context::new();
    let clients = ["one", "two"].map(|body| {
        let client = socket(&context, zmq::REQ, body);
        client.connect(&frontend).unwrap();
        client.send(body, 0).unwrap();
        client
    });
    for client in clients {
        assert_eq!(client.recv_string(0).unwrap().unwrap(), "done");
    }
}

#[test]
fn a_request_whose_process_fails_goes_to_another_worker_or_its_client_is_told() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    {
        // The second attempt finds what the first has left.
        let script = "[ -e tried ] && echo at last || { touch tried; exit 3; }";
        let work = work(&place, &backend, &[], script);
        assert_eq!(ask(&frontend, "x"), "at last");
        assert_eq!(work.error(), "broker: sh ended with exit status: 3, for C");
    }
    let options = ["--on-failure", "error", "--error-reply", "sorry", "--timeout", "0.2"];
    let work =
        work(&place, &backend, &options, "read what; [ $what = slow ] && exec sleep 1000; exit 1");
    assert_eq!(ask(&frontend, "x"), "sorry");
    assert_eq!(work.error(), "broker: sh ended with exit status: 1, for C");
    assert!(work.error().contains("is ready"));
    assert_eq!(ask(&frontend, "slow"), "sorry");
    assert_eq!(work.error(), "broker: sh took longer than 0.2 s and was killed, for C");
}

#[test]
fn what_a_process_has_started_is_killed_with_it() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let pipe = place.directory().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let options = ["--on-failure", "error", "--error-reply", "sorry", "--timeout", "0.2"];
    let _work = work(&place, &backend, &options, "sleep 1000 > pipe & wait");
    let end = std::thread::spawn(move || std::fs::read(pipe).unwrap());
    assert_eq!(ask(&frontend, "x"), "sorry");
    assert_eq!(end.join().unwrap(), b"", "nobody has it open for writing any more");
}

#[test]
fn a_signal_to_all_in_a_terminal_lets_it_finish() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let script = "touch begun; while ! [ -e end ]; do sleep 0.01; done; echo finished";
    let args = ["work", "--connect", &backend, "--", "sh", "-c", script];
    // As a shell starts it.
    let work = Program::spawn(command(place.directory(), &args).process_group(0));
    assert!(work.error().contains(" is ready"));
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&frontend).unwrap();
    client.send("x", 0).unwrap();
    await_file(&place, "begun");
    // As `timeout` does: to the process, and to all in its group.
    work.signal(Signal::INT);
    work.signal_group(Signal::INT);
    assert!(work.error().starts_with("broker: stopping once the requests at hand are answered"));
    std::fs::write(place.directory().join("end"), "").unwrap();
    assert_eq!(client.recv_string(0).unwrap().unwrap(), "finished");
    assert!(work.wait().success());
}

#[test]
fn a_reply_that_is_on_its_way_gets_through_when_it_is_stopped() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    // What the worker sends is held up in the middle of the reply.
    let way = place.directory().join("way");
    let listener = UnixListener::bind(&way).unwrap();
    let (go_on, goes_on) = channel::<()>();
    let (begin, has_begun) = channel::<()>();
    let far = backend.strip_prefix("ipc://").unwrap().to_owned();
    std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut far = UnixStream::connect(far).unwrap();
        let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut Read::by_ref(&mut near).take(1 << 20), &mut far).unwrap();
        begin.send(()).unwrap();
        goes_on.recv().unwrap();
        std::io::copy(&mut near, &mut far).unwrap();
        far.shutdown(Shutdown::Write).unwrap();
    });
    let script = "head -c 8388608 /dev/zero | tr '\\0' x";
    let work = work(&place, &format!("ipc://{}", way.display()), &[], script);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&frontend).unwrap();
    client.send("x", 0).unwrap();
    has_begun.recv().unwrap();
    work.signal(Signal::TERM);
    assert!(work.error().starts_with("broker: stopping once the requests at hand are answered"));
    go_on.send(()).unwrap();
    assert_eq!(client.recv_bytes(0).unwrap().len(), 8 << 20);
    assert!(work.wait().success());
}

#[test]
fn workers_that_are_stopped_while_requests_wait_take_none_with_them() {
    const REQUESTS: usize = 300;
    for transport in [Transport::Tcp, Transport::Ipc] {
        let place = Place::new();
        let [frontend, backend] =
            ["frontend", "backend"].map(|side| place.endpoint(transport, side));
        let args = ["--frontend", &frontend, "--backend", &backend, "--http", "127.0.0.1:0"];
        let (_queue, told) = Program::serve(place.directory(), &args);
        let context = zmq::Context::new();
        let client = socket(&context, zmq::DEALER, "C");
        client.connect(&frontend).unwrap();
        for i in 0..REQUESTS {
            let body = vec![b'x'; [10, 20_000][i % 2]];
            client.send_multipart([&b""[..], &body], 0).unwrap();
        }
        let mut replies = 0..REQUESTS;
        let mut take = |count| {
            for _ in replies.by_ref().take(count) {
                client.recv_multipart(0).unwrap();
            }
        };
        for _ in 0..10 {
            let worker = ["worker", "--connect", &backend, "--count", "1"];
            assert!(Program::start(place.directory(), &worker).wait().success());
            let work = ["work", "--connect", &backend, "--processes", "4", "--", "cat"];
            let work = Program::start(place.directory(), &work);
            take(12);
            work.signal(Signal::TERM);
            assert!(work.wait().success());
        }
        let _rest = Worker::start(&backend, "", Duration::ZERO);
        take(REQUESTS);
        let (_, status) = get(told[2].strip_prefix("http://").unwrap(), "/status");
        assert!(status.contains("\"losses\": {}"), "{transport:?}: {status}");
    }
}

#[test]
fn a_program_that_is_taken_away_ends_its_worker_once_the_others_have_finished() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let script = place.directory().join("script");
    let text = "#!/bin/sh\ntouch begun; while ! [ -e end ]; do sleep 0.01; done; echo finished";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o700)).unwrap();
    let args = ["work", "--connect", &backend, "--processes", "4", "--", "./script"];
    let work = Program::start(place.directory(), &args);
    let context = zmq::Context::new();
    let [first, second] = ["FIRST", "SECOND"].map(|name| {
        let client = socket(&context, zmq::REQ, name);
        client.connect(&frontend).unwrap();
        client
    });
    first.send("x", 0).unwrap();
    await_file(&place, "begun");
    std::fs::remove_file(&script).unwrap();
    second.send("y", 0).unwrap();
    let stops = |line: &String| line.contains("stopping once the requests at hand are answered");
    let said = std::iter::from_fn(|| Some(work.error())).find(stops);
    let missing = "./script cannot be started: No such file or directory (os error 2)";
    assert!(said.unwrap().contains(missing));
    work.signal(Signal::TERM);
    assert!(work.error().ends_with("a second signal stops at once"), "it is the first");
    std::fs::write(place.directory().join("end"), "").unwrap();
    assert_eq!(first.recv_string(0).unwrap().unwrap(), "finished");
    assert_eq!(work.error(), format!("broker: {missing}"));
    assert!(!work.wait().success());
    let _next = Worker::start(&backend, "", Duration::ZERO);
    assert_eq!(second.recv_string(0).unwrap().unwrap(), "y", "nobody was killed by it");
}

#[test]
fn who_is_ready_for_a_queue_that_is_not_there_stops_at_once() {
    let place = Place::new();
    for args in [
        &["worker", "--connect", "ipc://nobody"][..],
        &["work", "--connect", "ipc://nobody", "--", "cat"],
    ] {
        let program = Program::start(place.directory(), args);
        assert!(program.error().contains("trying again"));
        let start = std::time::Instant::now();
        program.signal(Signal::TERM);
        assert!(program.wait().success());
        assert!(start.elapsed().as_secs() < 15, "a reply would be waited for twice as long");
    }
}

#[test]
fn a_terminal_that_is_gone_stops_it_unless_it_is_to_go_on_without() {
    let place = Place::new();
    let (_queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    // Whoever runs this may ignore it.
    let work = |how| {
        let args = [how, env!("CARGO_BIN_EXE_broker"), "work", "--connect", &backend, "--", "cat"];
        let work = Program::spawn(Command::new("env").args(args).stderr(Stdio::piped()));
        assert!(work.error().contains(" is ready"));
        work.signal(Signal::HUP);
        work
    };
    let stopped = work("--default-signal=HUP");
    assert!(stopped.error().starts_with("broker: stopping"));
    assert!(stopped.wait().success());
    let work = work("--ignore-signal=HUP");
    assert_eq!(ask(&frontend, "this"), "this");
    work.signal(Signal::TERM);
    assert!(work.error().starts_with("broker: stopping"));
}

#[test]
fn a_signal_lets_it_finish_and_a_program_that_is_not_there_ends_it() {
    let place = Place::new();
    let (queue, [frontend, backend]) = Program::serve_at(&place, &[]);
    let script = "touch begun; while ! [ -e end ]; do sleep 0.01; done; echo finished";
    let work = work(&place, &backend, &[], script);
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&frontend).unwrap();
    client.send("x", 0).unwrap();
    await_file(&place, "begun");
    work.signal(Signal::TERM);
    assert!(work.error().starts_with("broker: stopping once the requests at hand are answered"));
    std::fs::write(place.directory().join("end"), "").unwrap();
    assert_eq!(client.recv_string(0).unwrap().unwrap(), "finished");
    assert!(work.wait().success());
    let file = place.directory().join("text");
    std::fs::write(&file, "\x7fELF").unwrap();
    client.send("y", 0).unwrap();
    for program in ["./nowhere", "no-such-program-anywhere", "./text", "/"] {
        let output = run(place.directory(), &["work", "--connect", &backend, "--", program]);
        let expected = format!("broker: there is no program {program}, or it may not be run\n");
        assert_eq!((text(&output.stderr), output.status.success()), (&*expected, false));
    }
    // It is one to look at, and yet cannot be started.
    std::fs::set_permissions(&file, Permissions::from_mode(0o700)).unwrap();
    let output = run(place.directory(), &["work", "--connect", &backend, "--", "./text"]);
    let said = text(&output.stderr);
    assert!(
        said.ends_with("broker: ./text cannot be started: Exec format error (os error 8)\n"),
        "{said}"
    );
    assert!(!output.status.success());
    drop(queue);
}
