//! [`Sizes`]: the sizes of messages that are on their way, in order.

use std::collections::VecDeque;

/// Room for this many sizes is kept while there are none.
const KEEP_MAX: usize = 1024;

/// A queue of sizes and their sum. While there is only one, as there mostly is, it is held in place.
///
/// It is part of what is touched for each message of each connection, so what is rare lies elsewhere.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "most never have one")]
pub(crate) struct Sizes {
    /// Those before the last, from the first time that there are two.
    before: Option<Box<VecDeque<usize>>>,
    /// 0 if there is none: a message takes two bytes at least.
    last: usize,
    sum: usize,
}

impl Sizes {
    #[inline]
    pub(crate) fn push(&mut self, size: usize) {
        let before = std::mem::replace(&mut self.last, size);
        if before > 0 {
            self.before.get_or_insert_default().push_back(before);
        }
        self.sum += size;
    }

    /// The first of them.
    #[inline]
    pub(crate) fn first(&self) -> Option<usize> {
        let before = self.before.as_ref().and_then(|before| before.front().copied());
        before.or((self.last > 0).then_some(self.last))
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let before = self.before.as_mut().and_then(|before| before.pop_front());
        let size = before.unwrap_or_else(|| std::mem::take(&mut self.last));
        self.sum -= size;
        (size > 0).then_some(size)
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        (self.last, self.sum) = (0, 0);
        self.before.take_if(|before| before.capacity() > KEEP_MAX);
        if let Some(before) = &mut self.before {
            before.clear();
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| before.len());
        before + usize::from(self.last > 0)
    }

    /// All of them together.
    #[inline]
    pub(crate) fn sum(&self) -> usize {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_out_in_the_order_in_which_they_were_put_in() {
        for count in 0..5 {
            let mut sizes = Sizes::default();
            (1..=count).for_each(|size| sizes.push(size));
            for size in 1..=count {
                assert_eq!((sizes.first(), sizes.len()), (Some(size), count + 1 - size));
                assert_eq!(sizes.sum(), (size..=count).sum());
                assert_eq!(sizes.pop(), Some(size));
            }
            assert_eq!((sizes.pop(), sizes.first(), sizes.sum()), (None, None, 0));
            sizes.push(7);
            assert_eq!((sizes.first(), sizes.len(), sizes.sum()), (Some(7), 1, 7));
            (1..=count).for_each(|size| sizes.push(size));
            sizes.clear();
            assert_eq!((sizes.first(), sizes.len(), sizes.sum()), (None, 0, 0));
        }
    }
}
