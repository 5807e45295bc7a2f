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

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use super::stream::Transport;
use super::unwritten::Unwritten;
use crate::config::Release;
use crate::message::Message;
use crate::proto::{Connection, Event, PeerInfo};
use crate::socket::{LeaveReason, Link, Order};

/// Rounds before other tasks have their turn: with `BATCH`, some thousand messages.
const ROUNDS: usize = 16;

/// Messages parsed before they are handed over.
const BATCH: usize = 64;

/// Bytes encoded before they are written.
const WRITE_SIZE: usize = 64 << 10;

/// Slices passed to one vectored write.
const SLICES: usize = 64;

/// Bytes of an unfinished message that are not worth telling of.
const HOLD_STEP: usize = 64 << 10;

/// Bytes read from a peer whose messages find no room, to see whether it leaves.
const READ_AHEAD: usize = 64 << 10;

/// How often a peer whose messages find no room, and that has sent more than is read ahead, is
/// looked at: nothing else would tell that it has left.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
#[must_use = "a connection does nothing unless it is polled"]
pub(super) struct Driver<S> {
    stream: S,
    connection: Connection,
    link: Link,
    incoming: VecDeque<Message>,
    outgoing: VecDeque<Message>,
    /// Everything in the connection's input has been parsed.
    parsed: bool,
    /// The stream has ended.
    ended: bool,
    /// Writing failed, or the peer broke the protocol. What it sent before is still delivered.
    broken: Option<LeaveReason>,
    /// Bytes of an unfinished message that the table has been told of.
    held: usize,
    /// When the peer should have taken something of what is to be written.
    write_deadline: Option<Instant>,
    /// When to see whether the peer has left behind what is not read.
    look_at: Option<Instant>,
    end: End,
    /// When the end has to have come, once it has begun.
    finish_by: Option<Instant>,
    unwritten: Unwritten,
    timer: Option<Pin<Box<Sleep>>>,
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

impl<S: Transport> Driver<S> {
    pub(super) fn new(stream: S, link: Link) -> Self {
        let connection = link.connection();
        Self {
            stream,
            connection,
            link,
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            parsed: true,
            ended: false,
            broken: None,
            held: 0,
            write_deadline: None,
            look_at: None,
            end: End::NotYet,
            finish_by: None,
            unwritten: Unwritten::default(),
            timer: None,
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<LeaveReason> {
        self.poll_rounds(cx).map(|result| result.err().unwrap_or(LeaveReason::Local))
    }

    fn poll_rounds(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LeaveReason>> {
        let mut exchange = true;
        for _ in 0..ROUNDS {
            if self.end == End::Reading {
                if self.poll_rest(cx)?.is_pending() {
                    self.poll_timer(cx)?;
                    return Poll::Pending;
                }
                return Poll::Ready(Ok(()));
            }
            let mut progress = self.poll_read(cx);
            let joined = self.link.has_joined();
            progress |= self.parse()?;
            // One that has just joined may find something in its outbox.
            exchange |= !self.incoming.is_empty() || joined != self.link.has_joined();
            // More is not taken from there before what was taken has been encoded.
            let held_back = exchange && !self.outgoing.is_empty();
            if exchange {
                self.exchange(cx)?;
            }
            exchange = held_back;
            if !self.incoming.is_empty() && !self.parsed {
                self.connection.answer_ahead();
            }
            // There may be room to parse again.
            progress |= !self.parsed && self.incoming.len() < BATCH;
            let (written, empty) = self.poll_write(cx);
            progress |= written | self.poll_timer(cx)?;
            if self.end == End::Writing && empty && !held_back {
                if ready!(Pin::new(&mut self.stream).poll_shutdown(cx)).is_err() {
                    return Poll::Ready(Ok(()));
                }
                self.end = End::Reading;
                // All has been written; a peer that never ends is not waited for without end.
                let patience = Instant::now().checked_add(self.link.config().write_timeout);
                self.finish_by = self.finish_by.into_iter().chain(patience).min();
                continue;
            }
            if self.ended {
                self.end_of_stream()?;
            }
            if progress {
                continue;
            }
            return match &self.broken {
                // A peer that has closed sends no more than has been read.
                Some(reason) if self.parsed && self.incoming.is_empty() => {
                    Poll::Ready(Err(reason.clone()))
                }
                _ => Poll::Pending,
            };
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells the connection the time when it wants to know it, and sees to being woken when
    /// anything is due. Says whether anything was.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<bool, LeaveReason> {
        let mut progress = false;
        loop {
            // At the end nothing is read, so no sign of life is to be expected.
            let next = if self.end == End::NotYet { self.connection.next_timeout() } else { None };
            let next = next.map(Instant::from_std);
            let others = [self.write_deadline, self.look_at, self.finish_by].into_iter().flatten();
            let Some(at) = next.into_iter().chain(others).min() else {
                self.timer = None;
                return Ok(progress);
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Ok(progress);
            }
            if self.finish_by.is_some_and(|deadline| deadline <= at) {
                return Err(LeaveReason::Local);
            }
            if self.write_deadline.is_some_and(|deadline| deadline <= at) {
                return Err(LeaveReason::WriteTimeout);
            }
            if self.look_at.is_some_and(|look_at| look_at <= at) {
                self.look_at = None;
                if self.stream.peer_has_closed() {
                    return Err(LeaveReason::Closed);
                }
            }
            self.connection.handle_timeout(super::now())?;
            progress = true;
        }
    }

    /// Tells the table how much of an unfinished message there is, as far as it matters. Says
    /// whether there may be more.
    fn hold(&mut self) -> bool {
        let unfinished = if self.parsed { self.connection.buffered() } else { 0 };
        let held = if unfinished < HOLD_STEP { 0 } else { unfinished };
        if held == self.held && held == 0 {
            return true;
        }
        self.held = held;
        self.link.hold(held)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let may_read = match (self.incoming.is_empty(), self.parsed) {
            (true, parsed) => parsed,
            (false, _) => self.connection.buffered() < READ_AHEAD,
        };
        let explicit = self.link.config().release == Release::Explicit;
        if !may_read && explicit && !self.incoming.is_empty() {
            self.look_at = self.look_at.or_else(|| Instant::now().checked_add(LOOK_INTERVAL));
        } else {
            self.look_at = None;
        }
        if !may_read || self.ended || self.end != End::NotYet || !self.hold() {
            return false;
        }
        match poll_read_buf(Pin::new(&mut self.stream), cx, self.connection.receive()) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => self.ended = true,
            Poll::Ready(Ok(_)) => self.parsed = false,
            Poll::Ready(Err(error)) => {
                // What has been read is delivered first.
                self.broken.get_or_insert(error.into());
                self.ended = true;
            }
        }
        true
    }

    /// Ends the connection, after all messages have found room unless the application wants to
    /// hear of it before them.
    fn end_of_stream(&mut self) -> Result<(), LeaveReason> {
        let delivered = self.parsed && self.incoming.is_empty();
        if delivered && self.broken.is_none() {
            self.connection.handle_eof()?;
        }
        if delivered || self.link.config().release == Release::Explicit {
            return Err(self.broken.clone().unwrap_or(LeaveReason::Closed));
        }
        Ok(())
    }

    /// Says whether there was anything. An error is the end of the stream: what came before it is
    /// delivered first.
    fn parse(&mut self) -> Result<bool, LeaveReason> {
        let mut progress = false;
        while !self.parsed && self.incoming.len() < BATCH {
            match self.connection.next_event() {
                Ok(Some(Event::Message(message))) => self.incoming.push_back(message),
                Ok(Some(Event::Ready(info))) => self.join(info)?,
                Ok(None) => self.parsed = true,
                Err(error) => {
                    self.broken = Some(error.into());
                    (self.parsed, self.ended) = (true, true);
                }
            }
            progress = true;
        }
        Ok(progress)
    }

    fn join(&mut self, info: Arc<PeerInfo>) -> Result<(), LeaveReason> {
        self.link.join(info)?;
        if self.link.probes() {
            // The handshake is over, and the message has a part.
            let _ = self.connection.send(Message::from(""));
        }
        Ok(())
    }

    fn exchange(&mut self, cx: &mut Context<'_>) -> Result<(), LeaveReason> {
        match self.link.exchange(&mut self.incoming, &mut self.outgoing, cx.waker()) {
            Order::Run => {}
            Order::Finish(by) => {
                self.finish_by = Some(self.finish_by.map_or(by, |earlier| earlier.min(by)));
                if self.end == End::NotYet && self.link.has_joined() {
                    self.end = End::Writing;
                }
            }
            Order::Abort(reason) => return Err(reason),
        }
        Ok(())
    }

    /// Says whether anything was written, and whether nothing is left to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> (bool, bool) {
        let mut progress = false;
        loop {
            if self.broken.is_some() {
                return (false, true);
            }
            while self.connection.transmit().remaining() < WRITE_SIZE {
                let Some(message) = self.outgoing.pop_front() else { break };
                self.unwritten.push(message.wire_size());
                // Only messages of a joined peer are taken from the table, and none is empty.
                let _ = self.connection.send(message);
            }
            if self.connection.transmit().is_empty() {
                return (progress, true);
            }
            match self.poll_write_once(cx) {
                Poll::Pending => {
                    let timeout = self.link.config().write_timeout;
                    let deadline = || Instant::now().checked_add(timeout);
                    self.write_deadline = self.write_deadline.or_else(deadline);
                    return (progress, false);
                }
                Poll::Ready(result) => self.broken = result.err().map(LeaveReason::from),
            }
            self.write_deadline = None;
            progress = true;
        }
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transmit = self.connection.transmit();
        let stream = Pin::new(&mut self.stream);
        let written = if transmit.chunk().len() == transmit.remaining() {
            ready!(stream.poll_write(cx, transmit.chunk()))?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = transmit.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            ready!(stream.poll_write_vectored(cx, slices))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        transmit.advance(written);
        self.unwritten.note_remaining(transmit.remaining());
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what the peer still sends, until it ends or this side loses patience.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LeaveReason>> {
        self.exchange(cx)?;
        for _ in 0..ROUNDS {
            let input = self.connection.receive();
            input.clear();
            input.reserve(1);
            if ready!(poll_read_buf(Pin::new(&mut self.stream), cx, input))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: Transport> Future for Driver<S> {
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let this = self.get_mut();
        let reason = ready!(this.poll_end(cx));
        // One attempt to tell the peer what it did wrong.
        if matches!(reason, LeaveReason::Protocol(_)) && !this.connection.transmit().is_empty() {
            let _ = this.poll_write_once(cx);
        }
        let (mut unsent, cut_off) = this.unwritten.take(this.connection.transmit());
        unsent.append(&mut this.outgoing);
        this.link.leave(reason.clone(), unsent, cut_off);
        Poll::Ready(Ended { joined: this.link.has_joined(), reason })
    }
}

#[cfg(test)]
mod tests;
