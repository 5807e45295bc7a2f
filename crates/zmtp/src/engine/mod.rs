//! Sockets of the system: listening, dialling, and one task for each connection and one for all.

mod bind_error;
mod dial;
mod driver;
mod ipc;
mod linger;
mod listen;
mod reactor;
mod stream;
mod tcp;
mod transport;
mod unwritten;

use std::time::Instant;

pub use bind_error::{BindError, BindErrorKind};
pub(crate) use dial::Dialler;
pub(crate) use listen::{Listener, attach};
#[cfg(feature = "testing")]
pub(crate) use stream::Stream;

/// The time as the runtime has it, so that paused time reaches the protocol core.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
