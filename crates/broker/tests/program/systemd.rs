//! What systemd is told, and what is printed for those who install the program.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use interop::{PATIENCE, Worker, socket};
use rustix::process::{Pid, Signal, kill_process};

use super::{ANYWHERE, directory};
use crate::support::{Program, run, text};

#[test]
fn systemd_is_told_when_the_queue_listens_lives_and_ends() {
    let directory = directory();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Only the process that is named is to give signs of life.
    let mut queue = Command::new("sh")
        .args(["-c", r#"WATCHDOG_PID=$$ exec "$0" serve "$@""#, env!("CARGO_BIN_EXE_broker")])
        .args(ANYWHERE)
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let size = socket.recv(&mut buffer).expect("systemd is told in time");
        text(&buffer[..size]).to_owned()
    };
    assert!(told().starts_with("READY=1\n"));
    for _ in 0..3 {
        assert_eq!(told().trim_end(), "WATCHDOG=1");
    }
    kill_process(Pid::from_child(&queue), Signal::TERM).unwrap();
    while !told().starts_with("STOPPING=1\n") {}
    assert!(queue.wait().unwrap().success());
}

/// Has systemd pass on its standard input and standard error, under these names.
fn passed_on(names: &str, directory: &Path) -> Command {
    let script = r#"exec 3<&0 4<&2 0</dev/null 2>/dev/null; exec "$0" serve --backend ipc://b"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_broker")]).current_dir(directory);
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", names);
    command
}

#[test]
fn clients_may_connect_where_systemd_listens_before_there_is_a_queue() {
    let directory = directory();
    let path = directory.path().join("clients");
    let frontend = UnixListener::bind(&path).unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    let context = zmq::Context::new();
    let client = socket(&context, zmq::REQ, "C");
    client.connect(&format!("ipc://{}", path.display())).unwrap();
    client.send("early", 0).unwrap();
    let mut command = passed_on("frontend:http", directory.path());
    let program = Program::spawn_with(&mut command, OwnedFd::from(frontend), OwnedFd::from(http));
    let expected =
        [format!("ipc://{}", path.display()), "ipc://b".into(), format!("http://{address}")];
    assert_eq!(program.endpoints(), expected);
    let backend = format!("ipc://{}/b", directory.path().display());
    let _worker = Worker::start(&backend, "W", Duration::ZERO);
    assert_eq!(client.recv_bytes(0).unwrap(), b"early");
    program.signal(Signal::TERM);
    assert!(program.wait().success());
    assert!(path.exists(), "the file is systemd's");
}

#[test]
fn a_socket_of_systemd_has_a_name_that_says_what_it_is_for() {
    let directory = directory();
    let sockets = || [(); 2].map(|()| OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    let [first, second] = sockets();
    let mut command = passed_on("frontend:clients", directory.path());
    assert!(!Program::spawn_with(&mut command, first, second).wait().success());
    let file = std::fs::File::open("/dev/null").unwrap();
    let mut command = passed_on("backend:http", directory.path());
    let [http, _] = sockets();
    assert!(!Program::spawn_with(&mut command, file.into(), http).wait().success());
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/broker.service");
    let lines = std::fs::read_to_string(unit).unwrap();
    for expected in ["Type=notify", "ProtectSystem=strict", "DynamicUser=yes", "KillMode=mixed"] {
        assert!(lines.lines().any(|line| line == expected), "{expected}");
    }
}

#[test]
fn shells_and_man_are_given_all_commands() {
    let directory = directory();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(directory.path(), &["completions", shell]);
        assert!(text(&output.stdout).contains("max-waiting"), "{shell}");
    }
    let output = run(directory.path(), &["man"]);
    assert!(text(&output.stdout).contains("broker\\-serve"), "{output:?}");
    let output = run(directory.path(), &["man", "serve"]);
    assert!(text(&output.stdout).contains("\\-\\-max\\-waiting"), "{output:?}");
    let output = run(directory.path(), &["man", "dead-letters", "resubmit"]);
    assert!(text(&output.stdout).contains("broker\\-dead\\-letters\\-resubmit"), "{output:?}");
    let output = run(directory.path(), &["man", "--directory", "."]);
    assert!(output.status.success(), "{output:?}");
    for page in ["broker.1", "broker-serve.1", "broker-dead-letters-resubmit.1"] {
        assert!(directory.path().join(page).exists(), "{page}");
    }
    let output = run(directory.path(), &["man", "--directory", "nowhere"]);
    let told = "broker: the manual pages in nowhere: No such file or directory (os error 2)\n";
    assert_eq!((text(&output.stderr), output.status.success()), (told, false));
    let output = run(directory.path(), &["man", "nothing"]);
    assert_eq!(
        text(&output.stderr),
        "broker: there is no command nothing; `broker help` lists all\n"
    );
}
