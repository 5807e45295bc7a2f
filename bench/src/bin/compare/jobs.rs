//! Brokers with clients that have one request outstanding each.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::options::Options;
use crate::program::{MEASURED, OTHER, Program, Scratch};
use crate::series::{Measurement, interleave};

#[derive(Clone, Copy)]
pub struct Load {
    pub transport: &'static str,
    pub clients: usize,
    pub workers: usize,
    pub size: usize,
}

const fn load(transport: &'static str, clients: usize, workers: usize, size: usize) -> Load {
    Load { transport, clients, workers, size }
}

const LOADS: [Load; 8] = [
    load("ipc", 10, 3, 32),
    load("ipc", 200, 50, 32),
    load("tcp", 200, 50, 32),
    load("ipc", 2000, 50, 32),
    load("ipc", 10_000, 50, 32),
    load("ipc", 1, 1, 32),
    load("ipc", 50, 10, 64 << 10),
    load("ipc", 20, 5, 1 << 20),
];

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, clients, workers, size } = self;
        write!(f, "{transport} {clients} x {workers}, {}", Size(*size))
    }
}

/// A number of bytes, as people write it.
pub struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            size if size >= 1 << 20 => write!(f, "{} MiB", size >> 20),
            size if size >= 1 << 10 => write!(f, "{} KiB", size >> 10),
            size => write!(f, "{size} B"),
        }
    }
}

/// What one run came to.
pub struct Figures {
    pub jobs_per_second: f64,
    /// Microseconds of the broker's processor time.
    pub cpu_per_job: f64,
    pub peak_mib: f64,
    /// Microseconds: the median, 99 % and 99.9 % of round trips.
    pub percentiles: [f64; 3],
}

pub fn measure(options: &Options) -> Vec<Measurement<Load, Figures>> {
    let chosen = LOADS.into_iter().filter(|load| options.wants(&load.to_string()));
    let measure = |load: Load| {
        let run = |load: &Load, library: &str| run(load, library, options.seconds);
        interleave(load, &load.to_string(), options.libraries(), options, run)
    };
    chosen.map(measure).collect()
}

fn run(load: &Load, library: &str, seconds: u64) -> io::Result<Figures> {
    let scratch = Scratch::new()?;
    let [frontend, backend] = scratch.endpoints(load.transport)?;
    let broker = Program::serve(MEASURED, library, &["broker", &frontend, &backend], &scratch)?;
    let [clients, workers, size] =
        [load.clients, load.workers, load.size].map(|number| number.to_string());
    let args = [&frontend, &backend, &clients, &workers, &size, &seconds.to_string(), &broker.id()];
    let load = Program::start(OTHER, "load", &args.map(String::as_str), &scratch)?;
    match load.finish::<7>(Duration::from_secs(seconds)) {
        Ok([0.0, ..]) => Err(io::Error::other("no job was done")),
        Ok([jobs, elapsed, cpu, peak_kib, percentiles @ ..]) => Ok(Figures {
            jobs_per_second: jobs / elapsed,
            cpu_per_job: cpu / jobs,
            peak_mib: peak_kib / 1024.0,
            percentiles,
        }),
        Err(error) => Err(broker.blame(error)),
    }
}
