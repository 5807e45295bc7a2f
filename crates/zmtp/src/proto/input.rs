//! [`Input`]: bytes that have arrived, and room for more.

use bytes::Bytes;

#[cfg(feature = "tokio")]
use super::pool::{self, LOAN};

/// Room for the handshake of a peer that sends no more than it has to.
const HANDSHAKE_ROOM: usize = 256;

/// The least room in traffic: more than most messages need, so that a read that fills it is rare and
/// one that does not proves there is no more.
const ROOM_MIN: usize = 4 << 10;

/// The most room for what is missing of a message, whatever length the peer declares.
const ROOM_MAX: usize = 64 << 10;

/// Room beyond the end of a message, so that a read which completes it does not fill the room.
const SLACK: usize = 1 << 10;

/// Messages up to this size are copied out of the buffer, which is then used again in place.
const COPY_MAX: usize = 2 << 10;

/// After a message of this size the next one is read into a buffer of its own.
const LARGE: usize = 16 << 10;

/// The most room for a message because the last one was as large.
#[cfg(feature = "tokio")]
const EXPECTED_MAX: usize = 512 << 10;

/// Where one large message is followed by the next, so many are read at a time and copied apart, if to read
/// each by itself takes the system more than to copy it does.
#[cfg(feature = "tokio")]
const FLOOD_COUNT: usize = 6;

/// The most room for them.
#[cfg(feature = "tokio")]
const FLOOD_MAX: usize = 512 << 10;

/// A buffer of which less than this share has been filled is not kept for the rest.
#[cfg(feature = "tokio")]
const KEEP_SHARE: usize = 4;

/// Bytes that have arrived and have not been taken.
///
/// Who has many connections [lends](Self::borrow) all of them the same buffer, one at a time: what
/// is idle holds none, and the one that is used stays in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Input {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that have been taken.
    taken: usize,
    /// Bytes there have to be before there is anything new to see.
    wanted: usize,
    /// The size of the last message, if it was large.
    expected: usize,
    /// Large messages in a row behind which there was more.
    #[cfg(feature = "tokio")]
    followed: u32,
    /// Capacity of the whole buffer.
    room: usize,
    origin: Origin,
    /// It has been borrowed for, and is to be given back.
    #[cfg(feature = "tokio")]
    in_turn: bool,
    /// A large message has been taken since the buffer was borrowed.
    #[cfg(feature = "tokio")]
    has_taken: bool,
    /// Several large messages may be read at a time.
    #[cfg(feature = "tokio")]
    several: bool,
}

/// Where the buffer has come from in this turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Origin {
    #[default]
    Own,
    /// It is to be given back.
    #[cfg(feature = "tokio")]
    Lent,
    /// It was taken for what is expected.
    #[cfg(feature = "tokio")]
    Chosen,
}

impl Input {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.taken
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is nothing, and what comes need not be large.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(super) fn rests(&self) -> bool {
        self.is_empty() && self.expected == 0
    }

    /// Whether there may be something new to see.
    #[inline]
    pub(super) fn is_ripe(&self) -> bool {
        self.len() >= self.wanted
    }

    /// Nothing can be seen before there are so many bytes.
    pub(super) fn want(&mut self, bytes: usize) {
        self.wanted = bytes;
    }

    /// A message of this size has been taken.
    #[inline]
    pub(super) fn note_message(&mut self, size: usize) {
        self.wanted = 1;
        self.expected = if size < LARGE { 0 } else { size };
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Takes the bytes in front. Few are copied, so that the buffer is used again in place; what has
    /// most of the buffer takes it along.
    pub(super) fn take(&mut self, size: usize) -> Bytes {
        #[cfg(feature = "tokio")]
        self.note_followed(size);
        let few = size <= COPY_MAX.max(self.room / 2);
        if let Some(bytes) = self.bytes().get(..size).filter(|_| few) {
            let copy = copy(bytes);
            self.taken += size;
            return copy;
        }
        self.drop_taken();
        let rest = self.buffer.get(size..).unwrap_or_default();
        let mut next = Vec::new();
        #[cfg(feature = "tokio")]
        if size >= LARGE && !rest.is_empty() {
            // More of the kind is on its way.
            next = pool::take(self.room_after(size));
        }
        next.extend_from_slice(rest);
        let mut taken = std::mem::replace(&mut self.buffer, next);
        #[cfg(feature = "tokio")]
        if self.origin == Origin::Lent {
            self.origin = Origin::Own;
        }
        self.room = self.buffer.capacity();
        taken.truncate(size);
        #[cfg(feature = "tokio")]
        if size >= LARGE {
            return pool::freeze(taken);
        }
        taken.into()
    }

    #[cfg(feature = "tokio")]
    pub(super) fn read_several(&mut self, several: bool) {
        self.several = several;
    }

    #[cfg(feature = "tokio")]
    fn note_followed(&mut self, size: usize) {
        if size >= LARGE {
            let followed = self.len() > size;
            self.followed = if followed { self.followed.saturating_add(1) } else { 0 };
            self.has_taken = true;
        }
    }

    /// Whether large messages come one behind the other, of which several are to be read at a time.
    #[cfg(feature = "tokio")]
    fn is_flooded(&self, size: usize) -> bool {
        self.several && self.followed > 1 && (LARGE..=FLOOD_MAX / 2).contains(&size)
    }

    /// The room to be had for what follows a message of this size.
    #[cfg(feature = "tokio")]
    fn room_after(&self, size: usize) -> usize {
        let room = if self.is_flooded(size) {
            (FLOOD_COUNT * size).min(FLOOD_MAX)
        } else {
            size.min(EXPECTED_MAX)
        };
        room + SLACK
    }

    #[inline]
    fn drop_taken(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if taken == self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..taken);
        }
    }

    /// Where to append.
    #[inline]
    pub(super) fn receive(&mut self, in_handshake: bool) -> &mut Vec<u8> {
        self.drop_taken();
        #[cfg(feature = "tokio")]
        if self.in_turn && self.expected > 0 && self.buffer.capacity() == 0 {
            self.choose(self.room_after(self.expected));
        }
        let missing = self.wanted.saturating_sub(self.buffer.len());
        let least = if in_handshake { HANDSHAKE_ROOM } else { ROOM_MIN };
        let room = self.buffer.capacity() - self.buffer.len();
        // The end of a large message needs no more than it is long.
        let is_large = missing > 0 && self.wanted > ROOM_MIN;
        if room < if is_large { missing.saturating_add(1) } else { least } {
            let slack = if is_large { SLACK } else { 0 };
            self.buffer.reserve(missing.saturating_add(slack).clamp(least, ROOM_MAX));
            self.room = self.buffer.capacity();
        } else if self.buffer.is_empty() && self.origin == Origin::Own && room > ROOM_MAX {
            // The buffer of a large message is not kept.
            self.buffer = Vec::with_capacity(least);
            self.room = self.buffer.capacity();
        }
        &mut self.buffer
    }

    /// Puts `spare` to use where there is no buffer, with what has been read to it. What is expected to be
    /// large gets its own.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(super) fn borrow(&mut self, spare: &mut Vec<u8>) {
        let room = self.room_after(self.expected);
        // What has arrived of the next message of a flood is moved to where the rest has room.
        let moves = self.is_flooded(self.expected) && self.len() + self.expected <= room;
        (self.in_turn, self.has_taken) = (true, false);
        if self.expected > 0 && (self.is_empty() || (moves && self.buffer.capacity() < room)) {
            self.choose(room);
        } else if self.is_empty() && self.origin == Origin::Own {
            self.taken = 0;
            pool::make_loan(spare);
            std::mem::swap(&mut self.buffer, spare);
            self.room = LOAN;
            self.origin = Origin::Lent;
        }
    }

    /// Moves what there is to a buffer of this capacity.
    #[cfg(feature = "tokio")]
    fn choose(&mut self, capacity: usize) {
        let mut buffer = pool::take(capacity);
        buffer.extend_from_slice(self.bytes());
        self.buffer = buffer;
        self.taken = 0;
        self.room = self.buffer.capacity();
        self.origin = Origin::Chosen;
    }

    /// Gives the buffer back, unless what is left in it takes up most of it.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(super) fn give_back(&mut self, spare: &mut Vec<u8>) {
        let lent = std::mem::take(&mut self.origin) == Origin::Lent;
        self.in_turn = false;
        if !self.has_taken {
            // What trickles is no flood.
            self.followed = 0;
        }
        self.drop_taken();
        if lent && self.buffer.is_empty() {
            std::mem::swap(&mut self.buffer, spare);
        } else if lent && self.buffer.len() <= LOAN / 2 {
            let rest = self.buffer[..].to_vec();
            *spare = std::mem::replace(&mut self.buffer, rest);
            spare.clear();
        } else if self.buffer.capacity() > 0
            && (self.buffer.is_empty()
                || self.buffer.capacity() > LOAN + KEEP_SHARE * self.buffer.len())
        {
            // Little of what was expected has come, and a peer could hold the room of its last message
            // with one byte.
            let rest = self.buffer[..].to_vec();
            pool::put(std::mem::replace(&mut self.buffer, rest));
        }
        self.room = self.buffer.capacity();
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    #[cfg(feature = "tokio")]
    if bytes.len() >= LARGE {
        let mut copy = pool::take(bytes.len());
        copy.extend_from_slice(bytes);
        return pool::freeze(copy);
    }
    Bytes::copy_from_slice(bytes)
}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use super::*;

    /// One turn with a lent buffer in which these bytes arrive. Returns the message, if they are one.
    fn turn(input: &mut Input, bytes: &[u8], whole: bool) -> Option<Bytes> {
        let mut spare = Vec::new();
        input.borrow(&mut spare);
        input.receive(false).extend_from_slice(bytes);
        let message = whole.then(|| input.take(bytes.len()));
        if let Some(message) = &message {
            input.note_message(message.len());
        }
        input.give_back(&mut spare);
        message
    }

    #[test]
    fn what_is_idle_holds_no_buffer() {
        let mut input = Input::default();
        for size in [1, 3000, LARGE, 100_000, 3 << 20, 100_000, 1] {
            let bytes = vec![7; size];
            assert_eq!(turn(&mut input, &bytes, true), Some(Bytes::from(bytes)));
            assert_eq!(input.buffer.capacity(), 0, "after {size} bytes");
        }
    }

    #[test]
    fn the_room_of_a_large_message_is_not_held_for_the_first_bytes_of_another() {
        let mut input = Input::default();
        for size in [100_000, 1 << 20, 16 << 20] {
            turn(&mut input, &vec![7; size], true);
            turn(&mut input, b"x", false);
            assert!(input.buffer.capacity() <= LOAN, "{} for a byte", input.buffer.capacity());
            input.take(1);
        }
    }

    #[test]
    fn a_message_that_mostly_has_its_buffer_is_not_copied() {
        let mut input = Input::default();
        turn(&mut input, &vec![7; 100_000], true);
        let mut spare = Vec::new();
        input.borrow(&mut spare);
        input.receive(false).extend_from_slice(&vec![7; 100_000]);
        let address = input.bytes().as_ptr();
        assert_eq!(input.take(100_000).as_ptr(), address);
    }

    #[test]
    fn large_messages_of_one_turn_have_the_same_buffer_one_after_the_other() {
        let mut input = Input::default();
        turn(&mut input, &vec![7; 100_000], true);
        input.borrow(&mut Vec::new());
        let addresses = [(); 3].map(|()| {
            input.receive(false).extend_from_slice(&vec![7; 100_000]);
            let message = input.take(100_000);
            input.note_message(message.len());
            message.as_ptr()
        });
        assert_eq!(addresses, [addresses[0]; 3]);
    }

    #[test]
    fn messages_of_a_flood_come_whole_and_several_at_a_time() {
        for size in [LARGE, 65_545, 100_001, FLOOD_MAX / 2, FLOOD_MAX] {
            let wire: Vec<u8> = (0..=250).cycle().take(40 * size).collect();
            let (mut input, mut spare) = (Input::default(), Vec::new());
            input.read_several(true);
            let (mut at, mut taken, mut most) = (0, 0, 0);
            while taken < wire.len() {
                input.borrow(&mut spare);
                for _ in 0..8 {
                    input.want(size);
                    let buffer = input.receive(false);
                    let read = (buffer.capacity() - buffer.len()).min(wire.len() - at);
                    buffer.extend_from_slice(&wire[at..at + read]);
                    at += read;
                    most = most.max(read);
                    while input.len() >= size {
                        assert_eq!(input.take(size), wire[taken..taken + size]);
                        input.note_message(size);
                        taken += size;
                    }
                }
                input.give_back(&mut spare);
                let (held, room) = (input.len(), input.buffer.capacity());
                assert!(room <= LOAN + KEEP_SHARE * held, "{room} for {held}");
            }
            assert_eq!(most >= 2 * size, size <= FLOOD_MAX / 2, "{most} of {size} at a time");
            assert_eq!(input.buffer.capacity(), 0);
        }
    }
}
