//! ZMTP 3.1 in pure Rust.
mod config;
mod endpoint;
#[cfg(feature = "tokio")]
mod engine;
mod error;
mod limits;
mod message;
pub mod proto;
#[cfg(feature = "tokio")]
mod socket;

pub use config::{Config, ConfigError, DuplicateIdentity, Release};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{BindError, BindErrorKind, ProtocolError, SendError, SendErrorKind};
pub use limits::Limits;
pub use message::{IntoParts, Message, Parts};
#[cfg(feature = "tokio")]
pub use socket::{LeaveReason, Origin, Peer, PeerId, Req, ReqError, Router, RouterEvent};
