//! Reaching a connection outside of its own task.

use std::fmt::Debug;
use std::os::fd::OwnedFd;

use bytes::Bytes;

use crate::message::Message;
use crate::sizes::Sizes;

/// A connection that is reached without its task.
pub(crate) trait Direct: Debug + Send + Sync {
    /// Takes a message, and writes it and those before it if it is the `last` for now. The task sees to what
    /// finds no room. The message comes back if the connection is being polled or about to end, or something waits
    /// to be written already.
    fn send_in_place(&self, message: Message, last: bool) -> Result<(), Message>;

    /// Takes the connection away from its task, if it is in traffic and not about to end.
    fn detach(&self) -> Option<Remains>;
}

/// What is left of a connection that has been taken away from its task.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) socket: OwnedFd,
    /// What has arrived and was not taken by the application.
    pub(crate) input: Bytes,
    /// What is to be written.
    pub(crate) output: Bytes,
    /// Sizes of the messages that were received and not released.
    pub(crate) unreleased: Sizes,
}
