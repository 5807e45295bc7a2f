//! The task of one connection, as a future that is polled by hand.
//!
//! ```text
//!          read              parse              exchange
//! stream --------> input ------------> incoming ---------> inbox
//! stream <-------- output <----------- outgoing <--------- outbox
//!          write             encode             exchange
//! ```
//!
//! Each round goes once through these steps; a poll is a bounded number of rounds. There is no
//! `select!` and no await in between, so nothing that was read or is to be written can be lost with
//! a future that is dropped half-way.
//!
//! Who sends a batch may encode and write in its own task; the connection's sees to what finds no room.

mod deadlines;
mod detaching;
mod reading;
mod scratch;
mod writing;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use deadlines::{Deadlines, Due};

use bytes::Buf;

use super::linger::Expected;
use super::reactor::{Place, Readiness, Ready, Response};
use super::transport::Transport;
use super::unwritten::Unwritten;
use crate::config::Release;
use crate::message::Message;
use crate::proto::Connection;
use crate::socket::{Direct, LeaveReason, Link, Order};

/// Rounds before other tasks have their turn. One by whose end so many bytes have been read is the last as
/// well: who receives a large message finds it in the cache, and its buffer is free for the next.
const ROUNDS: usize = 16;
const READ_MAX: usize = 64 << 10;

/// Bytes that wait to be written, or that have been read, of which more is expected to leave or to come in no
/// time.
const MUCH: usize = 16 << 10;

/// In this order, so that what is touched for each message of each connection lies together: of thousands of
/// connections, none is in the processor's cache.
#[derive(Debug)]
#[repr(C)]
struct Driver<S> {
    /// Nothing is under way, so messages may go the short ways.
    at_rest: bool,
    /// Everything in the connection's input has been parsed.
    parsed: bool,
    /// What is in `incoming` has found no room.
    stalled: bool,
    /// The stream has ended.
    ended: bool,
    end: End,
    stream: S,
    link: Link,
    /// Bytes that have been read in this poll.
    read: usize,
    incoming: VecDeque<Message>,
    connection: Connection,
    outgoing: VecDeque<Message>,
    unwritten: Unwritten,
    deadlines: Deadlines,
    /// The connection's own task, once it has been here.
    task: Option<Waker>,
    /// Bytes of an unfinished message that the table has been told of.
    held: usize,
    /// Writing failed, or the peer broke the protocol. What it sent before is still delivered.
    broken: Option<LeaveReason>,
    /// Why the task is to end, where that was found outside of it.
    over: Option<LeaveReason>,
}

/// How far an orderly end has come.
#[derive(Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// Write what is queued, then say that there is no more.
    Writing,
    /// Read on until the peer ends too: to close with bytes unread would reset a TCP connection
    /// and could take with it what the peer has not read.
    Reading,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The handshake had been finished.
    pub(super) joined: bool,
    pub(super) reason: LeaveReason,
}

/// Carries messages between a stream and its peer's place in the table until the connection ends.
pub(super) async fn drive<S: Transport + Send + 'static>(stream: S, link: Link) -> Ended {
    let connection = link.connection();
    go_on(stream, link, connection).await
}

/// Carries them on over a connection that is in traffic already, or that begins. It can be reached from now on, be the future polled
/// or not.
pub(super) fn go_on<S: Transport + Send + 'static>(
    stream: S,
    link: Link,
    connection: Connection,
) -> impl Future<Output = Ended> + Send {
    let driver = Arc::new(Mutex::new(Driver::new(stream, link, connection)));
    let direct: Arc<dyn Direct> = driver.clone();
    lock(&driver).link.offer(&direct);
    drop(direct);
    async move {
        let _membership = match Place::take(driver.clone()) {
            Ok((place, membership)) => {
                lock(&driver).watch(place);
                Some(membership)
            }
            Err(error) => {
                lock(&driver).over = Some(error.into());
                None
            }
        };
        poll_fn(|cx| lock(&driver).poll(cx)).await
    }
}

fn lock<S>(driver: &Mutex<Driver<S>>) -> MutexGuard<'_, Driver<S>> {
    // A panic half-way ends the task, and nobody else goes on with it.
    driver.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Transport> Driver<S> {
    fn new(stream: S, link: Link, mut connection: Connection) -> Self {
        connection.read_several(stream.reads_several());
        Self {
            at_rest: false,
            parsed: connection.buffered() == 0,
            stalled: false,
            ended: false,
            end: End::NotYet,
            stream,
            link,
            read: 0,
            incoming: VecDeque::new(),
            connection,
            outgoing: VecDeque::new(),
            unwritten: Unwritten::default(),
            deadlines: Deadlines::default(),
            task: None,
            held: 0,
            broken: None,
            over: None,
        }
    }

    fn watch(&mut self, place: Place) {
        if let Err(error) = self.stream.watch(place) {
            self.over = Some(error.into());
        }
    }

    /// Whether nothing is under way: what comes next is a message to read, or one to write.
    fn rests(&self) -> bool {
        let in_traffic = self.link.has_joined() && self.end == End::NotYet;
        let fails = self.ended || self.broken.is_some() || self.over.is_some();
        let waits = self.holds_input() || !self.outgoing.is_empty() || !self.deadlines.is_empty();
        in_traffic && !fails && !waits && self.connection.rests()
    }

    /// The table is looked at if there is something for it, and otherwise where `exchange` says so.
    fn poll_end(&mut self, cx: &mut Context<'_>, exchange: bool) -> Poll<LeaveReason> {
        self.at_rest = false;
        let end = self.with_scratch(|this| this.poll_rounds(cx, exchange));
        self.at_rest = end.is_pending() && self.rests();
        end.map(|result| result.err().unwrap_or(LeaveReason::Local))
    }

    fn poll_rounds(
        &mut self,
        cx: &mut Context<'_>,
        mut exchange: bool,
    ) -> Poll<Result<(), LeaveReason>> {
        // What could not be taken from there for what was still to be written has nobody else to tell of it.
        exchange |= self.has_taken_enough();
        self.read = 0;
        for _ in 0..ROUNDS {
            if self.end == End::Reading {
                if self.poll_rest(cx)?.is_pending() {
                    self.poll_timer(cx)?;
                    return Poll::Pending;
                }
                return Poll::Ready(Ok(()));
            }
            let (could_read, was_broken) = (self.may_read(), self.broken.is_some());
            let mut more = self.poll_read(cx);
            let joined = self.link.has_joined();
            self.parse()?;
            // The table knows of what is unfinished though nothing more may come.
            let _ = self.hold();
            // One that has just joined may find something in its outbox.
            exchange |= !self.incoming.is_empty() || joined != self.link.has_joined();
            // More is not taken from there before what was taken has been encoded.
            let held_back = exchange && self.has_taken_enough();
            if exchange {
                self.exchange(cx)?;
            }
            exchange = held_back;
            if !self.incoming.is_empty() && !self.parsed {
                self.connection.answer_ahead();
            }
            // There may be room to parse again or to read; where there is none any more, the peer is looked at.
            more |= self.may_parse() || could_read != self.may_read();
            let (written, empty) =
                if self.has_to_write() { self.poll_write(Some(cx)) } else { (false, true) };
            more |= written && held_back;
            if self.has_deadline() {
                more |= self.poll_timer(cx)?;
            }
            // What the peer sent before it could not be written to is still to be read.
            more |= !was_broken && self.broken.is_some();
            if self.end == End::Writing && empty && !held_back {
                if ready!(self.stream.poll_shutdown(cx)).is_err() || self.stream.refuses() {
                    return Poll::Ready(Ok(()));
                }
                self.end = End::Reading;
                // All has been written; a peer that never ends is not waited for without end.
                self.deadlines.finish_within(self.link.config().write_timeout);
                continue;
            }
            if self.ended {
                self.end_of_stream()?;
            }
            if more {
                if self.read < READ_MAX || self.stream.peer_has_closed() {
                    continue;
                }
                break;
            }
            return Poll::Pending;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn has_deadline(&self) -> bool {
        !self.deadlines.is_empty() || self.connection.next_timeout().is_some()
    }

    /// Tells the connection the time when it wants to know it, and sees to being woken when
    /// anything is due. Says whether anything was.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<bool, LeaveReason> {
        let mut progress = false;
        loop {
            // At the end nothing is read, so no sign of life is to be expected.
            let next = if self.end == End::NotYet { self.connection.next_timeout() } else { None };
            let Some(due) = self.deadlines.poll(cx, next) else { return Ok(progress) };
            match due {
                Due::Finish => return Err(self.broken.clone().unwrap_or(LeaveReason::Local)),
                Due::Write => return Err(LeaveReason::WriteTimeout),
                Due::Look if self.stream.peer_has_closed() => return Err(LeaveReason::Closed),
                Due::Look | Due::Connection => self.connection.handle_timeout(super::now())?,
            }
            progress = true;
        }
    }

    /// Ends the connection, after all messages have found room unless the application wants to
    /// hear of it before them.
    fn end_of_stream(&mut self) -> Result<(), LeaveReason> {
        let delivered = self.parsed && self.incoming.is_empty();
        if delivered && self.broken.is_none() {
            self.connection.handle_eof()?;
            self.stream.take_error()?;
        }
        if delivered || self.link.config().release == Release::Explicit {
            return Err(match self.broken.clone() {
                // It has ended in order. Whether anything is lost with it the table knows.
                None | Some(LeaveReason::Io(ErrorKind::BrokenPipe)) => LeaveReason::Closed,
                Some(reason) => reason,
            });
        }
        Ok(())
    }

    /// What is to be expected after a poll. A sender over TCP has much under way; one whose few messages fill
    /// the buffer has none before they are read.
    fn expected(&mut self) -> Expected {
        if self.deadlines.waits_to_write() && self.connection.transmit().remaining() >= MUCH {
            Expected::Room
        } else if self.read >= MUCH && !self.stream.reads_several() {
            Expected::More
        } else {
            Expected::Nothing
        }
    }

    fn exchange(&mut self, cx: &mut Context<'_>) -> Result<(), LeaveReason> {
        let takes = !self.has_taken_enough();
        let outgoing = takes.then_some(&mut self.outgoing);
        match self.link.exchange(&mut self.incoming, outgoing, cx.waker()) {
            Order::Run => {}
            Order::Finish(by) => {
                self.deadlines.finish_by(by);
                if self.end == End::NotYet && self.link.has_joined() {
                    self.end = End::Writing;
                    self.stream.prepare_end(self.link.is_deaf());
                }
            }
            Order::Abort(reason) => return Err(reason),
        }
        self.stalled = !self.incoming.is_empty();
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.task = Some(cx.waker().clone());
        }
        if self.deadlines.is_due() {
            // There may be what has not been told yet, and nobody is to be judged before it is seen.
            self.stream.note(Readiness { readable: true, writable: true, read_closed: false });
        }
        let reason = match self.over.clone() {
            Some(reason) => reason,
            None => ready!(self.poll_end(cx, true)),
        };
        self.conclude(&reason);
        Poll::Ready(Ended { joined: self.link.has_joined(), reason })
    }

    /// Tells of the end, once.
    fn conclude(&mut self, reason: &LeaveReason) {
        // Whoever waits for the lock finds that it is over.
        self.at_rest = false;
        self.over = Some(reason.clone());
        // One attempt to tell the peer what it did wrong, or who it is that turns it away.
        let owes_word = matches!(reason, LeaveReason::Protocol(_)) || !self.link.has_joined();
        if owes_word && !self.connection.transmit().is_empty() {
            let _ = self.poll_write_once(None);
        }
        let (mut unsent, cut_off) = self.unwritten.take(self.connection.transmit());
        unsent.append(&mut self.outgoing);
        self.link.leave(reason, unsent, cut_off);
    }

    /// Reads, parses and writes, where that is told.
    fn see_to(&mut self) -> Response {
        if self.over.is_some() {
            return Response::default();
        }
        // Before its task has been here for the first time, it will come.
        let Some(task) = self.task.take() else { return Response::default() };
        if let Poll::Ready(reason) = self.poll_end(&mut Context::from_waker(&task), false) {
            // With what it has sent last: who takes that up knows that nothing can be sent to it any more. Who is to hear of the
            // end first is given time to take it up.
            if self.link.config().release != Release::Explicit {
                self.conclude(&reason);
            }
            self.over = Some(reason);
            task.wake_by_ref();
        }
        self.task = Some(task);
        Response { read: self.read, expected: self.expected() }
    }
}

/// What there is to read is read where that is told; the task is woken only to end.
impl<S: Transport + Send> Ready for Mutex<Driver<S>> {
    fn ready(&self, readiness: Readiness) -> Response {
        let mut driver = lock(self);
        driver.stream.note(readiness);
        if driver.at_rest && driver.take_at_rest() {
            return Response { read: driver.read, expected: Expected::Nothing };
        }
        driver.see_to()
    }

    fn fail(&self) {
        let mut driver = lock(self);
        driver.at_rest = false;
        driver.over = Some(LeaveReason::Local);
        driver.link.wake();
    }
}

#[cfg(test)]
mod tests;
