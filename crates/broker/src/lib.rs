//! An LRU request queue between ordinary ZeroMQ clients and workers.
//!
//! ```text
//! REQ clients --> frontend (ROUTER) --> [queue] --> backend (ROUTER) --> REQ workers
//! ```
//!
//! A worker connects to the backend and sends `READY`. From then on it is handed one request at a
//! time, and its answer goes back to the client that asked. The worker that has been idle longest
//! gets the next request; a request waits while no worker is idle.
//!
//! [`Queue`] decides who gets what and knows nothing of sockets or time; [`Broker`] carries it out.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = broker::Broker::builder()
//!     .frontend("tcp://127.0.0.1:5555".parse()?)
//!     .backend("ipc://backend.ipc".parse()?)
//!     .bind()
//!     .await?;
//! // A task of its own: it finds all that those of the connections have read.
//! tokio::spawn(broker.run(std::future::pending())).await?;
//! # Ok(())
//! # }
//! ```

#![warn(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a peer sends must not be able to end the process"
)]

mod batch;
mod builder;
mod config;
mod fields;
mod handle;
mod handover;
mod journal;
mod peer_map;
mod queue;
mod report;
mod service;
mod start_error;
mod tap;
mod timer;

pub use builder::Builder;
pub use config::{Config, backend_limits};
pub use handle::{Ended, Handle};
pub use handover::{Handover, Part};
pub use journal::{Durability, Journal, JournalError, Trouble};
pub use queue::{
    Action, Asked, AtLimit, Cause, ClientStatus, Counters, DeadLetter, Estate, Faults, GaveUp,
    Histogram, Loss, OnWorkerLoss, Policy, Queue, Record, Replay, Restored, Side, Status, Times,
    Violation, WorkerState, WorkerStatus,
};
pub use report::{JournalChange, PeerChange, Report};
pub use service::{Broker, Outcome};
pub use start_error::StartError;
pub use tap::{Excerpt, Passed, Tap};
