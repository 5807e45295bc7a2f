//! Whether there is room for more requests.

use super::Queue;
use super::policy::{AtLimit, Policy};

impl Queue {
    /// Whether as many requests wait as may. Those that come all the same [wait](AtLimit::Wait) or are
    /// [rejected](AtLimit::Reject).
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.clients.waiting() >= self.policy.max_waiting.max(1)
            || self.clients.bytes() >= self.policy.max_waiting_bytes.max(1)
    }

    /// Whether further requests are to be left where they are, because as many wait as may.
    #[inline]
    pub fn holds_requests(&mut self) -> bool {
        if (self.holds || self.is_full()) && self.policy.at_limit == AtLimit::Wait {
            self.look_for_room();
        }
        self.holds
    }

    /// Once the queue was full, it is not worth it to go on before an eighth is free.
    #[cold]
    fn look_for_room(&mut self) {
        let Policy { max_waiting, max_waiting_bytes, .. } = self.policy;
        let is_still_full = self.clients.waiting() > max_waiting - max_waiting / 8
            || self.clients.bytes() > max_waiting_bytes - max_waiting_bytes / 8;
        let holds = self.is_full() || (self.holds && is_still_full);
        self.counters.full += u64::from(holds && !self.holds);
        self.holds = holds;
    }
}
