//! The protocol, without I/O: bytes in, events out; messages in, bytes out.
//!
//! ```text
//!             receive()  +------------+  next_event()
//!  from peer ----------> |            | --------------> Ready, Message
//!                        | Connection |
//!    to peer <---------- |            | <-------------- messages
//!            transmit()  +------------+  send()
//! ```
//!
//! The contract: append what arrived to [`Connection::receive`], call [`Connection::next_event`]
//! until it returns `None`, then write what [`Connection::transmit`] holds. Call
//! [`Connection::handle_timeout`] at [`Connection::next_timeout`], and [`Connection::handle_eof`]
//! at the end of the stream. Not calling `next_event` is back-pressure: nothing is parsed, and
//! nothing grows but what the caller appends.
//!
//! ```text
//!  Greeting --64 bytes--> Handshake --READY--> Traffic
//!      |                      |                   |
//!      +----------------------+-------------------+--any error--> Failed (for ever)
//! ```
//!
//! Two of them back to back, fed one byte at a time:
//!
//! ```
//! use std::time::Instant;
//! use bytes::Buf;
//! use zmtp::Message;
//! use zmtp::proto::{Connection, Event, Settings, SocketType};
//!
//! /// Moves one byte; says whether there was one.
//! fn step(from: &mut Connection, to: &mut Connection) -> bool {
//!     let out = from.transmit();
//!     let Some(&byte) = out.chunk().first() else { return false };
//!     out.advance(1);
//!     to.receive().extend_from_slice(&[byte]);
//!     true
//! }
//!
//! let new = |socket_type| Connection::new(socket_type, Settings::default(), Instant::now());
//! let (mut req, mut router) = (new(SocketType::Req), new(SocketType::Router));
//! let mut received = None;
//! while step(&mut req, &mut router) | step(&mut router, &mut req) {
//!     if let Some(Event::Ready(peer)) = req.next_event()? {
//!         assert_eq!(peer.socket_type, SocketType::Router);
//!         req.send(Message::from(["", "Hello"]))?;
//!     }
//!     if let Some(Event::Message(message)) = router.next_event()? {
//!         received = Some(message);
//!     }
//! }
//! assert_eq!(received, Some(Message::from(["", "Hello"])));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembler;
mod command;
mod connection;
mod frame;
mod greeting;
mod heartbeat;
mod input;
mod pings;
#[cfg(feature = "tokio")]
mod pool;
mod socket_type;
mod transmit;

#[cfg(test)]
mod tests;

pub use command::{
    Command, MAX_IDENTITY_SIZE, PeerInfo, encode_error, encode_ping, encode_pong, encode_ready,
};
pub use connection::{Connection, Event, Settings};
pub use frame::{FrameFlags, FrameHeader};
pub use greeting::{GREETING, GREETING_SIZE, Version, decode_greeting};
pub use heartbeat::Heartbeat;
#[cfg(feature = "tokio")]
pub(crate) use pool::make_loan;
pub use socket_type::SocketType;
pub use transmit::Transmit;
