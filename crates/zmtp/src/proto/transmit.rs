//! Outgoing bytes: small pieces are copied together, large ones are chained.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Chunks up to this size are cheaper to copy than to pass to the system one by one.
const COPY_MAX: usize = 4096;

/// Once the buffer of copied pieces has grown past this, it is given back when it runs empty.
const KEEP_MAX: usize = 16 << 10;

/// Bytes to be written, as a [`Buf`]: write what [`chunks_vectored`](Buf::chunks_vectored) shows and
/// [`advance`](Buf::advance) by as much as was taken.
#[derive(Debug, Default)]
#[must_use = "bytes that are not written keep the peer waiting"]
pub struct Transmit {
    /// From the first one on.
    chained: Option<Box<Chained>>,
    /// Behind all that is chained.
    copied: BytesMut,
}

#[derive(Debug, Default)]
struct Chained {
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    size: usize,
}

impl Transmit {
    #[inline]
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.len() <= COPY_MAX {
            self.copied.put_slice(&chunk);
            return;
        }
        if !self.copied.is_empty() {
            let copied = self.copied.split().freeze();
            self.chain(copied);
        }
        self.chain(chunk);
    }

    fn chain(&mut self, chunk: Bytes) {
        let chained = self.chained.get_or_insert_default();
        chained.size += chunk.len();
        chained.chunks.push_back(chunk);
    }

    #[inline]
    fn chunks(&self) -> Option<&VecDeque<Bytes>> {
        self.chained.as_ref().map(|chained| &chained.chunks)
    }

    /// Where small pieces are written.
    pub(crate) fn scratch(&mut self) -> &mut BytesMut {
        &mut self.copied
    }

    /// Whether there are fewer bytes than these, copied ones and all.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(crate) fn has_room(&self, copied: usize, all: usize) -> bool {
        self.copied.len() < copied && self.remaining() < all
    }

    /// Whether everything has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_remaining()
    }
}

impl Buf for Transmit {
    #[inline]
    fn remaining(&self) -> usize {
        self.chained.as_ref().map_or(0, |chained| chained.size) + self.copied.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self.chunks().and_then(VecDeque::front).map_or(&self.copied, Bytes::as_ref)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let chunks = self.chunks().into_iter().flatten().map(Bytes::as_ref);
        let chunks = chunks.chain([self.copied.as_ref()]);
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(chunks.filter(|chunk| !chunk.is_empty())) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        count
    }

    #[inline]
    fn advance(&mut self, mut count: usize) {
        if let Some(chained) = &mut self.chained {
            while let Some(front) = chained.chunks.front_mut() {
                let taken = count.min(front.len());
                front.advance(taken);
                chained.size -= taken;
                count -= taken;
                if !front.is_empty() {
                    return;
                }
                chained.chunks.pop_front();
            }
        }
        if count == self.copied.len() && count <= KEEP_MAX {
            self.copied.clear();
            return;
        }
        self.copied.advance(count);
        if self.copied.is_empty() && self.copied.capacity() > KEEP_MAX {
            self.copied = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(transmit: &Transmit) -> Vec<usize> {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = transmit.chunks_vectored(&mut slices);
        slices[..count].iter().map(|slice| slice.len()).collect()
    }

    #[test]
    fn small_chunks_become_one_slice_and_large_ones_stay_apart() {
        let large = Bytes::from(vec![7; COPY_MAX + 1]);
        let mut transmit = Transmit::default();
        transmit.push(Bytes::from_static(b"ab"));
        transmit.push(Bytes::from_static(b"cd"));
        assert_eq!(slices(&transmit), [4]);
        transmit.push(large.clone());
        transmit.push(Bytes::from_static(b"ef"));
        assert_eq!(slices(&transmit), [4, COPY_MAX + 1, 2]);
        transmit.advance(4);
        assert_eq!(transmit.chunk().as_ptr(), large.as_ptr(), "not copied");
    }

    #[test]
    fn bytes_leave_in_order_however_they_are_taken() {
        for step in [1, 3, 4096, 10_000] {
            let mut transmit = Transmit::default();
            let mut expected = Vec::new();
            for i in 0..20_u8 {
                let chunk = vec![i; usize::from(i) * 500];
                expected.extend_from_slice(&chunk);
                transmit.push(chunk.into());
            }
            let mut taken = Vec::new();
            while transmit.has_remaining() {
                let size = step.min(transmit.chunk().len());
                taken.extend_from_slice(&transmit.chunk()[..size]);
                transmit.advance(size);
                assert_eq!(transmit.remaining(), expected.len() - taken.len());
            }
            assert_eq!(taken, expected);
            assert!(transmit.is_empty());
        }
    }
}
