//! What an operator tells a queue: to pause, to go on, to drain, to leave a worker alone.

use super::Queue;

/// Whether requests are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Open,
    /// Not now.
    Paused,
    /// Not any more.
    Draining,
}

impl Queue {
    /// Hands out no more requests until it is [resumed](Self::resume); those that run may be answered.
    pub fn pause(&mut self) {
        if self.mode == Mode::Open {
            self.mode = Mode::Paused;
        }
    }

    /// Goes on after a [pause](Self::pause).
    pub fn resume(&mut self) {
        if self.mode == Mode::Paused {
            self.mode = Mode::Open;
            self.dispatch();
        }
    }

    /// Hands out no more requests; those that run may be answered.
    pub fn drain(&mut self) {
        self.mode = Mode::Draining;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.mode == Mode::Draining
    }

    /// The workers of this name are given nothing more, once they have answered what they have, until they are
    /// [released](Self::release_worker) or connect again. Returns how many there are.
    pub fn quarantine_worker(&mut self, name: &[u8]) -> usize {
        self.workers.hold(name)
    }

    /// The workers of this name are given requests again, whoever kept them from that. Returns how many there are.
    pub fn release_worker(&mut self, name: &[u8]) -> usize {
        let count = self.workers.let_go(name);
        self.dispatch();
        count
    }
}
