//! Workers that are left to another queue, and those that come from one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use zmtp::PeerId;

use super::super::estate::{Left, Pending, Work};
use super::super::request::Request;
use super::{Owed, State, Worker, Workers};

impl Workers {
    /// All as they stand: the idle ones in the order of their turns, the expected ones, the others. `pending` makes what is left of
    /// a request, if its client wants the reply.
    pub(in crate::queue) fn bequeath(
        &self,
        now: Instant,
        pending: impl Fn(&Request) -> Option<Pending>,
    ) -> Vec<(PeerId, Left)> {
        let newcomers = self.newcomers.iter().filter(|&&(_, id)| self.is_new_and_waits(id));
        let expected: HashMap<_, _> = newcomers.clone().map(|&(at, id)| (id, at)).collect();
        let first = self.idle.iter().chain(newcomers.map(|(_, id)| id));
        let first = first.filter_map(|&id| Some((id, self.by_id.get(id)?)));
        let others = self.by_id.iter().filter(|(id, worker)| {
            !matches!(worker.state, State::Idle) && !expected.contains_key(id)
        });
        let left = |(id, worker): (PeerId, &Worker)| {
            let expected = expected.get(&id).map(|at| at.saturating_duration_since(now));
            (id, Left { expected, ..worker.left(now, &pending) })
        };
        first.chain(others).map(left).collect()
    }

    /// A worker that has joined is as another queue has left it. Returns what it is to be given, and the lease.
    pub(in crate::queue) fn take_in(
        &mut self,
        id: PeerId,
        left: Left,
    ) -> Option<(Pending, Option<Duration>)> {
        let Left { work, stack, strikes, held, doubt, .. } = left;
        let worker = self.by_id.get_mut(id)?;
        (worker.strikes, worker.held, worker.doubt) = (strikes, held, doubt);
        if work == Work::Idle {
            self.set_idle(id, stack.into());
            return None;
        }
        worker.stack = stack.into();
        match work {
            Work::Busy(running, lease) => return Some((running, lease)),
            Work::Late(owed) => worker.state = State::Late(owed),
            Work::Silent | Work::Idle => {}
        }
        None
    }
}

impl Worker {
    fn left(&self, now: Instant, pending: impl Fn(&Request) -> Option<Pending>) -> Left {
        let mut doubt = self.doubt.clone();
        let work = match &self.state {
            State::Silent => Work::Silent,
            State::Idle | State::Held => Work::Idle,
            State::Late(owed) => Work::Late(owed.map(|owed| Owed { since: None, ..owed })),
            State::Busy(request) => match pending(request) {
                Some(running) => {
                    let lease = self.until.map(|until| until.saturating_duration_since(now));
                    Work::Busy(running, lease)
                }
                // Its client is still to come back, and the journal has the request: so is the worker.
                None if request.client == PeerId::NOBODY => Work::Silent,
                None => {
                    doubt.get_or_insert_default().add(request);
                    Work::Late(None)
                }
            },
        };
        Left {
            work,
            stack: self.stack.to_vec(),
            strikes: self.strikes,
            held: self.held,
            doubt,
            ..Left::silent(self.name.clone(), self.known_as.clone(), self.lock_step)
        }
    }
}
