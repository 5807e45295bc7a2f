//! Connections that leave a socket as they stand, and go on with another one.

use std::io;
use std::sync::Arc;

use super::Hub;
use crate::proto::Connection;
use crate::socket::detached::DetachedConnection;
use crate::socket::direct::{Direct, Remains};
use crate::socket::outlet::EndpointId;
use crate::socket::peer::{Origin, Peer, PeerId};

impl Hub {
    /// Goes on with a connection that another socket had. That its peer has joined is not told.
    pub(in crate::socket) fn attach(
        self: &Arc<Self>,
        endpoint: EndpointId,
        detached: DetachedConnection,
    ) -> io::Result<Arc<Peer>> {
        let DetachedConnection { socket, routing_id, address, info, input, output } = detached;
        let link = self.admit(Origin::Peer, endpoint, address);
        let mut link = link.ok_or_else(|| io::Error::other("no room for the connection"))?;
        let peer = self.table().attach(link.id, info, routing_id);
        let peer = peer.map_err(|reason| io::Error::other(reason.to_string()))?;
        link.joined = true;
        let (settings, now) = (self.settings.clone(), crate::engine::now());
        let connection =
            Connection::resume(self.socket_type, settings, &peer.info, &input, output, now);
        crate::engine::attach(socket, link, connection)?;
        Ok(peer)
    }

    /// Takes all connections away from their tasks.
    pub(in crate::socket) fn detach(&self) -> Vec<(PeerId, DetachedConnection)> {
        // A connection takes the table's lock while it has its own.
        let all = self.table().directs();
        let detach = |(peer, direct): (Arc<Peer>, Arc<dyn Direct>)| {
            let Remains { socket, input, output } = direct.detach()?;
            let Peer { id, routing_id, address, info, .. } = Arc::unwrap_or_clone(peer);
            let detached = DetachedConnection { socket, routing_id, address, info, input, output };
            Some((id, detached))
        };
        all.into_iter().filter_map(detach).collect()
    }
}
