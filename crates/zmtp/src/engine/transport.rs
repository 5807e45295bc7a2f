//! [`Transport`]: how a connection reads and writes, and [`Polled`], a socket of the system that does so.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::{Domain, SockRef};

use super::reactor::{Place, Readiness};

/// A peer that is gone is an error and no signal. Apple's systems have an option of the socket for that,
/// which tokio and the standard library set.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// A read that brings less than this, right after it was told that there is something, is taken for all there is. Of more than
/// a segment, the last may have come meanwhile, and the end with it.
const SEGMENT: usize = 16 << 10;

/// A byte stream to a peer.
pub(super) trait Transport: Debug {
    /// Appends what there is to `buffer`, as far as its capacity goes. 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>>;

    /// Whether a read that left room has to be followed by another to hear of more.
    fn may_read_on(&self) -> bool;

    /// Writes as much as there is room for now.
    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Writes as much as there is room for, as soon as there is any.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// What is written from now on is the last, and leaves with the end where the system can do that. What the peer
    /// sends from now on is for nobody if this side is `deaf`, and where the system can it refuses that.
    fn prepare_end(&mut self, deaf: bool);

    /// Whether it refuses what the peer sends.
    fn refuses(&self) -> bool;

    /// Says that nothing more will be written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// What there is to read is to be told at this place, and no longer to who polls.
    fn watch(&mut self, place: Place) -> io::Result<()>;

    /// What has been told.
    fn note(&mut self, readiness: Readiness);

    /// Whether of large messages that follow one another several are to be read at a time. A TCP whose window
    /// opens less often is slower.
    fn reads_several(&self) -> bool;

    /// Nothing is told of it any more, and somebody else may have its socket.
    fn detach(&mut self) -> Option<OwnedFd>;

    /// Whether the peer is known to send nothing more, though what it sent may not have been read.
    fn peer_has_closed(&self) -> bool;

    /// An error if a peer that has ended has refused what was written to it.
    fn take_error(&mut self) -> io::Result<()>;
}

/// A socket that is read and written with the system's own calls, after what the [`Reactor`] tells.
///
/// That there is room to write is told, at the price of an event for whatever a peer takes, only once
/// a write has found none.
///
/// [`Reactor`]: super::reactor::Reactor
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they vary independently")]
pub(super) struct Polled {
    /// None once it has been given away.
    socket: Option<OwnedFd>,
    place: Option<Place>,
    /// There may be something to read.
    readable: bool,
    read_closed: bool,
    /// There is no room to write.
    full: bool,
    watches_writes: bool,
    reads_several: bool,
    refuses: bool,
    /// It was told that there is something to read, and nothing was read since.
    told: bool,
}

impl Polled {
    /// A socket that was taken from another one.
    pub(super) fn attach(socket: OwnedFd) -> io::Result<Self> {
        let known = SockRef::from(&socket);
        known.set_nonblocking(true)?;
        known.set_cloexec(true)?;
        let is_unix = known.domain()? == Domain::UNIX;
        Ok(Self::new(socket, is_unix))
    }

    pub(super) fn new(socket: OwnedFd, reads_several: bool) -> Self {
        let (readable, read_closed, full, watches_writes, refuses, told) = Default::default();
        Self {
            socket: Some(socket),
            place: None,
            readable,
            read_closed,
            full,
            watches_writes,
            reads_several,
            refuses,
            told,
        }
    }
}

impl Transport for Polled {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        if !self.readable {
            return Poll::Pending;
        }
        let Some(socket) = &self.socket else { return Poll::Pending };
        let room = buffer.capacity() - buffer.len();
        match retry_on_intr(|| recv(socket, spare_capacity(buffer), RecvFlags::empty())) {
            Ok((count, _)) => {
                // A read that leaves room has found all there is, and of more the system tells anew.
                let is_sure = self.reads_several || (self.told && count < SEGMENT);
                self.told = false;
                self.readable = count == room || self.read_closed || !is_sure;
                Poll::Ready(Ok(count))
            }
            Err(Errno::WOULDBLOCK) => {
                self.readable = false;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn may_read_on(&self) -> bool {
        self.readable
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(socket) = self.socket.as_ref().filter(|_| !self.full) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        let none = &mut SendAncillaryBuffer::default();
        let written = retry_on_intr(|| match slices {
            // Cheaper for the system than a list of one.
            [bytes] => send(socket, bytes, NO_SIGNAL),
            _ => sendmsg(socket, slices, none, NO_SIGNAL),
        });
        // What it did not take it has no room for.
        self.full = written.map_or_else(|error| error == Errno::WOULDBLOCK, |count| count < size);
        // A peer that is gone may have left something, of which nobody has told yet.
        self.readable |= written.is_err() && !self.full;
        Ok(written?)
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.try_write(slices) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
        // If there is room by now, that is told at once.
        if let (Some(place), Some(socket), false) = (&self.place, &self.socket, self.watches_writes)
        {
            place.watch_writes(socket.as_fd())?;
            self.watches_writes = true;
        }
        Poll::Pending
    }

    fn prepare_end(&mut self, deaf: bool) {
        let Some(socket) = &self.socket else { return };
        let is_unix = SockRef::from(socket).domain().is_ok_and(|domain| domain == Domain::UNIX);
        if !is_unix {
            // A TCP has no word to refuse anything by.
            hold_back(socket);
        } else if deaf {
            self.refuses = SockRef::from(socket).shutdown(Shutdown::Read).is_ok();
        }
    }

    fn refuses(&self) -> bool {
        self.refuses
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = |socket| SockRef::from(socket).shutdown(Shutdown::Write);
        Poll::Ready(self.socket.as_ref().map_or(Ok(()), shutdown))
    }

    fn watch(&mut self, place: Place) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            place.watch(socket.as_fd())?;
        }
        self.place = Some(place);
        Ok(())
    }

    fn note(&mut self, readiness: Readiness) {
        self.readable |= readiness.readable;
        self.told |= readiness.readable;
        self.full &= !readiness.writable;
        self.read_closed |= readiness.read_closed;
    }

    fn reads_several(&self) -> bool {
        self.reads_several
    }

    fn detach(&mut self) -> Option<OwnedFd> {
        let socket = self.socket.take()?;
        if let Some(place) = &self.place {
            // It is told of for as long as anybody has it, otherwise.
            let _ = place.unwatch(socket.as_fd());
        }
        Some(socket)
    }

    fn peer_has_closed(&self) -> bool {
        self.read_closed
    }

    fn take_error(&mut self) -> io::Result<()> {
        // A TCP that was reset after its end had come tells of the end first.
        let error = |socket| SockRef::from(socket).take_error().ok().flatten();
        self.socket.as_ref().and_then(error).map_or(Ok(()), Err)
    }
}

/// What does not fill a segment waits for the end, to leave in one with it.
#[cfg(target_os = "linux")]
fn hold_back(socket: &OwnedFd) {
    let _ = rustix::net::sockopt::set_tcp_cork(socket, true);
}

#[cfg(not(target_os = "linux"))]
fn hold_back(_: &OwnedFd) {}
