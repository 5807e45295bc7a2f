//! The half of a connection that writes: in its own task, or in that of who sends.

use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use bytes::Buf;

use super::super::transport::Transport;
use super::{Driver, End, lock};
use crate::error::SendError;
use crate::message::Message;
use crate::socket::{Direct, Remains};

/// Bytes to be written beyond which no more messages are taken for it.
const TAKE_SIZE: usize = 64 << 10;

/// Bytes of the messages taken that are put together before they are written, of those that are copied
/// for it and in all.
const COPY_SIZE: usize = 64 << 10;
const WRITE_SIZE: usize = 1 << 20;

/// Slices passed to one vectored write.
const SLICES: usize = 64;

impl<S: Transport> Driver<S> {
    #[inline]
    pub(super) fn has_to_write(&mut self) -> bool {
        !self.outgoing.is_empty() || !self.connection.transmit().is_empty()
    }

    /// Whether what was taken to be written is so much that no more is taken.
    pub(super) fn has_taken_enough(&mut self) -> bool {
        !self.outgoing.is_empty() || self.connection.transmit().remaining() >= TAKE_SIZE
    }

    /// Says whether anything was written, and whether nothing is left to write. Without a task that
    /// waits for room, what finds none is left to it.
    pub(super) fn poll_write(&mut self, mut cx: Option<&mut Context<'_>>) -> (bool, bool) {
        let mut progress = false;
        loop {
            if self.broken.is_some() {
                return (false, true);
            }
            if !self.encode() {
                return (progress, true);
            }
            let all = self.outgoing.is_empty();
            match self.poll_write_once(cx.as_deref_mut()) {
                Poll::Pending => {
                    self.deadlines.write_within(self.link.config().write_timeout);
                    return (progress, false);
                }
                Poll::Ready(Err(error)) => self.break_off(error),
                Poll::Ready(Ok(())) => {}
            }
            self.deadlines.has_written();
            progress = true;
            if all && self.broken.is_none() && self.connection.transmit().is_empty() {
                return (true, true);
            }
        }
    }

    /// Nothing can be written any more. What the peer has sent, and may be sending yet, is still read.
    fn break_off(&mut self, error: io::Error) {
        self.broken = Some(error.into());
        self.deadlines.finish_within(self.link.config().write_timeout);
    }

    /// Says whether there is anything to write.
    fn encode(&mut self) -> bool {
        while self.connection.transmit().has_room(COPY_SIZE, WRITE_SIZE) {
            let Some(message) = self.outgoing.pop_front() else { break };
            self.unwritten.push(message.wire_size());
            // Only messages of a joined peer are taken from the table, and none is empty.
            let _ = self.connection.send(message);
        }
        !self.connection.transmit().is_empty()
    }

    pub(super) fn poll_write_once(&mut self, cx: Option<&mut Context<'_>>) -> Poll<io::Result<()>> {
        let transmit = self.connection.transmit();
        let written = if transmit.chunk().len() == transmit.remaining() {
            ready!(poll_slices(&mut self.stream, cx, &[IoSlice::new(transmit.chunk())]))?
        } else {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = transmit.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            ready!(poll_slices(&mut self.stream, cx, slices))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        transmit.advance(written);
        self.unwritten.note_remaining(transmit.remaining());
        Poll::Ready(Ok(()))
    }

    /// Writes a message outside of the connection's own task, or takes it to be written with the next if it is not
    /// the last.
    fn send_in_place(&mut self, message: Message, last: bool) -> Result<(), Message> {
        if last && self.at_rest {
            return self.send_at_rest(message);
        }
        if self.has_taken_enough() {
            self.write_in_place();
        }
        let waits = self.has_taken_enough() || self.deadlines.waits_to_write();
        let ends = self.broken.is_some() || self.end != End::NotYet || self.over.is_some();
        if waits || ends {
            return Err(message);
        }
        self.at_rest = false;
        let is_alone = self.connection.transmit().is_empty();
        let size = message.wire_size();
        self.connection.send(message).map_err(SendError::into_message)?;
        self.unwritten.push(size);
        if !last {
            return Ok(());
        }
        self.write_in_place();
        if is_alone { self.give_back(size) } else { Ok(()) }
    }

    /// A message of this size comes back if it was to be written by itself and the peer refuses it.
    fn give_back(&mut self, size: usize) -> Result<(), Message> {
        if self.broken.is_none() || self.connection.transmit().remaining() != size {
            return Ok(());
        }
        let (mut messages, _) = self.unwritten.take(self.connection.transmit());
        self.link.refuse();
        messages.pop_front().map_or(Ok(()), Err)
    }

    /// The short way of what mostly happens to a connection at rest: one message is written as it lies there, and
    /// whole. What is left of it is encoded. It comes back if the peer refuses it.
    #[inline]
    fn send_at_rest(&mut self, message: Message) -> Result<(), Message> {
        let frames = message.as_frames();
        let written = match frames.map(|frames| self.stream.try_write(&[IoSlice::new(frames)])) {
            Some(Ok(count)) if count == message.wire_size() => return Ok(()),
            Some(Ok(count)) => count,
            Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                self.at_rest = false;
                self.break_off(error);
                self.link.refuse();
                return Err(message);
            }
            _ => 0,
        };
        self.at_rest = false;
        let size = message.wire_size();
        self.unwritten.push(size);
        // In traffic, a message that has parts is not refused.
        let _ = self.connection.send(message);
        let transmit = self.connection.transmit();
        transmit.advance(written);
        self.unwritten.note_remaining(transmit.remaining());
        self.write_in_place();
        self.give_back(size)
    }

    /// If there is no room for all of it, the task sees to the rest.
    fn write_in_place(&mut self) {
        if self.deadlines.waits_to_write() {
            return;
        }
        let (_, empty) = self.poll_write(None);
        if !empty || self.broken.is_some() {
            self.link.wake();
        }
        self.at_rest = self.rests();
    }
}

fn poll_slices<S: Transport>(
    stream: &mut S,
    cx: Option<&mut Context<'_>>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    match cx {
        Some(cx) => stream.poll_write(cx, slices),
        None => match stream.try_write(slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            outcome => Poll::Ready(outcome),
        },
    }
}

impl<S: Transport + Send> Direct for Mutex<Driver<S>> {
    fn send_in_place(&self, message: Message, last: bool) -> Result<(), Message> {
        match self.try_lock() {
            Ok(mut driver) => driver.send_in_place(message, last),
            // Who queues it wakes the task, which sees what was encoded before, too.
            Err(_) => Err(message),
        }
    }

    fn detach(&self) -> Option<Remains> {
        lock(self).detach()
    }
}
