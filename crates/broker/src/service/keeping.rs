//! A broker that keeps what happens in a journal.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::yield_now;

use super::{BATCH, Broker, Failure};
use crate::journal::{Journal, JournalError};
use crate::queue::{Replay, Restored};
use crate::report::JournalChange;
use crate::timer::{Timer, now};

/// Between two attempts to write what there was no room for.
const RETRY: Duration = Duration::from_secs(1);

/// There is no room in the journal for what happened last, and nothing follows from it before there is.
#[derive(Debug)]
pub(crate) struct Stuck {
    pub(super) error: JournalError,
    /// Until when that is not tried again.
    pub(super) until: Instant,
}

impl Broker {
    /// Goes on with what is left of a journal, and keeps all that happens in it. Where there is no room for that nothing goes on, and
    /// nothing is received, until there is. Once it cannot be written for another reason, the broker
    /// [ends](crate::Outcome::failure).
    ///
    /// # Errors
    ///
    /// If the journal cannot be begun anew, cannot hold messages as large as they may be, or is not the one of the broker
    /// with which this one [goes on](crate::Builder::go_on), and not empty.
    pub fn with_journal(
        mut self,
        mut journal: Journal,
        replay: Replay,
    ) -> Result<(Self, Restored), JournalError> {
        journal.check_message_size(self.max_message_size)?;
        if self.inherited.as_ref().is_some_and(|inherited| !inherited.is_kept()) {
            journal.check_unused(&replay)?;
        }
        let restored = self.queue.restore(replay);
        self.queue.keep_records();
        let goes_on = self.inherited.is_some();
        self.take_in();
        journal.prepare(&self.queue.snapshot())?;
        // That has it all.
        self.queue.take_records().for_each(drop);
        if !goes_on {
            journal.switch()?;
        }
        self.journal = Some(journal);
        Ok((self, restored))
    }

    /// Goes on with the peers of an earlier broker.
    pub(super) fn take_in(&mut self) {
        if let Some(inherited) = self.inherited.take() {
            self.queue.set_time(now());
            inherited.join(&mut self.queue);
        }
    }

    /// The journal is that of an earlier broker, which may go on itself, until this one does.
    pub(super) fn take_journal(&mut self) -> Result<(), Failure> {
        if let Some(journal) = &mut self.journal {
            journal.switch()?;
        }
        Ok(())
    }

    /// Takes all that connections have read and can read at once.
    pub(super) async fn gather(&mut self) {
        let count = |events: &(Vec<_>, Vec<_>)| events.0.len() + events.1.len();
        let (mut before, mut now) = (0, count(&self.events));
        while before < now && now < BATCH {
            yield_now().await;
            poll_fn(|cx| {
                let _ = self.backend.poll_recv_many(cx, &mut self.events.0, BATCH);
                let _ = self.frontend.poll_recv_many(cx, &mut self.events.1, BATCH);
                Poll::Ready(())
            })
            .await;
            (before, now) = (now, count(&self.events));
        }
    }

    /// Does nothing but what it is told to, until there is room in the journal for what is to be kept.
    pub(super) async fn wait_for_room(&mut self) -> Result<(), Failure> {
        let mut timer = Timer::default();
        while let Some(until) = self.stuck.as_ref().map(|stuck| stuck.until) {
            poll_fn(|cx| {
                while self.orders.as_mut().is_some_and(|orders| orders.poll_waiting(cx)) {
                    self.follow_orders();
                }
                timer.poll_due(cx, until)
            })
            .await;
            self.take_turn()?;
        }
        Ok(())
    }

    /// A journal that has grown long is begun anew. One that cannot be is as good as it was.
    #[cold]
    pub(super) fn shorten_journal(&mut self) -> Result<(), Failure> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if journal.is_long() {
            match journal.prepare(&self.queue.snapshot()) {
                Ok(()) => journal.switch()?,
                Err(error) => {
                    journal.put_off();
                    self.reports.tell_of_journal(&JournalChange::TooLong(error));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn begin_journal_anew(&mut self) -> Result<(), JournalError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.begin_anew(&self.queue.snapshot())?;
        // That has it all.
        self.queue.take_records().for_each(drop);
        Ok(())
    }

    /// Keeps what the next broker has to know before anything follows from it. Says whether it may.
    #[cold]
    pub(super) fn keep(&mut self) -> Result<bool, Failure> {
        let Some(journal) = &mut self.journal else { return Ok(true) };
        self.queue.take_records().for_each(|record| journal.add(&record));
        match journal.write() {
            Ok(()) => {
                if self.stuck.take().is_some() {
                    self.reports.tell_of_journal(&JournalChange::GoesOn);
                }
                Ok(true)
            }
            Err(error) if error.is_full() => {
                if self.stuck.is_none() {
                    // One with what is left may be shorter.
                    if self.begin_journal_anew().is_ok() {
                        return Ok(true);
                    }
                    self.reports.tell_of_journal(&JournalChange::Full(error.clone()));
                }
                self.stuck = Some(Box::new(Stuck { error, until: now() + RETRY }));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
