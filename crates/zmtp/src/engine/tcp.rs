//! TCP sockets with the options that were chosen.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use crate::config::TransportOptions;

/// Connects to the first address of `host` that answers, from `source` if it is given.
pub(super) async fn connect(
    host: &str,
    port: u16,
    source: Option<SocketAddr>,
    options: &TransportOptions,
) -> io::Result<TcpStream> {
    let mut last = no_address();
    for address in timeout(options.connect_timeout, lookup_host((host, port))).await?? {
        let socket = socket(address, options)?;
        if let Some(source) = source {
            // Connections to different peers may share a port.
            socket.set_reuseaddr(true)?;
            socket.bind(source)?;
        }
        // Each address has its time, so that one that leads nowhere does not hide the next.
        let attempt = timeout(options.connect_timeout, socket.connect(address)).await;
        match attempt.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(stream) if stream.local_addr()? == stream.peer_addr()? => {
                // The system chose the very port that nobody listens on, and connected it to itself.
                last = io::ErrorKind::ConnectionRefused.into();
            }
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens on the first address of `host` that can be bound.
pub(super) async fn listen(
    host: &str,
    port: u16,
    options: &TransportOptions,
) -> io::Result<TcpListener> {
    let host = if host == "*" { "0.0.0.0" } else { host };
    let mut last = no_address();
    for address in lookup_host((host, port)).await? {
        let socket = socket(address, options)?;
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(options.backlog)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

fn socket(address: SocketAddr, options: &TransportOptions) -> io::Result<TcpSocket> {
    let socket = match address.ip() {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Before the connection is made, which settles the window; what is accepted inherits it.
    set_buffers(&SockRef::from(&socket), options)?;
    Ok(socket)
}

pub(super) fn set_buffers(socket: &SockRef<'_>, options: &TransportOptions) -> io::Result<()> {
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.recv_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(())
}

pub(super) fn set_keepalive(stream: &TcpStream, options: &TransportOptions) -> io::Result<()> {
    let Some(chosen) = options.keepalive else { return Ok(()) };
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = chosen.idle {
        keepalive = keepalive.with_time(idle);
    }
    if let Some(interval) = chosen.interval {
        keepalive = keepalive.with_interval(interval);
    }
    if let Some(count) = chosen.count {
        keepalive = keepalive.with_retries(count);
    }
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
