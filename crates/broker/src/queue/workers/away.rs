//! Workers whose connection failed. A REQ that was not at work connects again and stays silent, for it has said that it is
//! ready; one that was brings its reply first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::ErrorKind;

use bytes::Bytes;
use zmtp::{LeaveReason, PeerId, ProtocolError};

use super::super::request::is_made_up;
use super::{State, Workers};

/// How many names and places are remembered.
const MOST: usize = 16_384;

/// What they are known again by.
#[derive(Debug, Default)]
pub(super) struct Away {
    names: BTreeMap<Bytes, Gone>,
    last: u64,
    /// Those that could not be sent a request, until why they have left is told.
    unjudged: BTreeMap<PeerId, Bytes>,
}

#[derive(Debug, Default)]
struct Gone {
    /// Higher for those that have failed later.
    last: u64,
    count: usize,
    was: At,
}

/// What a worker was at when its connection failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum At {
    /// It has a request, as far as is known.
    Work,
    /// It cannot have its request, or has answered it.
    #[default]
    Nothing,
    /// It was idle.
    Rest,
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

/// Whether a busy worker whose connection ended so cannot have its request, or has sent a reply of which a part has arrived.
/// One that was reset may be at work: whoever lies between forgets connections as well.
fn cannot_be_at_work(reason: &LeaveReason) -> bool {
    matches!(
        reason,
        LeaveReason::Io(ErrorKind::BrokenPipe)
            | LeaveReason::WriteTimeout
            | LeaveReason::Protocol(ProtocolError::TruncatedAtEof)
    )
}

impl Workers {
    /// The connection of a worker may have failed, which is not the end of the worker. `has_nothing` says that it was not sent
    /// the request that it has.
    pub(in crate::queue) fn note_failure(
        &mut self,
        id: PeerId,
        reason: &LeaveReason,
        has_nothing: bool,
    ) {
        // A process that ends closes its connections.
        let failed = *reason != LeaveReason::Closed;
        if let Some(name) = self.away.unjudged.remove(&id).filter(|_| failed) {
            self.remember(name, At::Rest);
        }
        let Some(worker) = self.by_id.get(id).filter(|worker| worker.lock_step) else { return };
        let was = match &worker.state {
            State::Idle => At::Rest,
            State::Busy(_) if has_nothing => At::Rest,
            State::Busy(_) if cannot_be_at_work(reason) => At::Nothing,
            State::Busy(_) | State::Late(_) => At::Work,
            State::Silent | State::Held => return,
        };
        if failed {
            let name = worker.known_as.clone();
            self.remember(name, was);
        }
    }

    /// A worker could not be sent a request, and so has left. Why is told later.
    pub(in crate::queue) fn note_gone(&mut self, id: PeerId) {
        if let Some(worker) = self.by_id.get(id).filter(|worker| worker.lock_step) {
            self.away.unjudged.insert(id, worker.known_as.clone());
        }
    }

    pub(in crate::queue) fn remember(&mut self, name: Bytes, was: At) {
        let Away { names, last, .. } = &mut self.away;
        *last += 1;
        let has_own = !is_made_up(&name);
        let gone = names.entry(name).or_default();
        gone.count = if has_own { 1 } else { (gone.count + 1).min(MOST) };
        (gone.last, gone.was) = (*last, was);
        if names.len() > MOST
            && let Some(first) = names.iter().min_by_key(|(_, gone)| gone.last)
        {
            let first = first.0.clone();
            names.remove(&first);
        }
    }

    /// What a worker that is known so was at, if it may be one of them.
    pub(in crate::queue) fn was_at(&self, name: &Bytes) -> Option<At> {
        self.away.names.get(name).map(|gone| gone.was)
    }

    /// A worker is ready, and so it or another one in its place is back. Says whether it is known for sure to have been idle.
    pub(in crate::queue) fn note_back(&mut self, id: PeerId) -> bool {
        let names = &mut self.away.names;
        if names.is_empty() {
            return false;
        }
        let worker = self.by_id.get(id).filter(|worker| worker.lock_step);
        let Some(known_as) = worker.map(|worker| &worker.known_as) else { return false };
        let Some(gone) = names.get_mut(known_as) else { return false };
        let is_sure = gone.was == At::Rest && !is_made_up(known_as);
        gone.count = gone.count.saturating_sub(1);
        if gone.count == 0 {
            names.remove(known_as);
        }
        is_sure
    }

    /// The last so many of them, the last to fail last, and what they were at.
    pub(in crate::queue) fn away(&self) -> Vec<(Bytes, At)> {
        let mut names: Vec<_> = self.away.names.iter().collect();
        names.sort_by_key(|(_, gone)| Reverse(gone.last));
        let each = |(name, gone): (&Bytes, &Gone)| {
            std::iter::repeat_n((name.clone(), gone.was), gone.count)
        };
        let mut all: Vec<_> = names.into_iter().flat_map(each).take(MOST).collect();
        all.reverse();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_so_many_are_remembered() {
        let mut workers = Workers::default();
        let name = |i: usize| Bytes::from(format!("W{i}"));
        (0..=MOST).for_each(|i| workers.remember(name(i), At::Rest));
        assert_eq!([0, 1, MOST].map(|i| workers.was_at(&name(i)).is_some()), [false, true, true]);
        assert_eq!(workers.away().first(), Some(&(name(1), At::Rest)));
        (0..2 * MOST).for_each(|_| workers.remember(Bytes::from_static(b"\0host"), At::Rest));
        assert_eq!(workers.away().len(), MOST, "however many of one host");
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
