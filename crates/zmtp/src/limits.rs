//! [`Limits`]: what a peer may make this side hold, and for how long.

use std::time::Duration;

use crate::error::ProtocolError;
use crate::proto::FrameHeader;

/// Limits on what one peer may send. All are on by default; "no limit" does not exist.
///
/// | limit | default |
/// |---|---|
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s |
/// | [`max_command_size`](Self::max_command_size) | 4 KiB |
/// | [`max_frame_size`](Self::max_frame_size) | 64 MiB |
/// | [`max_message_size`](Self::max_message_size) | 64 MiB |
/// | [`max_frames`](Self::max_frames) | 1024 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the connection to the peer's READY. Bytes that drip in do not extend it. Too long lets
    /// silent connections pile up, too short cuts off peers behind a slow link.
    /// libzmq: `ZMQ_HANDSHAKE_IVL`, 30 s.
    pub handshake_timeout: Duration,
    /// Bytes in the body of a command. READY carries the peer's identity and metadata; nothing
    /// legitimate comes near the default.
    pub max_command_size: usize,
    /// Bytes in the body of one frame. libzmq: `ZMQ_MAXMSGSIZE`, unlimited.
    pub max_frame_size: usize,
    /// Bytes in a whole message, where each frame counts for 64 bytes more than its body. The
    /// surcharge bounds what a stream of empty frames may cost.
    pub max_message_size: usize,
    /// Parts in a message.
    pub max_frames: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_command_size: 4 << 10,
            max_frame_size: 64 << 20,
            max_message_size: 64 << 20,
            max_frames: 1024,
        }
    }
}

impl Limits {
    /// Sets [`handshake_timeout`](Self::handshake_timeout).
    #[must_use]
    pub fn with_handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self { handshake_timeout, ..self }
    }

    /// Sets [`max_message_size`](Self::max_message_size) and
    /// [`max_frame_size`](Self::max_frame_size) to the same number of bytes.
    #[must_use]
    pub fn with_max_message_size(self, bytes: usize) -> Self {
        Self { max_message_size: bytes, max_frame_size: bytes, ..self }
    }

    /// Sets [`max_frames`](Self::max_frames).
    #[must_use]
    pub fn with_max_frames(self, max_frames: usize) -> Self {
        Self { max_frames, ..self }
    }

    /// Holds a frame's header against the limits for one frame. Returns the size of its body.
    pub(crate) fn admit(&self, header: FrameHeader) -> Result<usize, ProtocolError> {
        let Self { max_command_size, max_frame_size, .. } = *self;
        let within = |max: usize| usize::try_from(header.len).ok().filter(|&size| size <= max);
        if header.is_command() {
            let error = ProtocolError::CommandTooLarge { size: header.len, max: max_command_size };
            return within(max_command_size).ok_or(error);
        }
        let error = ProtocolError::FrameTooLarge { size: header.len, max: max_frame_size };
        within(max_frame_size).ok_or(error)
    }

    /// Sets [`max_command_size`](Self::max_command_size).
    #[must_use]
    pub fn with_max_command_size(self, bytes: usize) -> Self {
        Self { max_command_size: bytes, ..self }
    }
}
