//! Bytes held for all peers of a socket together.

use super::peer::PeerId;

/// Two halves: what waits in queues, which the application can shrink, and what has arrived of
/// unfinished messages, which only the peers can finish.
///
/// When the first is used up, nobody goes on with a large message until half of it is free again.
/// When the second is, the peer that holds most of it is ended.
#[derive(Debug)]
pub(super) struct Budget {
    half: usize,
    queued: usize,
    unfinished: usize,
    /// Who is to be woken when there is room.
    waiting: Vec<PeerId>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { half: bytes / 2, queued: 0, unfinished: 0, waiting: Vec::new() }
    }

    /// Whether a queue that holds something already may grow.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.queued.saturating_add(bytes) <= self.half
    }

    pub(super) fn enqueue(&mut self, bytes: usize) {
        self.queued = self.queued.saturating_add(bytes);
    }

    /// Says whether those who wait are to be woken.
    pub(super) fn dequeue(&mut self, bytes: usize) -> bool {
        self.queued = self.queued.saturating_sub(bytes);
        !self.waiting.is_empty() && self.queued <= self.half / 2
    }

    pub(super) fn take_waiting(&mut self) -> Vec<PeerId> {
        std::mem::take(&mut self.waiting)
    }

    /// A peer's unfinished message has grown or shrunk. Says whether somebody has to go.
    pub(super) fn hold(&mut self, before: usize, now: usize) -> bool {
        self.unfinished = self.unfinished.saturating_sub(before).saturating_add(now);
        self.unfinished > self.half
    }

    /// A peer has to wait for room.
    pub(super) fn wait(&mut self, peer: PeerId) {
        self.waiting.push(peer);
    }
}
