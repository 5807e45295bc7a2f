//! ZMTP 3.1 in pure Rust.
pub mod proto;
mod error;
mod limits;
mod message;
pub use error::{ProtocolError, SendError, SendErrorKind};
pub use limits::Limits;
pub use message::{IntoParts, Message, Parts};
