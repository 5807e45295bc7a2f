//! [`Message`]: one or more parts, held as they go on the wire.

mod convert;
mod parts;
mod prefix;
mod short;

use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::{Buf, BufMut, Bytes};

pub use convert::IntoParts;
pub use parts::Parts;
use parts::split_part;
use short::{SHORT_MAX, Short};

use crate::proto::{FrameHeader, Transmit};

/// Parts up to this size share one buffer with their headers; a larger one keeps the buffer it
/// came in and is never copied.
const SHARE_MIN: usize = 2048;

/// A multipart message. Cloning it shares the payload, unless it is so short that the message holds it
/// itself.
///
/// It holds the encoded frames, so that a received message is one buffer however many parts it
/// has, and forwarding it re-encodes nothing. Frames of up to 53 bytes together, headers included, need
/// no buffer.
///
/// ```
/// use zmtp::Message;
///
/// let message = Message::from(["address", "", "body"]);
/// assert_eq!(message.len(), 3);
/// assert_eq!(message.part(2), Some(&b"body"[..]));
/// ```
#[derive(Clone)]
pub struct Message {
    frames: Frames,
}

/// The wire form. Frames have the shortest header, and MORE on all but the last.
#[derive(Clone)]
enum Frames {
    Short(Short),
    /// A chunk holds whole frames, except that it may end with a header whose body is exactly the next
    /// chunk.
    Chunks {
        head: Bytes,
        tail: Vec<Bytes>,
        len: usize,
    },
}

impl Message {
    /// A message without parts. It cannot be sent until a part is added.
    #[must_use]
    pub fn new() -> Self {
        Self { frames: Frames::Short(Short::EMPTY) }
    }

    /// A message of copies of `parts`, in one allocation at most.
    pub fn copy_from<T: AsRef<[u8]>>(parts: &[T]) -> Self {
        Self::encode(parts, false, &[], Vec::new(), parts.len())
    }

    /// In one allocation at most, unless a part is so large that it is not copied.
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
        Self { frames: Frames::Chunks { head, tail: chunks, len: parts.len() } }
    }

    /// A copy of one part.
    #[inline]
    fn copy_of_part(part: &[u8]) -> Self {
        match Short::part(part) {
            Some(short) => Self { frames: Frames::Short(short) },
            None => Self::copy_from(&[part]),
        }
    }

    /// Encodes `parts`, the last with MORE if `more`, and then `rest`, in one exact allocation if they do
    /// not fit into the message itself. `tail` and they are the wire form of `len` parts.
    fn encode<T: AsRef<[u8]>>(
        parts: &[T],
        more: bool,
        rest: &[u8],
        tail: Vec<Bytes>,
        len: usize,
    ) -> Self {
        let size = parts.iter().map(|part| FrameHeader::part_size(part.as_ref().len()));
        let size = size.sum::<usize>() + rest.len();
        let fits = tail.is_empty() && size <= SHORT_MAX;
        let frames = if fits {
            Frames::Short(Short::with(size, len, |mut out| {
                encode_parts(parts, more, rest, &mut out);
            }))
        } else {
            let mut head = Vec::with_capacity(size);
            encode_parts(parts, more, rest, &mut head);
            Frames::Chunks { head: head.into(), tail, len }
        };
        Self { frames }
    }

    /// `chunks` must be the wire form of `len` parts, as described at [`Frames`].
    pub(crate) fn from_wire(head: Bytes, tail: Vec<Bytes>, len: usize) -> Self {
        let message = Self { frames: Frames::Chunks { head, tail, len } };
        debug_assert_eq!(message.parts().count(), len, "as many parts as frames");
        message
    }

    /// A copy of the wire form of `len` parts, if that takes no allocation.
    #[inline]
    pub(crate) fn from_short_wire(frames: &[u8], len: usize) -> Option<Self> {
        let fits = frames.len() <= SHORT_MAX;
        let copy = |out: &mut [u8]| out.copy_from_slice(frames);
        fits.then(|| Self { frames: Frames::Short(Short::with(frames.len(), len, copy)) })
    }

    /// A message of its frames as this side has encoded them.
    #[cfg(feature = "tokio")]
    pub(crate) fn from_frames(frames: Bytes) -> Self {
        let len = Parts::new(&frames, &[], usize::MAX).count();
        Self::from_wire(frames, Vec::new(), len)
    }

    /// How many parts there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        match &self.frames {
            Frames::Short(short) => short.len(),
            Frames::Chunks { len, .. } => *len,
        }
    }

    /// Whether there is no part at all.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts in order.
    #[must_use]
    #[inline]
    pub fn parts(&self) -> Parts<'_> {
        match &self.frames {
            Frames::Short(short) => Parts::new(short.frames(), &[], short.len()),
            Frames::Chunks { head, tail, len } => Parts::new(head, tail, *len),
        }
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
        match &self.frames {
            Frames::Short(short) => short.frames().len(),
            Frames::Chunks { head, tail, .. } => {
                tail.iter().fold(head.len(), |size, chunk| size + chunk.len())
            }
        }
    }

    /// Takes the first part off. It shares the message's buffer, if that has one.
    pub fn pop_front(&mut self) -> Option<Bytes> {
        let part = match &mut self.frames {
            Frames::Short(short) => split_part(short.frames())?.0.map(Bytes::copy_from_slice)?,
            Frames::Chunks { head, tail, .. } => match split_part(head)? {
                (Some(body), _) => head.slice_ref(body),
                (None, _) => tail.first()?.clone(),
            },
        };
        self.skip_one();
        Some(part)
    }

    /// Drops the first `count` parts, or all if there are fewer.
    #[inline]
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count.min(self.len()) {
            self.skip_one();
        }
    }

    #[inline]
    fn skip_one(&mut self) {
        match &mut self.frames {
            Frames::Short(short) => {
                let Some((_, rest)) = split_part(short.frames()) else { return };
                let size = short.frames().len() - rest.len();
                short.skip(size);
            }
            Frames::Chunks { head, tail, len } => {
                let Some((body, rest)) = split_part(head) else { return };
                let (size, elsewhere) = (head.len() - rest.len(), body.is_none());
                head.advance(size);
                *len -= 1;
                if elsewhere {
                    next_chunk(tail);
                }
                if head.is_empty() {
                    *head = next_chunk(tail);
                }
            }
        }
    }

    /// Adds a part at the end. Takes time linear in the number of parts; collect them instead
    /// where they are known.
    pub fn push_back(&mut self, part: impl Into<Bytes>) {
        let mut parts: Vec<Bytes> = std::mem::take(self).into_iter().collect();
        parts.push(part.into());
        *self = parts.into_iter().collect();
    }

    /// The wire form, if it lies in one piece.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(crate) fn as_frames(&self) -> Option<&[u8]> {
        match &self.frames {
            Frames::Short(short) => Some(short.frames()),
            Frames::Chunks { head, tail, .. } => tail.is_empty().then_some(head),
        }
    }

    /// Hands the wire form over, chunk by chunk.
    #[inline]
    pub(crate) fn encode_into(self, output: &mut Transmit) {
        match self.frames {
            Frames::Short(short) => output.scratch().extend_from_slice(short.frames()),
            Frames::Chunks { head, tail, .. } => {
                output.push(head);
                for chunk in tail {
                    output.push(chunk);
                }
            }
        }
    }
}

fn encode_parts<T: AsRef<[u8]>>(parts: &[T], more: bool, rest: &[u8], out: &mut impl BufMut) {
    for (i, part) in parts.iter().map(AsRef::as_ref).enumerate() {
        FrameHeader::part(part.len(), more || i + 1 < parts.len()).encode(out);
        out.put_slice(part);
    }
    out.put_slice(rest);
}

fn next_chunk(tail: &mut Vec<Bytes>) -> Bytes {
    if tail.is_empty() { Bytes::new() } else { tail.remove(0) }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.parts().eq(other.parts())
    }
}

impl Eq for Message {}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
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
        if self.len() > PARTS {
            write!(f, ", … {} parts", self.len())?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests;
