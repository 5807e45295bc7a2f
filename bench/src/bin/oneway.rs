//! The other end of a library that receives or sends as fast as it can, over a raw socket.
//!
//! `oneway send ENDPOINT SIZE` is a DEALER that sends until the connection ends. `oneway recv
//! ENDPOINT SIZE` is a ROUTER that says `ready`, takes one connection, and when that ends prints how
//! many messages came in how many seconds.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bench::wire::{frame, shake_hands};
use bench::{Listener, Stream};

/// Bytes of a read and, at least, of a write.
const CHUNK: usize = 256 << 10;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, direction, endpoint, size] = &args[..] else { panic!("recv|send ENDPOINT SIZE") };
    let size = size.parse().expect("a size in bytes");
    match direction.as_str() {
        "recv" => recv(endpoint, size),
        "send" => send(endpoint, size),
        _ => panic!("recv or send"),
    }
}

fn send(endpoint: &str, size: usize) -> io::Result<()> {
    let stream = Stream::connect(endpoint)?;
    shake_hands(&stream, "DEALER", b"")?;
    stream.wait()?;
    let body = vec![b'x'; size];
    let mut frames = Vec::new();
    while frames.len() < CHUNK {
        frame(&body, false, &mut frames);
    }
    // An error is how it ends: the library has what it wanted.
    while (&stream).write_all(&frames).is_ok() {}
    Ok(())
}

fn recv(endpoint: &str, size: usize) -> io::Result<()> {
    let listener = Listener::bind(endpoint)?;
    println!("ready");
    let stream = loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            outcome => break outcome?,
        }
    };
    shake_hands(&stream, "ROUTER", b"")?;
    stream.wait()?;
    let mut buf = vec![0; CHUNK];
    let (mut held, mut counter) = (0, Counter::new(size));
    let (mut start, mut elapsed) = (None, Duration::ZERO);
    loop {
        let count = match (&stream).read(&mut buf[held..]) {
            Ok(count) if count > 0 => count,
            _ => break,
        };
        elapsed = start.get_or_insert_with(Instant::now).elapsed();
        let end = held + count;
        let used = counter.count(&buf[..end])?;
        buf.copy_within(used..end, 0);
        held = end - used;
    }
    println!("{} {:.6}", counter.messages, elapsed.as_secs_f64());
    Ok(())
}

/// Counts messages by their headers.
struct Counter {
    size: usize,
    /// Bytes of the body in progress that are still to come.
    left: usize,
    messages: u64,
}

impl Counter {
    fn new(size: usize) -> Self {
        Self { size, left: 0, messages: 0 }
    }

    /// Returns how many bytes need not be seen again: all but a header that is not whole.
    fn count(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        loop {
            let passed = self.left.min(bytes.len() - at);
            at += passed;
            if self.left > 0 {
                self.left -= passed;
                self.messages += u64::from(self.left == 0);
            }
            let (header, len) = match bytes[at..] {
                [0, len, ..] => (2, usize::from(len)),
                [2, a, b, c, d, e, f, g, h, ..] => {
                    (9, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize)
                }
                [] | [0] | [2, ..] => return Ok(at),
                _ => return Err(io::Error::other("a frame that is not a message of one part")),
            };
            if len != self.size {
                return Err(io::Error::other("a message of another size"));
            }
            at += header;
            self.left = len;
        }
    }
}
