//! What systemd is told, and what is printed for those who install the program.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use interop::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};

use super::{ANYWHERE, directory};
use crate::support::{run, text};

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
    let output = run(directory.path(), &["man", "nothing"]);
    assert_eq!(
        text(&output.stderr),
        "broker: there is no command nothing; `broker help` lists all\n"
    );
}
