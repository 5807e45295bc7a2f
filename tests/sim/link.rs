//! [`Link`]: a connection, with the bytes that are under way.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Buf;
use zmtp::Message;
use zmtp::proto::{Connection, Event, Settings, SocketType};

use super::choices::Choices;

/// Bytes that are under way at most in one direction.
const PIPE: usize = 4096;

/// Bytes in one direction.
#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// Nothing is put in any more.
    ended: bool,
}

impl Pipe {
    /// Moves some bytes on at each end.
    fn flow(&mut self, from: &mut Connection, to: &mut Connection, choices: &mut Choices) {
        let most = if choices.one_in(4) { 1 + choices.below(8) } else { PIPE };
        let out = from.transmit();
        while !self.ended && out.has_remaining() && self.bytes.len() < PIPE {
            let chunk = out.chunk();
            let count = chunk.len().min(PIPE - self.bytes.len());
            self.bytes.extend(&chunk[..count]);
            out.advance(count);
        }
        let room = to.receive();
        let count = most.min(self.bytes.len()).min(room.capacity() - room.len());
        room.extend(self.bytes.drain(..count));
    }
}

/// A connection of a peer.
#[derive(Debug)]
pub struct Link {
    ours: Connection,
    theirs: Connection,
    to_us: Pipe,
    to_them: Pipe,
}

/// What one end of a link makes of what has arrived.
#[derive(Debug)]
pub enum Seen {
    Ready,
    Message(Message),
    End,
}

impl Link {
    /// A peer connects.
    pub fn new(theirs: SocketType, name: &str, now: Instant) -> Self {
        let settings = Settings { identity: name.to_owned().into(), ..Settings::default() };
        Self {
            ours: Connection::new(SocketType::Router, Settings::default(), now),
            theirs: Connection::new(theirs, settings, now),
            to_us: Pipe::default(),
            to_them: Pipe::default(),
        }
    }

    /// Some bytes arrive.
    pub fn flow(&mut self, choices: &mut Choices) {
        self.to_us.flow(&mut self.theirs, &mut self.ours, choices);
        self.to_them.flow(&mut self.ours, &mut self.theirs, choices);
    }

    /// What we have sent arrives.
    pub fn catch_up(&mut self) {
        let nothing = &mut Choices::Given(Vec::new(), 0);
        while self.ours.transmit().has_remaining() || !self.to_them.bytes.is_empty() {
            self.to_them.flow(&mut self.ours, &mut self.theirs, nothing);
        }
    }

    /// The peer's process ends, or the network does. What is under way to us may arrive.
    pub fn end(&mut self, choices: &mut Choices) {
        let lost = choices.below(1 + self.to_us.bytes.len());
        self.to_us.bytes.truncate(self.to_us.bytes.len() - lost);
        self.to_us.ended = true;
    }

    /// Garbage from the peer, behind what it had to say, and its end.
    pub fn spoil(&mut self, choices: &mut Choices) {
        if self.theirs.transmit().has_remaining() || self.ours.buffered() > 0 {
            return self.end(choices);
        }
        (0..8).for_each(|_| self.to_us.bytes.push_back(u8::try_from(choices.below(256)).unwrap()));
        self.to_us.ended = true;
    }

    /// The next thing that we see.
    pub fn see(&mut self) -> Option<Seen> {
        match see(&mut self.ours) {
            None if self.to_us.ended && self.to_us.bytes.is_empty() => Some(Seen::End),
            seen => seen,
        }
    }

    /// The next thing that the peer sees.
    pub fn peer_sees(&mut self) -> Option<Seen> {
        see(&mut self.theirs)
    }

    /// We send a message.
    pub fn send(&mut self, message: Message) {
        self.ours.send(message).expect("the handshake is over");
    }

    /// The peer sends a message.
    pub fn peer_sends(&mut self, parts: &[&[u8]]) {
        self.theirs.send(Message::copy_from(parts)).expect("the handshake is over");
    }
}

fn see(connection: &mut Connection) -> Option<Seen> {
    match connection.next_event() {
        Ok(Some(Event::Ready(_))) => Some(Seen::Ready),
        Ok(Some(Event::Message(message))) => Some(Seen::Message(message)),
        Ok(_) => None,
        Err(_) => Some(Seen::End),
    }
}
