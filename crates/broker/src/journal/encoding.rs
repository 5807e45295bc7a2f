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
use crate::fields::{Fields, put_bytes, put_frames, size_of};
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
