//! [`Linger`]: whether to look again for a moment rather than to sleep.

use std::time::{Duration, Instant};

/// How long to look again.
const LINGER: Duration = Duration::from_micros(50);

/// The time between two looks for more: each of them holds up the sender's side of the system.
const PAUSE: Duration = Duration::from_micros(10);

/// How many occasions are passed over at most after it was in vain, as a power of two.
const SKIPS: u32 = 10;

/// What is to be expected in no time, by how eagerly it is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expected {
    #[default]
    Nothing,
    /// More to read.
    More,
    /// Room to write.
    Room,
}

/// Whether to look again for a moment rather than to sleep, where something is expected in no time.
///
/// To be woken takes longer than a peer needs to make room, and until then it has nothing to do either; and
/// to wake who reads a flood costs the sender more than to write it. Where nothing comes of it, it is tried
/// ever more rarely.
#[derive(Debug, Default)]
pub(super) struct Linger {
    until: Option<Instant>,
    expected: Expected,
    next_look: Option<Instant>,
    /// Times in a row that nothing came.
    in_vain: u32,
    /// Occasions to pass over, for that.
    skip: u32,
}

impl Linger {
    /// Whether it is too early for the next look.
    pub(super) fn pauses(&mut self) -> bool {
        let pauses = self.next_look.is_some_and(|at| Instant::now() < at);
        if !pauses {
            self.next_look = None;
        }
        pauses
    }

    /// Whether to go on, after a look that found something or did not.
    pub(super) fn goes_on(&mut self, found: bool, expected: Expected) -> bool {
        if !found && let Some(until) = self.until {
            let now = Instant::now();
            if now < until {
                self.next_look = (self.expected == Expected::More).then_some(now + PAUSE);
                return true;
            }
            self.until = None;
            self.in_vain = (self.in_vain + 1).min(SKIPS);
            self.skip = 1 << self.in_vain;
            return false;
        }
        if self.until.take().is_some() {
            self.in_vain = 0;
        }
        if expected > Expected::Nothing {
            if self.skip == 0 {
                self.until = Some(Instant::now() + LINGER);
                self.expected = expected;
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
            let tries = linger.goes_on(true, Expected::Room);
            linger.until = linger.until.map(|_| Instant::now());
            assert!(!linger.goes_on(false, Expected::Nothing));
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
        while !linger.goes_on(true, Expected::Room) {}
        linger.until = Some(Instant::now() + Duration::from_secs(60));
        assert!(linger.goes_on(false, Expected::Nothing), "for a moment");
        for _ in 0..100 {
            assert!(linger.goes_on(true, Expected::Room));
        }
    }

    #[test]
    fn where_nothing_is_expected_it_does_not_look_again() {
        let mut linger = Linger::default();
        assert!(!linger.goes_on(true, Expected::Nothing));
        assert!(!linger.goes_on(false, Expected::Nothing));
    }

    #[test]
    fn between_looks_for_more_there_is_a_pause_and_between_those_for_room_there_is_none() {
        for (expected, pauses) in [(Expected::More, true), (Expected::Room, false)] {
            let mut linger = Linger::default();
            assert!(linger.goes_on(true, expected));
            assert!(!linger.pauses(), "what was found may not be all");
            linger.until = Some(Instant::now() + Duration::from_secs(60));
            assert!(linger.goes_on(false, Expected::Nothing));
            assert_eq!(linger.next_look.is_some(), pauses);
            while linger.pauses() {}
            assert_eq!(linger.next_look, None);
        }
    }
}
