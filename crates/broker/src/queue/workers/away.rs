//! Workers whose connection failed while they were not at work. A REQ connects again and stays silent, for it has said
//! that it is ready.

use std::collections::BTreeMap;

use bytes::Bytes;
use zmtp::{LeaveReason, PeerId, ProtocolError};

use super::super::request::{Cause, is_made_up};
use super::{State, Workers};

/// How many names and places are remembered.
const MOST: usize = 16_384;

/// What they are known again by.
#[derive(Debug, Default)]
pub(super) struct Away {
    names: BTreeMap<Bytes, Gone>,
    last: u64,
}

#[derive(Debug, Default)]
struct Gone {
    /// Higher for those that have failed later.
    last: u64,
    count: usize,
}

/// What a worker is known again by: the name that it has chosen, or else where it is, whatever its port.
pub(crate) fn known_as(name: &Bytes, address: &str) -> Bytes {
    if !is_made_up(name) {
        return name.clone();
    }
    let host = match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => address,
    };
    [b"\0", host.as_bytes()].concat().into()
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
        if waits && worker.lock_step {
            let name = worker.known_as.clone();
            self.remember(name);
        }
    }

    pub(in crate::queue) fn remember(&mut self, name: Bytes) {
        let Away { names, last } = &mut self.away;
        *last += 1;
        let has_own = !is_made_up(&name);
        let gone = names.entry(name).or_default();
        (gone.last, gone.count) = (*last, if has_own { 1 } else { gone.count + 1 });
        if names.len() > MOST
            && let Some(first) = names.iter().min_by_key(|(_, gone)| gone.last)
        {
            let first = first.0.clone();
            names.remove(&first);
        }
    }

    /// Whether a worker that is known so may be one of them.
    pub(in crate::queue) fn is_away(&self, name: &Bytes) -> bool {
        self.away.names.contains_key(name)
    }

    /// A worker is ready, and so it or another one in its place is back.
    pub(super) fn note_back(&mut self, id: PeerId) {
        let names = &mut self.away.names;
        if names.is_empty() {
            return;
        }
        let Some(worker) = self.by_id.get(id).filter(|worker| worker.lock_step) else { return };
        if let Some(gone) = names.get_mut(&worker.known_as) {
            gone.count -= 1;
            if gone.count == 0 {
                names.remove(&worker.known_as);
            }
        }
    }

    /// All of them, the last to fail last.
    pub(in crate::queue) fn away(&self) -> Vec<Bytes> {
        let mut names: Vec<_> = self.away.names.iter().collect();
        names.sort_by_key(|(_, gone)| gone.last);
        let each = |(name, gone): (&Bytes, &Gone)| std::iter::repeat_n(name.clone(), gone.count);
        names.into_iter().flat_map(each).collect()
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
        assert_eq!([0, 1, MOST].map(|i| workers.is_away(&name(i))), [false, true, true]);
        assert_eq!(workers.away().first(), Some(&name(1)));
    }

    #[test]
    fn a_worker_without_a_name_is_known_by_its_host() {
        let made_up = Bytes::from_static(b"\0abcd");
        let known = |address| known_as(&made_up, address);
        assert_eq!(known("tcp://10.0.0.7:4000"), known("tcp://10.0.0.7:4001"));
        assert_ne!(known("tcp://10.0.0.7:4000"), known("tcp://10.0.0.8:4000"));
        assert_eq!(known("tcp://[::1]:4000"), known("tcp://[::1]:4001"));
        assert_eq!(known_as(&Bytes::from("W"), "ipc://backend"), "W");
    }
}
