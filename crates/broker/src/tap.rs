//! [`Tap`]: shows the messages of a peer as they pass.

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use zmtp::{Message, PeerId, Router};

use crate::queue::Side;

/// Messages that wait to be looked at; those for which there is no room are left out.
const MESSAGES: usize = 256;

/// Bytes of a frame that are shown.
const BYTES: usize = 64;

/// Frames of a message that are shown.
const FRAMES: usize = 32;

/// Shows the messages of the peers of one name, from when it was [opened](crate::Handle::tap) until it is dropped.
#[derive(Debug)]
pub struct Tap(Receiver<Passed>);

impl Tap {
    /// The next message; none once the broker has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv(&mut self) -> Option<Passed> {
        self.0.recv().await
    }
}

/// A message that has passed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Passed {
    /// Where the peer is connected.
    pub side: Side,
    /// The broker has sent it, and not received it.
    pub sent: bool,
    /// The first 32 of its frames.
    pub frames: Vec<Excerpt>,
    /// Frames it has beyond these.
    pub more: usize,
    /// Messages before it that were left out, for they came faster than they were looked at.
    pub missed: u64,
}

/// How a frame begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excerpt {
    /// At most 64 bytes.
    pub start: Bytes,
    /// How many bytes it has in all.
    pub size: usize,
}

/// Who looks at messages.
#[derive(Debug, Default)]
pub(crate) struct Taps(Vec<Open>);

#[derive(Debug)]
struct Open {
    peer: Bytes,
    sender: Sender<Passed>,
    missed: u64,
}

impl Taps {
    pub(crate) fn open(&mut self, peer: Bytes) -> Tap {
        let (sender, receiver) = channel(MESSAGES);
        self.0.retain(|tap| !tap.sender.is_closed());
        self.0.push(Open { peer, sender, missed: 0 });
        Tap(receiver)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Shows a message of a peer, or for it.
    pub(crate) fn show(
        &mut self,
        router: &Router,
        side: Side,
        peer: PeerId,
        sent: bool,
        message: &Message,
    ) {
        if let Some(peer) = router.peer(peer) {
            self.show_of(side, &peer.routing_id, sent, message);
        }
    }

    fn show_of(&mut self, side: Side, peer: &[u8], sent: bool, message: &Message) {
        self.0.retain_mut(|tap| {
            if tap.peer != peer {
                return !tap.sender.is_closed();
            }
            let excerpt = |part: &[u8]| Excerpt {
                start: Bytes::copy_from_slice(part.get(..BYTES).unwrap_or(part)),
                size: part.len(),
            };
            let frames = message.parts().take(FRAMES).map(excerpt).collect();
            let more = message.len().saturating_sub(FRAMES);
            match tap.sender.try_send(Passed { side, sent, frames, more, missed: tap.missed }) {
                Ok(()) => tap.missed = 0,
                Err(TrySendError::Full(_)) => tap.missed += 1,
                Err(TrySendError::Closed(_)) => return false,
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_shows_how_frames_begin_and_how_many_messages_it_has_missed() {
        let mut taps = Taps::default();
        let mut tap = taps.open(Bytes::from("W"));
        let long = Message::copy_from(&[&b""[..], &[7; 100]]);
        for _ in 0..MESSAGES + 3 {
            taps.show_of(Side::Backend, b"W", true, &long);
            taps.show_of(Side::Backend, b"another", true, &long);
        }
        let first = tap.0.try_recv().unwrap();
        assert_eq!((first.side, first.sent, first.missed, first.more), (Side::Backend, true, 0, 0));
        assert_eq!(first.frames[0], Excerpt { start: Bytes::new(), size: 0 });
        assert_eq!(first.frames[1], Excerpt { start: Bytes::from(vec![7; 64]), size: 100 });
        taps.show_of(Side::Frontend, b"W", false, &Message::copy_from(&vec![b"x"; 40]));
        let missed: Vec<_> =
            std::iter::from_fn(|| tap.0.try_recv().ok()).map(|passed| passed.missed).collect();
        assert_eq!(missed.len(), MESSAGES);
        assert_eq!((missed.iter().sum::<u64>(), missed.last()), (3, Some(&3)));
        drop(tap);
        taps.show_of(Side::Frontend, b"another", false, &long);
        assert!(taps.is_empty());
    }
}
