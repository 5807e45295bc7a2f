//! [`Pings`]: the PINGs and PONGs of a connection that has to do with any.

use std::time::Instant;

use bytes::Bytes;

use super::command::{Command, encode_ping, encode_pong};
use super::frame::FrameHeader;
use super::heartbeat::{Heartbeat, Pulse};
use super::transmit::Transmit;
use crate::error::ProtocolError;

/// The PINGs of either side, and what they are answered with.
#[derive(Debug, Default)]
pub(super) struct Pings {
    /// Where there are heartbeats.
    pulse: Option<Pulse>,
    /// Bytes of input when it was last looked at.
    looked_at: usize,
    /// Bytes of input in which PINGs have been answered ahead, and how many of them there are.
    seen_ahead: usize,
    answered_ahead: usize,
    /// What the next PONG carries. A later PING replaces it, so at most one waits.
    pong: Option<Bytes>,
    ping: bool,
}

impl Pings {
    pub(super) fn of(heartbeat: Heartbeat) -> Self {
        Self { pulse: Some(Pulse::new(heartbeat)), ..Self::default() }
    }

    /// The peer bears no PINGs.
    pub(super) fn spare_peer(&mut self) {
        self.pulse = None;
    }

    /// Whether messages may pass without a word of them here.
    #[cfg(feature = "tokio")]
    pub(super) fn rests(&self) -> bool {
        let owes = self.ping || self.pong.is_some();
        self.pulse.is_none() && !owes && self.seen_ahead == 0 && self.answered_ahead == 0
    }

    /// There are so many bytes of input.
    pub(super) fn note_input(&mut self, len: usize) {
        if let Some(pulse) = &mut self.pulse {
            pulse.note_received(len.saturating_sub(self.looked_at));
        }
        self.looked_at = len;
    }

    /// So many of them are left.
    pub(super) fn note_left(&mut self, left: usize) {
        let taken = self.looked_at.saturating_sub(left);
        self.seen_ahead = self.seen_ahead.saturating_sub(taken);
        self.looked_at = left;
    }

    /// Answers PINGs in `input`, of which so many bytes have been scanned as parts of a message.
    pub(super) fn answer_ahead(&mut self, input: &[u8], scanned: usize) {
        let mut at = self.seen_ahead.max(scanned);
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let Ok(Some((header, size))) = FrameHeader::decode(rest) else { break };
            let end = usize::try_from(header.len).ok().and_then(|len| size.checked_add(len));
            let Some(body) = end.and_then(|end| rest.get(size..end)) else { break };
            if header.is_command()
                && let Ok(Command::Ping { context, .. }) = Command::decode(body)
            {
                self.pong = Some(Bytes::copy_from_slice(context));
                self.answered_ahead += 1;
            }
            at += size + body.len();
        }
        self.seen_ahead = at;
    }

    /// A PING has arrived.
    pub(super) fn obey(&mut self, ttl: u16, context: &[u8]) {
        if self.answered_ahead > 0 {
            self.answered_ahead -= 1;
        } else {
            self.pong = Some(Bytes::copy_from_slice(context));
        }
        if ttl > 0 {
            self.pulse.get_or_insert_default().note_ping(ttl);
        }
    }

    /// Puts what is due where nothing else waits: a peer that sends PINGs and reads nothing makes one PONG,
    /// not a heap of them.
    pub(super) fn encode_into(&mut self, output: &mut Transmit) {
        if !output.is_empty() {
            return;
        }
        if let Some(context) = self.pong.take() {
            encode_pong(&context, output.scratch());
        }
        if std::mem::take(&mut self.ping) {
            let ttl = self.pulse.as_ref().map_or(0, Pulse::ttl_field);
            encode_ping(ttl, output.scratch());
        }
    }

    /// When [`beat`](Self::beat) is to be called, if ever; `clock` is a time that has passed.
    pub(super) fn next_timeout(&self, clock: Instant) -> Option<Instant> {
        self.pulse.as_ref()?.next_timeout(clock)
    }

    /// It is `now`, and the peer's messages may wait to be parsed.
    pub(super) fn beat(&mut self, now: Instant, they_wait: bool) -> Result<(), ProtocolError> {
        if let Some(pulse) = &mut self.pulse {
            self.ping |= pulse.beat(now, they_wait)?;
        }
        Ok(())
    }
}
