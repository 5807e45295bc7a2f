//! [`Batch`]: messages that leave together.

use zmtp::{Message, PeerId, Router, SendError, SendErrorKind};

use crate::queue::Queue;

/// Messages that leave together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) requests: Vec<(PeerId, Message)>,
    pub(crate) replies: Vec<(PeerId, Message)>,
    /// Clients of which one request less counts.
    pub(crate) released: Vec<PeerId>,
    /// Clients that have as many replies unread as they may have.
    pub(crate) full: Vec<PeerId>,
    failed: Vec<(PeerId, SendError)>,
}

impl Batch {
    /// Says whether the queue may have something more to do.
    pub(crate) fn deliver(
        &mut self,
        frontend: &Router,
        backend: &Router,
        queue: &mut Queue,
    ) -> bool {
        // Replies first: one that a journal has as sent is lost if the queue is killed before it is.
        frontend.send_many(&mut self.replies, &mut self.failed);
        if !self.failed.is_empty() {
            self.find_full();
        }
        backend.send_many(&mut self.requests, &mut self.failed);
        let retry = !self.failed.is_empty();
        if retry {
            self.take_back(backend, queue);
        }
        frontend.release_many(&self.released);
        self.released.clear();
        retry
    }

    #[cold]
    fn take_back(&mut self, backend: &Router, queue: &mut Queue) {
        for (worker, error) in self.failed.drain(..) {
            // Of one that has left, the reason is told.
            if error.kind() == SendErrorKind::Full {
                backend.disconnect_peer(worker);
            }
            queue.dispatch_failed(worker);
        }
    }

    /// A client that has left is told of by the next event.
    #[cold]
    fn find_full(&mut self) {
        let failed = self.failed.drain(..);
        let full = failed.filter(|(_, error)| error.kind() == SendErrorKind::Full);
        self.full.extend(full.map(|(client, _)| client));
    }
}
