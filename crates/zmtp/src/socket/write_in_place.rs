//! Writing to a connection outside of its own task.

use std::fmt::Debug;

use crate::message::Message;

/// A connection whose task need not run for what is queued to be written.
pub(crate) trait WriteInPlace: Debug + Send + Sync {
    /// Encodes a message to be written with [`write_in_place`](Self::write_in_place). It comes back
    /// if the connection is being polled, or something waits to be written already.
    fn encode_in_place(&self, message: Message) -> Result<(), Message>;

    /// Writes what has been encoded. If there is no room for all of it, the task sees to the rest.
    fn write_in_place(&self);
}
