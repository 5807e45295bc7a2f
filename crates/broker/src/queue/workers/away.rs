//! Workers whose connection failed while they were idle. A REQ connects again and stays silent, for it has said that it is
//! ready.

use std::collections::VecDeque;

use bytes::Bytes;
use zmtp::PeerId;

use super::super::request::is_made_up;
use super::{State, Workers};

/// How many are remembered.
const MOST: usize = 1024;

/// What they are called, the last to go last.
#[derive(Debug, Default)]
pub(super) struct Away(VecDeque<Bytes>);

impl Workers {
    /// The connection of a worker has failed, which is not the end of the worker.
    pub(in crate::queue) fn note_failure(&mut self, id: PeerId) {
        let Some(worker) = self.by_id.get(id) else { return };
        if worker.lock_step && matches!(worker.state, State::Idle) && !is_made_up(&worker.name) {
            let name = worker.name.clone();
            self.remember(name);
        }
    }

    pub(in crate::queue) fn remember(&mut self, name: Bytes) {
        self.is_back(&name);
        if self.away.0.len() == MOST {
            self.away.0.pop_front();
        }
        self.away.0.push_back(name);
    }

    /// Whether a worker of this name was idle when its connection failed. It is not asked again.
    pub(in crate::queue) fn is_back(&mut self, name: &Bytes) -> bool {
        let place = self.away.0.iter().position(|away| away == name);
        place.and_then(|place| self.away.0.remove(place)).is_some()
    }

    pub(in crate::queue) fn away(&self) -> impl Iterator<Item = &Bytes> {
        self.away.0.iter()
    }
}
