//! Messages as they pass, for those who watch.

use zmtp::PeerEvent;

use super::Broker;
use crate::queue::Side;

impl Broker {
    #[cold]
    pub(super) fn show_received(&mut self) {
        let Self { taps, events, .. } = self;
        for (router, side, events) in
            [(&self.backend, Side::Backend, &events.0), (&self.frontend, Side::Frontend, &events.1)]
        {
            for event in events {
                if let PeerEvent::Message(peer, message) = event {
                    taps.show(router, side, *peer, false, message);
                }
            }
        }
    }

    #[cold]
    pub(super) fn show_sent(&mut self) {
        let Self { taps, batch, .. } = self;
        for (router, side, messages) in [
            (&self.backend, Side::Backend, &batch.requests),
            (&self.frontend, Side::Frontend, &batch.replies),
        ] {
            for (peer, message) in messages {
                taps.show(router, side, *peer, true, message);
            }
        }
    }
}
