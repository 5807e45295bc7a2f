//! [`Fields`]: numbers, bytes and frames one behind the other, as the journal and the next process have them.

/// No message is as long.
pub(crate) fn size_of(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

pub(crate) fn put_size(size: usize, output: &mut Vec<u8>) {
    output.extend(size_of(size).to_le_bytes());
}

pub(crate) fn put_frames<'a>(
    count: usize,
    frames: impl Iterator<Item = &'a [u8]>,
    output: &mut Vec<u8>,
) {
    put_size(count, output);
    for frame in frames {
        put_bytes(frame, output);
    }
}

pub(crate) fn put_bytes(bytes: &[u8], output: &mut Vec<u8>) {
    put_size(bytes.len(), output);
    output.extend_from_slice(bytes);
}

/// What has not been taken of a payload.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.u32()?;
        self.take(usize::try_from(size).ok()?)
    }

    pub(crate) fn frames(&mut self) -> Option<Vec<&'a [u8]>> {
        let count = self.u32()?;
        (0..count).map(|_| self.bytes()).collect()
    }
}
