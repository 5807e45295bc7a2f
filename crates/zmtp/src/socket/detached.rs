//! What is left of a socket that was taken apart, for another one to go on with.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::{BufMut, Bytes};

use super::peer::{Peer, PeerId};
use super::router::Router;
use crate::endpoint::Endpoint;
use crate::proto::{PeerInfo, SocketType, Version};

/// A socket of the system that listens.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to it")]
pub struct DetachedListener {
    /// It.
    pub socket: OwnedFd,
    /// Its file is to be removed at the end.
    pub owns_file: bool,
}

/// A connection as it stands. Its peer does not notice that it changes hands.
#[derive(Debug)]
#[non_exhaustive]
pub struct DetachedConnection {
    /// It.
    pub socket: OwnedFd,
    /// What the peer is called.
    pub routing_id: Bytes,
    /// Where it is.
    pub address: Arc<str>,
    /// What it said of itself.
    pub info: Arc<PeerInfo>,
    /// What has arrived and was not taken, from the beginning of a message on, as on the wire.
    pub input: Bytes,
    /// What is to be written, as on the wire. It may begin within a message.
    pub output: Bytes,
    /// Sizes of messages that were received and not [released](Router::release).
    pub unreleased: Vec<usize>,
}

impl DetachedConnection {
    /// All but its socket, for [`decode`](Self::decode): to be handed to another process.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let Version { major, minor } = self.info.version;
        let mut bytes = vec![major, minor];
        for field in [
            &self.routing_id[..],
            self.address.as_bytes(),
            self.info.encoded(),
            &self.input,
            &self.output,
        ] {
            bytes.put_u64_le(field.len() as u64);
            bytes.put_slice(field);
        }
        self.unreleased.iter().for_each(|&size| bytes.put_u64_le(size as u64));
        bytes.into()
    }

    /// What was [encoded](Self::encode) of a connection of a socket of type `ours`. None if it was not.
    #[must_use]
    pub fn decode(ours: SocketType, bytes: &[u8], socket: OwnedFd) -> Option<Self> {
        let (&[major, minor], mut bytes) = bytes.split_first_chunk()?;
        let mut field = || {
            let (size, rest) = bytes.split_first_chunk()?;
            let size = usize::try_from(u64::from_le_bytes(*size)).ok()?;
            let (field, rest) = rest.split_at_checked(size)?;
            bytes = rest;
            Some(field)
        };
        let routing_id = Bytes::copy_from_slice(field()?);
        let address = std::str::from_utf8(field()?).ok()?.into();
        let info = Arc::new(PeerInfo::decode(ours, Version { major, minor }, field()?).ok()?);
        let input = Bytes::copy_from_slice(field()?);
        let output = Bytes::copy_from_slice(field()?);
        let sizes = bytes
            .chunks(8)
            .map(|size| usize::try_from(u64::from_le_bytes(size.try_into().ok()?)).ok());
        let unreleased = sizes.collect::<Option<_>>()?;
        Some(Self { socket, routing_id, address, info, input, output, unreleased })
    }
}

impl Router {
    /// Stops listening, and gives the listening sockets away. Whoever connects meanwhile waits to be accepted. Connections
    /// stay; handshakes in progress are waited for, half a second at most.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, some of the sockets may be closed.
    pub async fn detach_listeners(&self) -> Vec<DetachedListener> {
        self.socket.detach_listeners().await
    }

    /// Takes the socket apart without closing its connections: they can be given to another ROUTER, be it of another process,
    /// which goes on where this one stands. What has arrived and was not received goes with them, and so does what was sent
    /// and is not written yet. They come under the ids they had here. Connections that this side made or whose handshake is not over
    /// are closed.
    #[must_use]
    pub fn detach(self) -> Vec<(PeerId, DetachedConnection)> {
        self.socket.hub.detach()
    }

    /// Listens where another ROUTER did. Returns the endpoint. Its file stays until it is [claimed](Self::claim_files).
    ///
    /// # Errors
    ///
    /// If the socket is none that listens.
    pub fn attach_listener(&self, listener: DetachedListener) -> io::Result<Endpoint> {
        self.socket.attach_listener(listener)
    }

    /// The files of the listeners that were attached go with this socket from now on. Before, they are left alone: the socket
    /// may come to nothing.
    pub fn claim_files(&self) {
        self.socket.claim_files();
    }

    /// Goes on with a connection that another ROUTER had. It is not told of as one that has joined, and no endpoint is its
    /// own: it stays when those are left.
    ///
    /// # Errors
    ///
    /// If there is no room for it, or its name is taken. The connection is closed.
    pub fn attach(&self, connection: DetachedConnection) -> io::Result<Arc<Peer>> {
        self.socket.attach(connection)
    }
}
