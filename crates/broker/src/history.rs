//! [`History`]: what a queue was at in each second of the last minutes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use broker::{Handle, Histogram, Status, Times, WorkerState};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Five minutes.
const LOOKS: usize = 300;

pub(crate) type Shared = Arc<Mutex<History>>;

/// The last looks.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct History {
    looks: VecDeque<Look>,
    last: u64,
}

/// What a queue was at, and what it did since the look before. Times are in seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Look {
    /// From 1.
    pub(crate) number: u64,
    /// In a second.
    pub(crate) requests: f64,
    pub(crate) replies: f64,
    pub(crate) waiting: usize,
    pub(crate) oldest: Option<f64>,
    pub(crate) in_flight: usize,
    pub(crate) idle: usize,
    /// At the median, at 90 % and at 99 %, of requests that were handed out, and of those that were answered.
    pub(crate) waited: Option<[f64; 3]>,
    pub(crate) served: Option<[f64; 3]>,
}

impl History {
    /// Those behind one.
    pub(crate) fn read(shared: &Shared, after: u64) -> Vec<Look> {
        let history = shared.lock().unwrap_or_else(PoisonError::into_inner);
        history.looks.iter().filter(|look| look.number > after).cloned().collect()
    }

    fn add(&mut self, mut look: Look) {
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.last += 1;
        look.number = self.last;
        self.looks.push_back(look);
    }
}

/// Looks once a second, until the broker ends.
pub(crate) async fn keep(shared: Shared, broker: Handle) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Instant, Status)> = None;
    loop {
        ticks.tick().await;
        let Ok(status) = broker.status().await else { return };
        let now = Instant::now();
        if let Some((at, before)) = &before {
            let look = look(before, &status, now - *at);
            shared.lock().unwrap_or_else(PoisonError::into_inner).add(look);
        }
        before = Some((now, status));
    }
}

fn look(before: &Status, now: &Status, time: Duration) -> Look {
    #[expect(clippy::cast_precision_loss, reason = "of so many, one more makes no difference")]
    let rate = |before: u64, now: u64| (now - before) as f64 / time.as_secs_f64();
    let times = |of: fn(&Times) -> &Histogram| {
        let since = of(now.times.as_ref()?).since(of(before.times.as_ref()?));
        let at = |share| since.quantile(share).map(|time| time.as_secs_f64());
        Some([at(0.5)?, at(0.9)?, at(0.99)?])
    };
    let is_idle = |worker: &&broker::WorkerStatus| worker.state == WorkerState::Idle;
    Look {
        number: 0,
        requests: rate(before.counters.requests, now.counters.requests),
        replies: rate(before.counters.replies, now.counters.replies),
        waiting: now.waiting,
        oldest: now.oldest().map(|age| age.as_secs_f64()),
        in_flight: now.in_flight,
        idle: now.workers.iter().filter(is_idle).count(),
        waited: times(|times| &times.waited),
        served: times(|times| &times.served),
    }
}
