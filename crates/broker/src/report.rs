//! [`Report`]: who did what was wrong; [`PeerChange`]: who has come and gone.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp::{LeaveReason, Peer};

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
    /// How many others were not reported before this, because there were too many.
    pub missed: u32,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, routing_id, address, violation, missed } = self;
        write!(f, "{side} {} at {address}: {violation}", routing_id.escape_ascii())?;
        if *missed > 0 {
            write!(f, " ({missed} reports were left out before)")?;
        }
        Ok(())
    }
}

/// A peer has come or gone.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PeerChange<'a> {
    /// Where the peer is or was connected.
    pub side: Side,
    /// Who it is.
    pub peer: &'a Peer,
    /// Why it has gone, if it has.
    pub left: Option<&'a LeaveReason>,
}

impl fmt::Display for PeerChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, peer, left } = self;
        let socket_type = peer.info.socket_type;
        write!(f, "{side} {} at {}", peer.routing_id.escape_ascii(), peer.address)?;
        match left {
            None => write!(f, " has joined, a {socket_type}"),
            Some(reason) => write!(f, " has left: {reason}"),
        }
    }
}

pub(crate) type OnReport = Box<dyn Fn(&Report) + Send>;
pub(crate) type OnPeerChange = Box<dyn Fn(PeerChange<'_>) + Send>;

#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) report: Option<OnReport>,
    pub(crate) change: Option<OnPeerChange>,
    /// The second that counts, and how many reports there were in it.
    since: Option<Instant>,
    count: u32,
    /// Those of the second before that were too many.
    missed: u32,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Reports {
    pub(crate) fn add(&mut self, peer: &Peer, side: Side, violation: Violation) {
        let Some(report) = &self.report else { return };
        if self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            self.since = Some(Instant::now());
            self.missed = self.count.saturating_sub(REPORTS_PER_SECOND);
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
            missed: std::mem::take(&mut self.missed),
        });
    }

    pub(crate) fn add_change(&self, side: Side, peer: &Peer, left: Option<&LeaveReason>) {
        if let Some(change) = &self.change {
            change(PeerChange { side, peer, left });
        }
    }
}
