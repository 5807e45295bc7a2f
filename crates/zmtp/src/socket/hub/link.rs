//! [`Link`]: a connection task's hold on its peer's place in the table.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use super::Hub;
use crate::config::Config;
use crate::message::Message;
use crate::proto::{Connection, PeerInfo, SocketType};
use crate::sizes::Sizes;
use crate::socket::direct::Direct;
use crate::socket::monitor::MonitorEvent;
use crate::socket::peer::{LeaveReason, PeerId};
use crate::socket::table::Order;

/// A connection task's hold on its peer's place in the table.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) hub: Arc<Hub>,
    pub(super) id: PeerId,
    pub(super) address: Arc<str>,
    pub(super) joined: bool,
    pub(super) ended: bool,
}

impl Link {
    /// The protocol state of the new connection.
    pub(crate) fn connection(&self) -> Connection {
        let settings = self.hub.settings.clone();
        Connection::new(self.hub.socket_type, settings, crate::engine::now())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.hub.config
    }

    pub(crate) fn join(&mut self, info: Arc<PeerInfo>) -> Result<(), LeaveReason> {
        self.hub.table().join(self.id, info)?;
        self.joined = true;
        self.hub.monitors.tell(|| MonitorEvent::HandshakeSucceeded(self.address.clone()));
        Ok(())
    }

    /// Whether the handshake has been finished.
    pub(crate) fn has_joined(&self) -> bool {
        self.joined
    }

    /// Whether what peers send is of no use once this side ends: a REQ wants no more than an answer.
    pub(crate) fn is_deaf(&self) -> bool {
        self.hub.socket_type == SocketType::Req
    }

    /// So many bytes of an unfinished message are held for the peer. Says whether there may be more;
    /// if not, the task is woken when there may.
    pub(crate) fn hold(&self, bytes: usize) -> bool {
        self.hub.table().hold(self.id, bytes)
    }

    /// Lets others write to the connection.
    pub(crate) fn offer(&self, direct: &Arc<dyn Direct>) {
        self.hub.table().set_direct(self.id, direct);
    }

    /// Takes what has arrived, what is to be sent and what is not released, if the connection is not to end.
    pub(crate) fn detach(&self) -> Option<(VecDeque<Message>, VecDeque<Message>, Sizes)> {
        self.hub.table().detach(self.id)
    }

    /// Nothing can be sent to the peer any more. Wakes the connection's task.
    pub(crate) fn refuse(&self) {
        self.hub.table().refuse(self.id);
    }

    /// Wakes the connection's task.
    pub(crate) fn wake(&self) {
        self.hub.table().wake_task(self.id);
    }

    pub(crate) fn exchange(
        &self,
        incoming: &mut VecDeque<Message>,
        outgoing: Option<&mut VecDeque<Message>>,
        task: &Waker,
    ) -> Order {
        self.hub.table().exchange(self.id, incoming, outgoing, task)
    }

    /// Hands a message over. It comes back if there is no room for it, or something else to be done.
    pub(crate) fn deliver(&self, message: Message) -> Result<(), Message> {
        self.hub.table().deliver(self.id, message)
    }

    /// Whether a new connection begins with an empty message.
    pub(crate) fn probes(&self) -> bool {
        self.hub.config.probe && self.hub.socket_type != SocketType::Rep
    }

    /// The connection is over, and these messages and so many bytes of another have not been written.
    /// The first reason counts.
    pub(crate) fn leave(
        &mut self,
        reason: &LeaveReason,
        unsent: VecDeque<Message>,
        cut_off: usize,
    ) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let reason = self.hub.table().end(self.id, reason, unsent, cut_off);
        let address = self.address.clone();
        let joined = self.joined;
        let ended = if joined { MonitorEvent::Disconnected } else { MonitorEvent::HandshakeFailed };
        self.hub.monitors.tell(|| ended(address, reason));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.leave(&LeaveReason::Local, VecDeque::new(), 0);
        self.hub.links.send_modify(|links| *links -= 1);
    }
}
