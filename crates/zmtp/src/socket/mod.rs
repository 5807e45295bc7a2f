//! Sockets: what an application sends and receives, over any number of connections.

mod base;
mod budget;
mod entry;
mod hub;
mod monitor;
mod peer;
mod req;
mod router;
mod table;

use std::hash::{BuildHasher, RandomState};

pub(crate) use hub::{Hub, Link};
pub use monitor::{Monitor, MonitorEvent};
pub use peer::{LeaveReason, Origin, Peer, PeerId};
pub use req::{Req, ReqError};
pub use router::{Router, RouterEvent};
pub(crate) use table::Order;

/// A number that is hard to guess and costs no dependency: the keys of a new hash map.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
