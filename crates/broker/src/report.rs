//! [`Report`]: who did what was wrong.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp::{Peer, PeerId, Router};

use crate::queue::{Side, Violation};

/// Reports in a second; a flood of them is counted and no more.
const REPORTS_PER_SECOND: u32 = 10;

/// A peer did something wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Where the peer is connected.
    pub side: Side,
    /// What the peer is called on the wire.
    pub routing_id: Bytes,
    /// Where it is.
    pub address: Arc<str>,
    /// What was wrong.
    pub violation: Violation,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, routing_id, address, violation } = self;
        let who = match side {
            Side::Frontend => "client",
            Side::Backend => "worker",
        };
        write!(f, "{who} {} at {address}: {violation}", routing_id.escape_ascii())
    }
}

pub(crate) type OnReport = Box<dyn Fn(&Report) + Send>;

#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) report: Option<OnReport>,
    /// The second that counts, and how many reports there were in it.
    since: Option<Instant>,
    count: u32,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Reports {
    pub(crate) fn add(&mut self, socket: &Router, side: Side, id: PeerId, violation: Violation) {
        if self.report.is_some()
            && let Some(peer) = socket.peer(id)
        {
            self.add_peer(&peer, side, violation);
        }
    }

    pub(crate) fn add_peer(&mut self, peer: &Peer, side: Side, violation: Violation) {
        let Some(report) = &self.report else { return };
        if self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            self.since = Some(Instant::now());
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if self.count > REPORTS_PER_SECOND {
            return;
        }
        report(&Report {
            side,
            routing_id: peer.routing_id.clone(),
            address: peer.address.clone(),
            violation,
        });
    }
}
