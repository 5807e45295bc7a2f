//! [`Linger`]: whether to look again for a moment rather than to sleep.

use std::time::{Duration, Instant};

/// How long to look again.
const LINGER: Duration = Duration::from_micros(50);

/// How many occasions are passed over at most after it was in vain, as a power of two.
const SKIPS: u32 = 10;

/// Whether to look again for a moment rather than to sleep, where something is expected in no time.
///
/// To be woken takes longer than a peer needs to make room, and until then it has nothing to do either.
/// Where nothing comes of it, it is tried ever more rarely.
#[derive(Debug, Default)]
pub(super) struct Linger {
    until: Option<Instant>,
    /// Times in a row that nothing came.
    in_vain: u32,
    /// Occasions to pass over, for that.
    skip: u32,
}

impl Linger {
    /// Whether to go on, after a look that found something or did not.
    pub(super) fn goes_on(&mut self, found: bool, expecting: bool) -> bool {
        if !found && let Some(until) = self.until {
            let goes_on = Instant::now() < until;
            if !goes_on {
                self.until = None;
                self.in_vain = (self.in_vain + 1).min(SKIPS);
                self.skip = 1 << self.in_vain;
            }
            return goes_on;
        }
        if self.until.take().is_some() {
            self.in_vain = 0;
        }
        if expecting {
            if self.skip == 0 {
                self.until = Some(Instant::now() + LINGER);
            }
            self.skip = self.skip.saturating_sub(1);
        }
        self.until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it looks again in vain within so many occasions.
    fn tries(linger: &mut Linger, occasions: usize) -> usize {
        let tries = (0..occasions).filter(|_| {
            let tries = linger.goes_on(true, true);
            linger.until = linger.until.map(|_| Instant::now());
            assert!(!linger.goes_on(false, false));
            tries
        });
        tries.count()
    }

    #[test]
    fn what_is_in_vain_is_tried_ever_more_rarely() {
        let mut linger = Linger::default();
        assert!((5..10).contains(&tries(&mut linger, 200)));
        assert!(tries(&mut linger, 100_000) < 110);
    }

    #[test]
    fn once_it_pays_it_is_done_each_time() {
        let mut linger = Linger::default();
        tries(&mut linger, 200);
        while !linger.goes_on(true, true) {}
        assert!(linger.goes_on(false, false), "for a moment");
        for _ in 0..100 {
            assert!(linger.goes_on(true, true));
        }
    }

    #[test]
    fn where_nothing_is_expected_it_does_not_look_again() {
        let mut linger = Linger::default();
        assert!(!linger.goes_on(true, false) && !linger.goes_on(false, false));
    }
}
