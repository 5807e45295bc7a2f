//! Buffers that are used again. For large messages: to get memory from the system and give it back for each
//! would cost as much as to read it.

use std::cell::RefCell;

use bytes::Bytes;

/// Capacity of the buffer that connections are lent.
pub(super) const LOAN: usize = 64 << 10;

/// Makes a buffer one that can be lent.
#[inline]
pub(crate) fn make_loan(buffer: &mut Vec<u8>) {
    if buffer.capacity() < LOAN {
        *buffer = Vec::with_capacity(LOAN);
    }
}

/// Bytes that a thread keeps.
const KEEP_MAX: usize = 4 << 20;

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

#[derive(Default)]
struct Pool {
    buffers: Vec<Vec<u8>>,
    /// Capacity of all of them together.
    bytes: usize,
}

/// An empty buffer of this capacity or more.
pub(super) fn take(capacity: usize) -> Vec<u8> {
    // In steps of at most a quarter, so that messages of almost the same size share their buffers.
    let step = (capacity / 8).next_power_of_two();
    let capacity = capacity.next_multiple_of(step);
    let pooled = POOL.with_borrow_mut(|pool| {
        let fits = |buffer: &Vec<u8>| (capacity..=capacity * 2).contains(&buffer.capacity());
        let buffer = pool.buffers.remove(pool.buffers.iter().rposition(fits)?);
        pool.bytes -= buffer.capacity();
        Some(buffer)
    });
    pooled.unwrap_or_else(|| Vec::with_capacity(capacity))
}

/// Keeps a buffer for later.
pub(super) fn put(mut buffer: Vec<u8>) {
    buffer.clear();
    // A thread that is ending keeps nothing.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        pool.bytes += buffer.capacity();
        pool.buffers.push(buffer);
        // The oldest are of sizes that are no longer needed.
        while pool.bytes > KEEP_MAX {
            pool.bytes -= pool.buffers.remove(0).capacity();
        }
    });
}

/// The contents of a buffer that is kept for later when nobody holds them any more.
pub(super) fn freeze(buffer: Vec<u8>) -> Bytes {
    Bytes::from_owner(Pooled(buffer))
}

struct Pooled(Vec<u8>);

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        put(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_holds_its_contents() {
        let mut buffer = take(100_000);
        buffer.extend_from_slice(b"contents");
        let address = buffer.as_ptr();
        let contents = freeze(buffer);
        let part = contents.slice(3..5);
        drop(contents);
        let other = take(100_000);
        assert_ne!(other.as_ptr(), address);
        assert_eq!(part, b"te"[..]);
        drop(part);
        let again = take(90_000);
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn no_more_is_kept_than_a_bound_and_nothing_much_too_large_is_given() {
        (0..100).for_each(|_| put(Vec::with_capacity(1 << 20)));
        POOL.with_borrow(|pool| assert!((1..=4).contains(&pool.buffers.len())));
        assert!(take(100).capacity() < 1 << 20);
    }
}
