//! [`Counters`]: what has happened, in numbers; [`Faults`]: what of that was somebody's fault; [`Account`]: all that a queue
//! has counted.

use std::collections::BTreeMap;

use super::action::Violation;
use super::request::Cause;
use super::times::Times;

/// All that a queue has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) counters: Counters,
    pub(crate) faults: Faults,
    pub(crate) times: Option<Box<Times>>,
}

/// What went wrong, by what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Faults {
    /// What peers did wrong.
    pub violations: BTreeMap<Violation, u64>,
    /// Why workers brought no reply.
    pub losses: BTreeMap<Cause, u64>,
}

/// What has happened so far, in numbers.
///
/// Each request ends in one way, so at any time
/// `requests = replies + given_up + dropped + rejected + abandoned + lost + waiting + in flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests received, and those that an earlier queue left.
    pub requests: u64,
    /// Bytes of those that were received, as they were on the wire.
    pub request_bytes: u64,
    /// Replies passed on to their clients.
    pub replies: u64,
    /// Bytes of them.
    pub reply_bytes: u64,
    /// Requests given up after they had cost too much.
    pub given_up: u64,
    /// Requests forgotten with their worker, as [`OnWorkerLoss::Drop`](crate::OnWorkerLoss::Drop) has it.
    pub dropped: u64,
    /// Requests for which there was no room.
    pub rejected: u64,
    /// Requests dropped because their client had left or asked anew.
    pub abandoned: u64,
    /// Requests of an earlier queue whose client cannot be known again.
    pub lost: u64,
    /// Error replies, for requests that were given up or rejected.
    pub errors: u64,
    /// Times that requests were left where they were, because as many waited as may.
    pub full: u64,
    /// Times that a request was put in line again.
    pub retries: u64,
    /// Times that a worker which had a request from an earlier queue was given it again.
    pub resumed: u64,
    /// Replies dropped because nobody waits for them any more, or because they may be to an earlier request.
    pub stale_replies: u64,
    /// Workers taken for ready that had not said so since the start.
    pub adopted: u64,
    /// Times that a peer did something wrong.
    pub violations: u64,
}

const _: () = assert!(size_of::<Counters>() == 16 * size_of::<u64>(), "each is one of `each`");

impl Counters {
    /// Each of them, always in one order.
    pub(crate) fn each(&mut self) -> [&mut u64; 16] {
        [
            &mut self.requests,
            &mut self.request_bytes,
            &mut self.replies,
            &mut self.reply_bytes,
            &mut self.given_up,
            &mut self.dropped,
            &mut self.rejected,
            &mut self.abandoned,
            &mut self.lost,
            &mut self.errors,
            &mut self.full,
            &mut self.retries,
            &mut self.resumed,
            &mut self.stale_replies,
            &mut self.adopted,
            &mut self.violations,
        ]
    }

    /// So many requests wait or run. The others that have not ended in another way have been abandoned.
    pub(super) fn settle(&mut self, open: usize) {
        let Self { requests, replies, given_up, dropped, rejected, abandoned, lost, .. } = *self;
        let ended = [replies, given_up, dropped, rejected, abandoned, lost];
        let known = ended.into_iter().fold(open as u64, u64::saturating_add);
        self.abandoned = abandoned.saturating_add(requests.saturating_sub(known));
        self.requests = requests.max(known);
    }
}
