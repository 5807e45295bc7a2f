//! [`Peer`]: a raw peer that waits for nothing, for what it talks to may run in the same thread.

use std::io::{self, Read, Write};

use crate::Stream;
use crate::wire::{GREETING, ready, split_frame};

/// A connection over which whole messages go, as the bytes of their frames.
#[derive(Debug)]
pub struct Peer {
    stream: Stream,
    input: Vec<u8>,
    greeted: bool,
    shaken: bool,
}

impl Peer {
    /// Connects and says hello.
    pub fn connect(endpoint: &str, socket_type: &str) -> io::Result<Self> {
        let stream = Stream::connect(endpoint)?;
        (&stream).write_all(&GREETING)?;
        (&stream).write_all(&ready(socket_type, b""))?;
        Ok(Self { stream, input: Vec::new(), greeted: false, shaken: false })
    }

    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(message)
    }

    /// The next message, if a whole one has arrived.
    pub fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(message) = self.take_message() {
                return Ok(Some(message));
            }
            let mut scratch = [0; 1024];
            match (&self.stream).read(&mut scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.input.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn take_message(&mut self) -> Option<Vec<u8>> {
        if !self.greeted && self.input.len() >= GREETING.len() {
            self.input.drain(..GREETING.len());
            self.greeted = true;
        }
        if self.greeted && !self.shaken {
            let (_, _, end) = split_frame(&self.input)?;
            self.input.drain(..end);
            self.shaken = true;
        }
        let mut end = 0;
        while self.shaken {
            let (flags, _, size) = split_frame(&self.input[end..])?;
            end += size;
            if flags & 1 == 0 {
                return Some(self.input.drain(..end).collect());
            }
        }
        None
    }
}
