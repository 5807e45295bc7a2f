//! Writing to a connection outside of its own task.

use std::fmt::Debug;

use crate::message::Message;

/// A connection whose task need not run for what is queued to be written.
pub(crate) trait WriteInPlace: Debug + Send + Sync {
    /// Takes a message, and writes it and those before it if it is the `last` for now. The task sees to what
    /// finds no room. The message comes back if the connection is being polled or about to end, or something waits
    /// to be written already.
    fn send_in_place(&self, message: Message, last: bool) -> Result<(), Message>;
}
