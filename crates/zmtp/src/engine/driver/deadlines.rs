//! [`Deadlines`]: when what has to have happened on a connection.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use tokio::time::{Instant, Sleep, sleep_until};

/// How often a peer whose messages find no room, and that has sent more than is read ahead, is
/// looked at: nothing else would tell that it has left.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// All deadlines of one connection. Most connections have none, and hold nothing for them.
#[derive(Debug, Default)]
pub(super) struct Deadlines(Option<Box<Pending>>);

/// Some deadlines, and one timer for the earliest.
#[derive(Debug, Default)]
struct Pending {
    /// When the peer should have taken something of what is to be written.
    write: Option<Instant>,
    /// When to see whether the peer has left behind what is not read.
    look: Option<Instant>,
    /// When the end has to have come, once it has begun.
    finish: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Finish,
    Write,
    Look,
    /// The protocol wants to know the time.
    Connection,
}

impl Deadlines {
    fn pending(&mut self) -> &mut Pending {
        self.0.get_or_insert_default()
    }

    /// Something waits to be written, from now on unless it already does.
    pub(super) fn write_within(&mut self, timeout: Duration) {
        let write = &mut self.pending().write;
        *write = write.or_else(|| Instant::now().checked_add(timeout));
    }

    #[inline]
    pub(super) fn waits_to_write(&self) -> bool {
        self.0.as_ref().is_some_and(|pending| pending.write.is_some())
    }

    #[inline]
    pub(super) fn has_written(&mut self) {
        if let Some(pending) = &mut self.0 {
            pending.write = None;
        }
    }

    /// Whether the time of one has come.
    pub(super) fn is_due(&self) -> bool {
        let timer = self.0.as_ref().and_then(|pending| pending.timer.as_ref());
        timer.is_some_and(|timer| timer.is_elapsed())
    }

    /// Looks at the peer in a while, or need not.
    pub(super) fn look(&mut self, needed: bool) {
        if needed {
            let look = &mut self.pending().look;
            *look = look.or_else(|| Instant::now().checked_add(LOOK_INTERVAL));
        } else if let Some(pending) = &mut self.0 {
            pending.look = None;
        }
    }

    /// The earliest end counts.
    pub(super) fn finish_by(&mut self, by: Instant) {
        let finish = &mut self.pending().finish;
        *finish = Some(finish.map_or(by, |earlier| earlier.min(by)));
    }

    pub(super) fn finish_within(&mut self, timeout: Duration) {
        if let Some(by) = Instant::now().checked_add(timeout) {
            self.finish_by(by);
        }
    }

    /// Whether there are none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What is due now, the gravest first. If nothing is, the task is woken when something will be;
    /// `connection` is when the protocol wants to know the time.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: Option<StdInstant>,
    ) -> Option<Due> {
        let deadlines = self.0.as_deref().map(|it| [it.write, it.look, it.finish]);
        let others = deadlines.into_iter().flatten().flatten();
        let Some(at) = others.chain(connection.map(Instant::from_std)).min() else {
            self.0 = None;
            return None;
        };
        let pending = self.pending();
        let timer = pending.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        let Poll::Ready(()) = timer.as_mut().poll(cx) else { return None };
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= at);
        if is_due(pending.finish) {
            return Some(Due::Finish);
        }
        if is_due(pending.write) {
            return Some(Due::Write);
        }
        if is_due(pending.look) {
            pending.look = None;
            return Some(Due::Look);
        }
        Some(Due::Connection)
    }
}
