//! [`Peers`]: what the log says of peers, of each kind of thing as much as is of use.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use broker::{PeerChange, Report, Side, Violation};
use tokio::sync::Notify;
use tokio::time::sleep_until;
use zmtp::{LeaveReason, Monitor, MonitorEvent, ProtocolError};

use super::limit::{Limit, Untold, What, When, Who};
use crate::connections::{Connections, Fate, Shared};
use crate::descriptors;

/// What has been told of whom. All of them are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    limit: Arc<Mutex<Limit>>,
    left_out: Arc<Notify>,
}

impl Peers {
    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is to be told now.
    fn may_tell(&self, who: Who<'_>, what: &What, sentence: impl FnOnce() -> String) -> bool {
        let when = self.limit().tell(who, what, Instant::now(), sentence);
        if when == When::Later {
            self.left_out.notify_one();
        }
        when == When::Now
    }

    /// Says what a peer does wrong.
    pub(crate) fn tell_of_report(&self, report: &Report) {
        let Report { side, address, violation: reason, request, .. } = report;
        let who = Who { side: *side, name: &report.routing_id, address };
        if self.may_tell(who, &What::Fault(*reason), || report.to_string()) {
            let identity = report.routing_id.escape_ascii();
            tracing::warn!(%side, %identity, %address, %reason, request, "{report}");
        }
    }

    /// Says who has come and gone. A worker that leaves with a request, or gives no sign of life, is worth a warning, and so is
    /// whoever is disconnected for what it has sent.
    pub(crate) fn tell_of_change(&self, change: PeerChange<'_>) {
        let PeerChange { side, peer, left, had, .. } = change;
        let address = &*peer.address;
        let identity = peer.routing_id.escape_ascii();
        let Some(reason) = left else {
            return tracing::debug!(%side, %identity, %address, "{change}");
        };
        let who = Who { side, name: &peer.routing_id, address };
        let what = || What::Left(reason.clone());
        let is_lost = *reason == LeaveReason::Protocol(ProtocolError::HeartbeatTimeout);
        let matters =
            had.is_some() || Violation::is_cause_of(reason) || (is_lost && side == Side::Backend);
        if matters && self.may_tell(who, &what(), || change.to_string()) {
            tracing::warn!(%side, %identity, %address, %reason, request = had, "{change}");
        } else {
            tracing::debug!(%side, %identity, %address, %reason, "{change}");
        }
    }

    /// Says what happens to connections without a handshake, and to endpoints.
    pub(crate) async fn follow(self, mut monitor: Monitor, side: Side, connections: Shared) {
        while let Some(event) = monitor.recv().await {
            match &event {
                MonitorEvent::HandshakeFailed(address, reason) => {
                    Connections::note(&connections, side, Fate::Failed);
                    self.tell_of_connection(side, address, reason.to_string(), &event.to_string());
                }
                MonitorEvent::Refused(address) => {
                    Connections::note(&connections, side, Fate::Refused);
                    let sentence = format!("{event}{}", descriptors::advice());
                    let reason = "too many connections".to_owned();
                    self.tell_of_connection(side, address, reason, &sentence);
                }
                // The pauses between attempts keep this from being a flood.
                MonitorEvent::AcceptFailed(..) => tracing::warn!(%side, "{event}; trying again"),
                _ => tracing::debug!(%side, "{event}"),
            }
        }
    }

    fn tell_of_connection(&self, side: Side, address: &str, reason: String, sentence: &str) {
        let (who, what) = (Who { side, name: b"", address }, What::NoHandshake(reason));
        if self.may_tell(who, &what, || sentence.to_owned()) {
            tracing::warn!(%side, %address, reason = %what, "{sentence}");
        }
    }

    /// Says how much was left out, when it is time.
    pub(crate) async fn tell_of_more(self) {
        loop {
            let due = self.limit().next_due();
            let pause = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // It may be due earlier.
                () = self.left_out.notified() => {}
                () = pause => {
                    let due = self.limit().take_due(Instant::now());
                    due.iter().for_each(tell_of_untold);
                }
            }
        }
    }

    /// Says how much was left out so far.
    pub(crate) fn tell_of_rest(&self) {
        let rest = self.limit().take_rest();
        rest.iter().for_each(tell_of_untold);
    }
}

fn tell_of_untold(untold: &Untold) {
    match untold {
        Untold::More(line, more) => {
            let (side, address, reason) = (line.side, &line.address, &line.what);
            let identity = (!line.name.is_empty()).then(|| line.name.escape_ascii().to_string());
            let sentence = &line.sentence;
            tracing::warn!(%side, identity, %address, %reason, more, "{sentence}; {more} more lately");
        }
        Untold::Others(1) => tracing::warn!("one more fault of a peer was left out"),
        Untold::Others(others) => tracing::warn!("{others} more faults of peers were left out"),
    }
}
