//! Listening: a bound endpoint, and accepting connections.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::bind_error::{BindError, BindErrorKind};
use super::dial::Backoff;
use super::driver::{drive, go_on};
use super::ipc::{self, SocketFile};
use super::stream::Stream;
use super::tcp;
use super::transport::Polled;
use crate::config::TransportOptions;
use crate::endpoint::{Endpoint, Kind};
use crate::proto::Connection;
use crate::socket::{DetachedListener, EndpointId, Hub, Link, MonitorEvent, Origin};

/// Pauses after a failed accept, which is most likely a lack of descriptors.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// A bound endpoint. Dropping it closes it and removes its socket file.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    /// With the port or the path that was chosen.
    endpoint: Endpoint,
    options: TransportOptions,
    /// Its connections are not left with it.
    is_given_away: AtomicBool,
    /// It has come with a socket that another one had, and may be claimed.
    owns_file: bool,
    claimed: OnceLock<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: Option<SocketFile> },
}

impl Listener {
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        options: &TransportOptions,
    ) -> Result<Self, BindError> {
        match Self::listen(endpoint, options).await {
            Ok((socket, endpoint)) => Ok(Self::new(socket, endpoint, options)),
            Err(kind) => Err(BindError::new(endpoint.clone(), kind)),
        }
    }

    /// Goes on with a socket that listens already.
    pub(crate) fn attach(
        detached: DetachedListener,
        options: &TransportOptions,
    ) -> io::Result<Self> {
        let DetachedListener { socket, owns_file } = detached;
        let known = SockRef::from(&socket);
        if !known.is_listener()? {
            let reason = "it does not listen";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        known.set_nonblocking(true)?;
        known.set_cloexec(true)?;
        let address = known.local_addr()?;
        let (socket, endpoint) = if let Some(address) = address.as_socket() {
            let listener = TcpListener::from_std(socket.into())?;
            (Socket::Tcp(listener), address.into())
        } else if let Some(endpoint) = Endpoint::of_unix(&address) {
            let listener = UnixListener::from_std(socket.into())?;
            (Socket::Unix { listener, file: None }, endpoint)
        } else {
            let reason = "it is neither a TCP nor a Unix socket with a name";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        };
        Ok(Self { owns_file, ..Self::new(socket, endpoint, options) })
    }

    fn new(socket: Socket, endpoint: Endpoint, options: &TransportOptions) -> Self {
        let (is_given_away, claimed) = (AtomicBool::new(false), OnceLock::new());
        Self { socket, endpoint, options: *options, is_given_away, owns_file: false, claimed }
    }

    async fn listen(
        endpoint: &Endpoint,
        options: &TransportOptions,
    ) -> Result<(Socket, Endpoint), BindErrorKind> {
        let unix = |(listener, file)| Socket::Unix { listener, file };
        match endpoint.kind() {
            Kind::Tcp { source: Some(_), .. } => {
                let reason = "a source address is for connecting";
                Err(io::Error::new(io::ErrorKind::InvalidInput, reason).into())
            }
            Kind::Tcp { host, port, .. } => {
                let listener = tcp::listen(host, *port, options).await?;
                let endpoint = listener.local_addr()?.into();
                Ok((Socket::Tcp(listener), endpoint))
            }
            Kind::Path(path) => Ok((unix(ipc::bind_path(path, options).await?), endpoint.clone())),
            Kind::AnyPath => {
                let (bound, path) = ipc::bind_any(options)?;
                Ok((unix(bound), Endpoint::from_path(path)))
            }
            Kind::Abstract(name) => {
                let path = ipc::abstract_path(name);
                Ok((unix((ipc::listen(path.as_ref(), options)?, None)), endpoint.clone()))
            }
        }
    }

    /// Its connections stay when it stops.
    pub(crate) fn give_away(&self) {
        self.is_given_away.store(true, Ordering::Relaxed);
    }

    /// The file that has come with the socket goes with it. Somebody may have removed it.
    pub(crate) fn claim_file(&self) {
        let path = self.endpoint.path().filter(|_| self.owns_file);
        if let Some(Ok(file)) = path.map(SocketFile::of) {
            // It is claimed only once.
            self.claimed.get_or_init(|| file);
        }
    }

    /// Gives the socket away. Its file stays.
    pub(crate) fn detach(self) -> io::Result<DetachedListener> {
        let came_with_one = self.owns_file;
        self.claimed.into_inner().into_iter().for_each(SocketFile::leave);
        let (socket, owns_file): (OwnedFd, _) = match self.socket {
            Socket::Tcp(listener) => (listener.into_std()?.into(), false),
            Socket::Unix { listener, file } => {
                let owns_file = file.is_some() || came_with_one;
                file.into_iter().for_each(SocketFile::leave);
                (listener.into_std()?.into(), owns_file)
            }
        };
        Ok(DetachedListener { socket, owns_file })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Accepts connections, each of which becomes a task, until it is stopped.
    pub(crate) async fn run(
        self: Arc<Self>,
        hub: Arc<Hub>,
        id: EndpointId,
        stop: CancellationToken,
    ) {
        let mut backoff = Backoff::new(ACCEPT_PAUSE.0, ACCEPT_PAUSE.1);
        while let Some(accepted) = stop.run_until_cancelled(self.accept()).await {
            let polled = accepted.and_then(|(stream, from)| Ok((stream.into_polled()?, from)));
            match polled {
                Ok((stream, address)) => {
                    backoff.reset();
                    // Without a place the connection is closed here.
                    if let Some(link) = hub.admit(Origin::Peer, id, address) {
                        tokio::spawn(drive(stream, link));
                    }
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    let (endpoint, error) = (self.endpoint.clone(), error.to_string());
                    hub.monitors.tell(|| MonitorEvent::AcceptFailed(endpoint, error.into()));
                    stop.run_until_cancelled(sleep(backoff.next())).await;
                }
            }
        }
        let endpoint = self.endpoint.clone();
        let is_given_away = self.is_given_away.load(Ordering::Relaxed);
        drop(self);
        if !is_given_away {
            // The last connection may have been accepted while the endpoint was already being left.
            hub.finish(id);
        }
        hub.monitors.tell(|| MonitorEvent::Closed(endpoint));
    }

    pub(crate) async fn accept(&self) -> io::Result<(Stream, String)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, mut address) = listener.accept().await?;
                // An IPv4 peer of an IPv6 listener is called by its own address.
                address.set_ip(address.ip().to_canonical());
                Ok((Stream::tcp(stream, &self.options)?, Endpoint::from(address).to_string()))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::unix(stream, &self.options)?, self.endpoint.to_string()))
            }
        }
    }
}

/// Whether an error of accept says that a connection was gone before it was accepted.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, NotConnected,
    };
    // Setting an option of a connection that has been reset is invalid.
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | InvalidInput | NotConnected
    )
}

/// Goes on with a connection in a task of its own.
pub(crate) fn attach(socket: OwnedFd, link: Link, connection: Connection) -> io::Result<()> {
    let stream = Polled::attach(socket)?;
    tokio::spawn(go_on(stream, link, connection));
    Ok(())
}
