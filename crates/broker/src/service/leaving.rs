//! A broker that ends, or leaves all to another one.

use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{BATCH, Broker, Failure, Outcome};
use crate::handover::Handover;

/// For requests that follow the last replies.
const LAST: Duration = Duration::from_millis(200);

impl Broker {
    /// Leaves all to who asked for it. The journal is nobody's from then on.
    pub(super) async fn hand_over(mut self, heir: oneshot::Sender<Handover>) -> Outcome {
        let listeners =
            tokio::join!(self.frontend.detach_listeners(), self.backend.detach_listeners());
        // Nobody else has a turn from here on, unless there is no room in the journal: what is received by now is the last.
        while self.receive_last() {
            let mut done = self.take_turn();
            if done.is_ok() && self.stuck.is_some() {
                done = self.wait_for_room().await;
            }
            if let Err(failure) = done {
                return self.outcome(Some(failure));
            }
        }
        let (estate, outcome) = (self.queue.estate(), self.outcome(None));
        let is_kept = self.journal.take().is_some();
        self.frontend.release_many(&estate.released);
        let (frontend, backend) = (self.frontend.detach(), self.backend.detach());
        let handover = Handover::new(estate, is_kept, listeners.into(), frontend, backend);
        // Who has asked may be gone, and all is closed.
        let _ = heir.send(handover);
        outcome
    }

    /// Waits for what workers have, and closes both sockets.
    pub(super) async fn end(mut self, mut failure: Option<Failure>) -> Outcome {
        if failure.is_none() {
            self.queue.drain();
            let drain = self.drain;
            // Too late or done, what is left is told below.
            let drained = timeout(drain, self.carry(|queue| queue.in_flight() == 0)).await;
            failure = drained.unwrap_or(Ok(())).err();
            if failure.is_none() && self.journal.is_some() {
                failure = self.keep_last().await.err();
            }
            failure = failure.or_else(|| self.stuck.take().map(|stuck| stuck.error.into()));
        }
        let outcome = self.outcome(failure);
        tokio::join!(self.frontend.close(), self.backend.close());
        outcome
    }

    /// Whoever has its reply asks again. What it asks is kept for the next broker.
    pub(super) async fn keep_last(&mut self) -> Result<(), Failure> {
        if let Ok(Err(failure)) = timeout(LAST, self.carry(|_| false)).await {
            return Err(failure);
        }
        while self.stuck.is_none() && self.receive_last() {
            self.take_turn()?;
        }
        Ok(())
    }

    /// Takes what there is. Says whether there is anything.
    fn receive_last(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        let backend = self.backend.poll_recv_many(cx, &mut self.events.0, BATCH);
        let frontend = self.frontend.poll_recv_many(cx, &mut self.events.1, BATCH);
        backend.is_ready() || frontend.is_ready()
    }
}
