//! [`Unwritten`]: which messages are among the bytes that are to be written.

use std::collections::VecDeque;

use bytes::Buf;

use crate::message::Message;
use crate::proto::Transmit;
use crate::sizes::Sizes;

/// Which messages are among the bytes that are to be written. Those of which no byte was can be taken
/// out again, and wait for another connection.
///
/// Nothing but messages is put behind a message before all has been written: the bytes that remain
/// end with theirs.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// Of the messages that have not been written whole.
    sizes: Sizes,
}

impl Unwritten {
    /// A message of this size was put behind all else.
    #[inline]
    pub(super) fn push(&mut self, size: usize) {
        self.sizes.push(size);
    }

    /// So many bytes remain.
    #[inline]
    pub(super) fn note_remaining(&mut self, remaining: usize) {
        if remaining == 0 {
            self.sizes.clear();
            return;
        }
        while let Some(first) = self.sizes.first()
            && self.sizes.sum() - first >= remaining
        {
            self.sizes.pop();
        }
    }

    /// Takes out the messages of which no byte was written. Returns also how many bytes remain of
    /// one that was begun.
    pub(super) fn take(&mut self, transmit: &mut Transmit) -> (VecDeque<Message>, usize) {
        let remaining = transmit.remaining();
        let mut cut_off = 0;
        if self.sizes.sum() > remaining {
            self.sizes.pop();
            cut_off = remaining.saturating_sub(self.sizes.sum());
        }
        transmit.advance(remaining.saturating_sub(self.sizes.sum()));
        let messages = std::iter::from_fn(|| self.sizes.pop()).map(|size| {
            let size = size.min(transmit.remaining());
            Message::from_frames(transmit.copy_to_bytes(size))
        });
        (messages.collect(), cut_off)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proto::{Connection, Settings, SocketType};

    /// A connection after its handshake, the last step of which is written in the second round.
    fn connection(rounds: usize) -> Connection {
        let new = |socket_type| Connection::new(socket_type, Settings::default(), Instant::now());
        let (mut ours, mut theirs) = (new(SocketType::Dealer), new(SocketType::Dealer));
        for _ in 0..rounds {
            for (from, to) in [(0, 1), (1, 0)] {
                let ends = [&mut ours, &mut theirs];
                let size = ends[from].transmit().remaining();
                let bytes = ends[from].transmit().copy_to_bytes(size);
                ends[to].receive().extend_from_slice(&bytes);
                while ends[to].next_event().unwrap().is_some() {}
            }
        }
        ours
    }

    fn messages() -> [Message; 4] {
        let large = vec![7; 9000];
        let parts = Message::from([b"b".to_vec(), Vec::new(), large.clone(), b"c".to_vec()]);
        ["a".into(), parts, Message::from([large]), "d".into()]
    }

    #[test]
    fn messages_are_taken_out_wherever_writing_stopped() {
        let all = messages();
        let sizes: Vec<_> = all.iter().map(Message::wire_size).collect();
        let total: usize = sizes.iter().sum();
        for written in (0..20).chain((20..total - 20).step_by(487)).chain(total - 20..=total) {
            let (mut connection, mut unwritten) = (connection(2), Unwritten::default());
            for message in &all {
                connection.send(message.clone()).unwrap();
                unwritten.push(message.wire_size());
            }
            let transmit = connection.transmit();
            // In two steps, as if the system had taken some before.
            for step in [written / 2, written - written / 2] {
                transmit.advance(step);
                unwritten.note_remaining(transmit.remaining());
            }
            let (taken, cut_off) = unwritten.take(transmit);
            let size_from = |first: usize| sizes[first..].iter().sum::<usize>();
            let first = (0..=4).find(|&first| size_from(first) <= total - written).unwrap();
            assert_eq!(Vec::from(taken), all[first..], "{written} written");
            assert_eq!(cut_off, total - written - size_from(first), "{written} written");
        }
    }

    #[test]
    fn what_is_in_front_of_the_messages_is_none_of_them() {
        let (mut connection, mut unwritten) = (connection(1), Unwritten::default());
        assert!(!connection.transmit().is_empty(), "our READY");
        for message in messages() {
            unwritten.push(message.wire_size());
            connection.send(message).unwrap();
        }
        let (taken, cut_off) = unwritten.take(connection.transmit());
        assert_eq!((Vec::from(taken), cut_off), (messages().to_vec(), 0));
    }
}
