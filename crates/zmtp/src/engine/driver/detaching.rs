//! Taking a connection away from its task, as it stands.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::super::transport::Transport;
use super::{Driver, End};
use crate::message::Message;
use crate::proto::Transmit;
use crate::socket::{LeaveReason, Remains};

impl<S: Transport> Driver<S> {
    /// None if it is about to end.
    pub(super) fn detach(&mut self) -> Option<Remains> {
        let in_traffic = self.link.has_joined() && self.end == End::NotYet;
        if !in_traffic || self.ended || self.broken.is_some() || self.over.is_some() {
            return None;
        }
        let (mut arrived, to_send, unreleased) = self.link.detach()?;
        let socket = self.stream.detach();
        // Nobody else goes on with it.
        self.at_rest = false;
        self.over = Some(LeaveReason::Local);
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
        arrived.append(&mut self.incoming);
        let mut input = Transmit::default();
        encode(arrived, &mut input);
        input.scratch().extend_from_slice(&self.connection.take_input());
        let mut output = self.connection.take_output();
        encode(std::mem::take(&mut self.outgoing), &mut output);
        encode(to_send, &mut output);
        let (input, output) = (whole(&mut input), whole(&mut output));
        Some(Remains { socket: socket?, input, output, unreleased })
    }
}

fn encode(messages: VecDeque<Message>, wire: &mut Transmit) {
    for message in messages {
        message.encode_into(wire);
    }
}

fn whole(wire: &mut Transmit) -> Bytes {
    wire.copy_to_bytes(wire.remaining())
}
