//! Workers whose connection failed while they were not at work. A REQ connects again and stays silent, for it has said
//! that it is ready.

use std::collections::BTreeMap;

use bytes::Bytes;
use zmtp::{LeaveReason, PeerId, ProtocolError};

use super::super::request::{Cause, is_made_up};
use super::{State, Workers};

/// How many are remembered.
const MOST: usize = 16_384;

/// What they are called, each with a number that is higher for those that have failed later.
#[derive(Debug, Default)]
pub(super) struct Away {
    names: BTreeMap<Bytes, u64>,
    last: u64,
}

impl Workers {
    /// The connection of a worker may have failed, which is not the end of the worker.
    pub(in crate::queue) fn note_failure(&mut self, id: PeerId, reason: &LeaveReason) {
        let Some(worker) = self.by_id.get(id) else { return };
        let waits = match &worker.state {
            // A process that ends closes its connections.
            State::Idle => *reason != LeaveReason::Closed,
            // Its request has not reached it, or it has sent a reply of which a part has arrived.
            State::Busy(_) => {
                let cut_off = LeaveReason::Protocol(ProtocolError::TruncatedAtEof);
                Cause::from(reason) == Cause::NotRead || *reason == cut_off
            }
            State::Silent | State::Held | State::Late(_) => false,
        };
        if waits && worker.lock_step && !is_made_up(&worker.name) {
            let name = worker.name.clone();
            self.remember(name);
        }
    }

    pub(in crate::queue) fn remember(&mut self, name: Bytes) {
        let Away { names, last } = &mut self.away;
        *last += 1;
        names.insert(name, *last);
        if names.len() > MOST
            && let Some(first) = names.iter().min_by_key(|&(_, number)| number)
        {
            let first = first.0.clone();
            names.remove(&first);
        }
    }

    /// Whether a worker of this name was not at work when its connection failed. It is not asked again.
    pub(in crate::queue) fn is_back(&mut self, name: &Bytes) -> bool {
        self.away.names.remove(name).is_some()
    }

    /// All of them, the last to fail last.
    pub(in crate::queue) fn away(&self) -> Vec<Bytes> {
        let mut names: Vec<_> = self.away.names.iter().collect();
        names.sort_by_key(|&(_, number)| number);
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_so_many_are_remembered() {
        let mut workers = Workers::default();
        let name = |i: usize| Bytes::from(format!("W{i}"));
        (0..=MOST).for_each(|i| workers.remember(name(i)));
        assert_eq!([0, 1, 1, MOST].map(|i| workers.is_back(&name(i))), [false, true, false, true]);
        assert_eq!(workers.away().first(), Some(&name(2)));
    }
}
