//! The bytes of a record.
//!
//! ```text
//! asked       1  number  connection  lock-step  frames in front of the delimiter  frames [] C [] body...
//! handed out  2  number  worker  in doubt
//! ended       3  number
//!
//! number, connection: 8 bytes   lock-step, in doubt: 1 byte   frames: count, bytes...   bytes: size, so many   size, count: 4 bytes
//! ```

use bytes::Bytes;
use zmtp::Message;

use super::HEAD;
use crate::queue::{Asked, Record};

const ASKED: u8 = 1;
const HANDED_OUT: u8 = 2;
const ENDED: u8 = 3;

/// Puts a record to the end of others.
pub(super) fn encode(record: &Record, output: &mut Vec<u8>) {
    let start = output.len();
    output.extend([0; HEAD]);
    match record {
        Record::Asked(Asked { number, connection, lock_step, stack, message }) => {
            output.push(ASKED);
            output.extend(number.to_le_bytes());
            output.extend(connection.to_le_bytes());
            output.push((*lock_step).into());
            put_frames(stack.len(), stack.iter().map(|frame| &**frame), output);
            put_frames(message.len(), message.parts(), output);
        }
        Record::HandedOut { number, worker, in_doubt } => {
            output.push(HANDED_OUT);
            output.extend(number.to_le_bytes());
            put_bytes(worker, output);
            output.push((*in_doubt).into());
        }
        Record::Ended { number } => {
            output.push(ENDED);
            output.extend(number.to_le_bytes());
        }
    }
    let (_, record) = output.split_at_mut(start);
    let (head, payload) = record.split_at_mut(HEAD);
    head.copy_from_slice(&head_of(payload));
}

fn head_of(payload: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let size = size_of(payload.len());
    let fields = [size, !size, crc32fast::hash(payload)];
    for (place, field) in head.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    head
}

/// No message is as long, see [`MESSAGE_MAX`](super::MESSAGE_MAX).
fn size_of(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn put_size(size: usize, output: &mut Vec<u8>) {
    output.extend(size_of(size).to_le_bytes());
}

fn put_frames<'a>(count: usize, frames: impl Iterator<Item = &'a [u8]>, output: &mut Vec<u8>) {
    put_size(count, output);
    for frame in frames {
        put_bytes(frame, output);
    }
}

fn put_bytes(bytes: &[u8], output: &mut Vec<u8>) {
    put_size(bytes.len(), output);
    output.extend_from_slice(bytes);
}

/// What a head says of its payload: the size and the checksum. None if it is not a head.
pub(super) fn decode_head(head: [u8; HEAD]) -> Option<(u32, u32)> {
    let mut fields = Fields(&head);
    let (size, inverted, checksum) = (fields.u32()?, fields.u32()?, fields.u32()?);
    (size == !inverted).then_some((size, checksum))
}

/// The record that a payload is, if it is one.
pub(super) fn decode(payload: &[u8]) -> Option<Record> {
    let mut fields = Fields(payload);
    let record = match fields.u8()? {
        ASKED => Record::Asked(decode_asked(&mut fields)?),
        HANDED_OUT => Record::HandedOut {
            number: fields.u64()?,
            worker: Bytes::copy_from_slice(fields.bytes()?),
            in_doubt: fields.u8()? != 0,
        },
        ENDED => Record::Ended { number: fields.u64()? },
        _ => return None,
    };
    fields.0.is_empty().then_some(record)
}

fn decode_asked(fields: &mut Fields<'_>) -> Option<Asked> {
    let (number, connection) = (fields.u64()?, fields.u64()?);
    let lock_step = fields.u8()? != 0;
    let stack = fields.frames()?.into_iter().map(Bytes::copy_from_slice).collect();
    let message = Message::copy_from(&fields.frames()?);
    let is_addressed = message.len() >= 2 && message.part(0) == Some(b"");
    is_addressed.then_some(Asked { number, connection, lock_step, stack, message })
}

/// What has not been taken of a payload.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.u32()?;
        self.take(usize::try_from(size).ok()?)
    }

    fn frames(&mut self) -> Option<Vec<&'a [u8]>> {
        let count = self.u32()?;
        (0..count).map(|_| self.bytes()).collect()
    }
}
