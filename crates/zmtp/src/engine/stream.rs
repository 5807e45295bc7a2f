//! A connected stream of either transport.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::ipc::abstract_path;
use super::tcp;
use crate::config::TransportOptions;
use crate::endpoint::{Endpoint, Kind};

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
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
        Ok(Self::Tcp(stream))
    }

    pub(super) fn unix(stream: UnixStream, options: &TransportOptions) -> io::Result<Self> {
        tcp::set_buffers(&SockRef::from(&stream), options)?;
        Ok(Self::Unix(stream))
    }
}

/// A byte stream to a peer.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer is known to send nothing more, though what it sent may not have been read.
    fn peer_has_closed(&self) -> bool;
}

impl Transport for Stream {
    fn peer_has_closed(&self) -> bool {
        let ready = match self {
            Self::Tcp(stream) => stream.ready(Interest::READABLE).now_or_never(),
            Self::Unix(stream) => stream.ready(Interest::READABLE).now_or_never(),
        };
        matches!(ready, Some(Ok(ready)) if ready.is_read_closed())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Does nothing: these streams have no buffer of their own.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
