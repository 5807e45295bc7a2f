//! Walking the parts of a message in its wire form.

use std::iter::FusedIterator;

use bytes::Bytes;

use crate::proto::{FrameFlags, FrameHeader};

/// The parts of a [`Message`](super::Message), as slices.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    chunk: &'a [u8],
    tail: std::slice::Iter<'a, Bytes>,
    len: usize,
}

impl<'a> Parts<'a> {
    pub(super) fn new(head: &'a [u8], tail: &'a [Bytes], len: usize) -> Self {
        Self { chunk: head, tail: tail.iter(), len }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.tail.next()?;
        }
        let (body, rest) = split_part(self.chunk)?;
        self.chunk = rest;
        self.len -= 1;
        match body {
            Some(body) => Some(body),
            None => self.tail.next().map(Bytes::as_ref),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl ExactSizeIterator for Parts<'_> {}
impl FusedIterator for Parts<'_> {}

/// Splits the first frame off a chunk: its body, or `None` if that is the next chunk, and the rest.
pub(super) fn split_part(chunk: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (len, rest) = match chunk {
        // Not LONG: the length is one byte.
        [flags, len, rest @ ..] if flags & FrameFlags::LONG.bits() == 0 => {
            (usize::from(*len), rest)
        }
        _ => {
            let (header, size) = FrameHeader::decode(chunk).ok()??;
            (usize::try_from(header.len).ok()?, chunk.get(size..)?)
        }
    };
    if rest.is_empty() && len > 0 {
        return Some((None, rest));
    }
    let (body, rest) = rest.split_at_checked(len)?;
    Some((Some(body), rest))
}
