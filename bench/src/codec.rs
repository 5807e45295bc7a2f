//! The protocol core in memory: messages of some shapes through one side of a connection.

use std::hint::black_box;
use std::time::Instant;

use bytes::{Buf, Bytes};
use zmtp::Message;
use zmtp::proto::{Connection, Event, Settings, SocketType};

use crate::wire::{GREETING, frame, ready};

/// So many messages of these parts at a time.
#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    pub parts: Vec<Bytes>,
    pub batch: usize,
}

pub fn shapes() -> [Shape; 4] {
    let body = |size| Bytes::from(vec![b'x'; size]);
    let address = Bytes::from_static(b"\0\0\0\0\x01");
    [
        Shape { name: "32 B", parts: vec![body(32)], batch: 1 },
        Shape { name: "envelope", parts: vec![address, Bytes::new(), body(32)], batch: 1 },
        Shape { name: "64 KiB", parts: vec![body(64 << 10)], batch: 1 },
        Shape { name: "64 x 32 B", parts: vec![body(32)], batch: 64 },
    ]
}

impl Shape {
    /// The messages as they go on the wire.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        for _ in 0..self.batch {
            for (i, part) in self.parts.iter().enumerate() {
                frame(part, i + 1 < self.parts.len(), &mut wire);
            }
        }
        wire
    }
}

/// A ROUTER's side, with the handshake behind it.
pub fn connection() -> Connection {
    let mut connection = Connection::new(SocketType::Router, Settings::default(), Instant::now());
    connection.receive().extend_from_slice(&GREETING);
    connection.receive().extend_from_slice(&ready("REQ", b""));
    let event = connection.next_event().expect("a handshake by the book");
    assert!(matches!(event, Some(Event::Ready(_))));
    take_all(&mut connection);
    connection
}

/// Takes the bytes in as reads do: as many at a time as there is room offered.
pub fn decode(connection: &mut Connection, mut wire: &[u8]) {
    while !wire.is_empty() {
        let input = connection.receive();
        let room = input.capacity() - input.len();
        let (read, rest) = wire.split_at(room.min(wire.len()));
        input.extend_from_slice(read);
        wire = rest;
        while let Some(event) = connection.next_event().expect("messages by the book") {
            black_box(event);
        }
    }
}

/// Makes the messages of their parts, and the bytes of the messages.
pub fn encode(connection: &mut Connection, shape: &Shape) {
    for _ in 0..shape.batch {
        let message: Message = shape.parts.iter().cloned().collect();
        connection.send(message).expect("a connection in traffic");
    }
    take_all(connection);
}

fn take_all(connection: &mut Connection) {
    let output = connection.transmit();
    while output.has_remaining() {
        let count = black_box(output.chunk()).len();
        output.advance(count);
    }
}
