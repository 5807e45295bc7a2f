//! Frames: a flags byte, a length of one or eight bytes, and a body.
//!
//! ```text
//! short  flags  len8             body (0..=255 bytes)
//! long   flags  len64 big endian body
//! ```

use bitflags::bitflags;
use bytes::BufMut;

use crate::error::ProtocolError;

/// The largest body that the one-byte length can state.
const SHORT_MAX: u64 = 255;

bitflags! {
    /// The flags byte of a frame (RFC 37, "Framing").
    ///
    /// Bits 3 to 7 are reserved; a frame that sets one is refused.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FrameFlags: u8 {
        /// More frames of the same message follow.
        const MORE = 0b001;
        /// The length takes eight bytes.
        const LONG = 0b010;
        /// The body is a command, not a part of a message.
        const COMMAND = 0b100;
    }
}

/// What stands in front of a frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FrameHeader {
    /// The flags as they were on the wire.
    pub flags: FrameFlags,
    /// Bytes of body that follow.
    pub len: u64,
}

impl FrameHeader {
    /// The most bytes that a header takes.
    pub const MAX_SIZE: usize = 9;

    /// The header of a message part of `len` bytes, in the shortest form.
    #[must_use]
    pub fn part(len: usize, more: bool) -> Self {
        Self::shortest(if more { FrameFlags::MORE } else { FrameFlags::empty() }, len)
    }

    /// Bytes of a message part of `len` bytes with its header.
    pub(crate) fn part_size(len: usize) -> usize {
        Self::part(len, false).size() + len
    }

    /// The header of a command of `len` bytes, in the shortest form.
    #[must_use]
    pub fn command(len: usize) -> Self {
        Self::shortest(FrameFlags::COMMAND, len)
    }

    fn shortest(flags: FrameFlags, len: usize) -> Self {
        let len = len as u64;
        let flags = if len > SHORT_MAX { flags | FrameFlags::LONG } else { flags };
        Self { flags, len }
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// Returns the header and the bytes it took, or `None` while it is not complete.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::ReservedFlags`] for a bit that has no meaning,
    /// [`ProtocolError::CommandWithMore`] for a command that claims to be continued, and
    /// [`ProtocolError::LengthOutOfRange`] for a length of 2^63 or above (RFC 37, "Framing").
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&flags, rest)) = bytes.split_first() else { return Ok(None) };
        let flags = FrameFlags::from_bits(flags).ok_or(ProtocolError::ReservedFlags(flags))?;
        if flags.contains(FrameFlags::COMMAND | FrameFlags::MORE) {
            return Err(ProtocolError::CommandWithMore);
        }
        if !flags.contains(FrameFlags::LONG) {
            return Ok(rest.first().map(|&len| (Self { flags, len: u64::from(len) }, 2)));
        }
        let Some(len) = rest.first_chunk() else { return Ok(None) };
        let len = u64::from_be_bytes(*len);
        if len > i64::MAX as u64 {
            return Err(ProtocolError::LengthOutOfRange(len));
        }
        Ok(Some((Self { flags, len }, Self::MAX_SIZE)))
    }

    /// Writes the header to the end of `out`.
    pub fn encode(self, out: &mut impl BufMut) {
        out.put_u8(self.flags.bits());
        if self.flags.contains(FrameFlags::LONG) {
            out.put_u64(self.len);
        } else {
            // A header without LONG holds at most `SHORT_MAX`, by construction and by decoding.
            out.put_u8(self.len.to_be_bytes()[7]);
        }
    }

    /// Bytes that [`encode`](Self::encode) writes.
    #[must_use]
    pub fn size(self) -> usize {
        if self.flags.contains(FrameFlags::LONG) { Self::MAX_SIZE } else { 2 }
    }

    /// Whether the length is in the form a sender must choose: long only above 255 bytes.
    #[must_use]
    pub fn is_shortest(self) -> bool {
        self.flags.contains(FrameFlags::LONG) == (self.len > SHORT_MAX)
    }

    /// Whether more parts of the same message follow.
    #[must_use]
    pub fn more(self) -> bool {
        self.flags.contains(FrameFlags::MORE)
    }

    /// Whether the body is a command.
    #[must_use]
    pub fn is_command(self) -> bool {
        self.flags.contains(FrameFlags::COMMAND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(header: FrameHeader) -> Vec<u8> {
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out.len(), header.size());
        out
    }

    #[test]
    fn length_255_is_short_and_256_is_long() {
        assert_eq!(encoded(FrameHeader::part(255, false)), [0x00, 0xFF]);
        assert_eq!(encoded(FrameHeader::part(256, true)), [0x03, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(encoded(FrameHeader::command(256)), [0x06, 0, 0, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn every_prefix_of_a_header_is_incomplete() {
        for bytes in [vec![0x01, 5], vec![0x02, 0, 0, 0, 0, 0, 0, 0, 5]] {
            for end in 0..bytes.len() {
                assert_eq!(FrameHeader::decode(&bytes[..end]), Ok(None));
            }
            let (header, size) = FrameHeader::decode(&bytes).unwrap().unwrap();
            assert_eq!((header.len, size), (5, bytes.len()));
        }
    }

    #[test]
    fn a_short_body_in_long_form_is_accepted() {
        let (header, _) = FrameHeader::decode(&[0x02, 0, 0, 0, 0, 0, 0, 0, 5]).unwrap().unwrap();
        assert!(!header.is_shortest());
    }

    #[test]
    fn each_flags_byte_decodes_or_is_refused_by_name() {
        for bits in 0..=u8::MAX {
            let outcome = FrameHeader::decode(&[bits, 0, 0, 0, 0, 0, 0, 0, 0]);
            match bits {
                0..=4 | 6 => assert_eq!(outcome.unwrap().unwrap().0.flags.bits(), bits),
                5 | 7 => assert_eq!(outcome, Err(ProtocolError::CommandWithMore)),
                _ => assert_eq!(outcome, Err(ProtocolError::ReservedFlags(bits))),
            }
        }
    }

    #[test]
    fn a_length_with_the_top_bit_is_out_of_range() {
        let bytes = [0x02, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FrameHeader::decode(&bytes), Err(ProtocolError::LengthOutOfRange(1 << 63)));
        let bytes = [0x02, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(FrameHeader::decode(&bytes).unwrap().unwrap().0.len, (1 << 63) - 1);
    }
}
