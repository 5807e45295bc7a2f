//! [`PeerEvent`]: what a socket has to tell of a peer.

use std::sync::Arc;

use super::peer::{LeaveReason, Peer, PeerId};
use crate::message::Message;

/// What a socket has to tell of a peer: that it joined, then its messages, then that it left.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PeerEvent {
    /// A peer has finished its handshake.
    Joined(Arc<Peer>),
    /// A message of a peer.
    Message(PeerId, Message),
    /// A peer is gone. This is the last of it.
    Left(Arc<Peer>, LeaveReason),
}
