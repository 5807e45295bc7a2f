//! The part of a handover that says what was counted.
//!
//! ```text
//! account    counters  faults of each kind  losses of each cause  has times [waited  served]
//! times      sum  buckets that have any: which, and how many
//! ```

use super::{Fields, put_number, put_size};
use crate::queue::{Account, Cause, Counters, Histogram, Times, Violation};

pub(super) fn put_account(account: &Account, bytes: &mut Vec<u8>) {
    let Account { mut counters, faults, times } = account.clone();
    counters.each().into_iter().for_each(|count| put_number(*count, bytes));
    let count = |count: Option<&u64>| count.copied().unwrap_or_default();
    let violations = Violation::ALL.iter().map(|kind| count(faults.violations.get(kind)));
    let losses = Cause::ALL.iter().map(|cause| count(faults.losses.get(cause)));
    violations.chain(losses).for_each(|count| put_number(count, bytes));
    bytes.push(times.is_some().into());
    if let Some(times) = times {
        put_histogram(&times.waited, bytes);
        put_histogram(&times.served, bytes);
    }
}

fn put_histogram(histogram: &Histogram, bytes: &mut Vec<u8>) {
    let (buckets, sum) = histogram.parts();
    let buckets: Vec<_> = buckets.collect();
    put_number(sum, bytes);
    put_size(buckets.len(), bytes);
    for (bucket, count) in buckets {
        put_size(bucket, bytes);
        put_number(count, bytes);
    }
}

impl Fields<'_> {
    pub(super) fn account(&mut self) -> Option<Account> {
        let mut account = Account::default();
        for count in Counters::each(&mut account.counters) {
            *count = self.u64()?;
        }
        for kind in Violation::ALL {
            let count = self.u64()?;
            account.faults.violations.extend((count > 0).then_some((kind, count)));
        }
        for cause in Cause::ALL {
            let count = self.u64()?;
            account.faults.losses.extend((count > 0).then_some((cause, count)));
        }
        if self.bool()? {
            let (waited, served) = (self.histogram()?, self.histogram()?);
            account.times = Some(Box::new(Times { waited, served }));
        }
        Some(account)
    }

    fn histogram(&mut self) -> Option<Histogram> {
        let (sum, count) = (self.u64()?, self.u32()?);
        let bucket = |_| Some((usize::try_from(self.u32()?).ok()?, self.u64()?));
        let buckets: Option<Vec<_>> = (0..count).map(bucket).collect();
        Histogram::from_parts(&buckets?, sum)
    }
}
