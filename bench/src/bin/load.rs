//! Clients and workers over raw sockets, so that no library's own client colours the figures.
//!
//! `load FRONTEND BACKEND CLIENTS WORKERS SIZE SECONDS PID` makes the connections, lets each client
//! have one request outstanding and each worker answer at once, and after a second of warming up
//! prints one line: jobs, seconds, microseconds of processor time of process PID, its peak memory in
//! KiB, and the 50th, 99th and 99.9th percentile of a round trip in microseconds. With `NAMES` in the environment, the
//! peers have names of their own.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use bench::Stream;
use bench::poll::{Poll, Ready};
use bench::process::{peak_memory, processor_time, raise_file_limit};
use bench::wire::{frame, shake_hands, split_frame};
use hdrhistogram::Histogram;

struct Peer {
    stream: Stream,
    is_client: bool,
    /// Bytes of a message in progress. A client only counts them.
    input: Vec<u8>,
    received: usize,
    output: Vec<u8>,
    written: usize,
    since: Instant,
    waits_to_write: bool,
}

fn main() -> io::Result<()> {
    raise_file_limit();
    let args: Vec<String> = std::env::args().collect();
    let [_, frontend, backend, numbers @ ..] = &args[..] else { panic!("see the source") };
    let numbers: Vec<usize> = numbers.iter().map(|text| text.parse().unwrap()).collect();
    let [clients, workers, size, seconds, pid] = numbers[..] else { panic!("five numbers") };
    let pid = pid as u32;
    let mut load = Load::new(size)?;
    for _ in 0..workers {
        load.connect(backend, false)?;
    }
    for _ in 0..clients {
        load.connect(frontend, true)?;
    }
    load.start()?;
    load.run(Duration::from_secs(1))?;
    load.histogram.reset();
    let (cpu, start) = (processor_time(pid), Instant::now());
    load.run(Duration::from_secs(seconds as u64))?;
    let (cpu, elapsed) = (processor_time(pid) - cpu, start.elapsed());
    let at = |quantile| load.histogram.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{} {:.3} {} {} {:.1} {:.1} {:.1}",
        load.histogram.len(),
        elapsed.as_secs_f64(),
        cpu,
        peak_memory(pid),
        at(0.5),
        at(0.99),
        at(0.999)
    );
    Ok(())
}

struct Load {
    /// Peers have names of their own.
    names: bool,
    poll: Poll,
    peers: Vec<Peer>,
    request: Vec<u8>,
    histogram: Histogram<u64>,
    scratch: Vec<u8>,
}

impl Load {
    fn new(size: usize) -> io::Result<Self> {
        let mut request = Vec::new();
        frame(b"", true, &mut request);
        frame(&vec![b'x'; size], false, &mut request);
        let histogram = Histogram::new_with_bounds(1, 100_000_000_000, 3).unwrap();
        let scratch = vec![0; 256 << 10];
        let names = std::env::var_os("NAMES").is_some();
        Ok(Self { names, poll: Poll::new()?, peers: Vec::new(), request, histogram, scratch })
    }

    fn connect(&mut self, endpoint: &str, is_client: bool) -> io::Result<()> {
        let stream = Stream::connect(endpoint)?;
        let name = self.names.then(|| format!("PEER-{}", self.peers.len())).unwrap_or_default();
        shake_hands(&stream, "REQ", name.as_bytes())?;
        self.poll.add(&stream, self.peers.len() as u64)?;
        self.peers.push(Peer {
            stream,
            is_client,
            input: Vec::new(),
            received: 0,
            output: Vec::new(),
            written: 0,
            since: Instant::now(),
            waits_to_write: false,
        });
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        for at in 0..self.peers.len() {
            let peer = &mut self.peers[at];
            if peer.is_client {
                self.ask(at)?;
            } else {
                frame(b"", true, &mut peer.output);
                frame(b"READY", false, &mut peer.output);
                self.write(at)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, at: usize) -> io::Result<()> {
        let peer = &mut self.peers[at];
        peer.since = Instant::now();
        peer.output.extend_from_slice(&self.request);
        self.write(at)
    }

    fn write(&mut self, at: usize) -> io::Result<()> {
        let peer = &mut self.peers[at];
        match (&peer.stream).write(&peer.output[peer.written..]) {
            Ok(count) => peer.written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let done = peer.written == peer.output.len();
        if done {
            peer.output.clear();
            peer.written = 0;
        }
        if peer.waits_to_write == done {
            peer.waits_to_write = !done;
            self.poll.watch_writes(&peer.stream, at as u64, !done)?;
        }
        Ok(())
    }

    fn run(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        let mut events: Vec<Ready> = Vec::new();
        loop {
            let Some(left) = end.checked_duration_since(Instant::now()) else { return Ok(()) };
            self.poll.wait(&mut events, Some(left))?;
            for event in &events {
                let at = event.key as usize;
                if event.readable {
                    self.read(at)?;
                }
                if event.writable {
                    self.write(at)?;
                }
            }
        }
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let peer = &mut self.peers[at];
        let count = match (&peer.stream).read(&mut self.scratch) {
            Ok(0) => return Err(io::Error::other("the broker has closed a connection")),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = &self.scratch[..count];
        if peer.is_client {
            // A reply is as long as its request.
            peer.received += count;
            if peer.received >= self.request.len() {
                if peer.received > self.request.len() || !bytes.ends_with(b"x") {
                    return Err(io::Error::other("a reply that is none"));
                }
                peer.received = 0;
                let elapsed = peer.since.elapsed().as_nanos() as u64;
                self.histogram.saturating_record(elapsed);
                self.ask(at)?;
            }
            return Ok(());
        }
        peer.input.extend_from_slice(bytes);
        let mut end = 0;
        while let Some((flags, _, size)) = split_frame(&peer.input[end..]) {
            end += size;
            if flags & 4 != 0 {
                return Err(io::Error::other("a command"));
            }
            if flags & 1 == 0 {
                if end < peer.input.len() || !peer.output.is_empty() {
                    return Err(io::Error::other("a worker has two requests"));
                }
                std::mem::swap(&mut peer.input, &mut peer.output);
                return self.write(at);
            }
        }
        Ok(())
    }
}
