//! [`Memory`]: what is remembered of a queue beside itself, for who watches it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::connections::{self, Connections};
use crate::faults::{self, Fault};
use crate::history::{self, History};
use crate::log::Peers;

/// What is remembered. All of them are the same.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) started: Instant,
    pub(crate) history: history::Shared,
    pub(crate) connections: connections::Shared,
    pub(crate) faults: faults::Shared,
    /// What has been told of peers, which another process begins anew.
    pub(crate) peers: Peers,
}

/// The same in another process.
#[derive(Deserialize, Serialize)]
struct Left {
    up: Duration,
    history: History,
    connections: Connections,
    /// The latest first.
    faults: Vec<Fault>,
}

impl Default for Memory {
    fn default() -> Self {
        let (history, connections, faults, peers) = Default::default();
        Self { started: Instant::now(), history, connections, faults, peers }
    }
}

impl Memory {
    /// For the next process.
    pub(crate) fn leave(&self) -> Vec<u8> {
        let left = Left {
            up: self.started.elapsed(),
            history: self.history.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            connections: Connections::read(&self.connections),
            faults: faults::read(&self.faults),
        };
        serde_json::to_vec(&left).unwrap_or_default()
    }

    /// Remembers what the process before did. If that is of another version, the queue goes on without it.
    pub(crate) fn recall(&mut self, left: &[u8]) {
        let Ok(Left { up, history, connections, faults }) = serde_json::from_slice(left) else {
            return;
        };
        self.started = Instant::now().checked_sub(up).unwrap_or(self.started);
        *self.history.lock().unwrap_or_else(PoisonError::into_inner) = history;
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner) = connections;
        faults::recall(&self.faults, faults);
    }
}
