//! [`Report`]: who did what was wrong; [`PeerChange`]: who has come and gone; [`JournalChange`]: what becomes of the journal.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zmtp::{LeaveReason, Peer};

use crate::journal::JournalError;
use crate::queue::{Cause, Side, Violation};

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
    /// The number of the request that it is about, if that is one's lease.
    pub request: Option<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, routing_id, address, violation, request } = self;
        write!(f, "{side} {} at {address}: {violation}", routing_id.escape_ascii())?;
        request.map_or(Ok(()), |number| write!(f, " (request {number})"))
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
    /// The number of the request that it had then, if it is a worker.
    pub had: Option<u64>,
}

impl<'a> PeerChange<'a> {
    pub(crate) fn joined(side: Side, peer: &'a Peer) -> Self {
        Self { side, peer, left: None, had: None }
    }

    pub(crate) fn left(side: Side, peer: &'a Peer, reason: &'a LeaveReason) -> Self {
        Self { side, peer, left: Some(reason), had: None }
    }
}

impl fmt::Display for PeerChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, peer, left, had } = self;
        let socket_type = peer.info.socket_type;
        write!(f, "{side} {} at {}", peer.routing_id.escape_ascii(), peer.address)?;
        match left {
            None => write!(f, " has joined, a {socket_type}"),
            Some(reason) => {
                f.write_str(" has left")?;
                match had {
                    Some(number) if Cause::from(*reason) == Cause::NotRead => {
                        write!(f, ", perhaps before it had read request {number}")?;
                    }
                    Some(number) => write!(f, " with request {number}")?,
                    None => {}
                }
                write!(f, ": {reason}")
            }
        }
    }
}

/// What becomes of a broker's [journal](crate::Broker::with_journal).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalChange {
    /// There is no room to write to it. Nothing goes on, and nothing is received, before there is, which is tried each second.
    Full(JournalError),
    /// There is room again.
    GoesOn,
    /// It has grown long and cannot be begun anew. It grows on, and that is tried again when it has grown by 64 MiB.
    TooLong(JournalError),
}

impl fmt::Display for JournalChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(error) => write!(f, "{error}; nothing goes on before there is room"),
            Self::GoesOn => f.write_str("there is room for the journal again"),
            Self::TooLong(error) => {
                write!(f, "{error}; the journal could not be begun anew, and grows on")
            }
        }
    }
}

pub(crate) type OnReport = Box<dyn Fn(&Report) + Send>;
pub(crate) type OnPeerChange = Box<dyn Fn(PeerChange<'_>) + Send>;
pub(crate) type OnJournalChange = Box<dyn Fn(&JournalChange) + Send>;

#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) report: Option<OnReport>,
    pub(crate) change: Option<OnPeerChange>,
    pub(crate) journal: Option<OnJournalChange>,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").finish_non_exhaustive()
    }
}

impl Reports {
    pub(crate) fn add(&self, peer: &Peer, side: Side, violation: Violation, request: Option<u64>) {
        let Some(report) = &self.report else { return };
        report(&Report {
            side,
            routing_id: peer.routing_id.clone(),
            address: peer.address.clone(),
            violation,
            request,
        });
    }

    pub(crate) fn tell_of_journal(&self, change: &JournalChange) {
        if let Some(tell) = &self.journal {
            tell(change);
        }
    }

    pub(crate) fn add_change(&self, change: PeerChange<'_>) {
        if let Some(tell) = &self.change {
            tell(change);
        }
    }
}
