//! Connections that cost a peer something, in a process of their own.
//!
//! `load silent|drip PATH COUNT` makes COUNT connections to a Unix socket, says `ready` and keeps them
//! until its standard input ends: silent ones send ten bytes of a greeting and no more, dripping ones
//! a byte of it each second.
//!
//! `load churn PATH COUNT` makes COUNT connections one after the other, each of which sends a request
//! and waits for the reply, every second one under a name of its own, and every tenth ends in the
//! middle of a message.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, path, count] = &args[..] else { panic!("load silent|drip PATH COUNT") };
    let count: usize = count.parse().expect("a number");
    if mode == "churn" {
        return (0..count).for_each(|i| come_and_go(path, i));
    }
    assert!(count <= 20_000, "a process has 20000 descriptors");
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("descriptors");
    let first = if mode == "silent" { 10 } else { 1 };
    let mut streams: Vec<UnixStream> = Vec::new();
    for _ in 0..count {
        let mut stream = UnixStream::connect(path).expect("a connection");
        // It may be closed already, to make room for the next.
        let _ = stream.write_all(&interop::GREETING[..first]);
        streams.push(stream);
    }
    println!("ready");
    if mode == "drip" {
        std::thread::spawn(move || {
            for byte in &interop::GREETING[1..] {
                std::thread::sleep(Duration::from_secs(1));
                for stream in &mut streams {
                    let _ = stream.write_all(&[*byte]);
                }
            }
        });
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn come_and_go(path: &str, i: usize) {
    let mut stream = UnixStream::connect(path).expect("a connection");
    let mut hello = interop::GREETING.to_vec();
    if i.is_multiple_of(2) {
        hello.extend_from_slice(interop::READY_REQ);
    } else {
        hello.extend_from_slice(
            b"\x04\x2E\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x08",
        );
        hello.extend_from_slice(format!("{i:08}").as_bytes());
    }
    hello.extend_from_slice(b"\x01\x00\x00\x05Hello");
    if i % 10 == 9 {
        hello.extend_from_slice(b"\x01\x00\x01\x03par");
    }
    stream.write_all(&hello).expect("to be read");
    // Its greeting, its READY and the reply.
    let mut reply = vec![0; 64 + 43 + 9];
    stream.read_exact(&mut reply).expect("a reply");
    assert!(reply.ends_with(b"\x01\x00\x00\x05Hello"));
}
