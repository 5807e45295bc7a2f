//! [`Histogram`]: how long things took.

use std::time::Duration;

/// Microseconds up to this many have a bucket each.
const EXACT: u64 = 16;

/// Buckets between a power of two and the next.
const STEPS: u64 = 8;

/// Up to two weeks: 36 powers of two above [`EXACT`].
const BUCKETS: usize = 304;

/// How long requests took so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// From its arrival, or from when it was put in line again, until a worker was given it.
    pub waited: Histogram,
    /// From then until its reply was passed on.
    pub served: Histogram,
}

/// Times by their length, each to an eighth of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    /// Microseconds.
    sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), sum: 0 }
    }
}

fn bucket(micros: u64) -> usize {
    let index = match micros.checked_ilog2().map(u64::from) {
        None | Some(0..4) => micros,
        Some(power) => {
            let step = (micros >> (power - 3)) & (STEPS - 1);
            EXACT + (power - 4) * STEPS + step
        }
    };
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The time below which all of a bucket is.
fn upper(bucket: usize) -> Duration {
    let next = bucket as u64 + 1;
    let micros = match next.checked_sub(EXACT) {
        None | Some(0) => next,
        Some(above) => (STEPS + above % STEPS) << (above / STEPS + 1),
    };
    Duration::from_micros(micros)
}

impl Histogram {
    #[inline]
    pub(super) fn record(&mut self, micros: u64) {
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count += 1;
        }
        self.sum = self.sum.wrapping_add(micros);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// How many are shorter than a time, which is best a power of two in microseconds: then all of a bucket are.
    #[must_use]
    pub fn shorter_than(&self, time: Duration) -> u64 {
        let buckets = self.counts.iter().enumerate();
        buckets.take_while(|(bucket, _)| upper(*bucket) <= time).map(|(_, count)| count).sum()
    }

    /// A time that so much of them, between 0 and 1, are not longer than, to an eighth of it. None if there are none.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "of so many, one more or less makes no difference"
    )]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let all = self.count();
        let rank = ((all as f64 * share).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= rank
        };
        self.counts.iter().position(reaches).filter(|_| all > 0).map(upper)
    }

    /// How many are in each bucket that has any, and the sum.
    pub(crate) fn parts(&self) -> (impl Iterator<Item = (usize, u64)> + '_, u64) {
        let buckets = self.counts.iter().copied().enumerate();
        (buckets.filter(|&(_, count)| count > 0), self.sum)
    }

    /// From [parts](Self::parts), if they are of one.
    pub(crate) fn from_parts(parts: &[(usize, u64)], sum: u64) -> Option<Self> {
        let mut histogram = Self { sum, ..Self::default() };
        for &(bucket, count) in parts {
            *histogram.counts.get_mut(bucket)? = count;
        }
        Some(histogram)
    }

    /// Those that have come since this was another one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        for (count, before) in counts.iter_mut().zip(&*earlier.counts) {
            *count = count.saturating_sub(*before);
        }
        Self { counts, sum: self.sum.wrapping_sub(earlier.sum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_a_bucket_that_ends_at_most_an_eighth_above_it() {
        let mut last = 0;
        for power in 0..36 {
            for micros in [1 << power, (1 << power) + 1, (3 << power) / 2, (2 << power) - 1] {
                let (time, end) = (Duration::from_micros(micros), upper(bucket(micros)));
                assert!(
                    end > time && end <= time + time / 8 + Duration::from_micros(1),
                    "{time:?} to {end:?}"
                );
                let exact = bucket(1 << power);
                assert!(exact >= last && bucket(micros) >= exact, "{micros}");
                last = exact;
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        let uppers: Vec<_> = (0..BUCKETS).map(upper).collect();
        assert!(uppers.is_sorted() && uppers.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_has_come_since_is_told_from_what_was_there() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (0..90).for_each(|_| histogram.record(10));
        let earlier = histogram.clone();
        (0..10).for_each(|_| histogram.record(50_000));
        assert_eq!(histogram.quantile(0.9), Some(Duration::from_micros(11)));
        let late = histogram.quantile(0.91).unwrap();
        assert!((50..57).contains(&late.as_millis()), "{late:?}");
        assert_eq!(histogram.shorter_than(Duration::from_micros(1024)), 90);
        let since = histogram.since(&earlier);
        assert_eq!((since.count(), since.sum()), (10, Duration::from_millis(500)));
        assert_eq!(since.quantile(0.0), since.quantile(1.0));
    }
}
