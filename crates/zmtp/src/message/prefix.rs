//! What is put in front of a message and taken off again.

use bytes::{Buf, Bytes};

use super::short::{SHORT_MAX, Short};
use super::{Frames, Message, SHARE_MIN, next_chunk};

impl Message {
    /// Drops the parts of `prefix` from the front, if this message begins with them. Says whether it does.
    pub fn strip_prefix(&mut self, prefix: &Self) -> bool {
        if let Frames::Short(prefix) = &prefix.frames
            && self.len() > prefix.len()
        {
            let wire = prefix.with_more();
            match &mut self.frames {
                Frames::Short(short) => return short.strip(&wire),
                Frames::Chunks { head, tail, len } if head.starts_with(wire.frames()) => {
                    head.advance(wire.frames().len());
                    *len -= wire.len();
                    if head.is_empty() {
                        *head = next_chunk(tail);
                    }
                    return true;
                }
                Frames::Chunks { .. } => {}
            }
        }
        let count = prefix.len();
        let begins = self.len() >= count && self.parts().take(count).eq(prefix.parts());
        if begins {
            self.skip(count);
        }
        begins
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
