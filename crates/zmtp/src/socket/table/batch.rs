//! Messages that are sent together.

use std::sync::Arc;

use super::Table;
use crate::message::Message;
use crate::socket::direct::Direct;
use crate::socket::peer::PeerId;

/// How a message of a batch leaves without being queued.
#[derive(Debug)]
pub(in crate::socket) struct Way {
    pub(in crate::socket) connection: Arc<dyn Direct>,
    /// Where in the batch the next message for the same peer is.
    pub(in crate::socket) next: Option<usize>,
}

impl Table {
    /// The way of each of these messages. Those without one have to be queued: they find something waiting, or
    /// nobody who takes them.
    pub(in crate::socket) fn ways(&mut self, batch: &[(PeerId, Message)]) -> Vec<Option<Way>> {
        self.batches += 1;
        let mut ways = Vec::new();
        ways.resize_with(batch.len(), || None);
        for (at, ((id, message), way)) in batch.iter().zip(&mut ways).enumerate().rev() {
            if self.check(message).is_none() {
                *way = self.way(*id, at);
            }
        }
        ways
    }

    #[inline]
    fn way(&mut self, id: PeerId, at: usize) -> Option<Way> {
        let batch = self.batches;
        let entry = self.entry(id)?;
        if !entry.is_open() || !entry.outbox.is_empty() {
            return None;
        }
        let connection = entry.direct.as_ref()?.upgrade()?;
        let (known, next) = std::mem::replace(&mut entry.in_batch, (batch, at));
        Some(Way { connection, next: (known == batch).then_some(next) })
    }
}
