//! Taking a connection apart in traffic, and going on with it.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes};

use super::super::command::PeerInfo;
use super::super::socket_type::SocketType;
use super::super::transmit::Transmit;
use super::{Connection, Settings};

impl Connection {
    /// A connection that another one began, with this peer: goes on with what has arrived and is to be transmitted.
    pub(crate) fn resume(
        socket_type: SocketType,
        settings: impl Into<Arc<Settings>>,
        info: &PeerInfo,
        input: &[u8],
        output: Bytes,
        now: Instant,
    ) -> Self {
        let mut resumed = Self::new(socket_type, settings, now);
        resumed.output = Transmit::default();
        resumed.output.push(output);
        resumed.begin_traffic(info);
        resumed.receive().extend_from_slice(input);
        resumed
    }

    /// Takes all that has arrived and did not come out as a message.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        self.assembler.take_held(&mut input);
        input.extend_from_slice(self.input.bytes());
        self.input.skip(self.input.len());
        input
    }

    /// Takes all that is to be transmitted, a PONG that waited for the rest with it.
    pub(crate) fn take_output(&mut self) -> Transmit {
        let mut output = std::mem::take(&mut self.output);
        let due = self.transmit();
        output.push(due.copy_to_bytes(due.remaining()));
        output
    }
}
