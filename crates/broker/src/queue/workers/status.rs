//! What workers are at.

use std::time::Duration;

use bytes::Bytes;
use zmtp::PeerId;

use super::super::request::Request;
use super::super::status::{WorkerState, WorkerStatus};
use super::{State, Worker, Workers};

impl Workers {
    /// The requests that workers have, these, and whether they may answer something else first.
    pub(in crate::queue) fn requests(&self) -> impl Iterator<Item = (&Request, &Bytes, bool)> {
        self.by_id.values().filter_map(|worker| match &worker.state {
            State::Busy(request) => {
                let doubt = worker.doubt.as_ref();
                let in_doubt = doubt.is_some_and(|doubt| doubt.is_of_others_than(request));
                Some((request, &worker.name, in_doubt))
            }
            _ => None,
        })
    }

    /// Whether a worker may answer something else before what it has.
    pub(in crate::queue) fn is_in_doubt(&self, id: PeerId) -> bool {
        self.by_id.get(id).is_some_and(|worker| worker.doubt.is_some())
    }

    pub(in crate::queue) fn request_mut(&mut self, id: PeerId) -> Option<&mut Request> {
        match &mut self.by_id.get_mut(id)?.state {
            State::Busy(request) => Some(request),
            _ => None,
        }
    }

    /// What all are at: the idle ones in the order of their turns, then the others.
    pub(in crate::queue) fn status(&self, now: Option<u64>, max_strikes: u32) -> Vec<WorkerStatus> {
        let idle = self.idle.iter().filter_map(|&id| Some((id, self.by_id.get(id)?)));
        let is_idle = |worker: &Worker| matches!(worker.state, State::Idle);
        let others = self.by_id.iter().filter(|(_, worker)| !is_idle(worker));
        idle.chain(others).map(|(id, worker)| worker.status(id, now, max_strikes)).collect()
    }
}

impl Worker {
    fn status(&self, id: PeerId, now: Option<u64>, max_strikes: u32) -> WorkerStatus {
        let state = match &self.state {
            State::Idle => WorkerState::Idle,
            State::Busy(_) => WorkerState::Busy,
            State::Held => WorkerState::Quarantined,
            _ if self.strikes >= max_strikes => WorkerState::Quarantined,
            State::Late(_) => WorkerState::Late,
            State::Silent => WorkerState::Silent,
        };
        let request = match &self.state {
            State::Busy(request) => Some(request),
            _ => None,
        };
        let age = |now| request.map(|request| Duration::from_micros(now - request.since));
        WorkerStatus {
            id,
            name: self.name.clone(),
            state,
            client: request.map(|request| Bytes::copy_from_slice(request.client_name())),
            since: now.and_then(age),
            held: self.held || self.strikes >= max_strikes,
            strikes: self.strikes,
        }
    }
}
