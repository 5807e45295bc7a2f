//! Libraries that only receive, or only send, as fast as they can.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::jobs::Size;
use crate::options::Options;
use crate::program::{MEASURED, OTHER, Program, Scratch};
use crate::series::{Measurement, Series, interleave};
use crate::{FLOOR, OURS};

#[derive(Clone, Copy)]
pub struct Run {
    pub direction: &'static str,
    pub transport: &'static str,
    pub size: usize,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.direction, self.transport, Size(self.size))
    }
}

pub struct Figures {
    /// Messages a second: when receiving, as the library saw them, and when sending, as the other end
    /// did.
    pub rate: f64,
    /// Messages that were sent before the socket was closed and did not arrive.
    pub lost: f64,
}

impl Measurement<Run, Figures> {
    /// The best library that is not this project's.
    pub fn best_rival(&self) -> Option<&Series<Figures>> {
        let rivals = self.series.iter().filter(|series| series.library != OURS);
        let rated = rivals.filter_map(|series| Some((series.median(|run| run.rate)?, series)));
        rated.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, series)| series)
    }
}

impl Series<Figures> {
    /// The most that were lost in a round.
    pub fn lost(&self) -> f64 {
        self.runs.iter().map(|run| run.lost).fold(0.0, f64::max)
    }
}

pub fn measure(options: &Options) -> Vec<Measurement<Run, Figures>> {
    let seconds = options.seconds.min(2);
    let mut measurements = Vec::new();
    for direction in ["recv", "send"] {
        for transport in ["ipc", "tcp"] {
            for size in [32, 64 << 10] {
                let case = Run { direction, transport, size };
                let name = case.to_string();
                if options.wants(&name) {
                    let libraries = options.libraries().filter(|&library| library != FLOOR);
                    let run = |run: &Run, library: &str| turn(run, library, seconds);
                    measurements.push(interleave(case, &name, libraries, options, run));
                }
            }
        }
    }
    measurements
}

fn turn(run: &Run, library: &str, seconds: u64) -> io::Result<Figures> {
    let scratch = Scratch::new()?;
    let [endpoint] = scratch.endpoints(run.transport)?;
    let (size, time) = (run.size.to_string(), Duration::from_secs(seconds));
    let measured = [run.direction, &endpoint, &size, &seconds.to_string()];
    if run.direction == "recv" {
        let library = Program::serve(MEASURED, library, &measured, &scratch)?;
        let _other = Program::start(OTHER, "oneway", &["send", &endpoint, &size], &scratch)?;
        let [messages, elapsed] = library.finish(time)?;
        return Ok(Figures { rate: messages / elapsed, lost: 0.0 });
    }
    let other = Program::serve(OTHER, "oneway", &["recv", &endpoint, &size], &scratch)?;
    let library = Program::start(MEASURED, library, &measured, &scratch)?;
    let [sent, _] = library.finish(time)?;
    let [messages, elapsed] = other.finish(Duration::ZERO)?;
    Ok(Figures { rate: messages / elapsed, lost: sent - messages })
}
