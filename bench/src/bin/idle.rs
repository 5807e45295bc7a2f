//! What connections cost a broker that has nothing to do for them.
//!
//! `idle ready|silent ENDPOINT COUNT PID` prints the bytes of memory a connection: one that has
//! finished its handshake, or one that has sent nothing. `idle waiting ENDPOINT COUNT PID` prints the
//! share of a core, in percent, that a broker uses while clients wait and there is no worker.

use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bench::Stream;
use bench::process::{memory, processor_time, raise_file_limit};
use bench::wire::{frame, shake_hands};

/// For a broker to do what it has to, and for its system to say so.
const SETTLE: Duration = Duration::from_millis(500);
const WATCH: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    raise_file_limit();
    let args: Vec<String> = std::env::args().collect();
    let [_, what, endpoint, count, pid] = &args[..] else { panic!("see the source") };
    let count: usize = count.parse().expect("a number of connections");
    let pid = pid.parse().expect("the number of a process");
    sleep(SETTLE);
    let before = memory(pid);
    let streams: Vec<Stream> = (0..count)
        .map(|_| {
            let stream = Stream::connect(endpoint)?;
            if what != "silent" {
                shake_hands(&stream, "REQ", b"")?;
            }
            Ok(stream)
        })
        .collect::<io::Result<_>>()?;
    if what == "waiting" {
        println!("{:.3}", processor_share(&streams, pid)?);
    } else {
        sleep(SETTLE);
        let grown = memory(pid).saturating_sub(before) << 10;
        let open = streams.iter().filter(|stream| is_open(stream)).count();
        if open == 0 {
            return Err(io::Error::other("the broker has closed all connections"));
        }
        println!("{:.0}", grown as f64 / open as f64);
    }
    Ok(())
}

fn processor_share(streams: &[Stream], pid: u32) -> io::Result<f64> {
    let mut request = Vec::new();
    frame(b"", true, &mut request);
    frame(b"a request", false, &mut request);
    for mut stream in streams {
        stream.write_all(&request)?;
    }
    sleep(SETTLE);
    let (used, start) = (processor_time(pid), Instant::now());
    sleep(WATCH);
    let used = processor_time(pid) - used;
    Ok(used as f64 / start.elapsed().as_micros() as f64 * 100.0)
}

/// Whether the broker has let a connection be: one that it has closed costs it nothing.
fn is_open(mut stream: &Stream) -> bool {
    let mut buf = [0; 256];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
