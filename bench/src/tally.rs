//! Messages counted until time is up.

use std::time::{Duration, Instant};

/// The clock is looked at once for so many messages.
const STEP: u64 = 256;

#[derive(Debug)]
pub struct Tally {
    time: Duration,
    start: Option<Instant>,
    elapsed: Duration,
    count: u64,
    next_look: u64,
}

impl Tally {
    /// The time begins with the first message.
    pub fn new(time: Duration) -> Self {
        Self { time, start: None, elapsed: Duration::ZERO, count: 0, next_look: STEP }
    }

    /// Counts messages and says whether there is time for more.
    pub fn add(&mut self, messages: usize) -> bool {
        let start = *self.start.get_or_insert_with(Instant::now);
        self.count += messages as u64;
        if self.count >= self.next_look {
            self.next_look = self.count + STEP;
            self.elapsed = start.elapsed();
        }
        self.elapsed < self.time
    }

    /// Messages and seconds, from the first message to the last.
    pub fn print(&self) {
        println!("{} {:.6}", self.count, self.elapsed.as_secs_f64());
    }
}
