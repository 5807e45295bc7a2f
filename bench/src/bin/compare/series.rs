//! Figures of all libraries, taken in turn.

use std::io::{self, Write};

use crate::options::Options;

/// What one library came to in each round, or why it did not.
pub struct Series<T> {
    pub library: &'static str,
    pub runs: Vec<T>,
    pub failure: Option<String>,
}

/// One thing that was measured, of all libraries.
pub struct Measurement<C, T> {
    pub case: C,
    pub series: Vec<Series<T>>,
}

impl<T> Series<T> {
    pub fn median(&self, figure: impl Fn(&T) -> f64) -> Option<f64> {
        self.failure.is_none().then(|| median(self.runs.iter().map(figure).collect()))?
    }

    /// The median of the ratios to another library in the same round, for machines drift.
    pub fn ratio(&self, to: &Self, figure: impl Fn(&T) -> f64) -> Option<f64> {
        let fine = self.failure.is_none() && to.failure.is_none();
        let pairs = self.runs.iter().zip(&to.runs);
        fine.then(|| median(pairs.map(|(run, to)| figure(run) / figure(to)).collect()))?
    }
}

impl<C, T> Measurement<C, T> {
    pub fn of(&self, library: &str) -> Option<&Series<T>> {
        self.series.iter().find(|series| series.library == library)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Lets each library have a turn in each round, the other way round in every other. One that has
/// failed has no more.
pub fn interleave<C, T>(
    case: C,
    name: &str,
    libraries: impl Iterator<Item = &'static str>,
    options: &Options,
    run: impl Fn(&C, &str) -> io::Result<T>,
) -> Measurement<C, T> {
    let mut series: Vec<Series<T>> =
        libraries.map(|library| Series { library, runs: Vec::new(), failure: None }).collect();
    let rounds = options.rounds;
    for round in 0..rounds {
        for i in 0..series.len() {
            let at = if round % 2 == 0 { i } else { series.len() - 1 - i };
            let Series { library, runs, failure } = &mut series[at];
            if failure.is_some() {
                continue;
            }
            eprint!("\r{name}: round {} of {rounds}, {library}\x1b[K", round + 1);
            let _ = io::stderr().flush();
            match run(&case, library) {
                Ok(figures) => runs.push(figures),
                Err(error) => *failure = Some(error.to_string()),
            }
        }
    }
    Measurement { case, series }
}
