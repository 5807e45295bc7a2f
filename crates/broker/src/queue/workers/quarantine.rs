//! Workers that are given nothing more: for what they have sent, or because an operator wants it so.

use zmtp::PeerId;

use super::{State, Workers};

impl Workers {
    /// Counts a message that a worker should not have sent. One too many, and it is no longer idle.
    pub(in crate::queue) fn strike(&mut self, id: PeerId, most: u32) -> bool {
        let Some(worker) = self.by_id.get_mut(id) else { return false };
        worker.strikes = worker.strikes.saturating_add(1);
        if worker.strikes < most {
            return false;
        }
        match worker.state {
            State::Idle => self.idle.retain(|&other| other != id),
            State::Held => {}
            _ => return true,
        }
        worker.state = State::Silent;
        true
    }

    /// Whether a worker gets nothing more.
    pub(in crate::queue) fn is_quarantined(&self, id: PeerId, most: u32) -> bool {
        self.by_id.get(id).is_some_and(|worker| worker.strikes >= most)
    }

    /// Keeps the workers of this name from being idle. Returns how many there are.
    pub(in crate::queue) fn hold(&mut self, name: &[u8]) -> usize {
        let mut count = 0;
        for worker in self.by_id.values_mut().filter(|worker| worker.name == name) {
            count += 1;
            worker.held = true;
            if matches!(worker.state, State::Idle) {
                worker.state = State::Held;
            }
        }
        let by_id = &self.by_id;
        let is_idle = |id| by_id.get(id).is_some_and(|worker| matches!(worker.state, State::Idle));
        self.idle.retain(|&id| is_idle(id));
        count
    }

    pub(in crate::queue) fn is_held(&self, id: PeerId) -> bool {
        self.by_id.get(id).is_some_and(|worker| worker.held)
    }

    /// Workers of this name may be idle again. What they have sent is forgotten; a REQ waits for an answer to that, and
    /// a request is one. Returns how many there are.
    pub(in crate::queue) fn let_go(&mut self, name: &[u8]) -> usize {
        let mut count = 0;
        for (id, worker) in self.by_id.iter_mut().filter(|(_, worker)| worker.name == name) {
            count += 1;
            worker.held = false;
            let was_struck = std::mem::take(&mut worker.strikes) > 0;
            let waits = match worker.state {
                State::Held => true,
                State::Silent => was_struck && worker.lock_step,
                _ => false,
            };
            if waits {
                worker.state = State::Idle;
                self.idle.push_back(id);
            }
        }
        count
    }
}
