//! [`FrameCodec`]: frames on any byte stream, for [`tokio_util::codec`].

use std::fmt;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::proto::FrameHeader;

/// The most room made at once for a body that has not arrived.
const RESERVE_MAX: usize = 64 << 10;

/// One frame of ZMTP 3.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are these two")]
pub enum Frame {
    /// A part of a message.
    Part {
        /// The bytes of the part.
        body: Bytes,
        /// Whether more parts of the same message follow.
        more: bool,
    },
    /// A command: its name, with the length in front, and data.
    Command(Bytes),
}

/// Reads and writes frames, from the end of the greeting on. It knows no handshake and no messages:
/// for those there is [`Connection`](crate::proto::Connection).
///
/// Of the [`Limits`] it keeps `max_frame_size` and `max_command_size`. It allocates for what has
/// arrived and never for what a peer declares. Frames are written with the shortest header.
///
/// ```
/// use futures::{SinkExt, StreamExt};
/// use tokio_util::codec::Framed;
/// use zmtp::Limits;
/// use zmtp::codec::{Frame, FrameCodec};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (near, far) = tokio::io::duplex(1024);
/// let mut near = Framed::new(near, FrameCodec::new(Limits::default()));
/// let mut far = Framed::new(far, FrameCodec::new(Limits::default()));
///
/// let frame = Frame::Part { body: "Hello".into(), more: false };
/// near.send(frame.clone()).await?;
/// assert_eq!(far.next().await.transpose()?, Some(frame));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FrameCodec {
    limits: Limits,
}

impl FrameCodec {
    /// A codec that keeps these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

/// Why a stream of frames ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CodecError {
    /// The peer broke the protocol or a limit.
    Protocol(ProtocolError),
    /// The stream failed, or ended inside a frame.
    Io(io::Error),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CodecError {}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ProtocolError> for CodecError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        let Some((header, size)) = FrameHeader::decode(input)? else { return Ok(None) };
        let body = self.limits.admit(header)?;
        let missing = (size + body).saturating_sub(input.len());
        if missing > 0 {
            input.reserve(missing.min(RESERVE_MAX));
            return Ok(None);
        }
        input.advance(size);
        let body = input.split_to(body).freeze();
        Ok(Some(if header.is_command() {
            Frame::Command(body)
        } else {
            Frame::Part { body, more: header.more() }
        }))
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = CodecError;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), CodecError> {
        let (header, body) = match frame {
            Frame::Part { body, more } => (FrameHeader::part(body.len(), more), body),
            Frame::Command(body) => (FrameHeader::command(body.len()), body),
        };
        out.reserve(header.size() + body.len());
        header.encode(out);
        out.extend_from_slice(&body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec() -> FrameCodec {
        FrameCodec::new(Limits::default().with_max_message_size(300))
    }

    #[test]
    fn frames_are_decoded_from_bytes_that_come_one_by_one() {
        let bytes = b"\x01\x00\x02\0\0\0\0\0\0\0\x05Hello\x04\x05\x04PONG";
        let mut input = BytesMut::new();
        let mut frames = Vec::new();
        for &byte in bytes {
            input.extend_from_slice(&[byte]);
            frames.extend(codec().decode(&mut input).unwrap());
        }
        let expected = [
            Frame::Part { body: Bytes::new(), more: true },
            Frame::Part { body: "Hello".into(), more: false },
            Frame::Command("\x04PONG".into()),
        ];
        assert_eq!(frames, expected);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for size in [0, 1, 255, 256, 300] {
            let frame = Frame::Part { body: vec![7; size].into(), more: size % 2 == 0 };
            let mut bytes = BytesMut::new();
            codec().encode(frame.clone(), &mut bytes).unwrap();
            assert_eq!(codec().decode(&mut bytes).unwrap(), Some(frame));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_by_its_header() {
        let mut input = BytesMut::from(&b"\x02\0\0\0\0\0\0\x01\x2D"[..]);
        let error = codec().decode(&mut input).unwrap_err();
        let expected = ProtocolError::FrameTooLarge { size: 301, max: 300 };
        assert!(matches!(error, CodecError::Protocol(error) if error == expected));
    }

    #[test]
    fn room_does_not_follow_the_length_a_peer_declares() {
        let mut input = BytesMut::from(&b"\x02\0\0\0\0\x03\0\0\0"[..]);
        let decoded = FrameCodec::new(Limits::default()).decode(&mut input);
        assert!(matches!(decoded, Ok(None)));
        assert!(input.capacity() <= 128 << 10);
    }
}
