//! From bytes to messages and commands.

use bytes::{Bytes, BytesMut};

use super::frame::{FrameFlags, FrameHeader};
use super::input::Input;
use crate::error::ProtocolError;
use crate::limits::Limits;
use crate::message::Message;

/// Frames up to this size that were cut off are copied together.
const COPY_MAX: usize = 2048;

/// What each frame costs beside its body when a message is held against its limit.
const FRAME_OVERHEAD: usize = 64;

/// Takes whole messages and commands off the front of a byte stream, one at a time.
///
/// Frames of an incomplete message stay where they arrived; only their headers are looked at, and
/// each only once, so the work is linear in the bytes however they are split.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// Bytes at the front of the input that are whole frames of the message in progress.
    scanned: usize,
    frames: usize,
    cost: usize,
    cut_off: Option<Box<CutOff>>,
}

/// Frames of the message in progress that a command, or a length in a longer form than needed, has cut off
/// from those in the input.
#[derive(Debug, Default)]
struct CutOff {
    chunks: Vec<Bytes>,
    /// Small ones among them, behind all `chunks`, copied together so that none keeps a read buffer.
    copied: BytesMut,
    /// Bytes in `chunks` and `copied`.
    held: usize,
}

/// One thing taken off the stream.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    /// The body of a command.
    Command(Bytes),
    /// Nothing before there are so many bytes of input.
    Incomplete(usize),
}

impl Assembler {
    /// Bytes at the front of the input that have been looked at.
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Bytes of the message in progress that are no longer in the input.
    pub(super) fn held(&self) -> usize {
        self.cut_off.as_ref().map_or(0, |cut_off| cut_off.held)
    }

    /// Takes the message in progress as it has arrived, but for what is still in the input.
    #[cfg(feature = "tokio")]
    pub(super) fn take_held(&mut self, output: &mut Vec<u8>) {
        let mut held = std::mem::take(self).cut_off.unwrap_or_default();
        held.flush();
        held.chunks.iter().for_each(|chunk| output.extend_from_slice(chunk));
    }

    /// Whether a message has begun but not ended.
    pub(super) fn is_mid_message(&self) -> bool {
        self.frames > 0
    }

    /// Takes the next message or command off `input`.
    pub(super) fn next(
        &mut self,
        input: &mut Input,
        limits: &Limits,
    ) -> Result<Item, ProtocolError> {
        loop {
            if self.scan_short(input.bytes(), limits) {
                return Ok(Item::Message(self.finish(input)));
            }
            let pending = input.bytes().get(self.scanned..).unwrap_or_default();
            let Some((header, size)) = FrameHeader::decode(pending)? else {
                return Ok(Item::Incomplete(input.len() + 1));
            };
            let body = self.admit(header, limits)?;
            let end = self.scanned + size + body;
            if input.len() < end {
                return Ok(Item::Incomplete(end));
            }
            if header.is_command() {
                self.cut(input);
                input.skip(size);
                let command = input.bytes().get(..body).unwrap_or_default();
                let command = Bytes::copy_from_slice(command);
                input.skip(body);
                return Ok(Item::Command(command));
            }
            if header.is_shortest() {
                self.scanned = end;
            } else {
                self.cut(input);
                input.skip(size);
                let cut_off = self.cut_off.get_or_insert_default();
                FrameHeader::part(body, header.more()).encode(&mut cut_off.copied);
                cut_off.copied.extend_from_slice(input.bytes().get(..body).unwrap_or_default());
                cut_off.held += body;
                input.skip(body);
            }
            self.frames += 1;
            self.cost += body + FRAME_OVERHEAD;
            if !header.more() {
                return Ok(Item::Message(self.finish(input)));
            }
        }
    }

    /// A message that is held in place, if `bytes` are one from its first to its last.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(super) fn whole(bytes: &[u8], limits: &Limits) -> Option<Message> {
        let scan = Scan::default().short(bytes, limits);
        let whole = scan.ends && scan.size == bytes.len();
        if whole { Message::from_short_wire(bytes, scan.frames) } else { None }
    }

    /// Goes over whole parts of up to 255 bytes, which most are. Says whether the last of a message is
    /// among them; if not, what stops it is looked at in full.
    #[inline]
    fn scan_short(&mut self, bytes: &[u8], limits: &Limits) -> bool {
        let pending = bytes.get(self.scanned..).unwrap_or_default();
        let scan = Scan { frames: self.frames, cost: self.cost, ..Scan::default() };
        let scan = scan.short(pending, limits);
        self.scanned += scan.size;
        (self.frames, self.cost) = (scan.frames, scan.cost);
        scan.ends
    }

    /// Holds a frame that is about to arrive against the limits. Returns the size of its body.
    fn admit(&self, header: FrameHeader, limits: &Limits) -> Result<usize, ProtocolError> {
        let Limits { max_message_size, max_frames, .. } = *limits;
        let size = limits.admit(header)?;
        if header.is_command() {
            return Ok(size);
        }
        if self.frames >= max_frames {
            return Err(ProtocolError::TooManyFrames { max: max_frames });
        }
        // A body that alone fits the limit is always admitted: the surcharge is for the others.
        let overhead = if self.frames == 0 { 0 } else { FRAME_OVERHEAD };
        let cost = self.cost.saturating_add(size).saturating_add(overhead);
        if cost > max_message_size {
            return Err(ProtocolError::MessageTooLarge { max: max_message_size });
        }
        Ok(size)
    }

    /// Moves the frames scanned so far out of the input.
    fn cut(&mut self, input: &mut Input) {
        let scanned = std::mem::take(&mut self.scanned);
        if scanned == 0 {
            return;
        }
        let cut_off = self.cut_off.get_or_insert_default();
        cut_off.held += scanned;
        if scanned <= COPY_MAX {
            cut_off.copied.extend_from_slice(input.bytes().get(..scanned).unwrap_or_default());
            input.skip(scanned);
        } else {
            cut_off.flush();
            cut_off.chunks.push(input.take(scanned));
        }
    }

    fn finish(&mut self, input: &mut Input) -> Message {
        let frames = std::mem::take(&mut self.frames);
        self.cost = 0;
        if self.cut_off.is_none() {
            let size = std::mem::take(&mut self.scanned);
            let wire = input.bytes().get(..size).unwrap_or_default();
            if let Some(message) = Message::from_short_wire(wire, frames) {
                input.skip(size);
                return message;
            }
            return Message::from_wire(input.take(size), Vec::new(), frames);
        }
        self.cut(input);
        let mut cut_off = self.cut_off.take().unwrap_or_default();
        cut_off.flush();
        let mut tail = cut_off.chunks;
        let head = tail.remove(0);
        Message::from_wire(head, tail, frames)
    }
}

/// Parts of a message that have been gone over.
#[derive(Debug, Default)]
struct Scan {
    size: usize,
    frames: usize,
    cost: usize,
    /// The last of the message is among them.
    ends: bool,
}

impl Scan {
    /// Goes on over whole parts of up to 255 bytes, up to the last of a message.
    #[inline]
    fn short(mut self, bytes: &[u8], limits: &Limits) -> Self {
        const MORE: u8 = FrameFlags::MORE.bits();
        let Limits { max_message_size, max_frame_size, max_frames, .. } = *limits;
        let mut rest = bytes;
        while let [flags @ (0 | MORE), len, behind @ ..] = rest
            && let Some(next) = behind.get(usize::from(*len)..)
        {
            let overhead = if self.frames == 0 { 0 } else { FRAME_OVERHEAD };
            let body = usize::from(*len);
            let fits = body <= max_frame_size && self.cost + body + overhead <= max_message_size;
            if !fits || self.frames >= max_frames {
                break;
            }
            rest = next;
            self.frames += 1;
            self.cost += body + FRAME_OVERHEAD;
            if *flags != MORE {
                self.ends = true;
                break;
            }
        }
        self.size = bytes.len() - rest.len();
        self
    }
}

impl CutOff {
    fn flush(&mut self) {
        if !self.copied.is_empty() {
            self.chunks.push(std::mem::take(&mut self.copied).freeze());
        }
    }
}
