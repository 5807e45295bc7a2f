//! Workers: who is idle and for how long, and who has which job.

use std::collections::VecDeque;

use bytes::Bytes;
use zmtp::PeerId;

use super::{MAX_STRIKES, Request};
use crate::peer_map::PeerMap;

#[derive(Debug, Default)]
pub(super) struct Workers {
    by_id: PeerMap<Worker>,
    /// Workers in [`State::Idle`], each once, the least recently used first.
    idle: VecDeque<PeerId>,
    busy: usize,
}

#[derive(Debug)]
struct Worker {
    state: State,
    /// What its last message began with, in front of the delimiter.
    stack: Vec<Bytes>,
    /// Wrong replies.
    strikes: u32,
}

#[derive(Debug)]
enum State {
    /// It has not said that it is ready, or gets nothing more.
    Silent,
    Idle,
    Busy(Job),
}

/// A request in the hands of a worker.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Request,
    /// The client still waits for the reply.
    pub(super) wanted: bool,
}

impl Workers {
    pub(super) fn join(&mut self, id: PeerId) {
        self.by_id.insert(id, Worker { state: State::Silent, stack: Vec::new(), strikes: 0 });
    }

    /// Returns the job it had.
    pub(super) fn leave(&mut self, id: PeerId) -> Option<Job> {
        match self.by_id.remove(id)?.state {
            State::Silent => None,
            State::Idle => {
                self.idle.retain(|&other| other != id);
                None
            }
            State::Busy(job) => {
                self.busy -= 1;
                Some(job)
            }
        }
    }

    /// Takes the job of a busy worker, which is silent from then on.
    pub(super) fn take_job(&mut self, id: PeerId) -> Option<Job> {
        let worker = self.by_id.get_mut(id)?;
        match std::mem::replace(&mut worker.state, State::Silent) {
            State::Busy(job) => {
                self.busy -= 1;
                Some(job)
            }
            other => {
                worker.state = other;
                None
            }
        }
    }

    pub(super) fn is_idle(&self, id: PeerId) -> bool {
        self.by_id.get(id).is_some_and(|worker| matches!(worker.state, State::Idle))
    }

    /// Counts a wrong reply. Says whether it was one too many.
    pub(super) fn strike(&mut self, id: PeerId) -> bool {
        if let Some(worker) = self.by_id.get_mut(id) {
            worker.strikes += 1;
        }
        self.is_quarantined(id)
    }

    /// Whether a worker gets nothing more.
    pub(super) fn is_quarantined(&self, id: PeerId) -> bool {
        self.by_id.get(id).is_some_and(|worker| worker.strikes >= MAX_STRIKES)
    }

    /// Puts a silent worker behind all that are idle.
    pub(super) fn set_idle(&mut self, id: PeerId, stack: Vec<Bytes>) {
        let Some(worker) = self.by_id.get_mut(id) else { return };
        if matches!(worker.state, State::Silent) {
            worker.state = State::Idle;
            worker.stack = stack;
            self.idle.push_back(id);
        }
    }

    /// Takes the worker that has been idle longest, and what its messages begin with.
    pub(super) fn next_idle(&mut self) -> Option<(PeerId, &[Bytes])> {
        let id = self.idle.pop_front()?;
        let worker = self.by_id.get_mut(id)?;
        worker.state = State::Silent;
        Some((id, &worker.stack))
    }

    pub(super) fn set_busy(&mut self, id: PeerId, job: Job) {
        let Some(worker) = self.by_id.get_mut(id) else { return };
        worker.state = State::Busy(job);
        self.busy += 1;
    }

    /// Nobody waits any more for what this worker does.
    pub(super) fn abandon(&mut self, id: PeerId) {
        if let Some(Worker { state: State::Busy(job), .. }) = self.by_id.get_mut(id) {
            job.wanted = false;
        }
    }

    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }
}
