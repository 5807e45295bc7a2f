//! Connections that leave a socket as they stand, and go on with another one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Hub;
use crate::proto::Connection;
use crate::socket::detached::DetachedConnection;
use crate::socket::direct::{Direct, Remains};
use crate::socket::outlet::EndpointId;
use crate::socket::peer::{Origin, Peer, PeerId};

/// Between two looks at handshakes.
const LOOK: Duration = Duration::from_millis(1);

impl Hub {
    /// Goes on with a connection that another socket had. That its peer has joined is not told.
    pub(in crate::socket) fn attach(
        self: &Arc<Self>,
        endpoint: EndpointId,
        detached: DetachedConnection,
    ) -> io::Result<Arc<Peer>> {
        let DetachedConnection { socket, routing_id, address, info, input, output, unreleased } =
            detached;
        let link = self.admit(Origin::Peer, endpoint, address);
        let mut link = link.ok_or_else(|| io::Error::other("no room for the connection"))?;
        let peer = self.table().attach(link.id, info, routing_id, &unreleased);
        let peer = peer.map_err(|reason| io::Error::other(reason.to_string()))?;
        link.joined = true;
        let (settings, now) = (self.settings.clone(), crate::engine::now());
        let connection =
            Connection::resume(self.socket_type, settings, &peer.info, &input, output, now);
        crate::engine::attach(socket, link, connection)?;
        Ok(peer)
    }

    /// Waits until no handshake is in progress, for so long at most.
    pub(in crate::socket) async fn settle(&self, patience: Duration) {
        let end = Instant::now() + patience;
        while self.table().has_handshakes() && Instant::now() < end {
            sleep(LOOK).await;
        }
    }

    /// Takes all connections away from their tasks.
    pub(in crate::socket) fn detach(&self) -> Vec<(PeerId, DetachedConnection)> {
        // A connection takes the table's lock while it has its own.
        let all = self.table().directs();
        let detach = |(peer, direct): (Arc<Peer>, Arc<dyn Direct>)| {
            let Remains { socket, input, output, mut unreleased } = direct.detach()?;
            let unreleased = std::iter::from_fn(|| unreleased.pop()).collect();
            let Peer { id, routing_id, address, info, .. } = Arc::unwrap_or_clone(peer);
            let detached =
                DetachedConnection { socket, routing_id, address, info, input, output, unreleased };
            Some((id, detached))
        };
        all.into_iter().filter_map(detach).collect()
    }
}
