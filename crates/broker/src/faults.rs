//! What was last not as it should be, in the words of the log, for the page.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::log::Sentence;

/// How many are kept.
const FAULTS: usize = 50;

/// Characters of one.
const LENGTH: usize = 400;

pub(crate) type Shared = Arc<Mutex<VecDeque<Fault>>>;

/// A line of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Fault {
    /// In UTC.
    pub(crate) at: String,
    pub(crate) what: String,
}

/// The last ones, the latest first.
pub(crate) fn read(shared: &Shared) -> Vec<Fault> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
}

/// Adds what was before all of them, the latest first.
pub(crate) fn recall(shared: &Shared, before: Vec<Fault>) {
    let mut faults = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let room = FAULTS.saturating_sub(faults.len());
    before.into_iter().take(room).for_each(|fault| faults.push_front(fault));
}

/// Keeps what it is given of the log.
#[derive(Debug)]
pub(crate) struct Keep(pub(crate) Shared);

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut sentence = Sentence::to(String::new());
        event.record(&mut sentence);
        let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let what = sentence.writer.chars().take(LENGTH).collect();
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() == FAULTS {
            faults.pop_front();
        }
        faults.push_back(Fault { at, what });
    }
}
