//! The half of a connection that reads.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use super::super::transport::Transport;
use super::{Driver, End, ROUNDS};
use crate::config::Release;
use crate::message::Message;
use crate::proto::{Event, PeerInfo};
use crate::socket::LeaveReason;

/// Messages parsed before they are handed over.
const BATCH: usize = 64;

/// Bytes of an unfinished message that are not worth telling of.
const HOLD_STEP: usize = 64 << 10;

/// Bytes read from a peer whose messages find no room, to see whether it leaves.
const READ_AHEAD: usize = 64 << 10;

impl<S: Transport> Driver<S> {
    /// The short way of what mostly happens to a connection at rest: one short message arrives, and there is room
    /// for it. Says whether it is at rest after that too; if not, it is seen to by the long way.
    #[inline]
    pub(super) fn take_at_rest(&mut self) -> bool {
        self.read = 0;
        self.at_rest = Self::with_room(|room| self.take_message(room));
        self.at_rest
    }

    fn take_message(&mut self, room: &mut Vec<u8>) -> bool {
        // What there is to read is told where it is read.
        match self.stream.poll_read(&mut Context::from_waker(Waker::noop()), room) {
            Poll::Pending => return true,
            Poll::Ready(read) => self.note_read(read),
        }
        let Some(message) = self.connection.whole_message(room) else {
            self.connection.borrow(room);
            return false;
        };
        room.clear();
        self.parsed = true;
        self.incoming.extend(self.link.deliver(message).err());
        self.incoming.is_empty() && !self.stream.may_read_on()
    }

    pub(super) fn holds_input(&self) -> bool {
        !self.parsed || !self.incoming.is_empty() || self.connection.buffered() > 0
    }

    fn note_read(&mut self, read: io::Result<usize>) {
        match read {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.read = self.read.saturating_add(count);
                self.parsed = false;
            }
            Err(error) => {
                // What has been read is delivered first.
                self.broken.get_or_insert(error.into());
                self.ended = true;
            }
        }
    }

    /// What waits here is not joined by more, unless to see whether the peer leaves.
    pub(super) fn may_read(&self) -> bool {
        if self.incoming.is_empty() { self.parsed } else { self.connection.buffered() < READ_AHEAD }
    }

    /// Reads all there is, as far as there is room. Says whether there may be more.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        let may_read = self.may_read();
        let explicit = self.link.config().release == Release::Explicit;
        self.deadlines.look(!may_read && explicit && !self.incoming.is_empty());
        if !may_read || self.ended || self.end != End::NotYet || !self.hold() {
            return false;
        }
        for _ in 0..2 {
            let input = self.connection.receive();
            let Poll::Ready(read) = self.stream.poll_read(cx, input) else { return false };
            let is_full = input.len() == input.capacity();
            self.note_read(read);
            if self.ended || is_full {
                break;
            }
            if !self.stream.may_read_on() {
                return false;
            }
        }
        !self.ended
    }

    /// Tells the table how much of an unfinished message there is, as far as it matters. Says
    /// whether there may be more.
    pub(super) fn hold(&mut self) -> bool {
        let unfinished = if self.parsed { self.connection.buffered() } else { 0 };
        let held = if unfinished < HOLD_STEP { 0 } else { unfinished };
        if held == self.held && held == 0 {
            return true;
        }
        self.held = held;
        self.link.hold(held)
    }

    /// Whether there is more to parse, and room for it.
    pub(super) fn may_parse(&self) -> bool {
        !self.parsed && !self.stalled && self.incoming.len() < BATCH
    }

    pub(super) fn parse(&mut self) -> Result<(), LeaveReason> {
        while self.may_parse() {
            let message = self.parse_one()?;
            self.incoming.extend(message);
        }
        Ok(())
    }

    /// An error of the peer is the end of the stream: what came before it is delivered first.
    #[inline]
    fn parse_one(&mut self) -> Result<Option<Message>, LeaveReason> {
        match self.connection.next_event() {
            Ok(Some(Event::Message(message))) => {
                self.parsed = !self.connection.may_have_event();
                return Ok(Some(message));
            }
            Ok(Some(Event::Ready(info))) => self.join(info)?,
            Ok(None) => self.parsed = true,
            Err(error) => {
                self.broken = Some(error.into());
                (self.parsed, self.ended) = (true, true);
            }
        }
        Ok(None)
    }

    fn join(&mut self, info: Arc<PeerInfo>) -> Result<(), LeaveReason> {
        self.link.join(info)?;
        if self.link.probes() {
            // The handshake is over, and the message has a part.
            let _ = self.connection.send(Message::from(""));
        }
        Ok(())
    }

    /// Reads and drops what the peer still sends, until it ends or this side loses patience.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LeaveReason>> {
        self.exchange(cx)?;
        for _ in 0..ROUNDS {
            let input = self.connection.receive();
            input.clear();
            input.reserve(1);
            let count = ready!(self.stream.poll_read(cx, input))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            self.read = self.read.saturating_add(count);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
