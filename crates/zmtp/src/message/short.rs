//! [`Short`]: frames that are held in place.

use crate::proto::FrameFlags;

/// Bytes of frames that a message holds without an allocation, as many as leave it at 64 bytes.
pub(super) const SHORT_MAX: usize = 53;

/// A few whole frames, each with its header.
#[derive(Clone, Copy)]
pub(super) struct Short {
    start: u8,
    end: u8,
    /// Parts.
    len: u8,
    bytes: [u8; SHORT_MAX],
}

impl Short {
    pub(super) const EMPTY: Self = Self { start: 0, end: 0, len: 0, bytes: [0; SHORT_MAX] };

    /// So many bytes, [`SHORT_MAX`] at most, of so many parts, as `fill` writes them.
    #[inline]
    pub(super) fn with(size: usize, len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = [0; SHORT_MAX];
        fill(bytes.get_mut(..size).unwrap_or_default());
        // Each part takes two bytes at least.
        let [end, len] = [size, len].map(|number| u8::try_from(number).unwrap_or_default());
        Self { start: 0, end, len, bytes }
    }

    /// One part, if it is short enough.
    #[inline]
    pub(super) fn part(body: &[u8]) -> Option<Self> {
        let size = body.len() + 2;
        let len = u8::try_from(body.len()).ok().filter(|_| size <= SHORT_MAX)?;
        Some(Self::with(size, 1, |out| {
            if let [_, length, rest @ ..] = out {
                *length = len;
                rest.copy_from_slice(body);
            }
        }))
    }

    #[inline]
    pub(super) fn frames(&self) -> &[u8] {
        self.bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The same with MORE on the last frame too.
    #[inline]
    pub(super) fn with_more(mut self) -> Self {
        let mut at = usize::from(self.start);
        while at < usize::from(self.end)
            && let Some([flags, len]) = self.bytes.get_mut(at..at + 2)
        {
            *flags |= FrameFlags::MORE.bits();
            at += 2 + usize::from(*len);
        }
        self
    }

    /// Drops these frames of so many parts from the front, if it begins with them. Says whether it does.
    #[inline]
    pub(super) fn strip(&mut self, front: &[u8], len: usize) -> bool {
        let begins = self.frames().starts_with(front);
        if begins {
            let [size, len] =
                [front.len(), len].map(|number| u8::try_from(number).unwrap_or_default());
            self.start += size;
            self.len -= len;
        }
        begins
    }

    /// Drops the first frame, which takes so many bytes.
    #[inline]
    pub(super) fn skip(&mut self, frame: usize) {
        self.start =
            u8::try_from(usize::from(self.start) + frame).unwrap_or(self.end).min(self.end);
        self.len = self.len.saturating_sub(1);
    }
}
