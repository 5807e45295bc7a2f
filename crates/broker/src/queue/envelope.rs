//! What stands in front of a request and of a reply.

use bytes::Bytes;
use zmtp::Message;

/// Frames in front of a delimiter, and bytes in them, that are taken for an envelope.
const MAX_STACK_FRAMES: usize = 16;
const MAX_STACK_BYTES: usize = 4 << 10;

/// What the envelope of a request to a worker, or of a reply from one, may have more than the request
/// of a client: a stack, two delimiters and the client's address.
pub(crate) const ENVELOPE_FRAMES: usize = MAX_STACK_FRAMES + 3;
pub(crate) const ENVELOPE_COST: usize = MAX_STACK_BYTES + 255 + 64 * ENVELOPE_FRAMES;

/// The frames in front of a delimiter. Mostly there are none, and then this is two words that own nothing.
pub(super) type Stack = Box<[Bytes]>;

/// Splits the frames in front of the first empty one off. There has to be one, and a body.
pub(super) fn split_envelope(mut message: Message) -> Option<(Stack, Message)> {
    if message.len() > 1 && message.part(0) == Some(b"") {
        return Some((Stack::default(), message));
    }
    let depth = message.parts().take(MAX_STACK_FRAMES + 1).position(<[u8]>::is_empty)?;
    let bytes: usize = message.parts().take(depth).map(<[u8]>::len).sum();
    if depth + 1 >= message.len() || bytes > MAX_STACK_BYTES {
        return None;
    }
    // Copies, which do not keep the message they came with.
    let stack = message.parts().take(depth).map(Bytes::copy_from_slice).collect();
    message.skip(depth);
    Some((stack, message))
}
