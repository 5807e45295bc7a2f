//! Listening: binding an address or a socket file, and accepting connections.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::sleep;

use super::bind_error::{BindError, BindErrorKind};
use super::dial::Backoff;
use super::driver::Driver;
use super::stream::Stream;
use crate::endpoint::{Endpoint, Kind};
use crate::socket::{Hub, MonitorEvent, Origin};

/// Pauses after a failed accept, which is most likely a lack of descriptors.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A bound endpoint. Dropping it closes it and removes its socket file.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    /// With the port that the system chose.
    endpoint: Endpoint,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: Option<SocketFile> },
}

impl Listener {
    pub(crate) async fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        let result = match endpoint.kind() {
            Kind::Tcp { host, port } => bind_tcp(host, *port).await,
            Kind::Path(path) => bind_path(path).await.map(|(listener, file)| {
                (Socket::Unix { listener, _file: Some(file) }, endpoint.clone())
            }),
            Kind::Abstract(name) => UnixListener::bind(abstract_path(name))
                .map_err(BindErrorKind::from)
                .map(|listener| (Socket::Unix { listener, _file: None }, endpoint.clone())),
        };
        match result {
            Ok((socket, endpoint)) => Ok(Self { socket, endpoint }),
            Err(kind) => Err(BindError::new(endpoint.clone(), kind)),
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Accepts connections, each of which becomes a task, until the socket is closed.
    pub(crate) async fn run(self, hub: Arc<Hub>) {
        hub.monitors.tell(|| MonitorEvent::Listening(self.endpoint.clone()));
        let mut backoff = Backoff::new(ACCEPT_PAUSE.0, ACCEPT_PAUSE.1);
        while let Some(accepted) = hub.stop.run_until_cancelled(self.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    backoff.reset();
                    // Without a place the connection is closed here.
                    if let Some(link) = hub.admit(Origin::Peer, address) {
                        tokio::spawn(Driver::new(stream, link));
                    }
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    let (endpoint, error) = (self.endpoint.clone(), error.to_string());
                    hub.monitors.tell(|| MonitorEvent::AcceptFailed(endpoint, error.into()));
                    hub.stop.run_until_cancelled(sleep(backoff.next())).await;
                }
            }
        }
        hub.monitors.tell(|| MonitorEvent::Closed(self.endpoint.clone()));
    }

    pub(crate) async fn accept(&self) -> io::Result<(Stream, String)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::tcp(stream)?, Endpoint::from(address).to_string()))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), self.endpoint.to_string()))
            }
        }
    }
}

/// Whether an error of accept says that a connection was gone before it was accepted.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | NotConnected)
}

async fn bind_tcp(host: &str, port: u16) -> Result<(Socket, Endpoint), BindErrorKind> {
    let host = if host == "*" { "0.0.0.0" } else { host };
    let listener = TcpListener::bind((host, port)).await?;
    let endpoint = listener.local_addr()?.into();
    Ok((Socket::Tcp(listener), endpoint))
}

/// An abstract name as the system has it: behind a zero byte, and without another at its end, which
/// is libzmq's way too.
pub(super) fn abstract_path(name: &str) -> String {
    format!("\0{name}")
}

async fn bind_path(path: &Path) -> Result<(UnixListener, SocketFile), BindErrorKind> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_stale(path).await?;
            UnixListener::bind(path)?
        }
        result => result?,
    };
    let file = SocketFile::of(path)?;
    Ok((listener, file))
}

/// Removes a socket file on which nobody listens. Whatever else is there stays.
async fn remove_stale(path: &Path) -> Result<(), BindErrorKind> {
    let found = match std::fs::symlink_metadata(path) {
        // Whoever listened there has just ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(BindErrorKind::NotASocket);
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // A full backlog is no refusal: somebody listens.
        _ => return Err(BindErrorKind::InUse),
    }
    // Another process may have replaced it since.
    let file = SocketFile { path: path.to_owned(), identity: identity(&found) };
    if file.is_still_there() { Ok(std::fs::remove_file(path)?) } else { Err(BindErrorKind::InUse) }
}

/// A socket file that is removed on drop, unless another one is there by then.
#[derive(Debug)]
struct SocketFile {
    /// Absolute, so that a later change of the working directory does not matter.
    path: PathBuf,
    identity: Identity,
}

/// Device, inode and time of creation: an inode alone may be given to the next file.
type Identity = (u64, u64, i64, i64);

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let identity = identity(&std::fs::symlink_metadata(path)?);
        Ok(Self { path: std::path::absolute(path)?, identity })
    }

    fn is_still_there(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_still_there() {
            // It may be gone between the look and this; then there is nothing to do.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &std::fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}
