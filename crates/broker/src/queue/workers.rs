//! Workers: who is idle and for how long, and who has which request.

use std::collections::VecDeque;

use bytes::Bytes;
use zmtp::{Message, PeerId};

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
    Busy(Request),
}

impl Workers {
    pub(super) fn join(&mut self, id: PeerId) {
        self.by_id.insert(id, Worker { state: State::Silent, stack: Vec::new(), strikes: 0 });
    }

    /// Returns the request it had.
    pub(super) fn leave(&mut self, id: PeerId) -> Option<Request> {
        match self.by_id.remove(id)?.state {
            State::Silent => None,
            State::Idle => {
                self.idle.retain(|&other| other != id);
                None
            }
            State::Busy(request) => {
                self.busy -= 1;
                Some(request)
            }
        }
    }

    /// Takes the request of a busy worker, which is silent from then on.
    pub(super) fn take_request(&mut self, id: PeerId) -> Option<Request> {
        let worker = self.by_id.get_mut(id)?;
        match std::mem::replace(&mut worker.state, State::Silent) {
            State::Busy(request) => {
                self.busy -= 1;
                Some(request)
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

    /// Gives a request to the worker that has been idle longest. Returns which one that is, and what it
    /// is to be sent.
    pub(super) fn hand_out(&mut self, request: Request) -> Option<(PeerId, Message)> {
        let id = self.idle.pop_front()?;
        let worker = self.by_id.get_mut(id)?;
        let mut message = request.message.clone();
        if !worker.stack.is_empty() {
            message.prepend(&worker.stack);
        }
        worker.state = State::Busy(request);
        self.busy += 1;
        Some((id, message))
    }

    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }
}
