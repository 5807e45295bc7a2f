//! Sockets: what an application sends and receives, over any number of connections.

mod base;
mod budget;
mod dealer;
mod detached;
mod direct;
mod entry;
mod event;
mod hub;
mod monitor;
mod outlet;
mod peer;
mod recv_error;
mod rep;
mod req;
mod router;
mod sink;
mod table;

use std::hash::{BuildHasher, RandomState};

pub use base::Socket;
pub use dealer::{Dealer, DealerSender};
pub use detached::{DetachedConnection, DetachedListener};
pub(crate) use direct::{Direct, Remains};
pub use event::PeerEvent;
pub(crate) use hub::{Hub, Link};
pub use monitor::{Monitor, MonitorEvent};
pub(crate) use outlet::EndpointId;
pub use outlet::Unsent;
pub use peer::{LeaveReason, Origin, Peer, PeerId};
pub use recv_error::RecvError;
pub use rep::Rep;
pub use req::{Req, ReqError};
pub use router::{Router, RouterSender};
pub(crate) use table::Order;

/// A number that is hard to guess and costs no dependency: the keys of a new hash map.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
