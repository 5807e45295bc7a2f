//! [`Sizes`]: the sizes of messages that are on their way, in order.

use std::collections::VecDeque;

/// Room for this many sizes is kept while there are none.
const KEEP_MAX: usize = 1024;

/// A queue of sizes and their sum. While there is only one, as there mostly is, it is held in place.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    /// Those before the last.
    before: VecDeque<usize>,
    last: Option<usize>,
    sum: usize,
}

impl Sizes {
    #[inline]
    pub(crate) fn push(&mut self, size: usize) {
        if let Some(before) = self.last.replace(size) {
            self.before.push_back(before);
        }
        self.sum += size;
    }

    /// The first of them.
    #[inline]
    pub(crate) fn first(&self) -> Option<usize> {
        self.before.front().copied().or(self.last)
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let size = self.before.pop_front().or_else(|| self.last.take())?;
        self.sum -= size;
        Some(size)
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        (self.last, self.sum) = (None, 0);
        if self.before.capacity() > KEEP_MAX {
            self.before = VecDeque::new();
        }
        self.before.clear();
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.before.len() + usize::from(self.last.is_some())
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
            (0..count).for_each(|size| sizes.push(size));
            sizes.clear();
            assert_eq!((sizes.first(), sizes.len(), sizes.sum()), (None, 0, 0));
        }
    }
}
