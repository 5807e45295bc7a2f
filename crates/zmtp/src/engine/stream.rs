//! [`Stream`]: a connected socket of either transport, with the options that were chosen.

use std::io;

use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::ipc::abstract_path;
use super::tcp;
use super::transport::Polled;
use crate::config::TransportOptions;
use crate::endpoint::{Endpoint, Kind};

/// A connection that was made or accepted.
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

    pub(super) fn tcp(stream: TcpStream, options: &TransportOptions) -> io::Result<Self> {
        stream.set_nodelay(options.nodelay)?;
        tcp::set_keepalive(&stream, options)?;
        Ok(Self::Tcp(stream))
    }

    pub(super) fn unix(stream: UnixStream, options: &TransportOptions) -> io::Result<Self> {
        tcp::set_buffers(&SockRef::from(&stream), options)?;
        Ok(Self::Unix(stream))
    }

    /// To be driven.
    pub(super) fn into_polled(self) -> io::Result<Polled> {
        Ok(match self {
            Self::Tcp(stream) => Polled::new(stream.into_std()?.into(), false),
            // To be woken costs more than to copy, and the sender has to wait for it.
            Self::Unix(stream) => Polled::new(stream.into_std()?.into(), true),
        })
    }
}
