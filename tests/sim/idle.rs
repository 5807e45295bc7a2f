//! [`Idle`]: who ought to be idle, and for how long.

use std::collections::VecDeque;

use broker::{Action, Side, Violation};
use zmtp::PeerId;

/// The workers that ought to be idle, the least recently used first.
#[derive(Debug, Default)]
pub struct Idle {
    ready: VecDeque<PeerId>,
    /// REQ workers that have said nothing, in the order in which they came.
    silent: VecDeque<PeerId>,
    /// Those of them that were given their requests again, which the next queue does as well.
    resumed: Vec<PeerId>,
}

impl Idle {
    pub fn join(&mut self, worker: PeerId) {
        self.silent.push_back(worker);
    }

    pub fn leave(&mut self, worker: PeerId) {
        self.ready.retain(|&other| other != worker);
        self.forget_silence(worker);
    }

    fn forget_silence(&mut self, worker: PeerId) {
        self.silent.retain(|&other| other != worker);
        self.resumed.retain(|&other| other != worker);
    }

    /// A worker has sent a message, and these actions came of it.
    pub fn note_message<'a>(
        &mut self,
        worker: PeerId,
        delimited: bool,
        actions: impl IntoIterator<Item = &'a Action>,
    ) {
        self.forget_silence(worker);
        let mut becomes_idle = delimited;
        for action in actions {
            if let Action::Report(Side::Backend, peer, violation, _) = action
                && *peer == worker
            {
                match violation {
                    Violation::Quarantined => {
                        self.leave(worker);
                        becomes_idle = false;
                    }
                    Violation::UnaskedReply | Violation::DuplicateReady => becomes_idle = false,
                    _ => {}
                }
            }
        }
        if becomes_idle && !self.ready.contains(&worker) {
            self.ready.push_back(worker);
        }
    }

    /// The queue has adopted another one, of which `is_ready` says so. Returns which.
    pub fn adopt(&mut self, is_ready: impl Fn(PeerId) -> bool) -> PeerId {
        let at = self.silent.iter().position(|&worker| is_ready(worker));
        let worker = at.and_then(|at| self.silent.remove(at)).expect("a silent worker");
        self.ready.push_back(worker);
        worker
    }

    /// A worker that has said nothing is given its request again.
    pub fn resume(&mut self, worker: PeerId) {
        let before = self.silent.len();
        self.silent.retain(|&other| other != worker);
        assert!(self.silent.len() < before, "it has said something");
        self.resumed.push(worker);
    }

    /// Another queue goes on, to which these are silent.
    pub fn go_on(&mut self, is_silent: impl Fn(PeerId) -> bool) {
        let again: Vec<_> = self.resumed.extract_if(.., |worker| is_silent(*worker)).collect();
        self.silent.extend(again);
    }

    /// A worker is given a request.
    pub fn take(&mut self, worker: PeerId) {
        assert_eq!(self.ready.pop_front(), Some(worker), "it is not the least recently used");
    }

    pub fn len(&self) -> usize {
        self.ready.len()
    }
}
