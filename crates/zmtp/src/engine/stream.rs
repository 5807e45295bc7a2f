//! A connected socket of either transport, and how it is read and written.

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};
use socket2::SockRef;
use tokio::io::{Interest, unix::AsyncFd};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::ipc::abstract_path;
use super::tcp;
use crate::config::TransportOptions;
use crate::endpoint::{Endpoint, Kind};

/// A peer that is gone is an error and no signal. Apple's systems have an option of the socket for that,
/// which tokio and the standard library set.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// A byte stream to a peer.
pub(super) trait Transport: Debug {
    /// Appends what there is to `buffer`, as far as its capacity goes. 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>>;

    /// Whether a read that left room has to be followed by another to be woken for more. Pending
    /// says that the task will be woken.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much as there is room for now.
    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Writes as much as there is room for, as soon as there is any.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Says that nothing more will be written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the peer is known to send nothing more, though what it sent may not have been read.
    fn peer_has_closed(&self) -> bool;
}

/// The runtime is asked to tell of bytes to read. That there is room to write it tells, at the price
/// of an event for whatever a peer takes, only once a write has found none.
#[derive(Debug)]
pub(crate) struct Stream {
    /// None only while the registration is replaced, and after that has failed.
    socket: Option<AsyncFd<OwnedFd>>,
    watches_writes: bool,
}

impl Stream {
    /// Connects to the first address of `endpoint` that answers.
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        options: &TransportOptions,
    ) -> io::Result<Self> {
        let path = match endpoint.kind() {
            Kind::Tcp { host, port, source } => {
                let stream = tcp::connect(host, *port, *source, options).await?;
                return Self::tcp(stream, options);
            }
            Kind::Path(path) => path.clone(),
            Kind::Abstract(name) => abstract_path(name).into(),
            Kind::AnyPath => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let stream = timeout(options.connect_timeout, UnixStream::connect(path)).await??;
        Self::unix(stream, options)
    }

    /// A connection that was made or accepted.
    pub(super) fn tcp(stream: TcpStream, options: &TransportOptions) -> io::Result<Self> {
        stream.set_nodelay(options.nodelay)?;
        tcp::set_keepalive(&stream, options)?;
        Self::new(stream.into_std()?.into())
    }

    pub(super) fn unix(stream: UnixStream, options: &TransportOptions) -> io::Result<Self> {
        tcp::set_buffers(&SockRef::from(&stream), options)?;
        Self::new(stream.into_std()?.into())
    }

    fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = Some(register(socket, Interest::READABLE)?);
        Ok(Self { socket, watches_writes: false })
    }

    fn socket(&self) -> io::Result<&AsyncFd<OwnedFd>> {
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Is told of room to write from now on as well.
    fn watch_writes(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if std::mem::replace(&mut self.watches_writes, true) {
            return Ok(());
        }
        if let Some(socket) = self.socket.take() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.socket = Some(register(socket.into_inner(), interest)?);
        }
        // Who waits for bytes waited at the registration that is gone.
        if self.poll_readable(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}

#[allow(
    deprecated,
    reason = "sound for an `OwnedFd`, and the other constructor is not safe to call"
)]
fn register(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, interest)
}

impl Transport for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let socket = self.socket()?;
        loop {
            let mut guard = ready!(socket.poll_read_ready(cx))?;
            let room = buffer.capacity() - buffer.len();
            match retry_on_intr(|| recv(socket, spare_capacity(buffer), RecvFlags::empty())) {
                Ok((count, _)) => {
                    // There was no more (epoll and kqueue are edge-triggered).
                    if count > 0 && count < room {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_read_ready(cx).map_ok(|_| ())
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = self.socket()?;
        Ok(retry_on_intr(|| match slices {
            // Cheaper for the system than a list of one.
            [bytes] => send(socket, bytes, NO_SIGNAL),
            _ => sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), NO_SIGNAL),
        })?)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
            let knows = self.watches_writes;
            self.watch_writes(cx)?;
            let mut guard = ready!(self.socket()?.poll_write_ready(cx))?;
            // What is known of a new registration is not older than the attempt.
            if knows {
                guard.clear_ready();
            }
        }
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.socket()?).shutdown(Shutdown::Write))
    }

    fn peer_has_closed(&self) -> bool {
        let ready = self.socket().ok().and_then(|s| s.ready(Interest::READABLE).now_or_never());
        matches!(ready, Some(Ok(guard)) if guard.ready().is_read_closed())
    }
}

/// For scripted peers, which are not in a hurry.
#[cfg(feature = "testing")]
mod script {
    use std::pin::Pin;

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::{Context, IoSlice, Poll, Stream, Transport, io, ready};

    impl AsyncRead for Stream {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let mut bytes = Vec::with_capacity(buffer.remaining());
            ready!(Transport::poll_read(self.get_mut(), cx, &mut bytes))?;
            buffer.put_slice(&bytes);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Stream {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Transport::poll_write(self.get_mut(), cx, &[IoSlice::new(bytes)])
        }

        /// Does nothing: there is no buffer.
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Transport::poll_shutdown(self.get_mut(), cx)
        }
    }
}
