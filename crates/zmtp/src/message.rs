//! [`Message`]: one or more parts, held as they go on the wire.

mod convert;
mod parts;

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::{Buf, BufMut, Bytes};

pub use convert::IntoParts;
pub use parts::Parts;
use parts::split_part;

use crate::proto::FrameHeader;

/// Parts up to this size share one buffer with their headers; a larger one keeps the buffer it
/// came in and is never copied.
const SHARE_MIN: usize = 2048;

/// A multipart message. Cloning it shares the payload.
///
/// It holds the encoded frames, so that a received message is one buffer however many parts it
/// has, and forwarding it re-encodes nothing.
///
/// ```
/// use zmtp::Message;
///
/// let message = Message::from(["address", "", "body"]);
/// assert_eq!(message.len(), 3);
/// assert_eq!(message.part(2), Some(&b"body"[..]));
/// ```
#[derive(Clone, Default)]
pub struct Message {
    /// The first chunk of the wire form; `tail` has the others. A chunk holds whole frames, except
    /// that it may end with a header whose body is exactly the next chunk. Frames have the
    /// shortest header, and MORE on all but the last.
    head: Bytes,
    tail: Vec<Bytes>,
    len: usize,
}

impl Message {
    /// A message without parts. It cannot be sent until a part is added.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A message of copies of `parts`, in one allocation.
    pub fn copy_from<T: AsRef<[u8]>>(parts: &[T]) -> Self {
        Self { head: encode_parts(parts, false, &[]), tail: Vec::new(), len: parts.len() }
    }

    /// In one allocation, unless a part is so large that it is not copied.
    fn from_parts(parts: &[Bytes]) -> Self {
        if parts.iter().all(|part| part.len() < SHARE_MIN) {
            return Self::copy_from(parts);
        }
        let mut chunks = Vec::new();
        let mut scratch = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            FrameHeader::part(part.len(), i + 1 < parts.len()).encode(&mut scratch);
            if part.len() < SHARE_MIN {
                scratch.put_slice(part);
            } else {
                chunks.push(Bytes::copy_from_slice(&scratch));
                chunks.push(part.clone());
                scratch.clear();
            }
        }
        if !scratch.is_empty() {
            chunks.push(scratch.into());
        }
        let head = chunks.remove(0);
        Self { head, tail: chunks, len: parts.len() }
    }

    /// `chunks` must be the wire form of `len` parts, as described at [`Message`]'s fields.
    pub(crate) fn from_wire(head: Bytes, tail: Vec<Bytes>, len: usize) -> Self {
        let message = Self { head, tail, len };
        debug_assert_eq!(message.parts().count(), len, "as many parts as frames");
        message
    }

    /// A message of its frames as this side has encoded them.
    #[cfg(feature = "tokio")]
    pub(crate) fn from_frames(frames: Bytes) -> Self {
        let len = Parts::new(&frames, &[], usize::MAX).count();
        Self::from_wire(frames, Vec::new(), len)
    }

    /// How many parts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no part at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parts in order.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        Parts::new(&self.head, &self.tail, self.len)
    }

    /// The parts in order: the name by which iterators are expected.
    #[must_use]
    pub fn iter(&self) -> Parts<'_> {
        self.parts()
    }

    /// The part at `index`, counted from 0. Takes time linear in `index`.
    #[must_use]
    pub fn part(&self, index: usize) -> Option<&[u8]> {
        self.parts().nth(index)
    }

    /// The bytes of all parts together, headers not counted.
    #[must_use]
    pub fn body_size(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// The bytes this message takes on the wire, headers counted.
    #[must_use]
    #[inline]
    pub fn wire_size(&self) -> usize {
        self.tail.iter().fold(self.head.len(), |size, chunk| size + chunk.len())
    }

    /// Takes the first part off. It shares the message's buffer.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        let (header, size) = FrameHeader::decode(&self.head).ok()??;
        self.head.advance(size);
        self.len -= 1;
        let body = if self.head.is_empty() && header.len > 0 {
            self.next_chunk()
        } else {
            let len = usize::try_from(header.len).unwrap_or(usize::MAX);
            self.head.split_to(len.min(self.head.len()))
        };
        if self.head.is_empty() {
            self.head = self.next_chunk();
        }
        Some(body)
    }

    /// Drops the first `count` parts, or all if there are fewer.
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count.min(self.len) {
            self.skip_one();
        }
    }

    fn skip_one(&mut self) {
        let Some((body, rest)) = split_part(&self.head) else { return };
        let advance = self.head.len() - rest.len();
        let elsewhere = body.is_none();
        self.head.advance(advance);
        self.len -= 1;
        if elsewhere {
            self.next_chunk();
        }
        if self.head.is_empty() {
            self.head = self.next_chunk();
        }
    }

    fn next_chunk(&mut self) -> Bytes {
        if self.tail.is_empty() { Bytes::new() } else { self.tail.remove(0) }
    }

    /// A message of copies of `parts` followed by the parts of this one.
    #[must_use]
    pub fn prefixed<T: AsRef<[u8]>>(&self, parts: &[T]) -> Self {
        if parts.is_empty() {
            return self.clone();
        }
        let len = self.len + parts.len();
        if self.head.len() < SHARE_MIN {
            let head = encode_parts(parts, self.len > 0, &self.head);
            return Self { head, tail: self.tail.clone(), len };
        }
        let head = encode_parts(parts, true, &[]);
        let tail = self.chunks().cloned().collect();
        Self { head, tail, len }
    }

    /// Puts copies of `parts` in front.
    pub fn prepend<T: AsRef<[u8]>>(&mut self, parts: &[T]) {
        *self = self.prefixed(parts);
    }

    /// Adds a part at the end. Takes time linear in the number of parts; collect them instead
    /// where they are known.
    pub fn push_back(&mut self, part: impl Into<Bytes>) {
        let mut parts: Vec<Bytes> = std::mem::take(self).into_iter().collect();
        parts.push(part.into());
        *self = parts.into_iter().collect();
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.head).chain(&self.tail)
    }

    pub(crate) fn into_chunks(self) -> (Bytes, Vec<Bytes>) {
        (self.head, self.tail)
    }
}

/// Encodes `parts`, the last with MORE if `more`, and then `rest`, in one exact allocation.
fn encode_parts<T: AsRef<[u8]>>(parts: &[T], more: bool, rest: &[u8]) -> Bytes {
    let header = |i: usize, part: &[u8]| FrameHeader::part(part.len(), more || i + 1 < parts.len());
    let sizes = parts.iter().map(AsRef::as_ref).enumerate();
    let size: usize = sizes.map(|(i, part)| header(i, part).size() + part.len()).sum();
    let mut out = Vec::with_capacity(size + rest.len());
    for (i, part) in parts.iter().map(AsRef::as_ref).enumerate() {
        header(i, part).encode(&mut out);
        out.put_slice(part);
    }
    out.put_slice(rest);
    out.into()
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.parts().eq(other.parts())
    }
}

impl Eq for Message {}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        self.parts().for_each(|part| part.hash(state));
    }
}

/// Shows at most eight parts and sixteen bytes of each, so that no payload floods a log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PARTS: usize = 8;
        const BYTES: usize = 16;
        f.write_str("[")?;
        for (i, part) in self.parts().take(PARTS).enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let shown = part.get(..BYTES).unwrap_or(part);
            write!(f, "{separator}\"{}\"", shown.escape_ascii())?;
            if part.len() > BYTES {
                write!(f, "… {} bytes", part.len())?;
            }
        }
        if self.len > PARTS {
            write!(f, ", … {} parts", self.len)?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests;
