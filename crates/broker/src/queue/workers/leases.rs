//! When to look at workers again: at those that have a request for too long, and at those that are not ready.

use std::time::{Duration, Instant};

use zmtp::PeerId;

use super::super::request::Request;
use super::{State, Workers};

/// How long an adopted worker may take for its first request, which it may have missed, where there is no lease.
const ADOPTED_LEASE: Duration = Duration::from_secs(60);

/// What a look at a worker has brought.
#[derive(Debug)]
pub(in crate::queue) enum Due {
    LeaseOver(PeerId, Request),
    NotReady(PeerId),
}

impl Workers {
    /// The request that a worker has been given is taken back after a time.
    pub(super) fn lease(&mut self, id: PeerId, now: Instant, lease: Option<Duration>) {
        let Some(worker) = self.by_id.get_mut(id) else { return };
        let is_adopted = worker.doubt.as_ref().is_some_and(|doubt| doubt.is_of_unknown());
        let lease = lease.or(is_adopted.then_some(ADOPTED_LEASE));
        worker.until = lease.and_then(|lease| now.checked_add(lease));
        if let Some(until) = worker.until
            && worker.look.is_none()
        {
            worker.look = Some(until);
            self.looks.insert((until, id));
        }
    }

    /// Whether something is due at some time.
    #[inline]
    pub(in crate::queue) fn has_due(&self) -> bool {
        !self.looks.is_empty() || !self.newcomers.is_empty()
    }

    /// When the next lease may be over, or the next worker be adopted.
    pub(in crate::queue) fn next_due(&self) -> Option<Instant> {
        let look = self.looks.first().map(|&(at, _)| at);
        let newcomer = self.newcomers.front().map(|&(at, _)| at);
        [look, newcomer].into_iter().flatten().min()
    }

    /// A worker that has not said that it is ready is looked at then.
    pub(in crate::queue) fn look_at(&mut self, id: PeerId, at: Instant) {
        if let Some(worker) = self.by_id.get_mut(id) {
            (worker.until, worker.look) = (Some(at), Some(at));
            self.looks.insert((at, id));
        }
    }

    /// Takes a request whose lease is over, and whose worker owes the reply from then on; or tells of a worker that has not
    /// said that it is ready.
    pub(in crate::queue) fn take_due(&mut self, now: Instant) -> Option<Due> {
        while let Some(&(at, id)) = self.looks.first().filter(|(at, _)| *at <= now) {
            self.looks.remove(&(at, id));
            let Some(worker) = self.by_id.get_mut(id) else { continue };
            worker.look = None;
            let is_new = matches!(worker.state, State::Silent) && worker.strikes == 0;
            if !is_new && !matches!(worker.state, State::Busy(_)) {
                continue;
            }
            match worker.until {
                Some(until) if until > now => {
                    worker.look = Some(until);
                    self.looks.insert((until, id));
                }
                // What it has now has no lease.
                None => {}
                Some(_) if is_new => {
                    worker.until = None;
                    return Some(Due::NotReady(id));
                }
                Some(_) => {
                    self.busy -= 1;
                    return worker.take_late().map(|request| Due::LeaseOver(id, request));
                }
            }
        }
        None
    }

    /// Gives all leases this much more time, and all newcomers.
    pub(in crate::queue) fn extend(&mut self, by: Duration) {
        self.newcomers.iter_mut().for_each(|(until, _)| *until += by);
        for worker in self.by_id.values_mut() {
            worker.until = worker.until.map(|until| until + by);
        }
    }
}
