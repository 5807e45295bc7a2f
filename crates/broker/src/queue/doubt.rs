//! [`Doubt`]: what a worker may answer yet though it has been given something else since.
//!
//! A worker that speaks out of turn may have crossed a request on the way, and sees it later. It answers what it sees in the
//! order in which that was sent, and drops some of it: a REQ drops all that has arrived when it sends. A reply
//! says whose client it is for, and not which request it answers.

use std::collections::VecDeque;

use super::request::{Request, is_made_up};

/// So many replies in a row that could be to either are enough: for the next to be to an earlier request, that would have
/// had to cross a reply so many times.
const ROUNDS: u8 = 16;

/// Requests that are remembered.
const SENT_MAX: usize = 64;

/// What a worker may answer before the request that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// Something that it was given before this side began.
    pub(crate) unknown: bool,
    /// By number and by what the client is called, in the order in which they were sent.
    pub(crate) sent: VecDeque<(u64, Box<[u8]>)>,
    /// How often that was in vain.
    pub(crate) rounds: u8,
}

/// What a reply is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request that the worker has.
    This,
    /// That, or an earlier one. It may see that yet.
    Ambiguous,
    /// An earlier one.
    Earlier,
    /// Nothing that the worker was ever sent.
    Nothing,
}

impl Doubt {
    /// The worker was taken for ready without a word.
    pub(super) fn add_unknown(&mut self) {
        self.unknown = true;
    }

    /// The worker is at nothing that nobody here knows of. Says whether it might have been.
    pub(super) fn forget_unknown(&mut self) -> bool {
        std::mem::take(&mut self.unknown)
    }

    /// Whether the worker may be at something that nobody here knows of.
    pub(super) fn is_of_unknown(&self) -> bool {
        self.unknown
    }

    /// The worker may see this one yet.
    pub(super) fn add(&mut self, request: &Request) {
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((request.number, request.client_name().into()));
    }

    /// The worker has answered a client of this name, so all is over that was sent before the first that this may be the
    /// answer to, and that as well. Says whether there was any.
    pub(super) fn settle(&mut self, name: &[u8]) -> bool {
        // One without a name of its own has a new one since this side began.
        if std::mem::take(&mut self.unknown) && !is_made_up(name) {
            return true;
        }
        let first = self.sent.iter().position(|(_, client)| &client[..] == name);
        if let Some(first) = first {
            self.sent.drain(..=first);
        }
        first.is_some()
    }

    /// What a reply is to that the worker sends to a client of this name while it has `request`.
    pub(super) fn judge(&mut self, name: &[u8], request: &Request) -> Verdict {
        let unknown = self.unknown;
        let is_other =
            |(number, client): &(u64, Box<[u8]>)| &client[..] == name && *number != request.number;
        let others = self.sent.iter().any(is_other);
        let was_sent = self.settle(name);
        if name != request.client_name() {
            self.rounds = 0;
            return if unknown || was_sent { Verdict::Earlier } else { Verdict::Nothing };
        }
        if self.rounds < ROUNDS && (others || (unknown && !is_made_up(name))) {
            self.rounds += 1;
            self.add(request);
            return Verdict::Ambiguous;
        }
        if was_sent && self.rounds < ROUNDS {
            // It was sent twice, and one of the two may still come.
            self.add(request);
        } else {
            self.sent.clear();
        }
        Verdict::This
    }

    /// Whether the worker may answer something else than this request first.
    pub(super) fn is_of_others_than(&self, request: &Request) -> bool {
        self.unknown || self.sent.iter().any(|(number, _)| *number != request.number)
    }

    pub(super) fn is_over(&self) -> bool {
        !self.unknown && self.sent.is_empty()
    }
}
