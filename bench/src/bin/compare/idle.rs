//! What connections cost a broker that has nothing to do for them.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::options::Options;
use crate::program::{MEASURED, OTHER, Program, Scratch};
use crate::series::{Measurement, interleave};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Ready,
    Silent,
    Waiting,
}

impl Case {
    fn count(self) -> usize {
        match self {
            Self::Ready => 10_000,
            // Below what this project's broker lets be at a time.
            Self::Silent => 1000,
            Self::Waiting => 200,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Silent => "silent",
            Self::Waiting => "waiting",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.count();
        match self {
            Self::Ready => write!(f, "KiB an idle connection, {count} of them"),
            Self::Silent => write!(f, "KiB a connection that has sent nothing, {count} of them"),
            Self::Waiting => {
                write!(f, "% of a core while {count} clients wait and no worker is idle")
            }
        }
    }
}

/// KiB, or percent.
pub fn measure(options: &Options) -> Vec<Measurement<Case, f64>> {
    let cases = [Case::Ready, Case::Silent, Case::Waiting];
    let chosen = cases.into_iter().filter(|case| options.wants(&case.to_string()));
    let measure =
        |case: Case| interleave(case, &case.to_string(), options.libraries(), options, run);
    chosen.map(measure).collect()
}

fn run(case: &Case, library: &str) -> io::Result<f64> {
    let scratch = Scratch::new()?;
    let [frontend, backend] = scratch.endpoints("ipc")?;
    let broker = Program::serve(MEASURED, library, &["broker", &frontend, &backend], &scratch)?;
    let args = [case.word(), &frontend, &case.count().to_string(), &broker.id()];
    let idle = Program::start(OTHER, "idle", &args, &scratch)?;
    let [figure] = idle.finish(Duration::ZERO).map_err(|error| broker.blame(error))?;
    Ok(if *case == Case::Waiting { figure } else { figure / 1024.0 })
}
