//! A world in one thread: clients and workers around the real queue, over real connections, in a time of its own. What
//! happens next, and what goes wrong, is chosen by a seed or by a fuzzer.
//!
//! ```text
//!  Client ── theirs: Connection ══ pipes ══ ours: Connection ── World ── Queue
//!  Worker ── theirs: Connection ══ pipes ══ ours: Connection ──┘
//! ```
//!
//! [`World::run`] checks after every step that what the queue promises holds, and in the end, when nothing goes wrong
//! any more, that nobody is left without an answer.

mod choices;
mod client;
mod idle;
mod journal;
mod ledger;
mod link;
mod worker;
mod world;

pub use choices::Choices;
pub use world::{Bug, Plan, World};
