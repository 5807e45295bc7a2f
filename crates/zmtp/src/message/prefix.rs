//! What is put in front of a message and taken off again.

use bytes::{Buf, Bytes};

use super::parts::split_part;
use super::short::{SHORT_MAX, Short};
use super::{Frames, Message, SHARE_MIN, next_chunk};

impl Message {
    /// Drops the first `count` parts, if they are the first of `other` as well and both have more than these.
    /// Says whether it has.
    pub fn strip_parts_of(&mut self, other: &Self, count: usize) -> bool {
        if self.len() <= count || other.len() <= count {
            return false;
        }
        if let Some(front) = other.front(count) {
            match &mut self.frames {
                Frames::Short(short) => return short.strip(front, count),
                Frames::Chunks { head, tail, len } if head.starts_with(front) => {
                    head.advance(front.len());
                    *len -= count;
                    if head.is_empty() {
                        *head = next_chunk(tail);
                    }
                    return true;
                }
                Frames::Chunks { .. } => {}
            }
        }
        let begins = self.parts().take(count).eq(other.parts().take(count));
        if begins {
            self.skip(count);
        }
        begins
    }

    /// The frames of the first parts, where they lie together.
    #[inline]
    fn front(&self, count: usize) -> Option<&[u8]> {
        let frames = match &self.frames {
            Frames::Short(short) => short.frames(),
            Frames::Chunks { head, .. } => head,
        };
        let mut rest = frames;
        for _ in 0..count {
            rest = split_part(rest).filter(|(body, _)| body.is_some())?.1;
        }
        frames.get(..frames.len() - rest.len())
    }

    /// A message of copies of `parts` followed by the parts of this one.
    #[must_use]
    pub fn prefixed<T: AsRef<[u8]>>(&self, parts: &[T]) -> Self {
        if parts.is_empty() {
            return self.clone();
        }
        let len = self.len() + parts.len();
        let more = !self.is_empty();
        match &self.frames {
            Frames::Short(short) => Self::encode(parts, more, short.frames(), Vec::new(), len),
            Frames::Chunks { head, tail, .. } if head.len() < SHARE_MIN => {
                Self::encode(parts, more, head, tail.clone(), len)
            }
            Frames::Chunks { head, tail, .. } => {
                let tail = std::iter::once(head).chain(tail).cloned().collect();
                Self::encode(parts, more, &[], tail, len)
            }
        }
    }

    /// A message of the parts of this one followed by those of `rest`, which costs less than
    /// [`prefixed`](Self::prefixed) where the same few short parts are put in front of many messages.
    #[must_use]
    pub fn followed_by(&self, rest: &Self) -> Self {
        let prefix = match &self.frames {
            _ if self.is_empty() => return rest.clone(),
            _ if rest.is_empty() => return self.clone(),
            Frames::Short(prefix) => prefix.with_more(),
            Frames::Chunks { .. } => return rest.prefixed(&self.parts().collect::<Vec<_>>()),
        };
        let len = prefix.len() + rest.len();
        match &rest.frames {
            Frames::Short(short) => Self::concat(prefix.frames(), short.frames(), Vec::new(), len),
            Frames::Chunks { head, tail, .. } if head.len() < SHARE_MIN => {
                Self::concat(prefix.frames(), head, tail.clone(), len)
            }
            Frames::Chunks { head, tail, .. } => {
                let tail = std::iter::once(head).chain(tail).cloned().collect();
                Self::concat(prefix.frames(), &[], tail, len)
            }
        }
    }

    /// The wire form of `len` parts in three pieces, of which the first two are copied.
    #[inline]
    fn concat(first: &[u8], second: &[u8], tail: Vec<Bytes>, len: usize) -> Self {
        let size = first.len() + second.len();
        let frames = if tail.is_empty() && size <= SHORT_MAX {
            Frames::Short(Short::with(size, len, |out| {
                let (front, back) = out.split_at_mut(first.len());
                front.copy_from_slice(first);
                back.copy_from_slice(second);
            }))
        } else {
            Frames::Chunks { head: [first, second].concat().into(), tail, len }
        };
        Self { frames }
    }

    /// Puts copies of `parts` in front.
    pub fn prepend<T: AsRef<[u8]>>(&mut self, parts: &[T]) {
        *self = self.prefixed(parts);
    }
}
