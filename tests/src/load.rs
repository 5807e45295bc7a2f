//! Connections that cost a peer something, in a process of their own.
//!
//! `load silent|drip PATH COUNT` makes COUNT connections to a Unix socket, says `ready` and keeps them
//! until its standard input ends: silent ones send ten bytes of a greeting and no more, dripping ones
//! a byte of it each second.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, mode, path, count] = &args[..] else { panic!("load silent|drip PATH COUNT") };
    let count: usize = count.parse().expect("a number");
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
