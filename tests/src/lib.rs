//! Peers for tests: libzmq sockets on threads of their own, places to meet, and raw bytes.
//!
//! Everything here waits at most [`PATIENCE`], so that a test fails rather than hangs.

#![allow(clippy::missing_panics_doc, reason = "to panic is how a test fails")]

mod echo;
mod pairwise;
mod party;
mod peers;
mod place;
mod raw;
mod wait;

use std::time::Duration;

pub use echo::{Echo, MUTE};
pub use pairwise::pairwise;
pub use party::{Frames, Party, messages};
pub use peers::{Broker, Worker, end, request, socket};
pub use place::{Place, Transport};
pub use raw::{accept, disconnected, raw, say, shaken};
pub use wait::{until, within};

/// Longer than anything takes on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The NULL greeting of a ZMTP 3.1 peer.
pub const GREETING: [u8; 64] =
    *b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// READY of an anonymous REQ.
pub const READY_REQ: &[u8] = b"\x04\x26\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0";

/// `parts` parts of `size` bytes together, different from part to part and from byte to byte.
#[must_use]
pub fn payload(size: usize, parts: usize) -> Vec<Vec<u8>> {
    let share = size / parts;
    let of = |i: usize| if i == 0 { size - share * (parts - 1) } else { share };
    let byte = |i: usize, j: usize| u8::try_from((i * 7 + j * 31 + j / 251) % 256).unwrap();
    (0..parts).map(|i| (0..of(i)).map(|j| byte(i, j)).collect()).collect()
}
