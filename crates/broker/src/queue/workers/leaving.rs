//! Workers that are left to another queue, and those that come from one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use zmtp::PeerId;

use super::super::doubt::Doubt;
use super::super::estate::{Left, Running, Work};
use super::super::request::Request;
use super::{State, Worker, Workers};

impl Workers {
    /// All as they stand: the idle ones in the order of their turns, then the others.
    pub(in crate::queue) fn bequeath(
        &self,
        now: Instant,
        micros: u64,
        wants: impl Fn(&Request) -> bool,
    ) -> Vec<(PeerId, Left)> {
        let is_idle = |worker: &Worker| matches!(worker.state, State::Idle);
        let idle = self.idle.iter().filter_map(|&id| Some((id, self.by_id.get(id)?)));
        let others = self.by_id.iter().filter(|(_, worker)| !is_idle(worker));
        let expected: BTreeSet<_> = self.newcomers.iter().map(|&(_, id)| id).collect();
        let left = |(id, worker): (PeerId, &Worker)| {
            let expected = expected.contains(&id);
            (id, Left { expected, ..worker.left(now, micros, &wants) })
        };
        idle.chain(others).map(left).collect()
    }

    /// A worker that has joined is as another queue has left it. What it has, it is to be given.
    pub(in crate::queue) fn take_in(&mut self, id: PeerId, left: Left) {
        let Left { work, stack, strikes, held, in_doubt, .. } = left;
        let Some(worker) = self.by_id.get_mut(id) else { return };
        (worker.strikes, worker.held) = (strikes, held);
        worker.doubt = in_doubt.then(|| Box::new(Doubt::of_unknown()));
        match work {
            Work::Silent | Work::Busy(_) => worker.stack = stack.into(),
            Work::Idle => self.set_idle(id, stack.into()),
            Work::Late => {
                worker.stack = stack.into();
                worker.state = State::Late(None);
            }
        }
    }
}

impl Worker {
    fn left(&self, now: Instant, micros: u64, wants: impl Fn(&Request) -> bool) -> Left {
        let work = match &self.state {
            State::Silent => Work::Silent,
            State::Idle | State::Held => Work::Idle,
            State::Busy(request) if wants(request) => Work::Busy(Running {
                client: request.client,
                message: request.as_asked(),
                age: Duration::from_micros(micros - request.since),
                lease: self.until.map(|until| until.saturating_duration_since(now)),
            }),
            // Its client is still to come back, and the journal has the request: so is the worker.
            State::Busy(request) if request.client == PeerId::NOBODY => Work::Silent,
            State::Busy(_) | State::Late(_) => Work::Late,
        };
        Left {
            work,
            stack: self.stack.to_vec(),
            strikes: self.strikes,
            held: self.held,
            in_doubt: self.doubt.is_some(),
            expected: false,
        }
    }
}
