//! The parts of a [`Handover`].
//!
//! ```text
//! head       1  version  paused  numbers of requests
//! listener   2  side  owns its file
//! client     3  connection
//! waiting    4  client's place  age  frames
//! worker     5  work  strikes  held  in doubt  expected  frames of its stack  [client's place  age  lease  frames of its request]  connection
//! end        6
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use zmtp::proto::SocketType;
use zmtp::{DetachedConnection, DetachedListener, Message, PeerId};

use super::{Handover, Heir, Part};
use crate::fields::{Fields, put_frames};
use crate::queue::{Left, Running, Waiting, Work};

/// To be changed with anything below, or with what is in a connection.
const VERSION: u8 = 1;

/// The place of a client that is not there.
const NOWHERE: u64 = u64::MAX;

/// No lease. The others, and ages, are microseconds.
const NONE: u64 = u64::MAX;

const HEAD: u8 = 1;
const LISTENER: u8 = 2;
const CLIENT: u8 = 3;
const WAITING: u8 = 4;
const WORKER: u8 = 5;
const END: u8 = 6;

const SILENT: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;
const LATE: u8 = 3;

pub(super) fn parts(handover: &Handover) -> impl Iterator<Item = Part<'_>> {
    let mut head = vec![HEAD, VERSION, handover.paused.into()];
    handover.numbers.iter().for_each(|number| head.extend(number.to_le_bytes()));
    let sides = [0, 1].into_iter().zip(&handover.listeners);
    let listeners = sides.flat_map(|(side, listeners)| {
        listeners.iter().map(move |DetachedListener { socket, owns_file }| Part {
            bytes: vec![LISTENER, side, (*owns_file).into()].into(),
            socket: Some(socket.as_fd()),
        })
    });
    let clients = handover.clients.iter().map(|client| {
        let bytes = [&[CLIENT][..], &client.encode()].concat().into();
        Part { bytes, socket: Some(client.socket.as_fd()) }
    });
    let waiting = handover.waiting.iter().map(|(client, Waiting { message, age })| {
        let mut bytes = vec![WAITING];
        bytes.extend((*client as u64).to_le_bytes());
        bytes.extend(micros(*age).to_le_bytes());
        put_frames(message.len(), message.parts(), &mut bytes);
        Part { bytes: bytes.into(), socket: None }
    });
    let workers = handover.workers.iter().map(|(worker, heir)| {
        let mut bytes = vec![WORKER];
        encode_heir(heir, &mut bytes);
        bytes.extend_from_slice(&worker.encode());
        Part { bytes: bytes.into(), socket: Some(worker.socket.as_fd()) }
    });
    let alone = |bytes: Vec<u8>| std::iter::once(Part { bytes: bytes.into(), socket: None });
    let peers = clients.chain(waiting).chain(workers);
    alone(head).chain(listeners).chain(peers).chain(alone(vec![END]))
}

fn encode_heir(Heir { left, client }: &Heir, bytes: &mut Vec<u8>) {
    let Left { work, stack, strikes, held, in_doubt, expected } = left;
    bytes.push(match work {
        Work::Silent => SILENT,
        Work::Idle => IDLE,
        Work::Busy(_) => BUSY,
        Work::Late => LATE,
    });
    bytes.extend(strikes.to_le_bytes());
    bytes.extend([*held, *in_doubt, *expected].map(u8::from));
    put_frames(stack.len(), stack.iter().map(|frame| &**frame), bytes);
    if let Work::Busy(Running { message, age, lease, .. }) = work {
        bytes.extend(client.map_or(NOWHERE, |client| client as u64).to_le_bytes());
        bytes.extend(micros(*age).to_le_bytes());
        bytes.extend(lease.map_or(NONE, micros).to_le_bytes());
        put_frames(message.len(), message.parts(), bytes);
    }
}

pub(super) fn from_parts(
    parts: impl IntoIterator<Item = (Bytes, Option<OwnedFd>)>,
) -> Option<Handover> {
    let mut parts = parts.into_iter();
    let mut handover = decode_head(&parts.next()?.0)?;
    for (bytes, socket) in parts {
        let (&tag, rest) = bytes.split_first()?;
        match (tag, socket) {
            (LISTENER, Some(socket)) => {
                let &[side, owns_file] = rest else { return None };
                let listeners = handover.listeners.get_mut(usize::from(side))?;
                listeners.push(DetachedListener { socket, owns_file: owns_file != 0 });
            }
            (CLIENT, Some(socket)) => {
                let client = DetachedConnection::decode(SocketType::Router, rest, socket)?;
                handover.clients.push(client);
            }
            (WAITING, None) => {
                let mut fields = Fields(rest);
                let client = usize::try_from(fields.u64()?).ok()?;
                let age = Duration::from_micros(fields.u64()?);
                let message = Message::copy_from(&fields.frames()?);
                handover.waiting.push((client, Waiting { message, age }));
            }
            (WORKER, Some(socket)) => {
                let mut fields = Fields(rest);
                let heir = decode_heir(&mut fields)?;
                let worker = DetachedConnection::decode(SocketType::Router, fields.0, socket)?;
                handover.workers.push((worker, heir));
            }
            (END, None) => return Some(handover),
            _ => return None,
        }
    }
    None
}

fn decode_head(bytes: &[u8]) -> Option<Handover> {
    let mut fields = Fields(bytes);
    if (fields.u8()?, fields.u8()?) != (HEAD, VERSION) {
        return None;
    }
    let paused = fields.u8()? != 0;
    let mut numbers = Vec::new();
    while !fields.0.is_empty() {
        numbers.push(fields.u64()?);
    }
    let (clients, waiting, workers) = Default::default();
    Some(Handover { listeners: Default::default(), clients, waiting, workers, numbers, paused })
}

fn decode_heir(fields: &mut Fields<'_>) -> Option<Heir> {
    let work = fields.u8()?;
    let strikes = fields.u32()?;
    let (held, in_doubt) = (fields.u8()? != 0, fields.u8()? != 0);
    let expected = fields.u8()? != 0;
    let stack = fields.frames()?.into_iter().map(Bytes::copy_from_slice).collect();
    let mut client = None;
    let work = match work {
        SILENT => Work::Silent,
        IDLE => Work::Idle,
        LATE => Work::Late,
        BUSY => {
            let place = Some(fields.u64()?).filter(|&place| place != NOWHERE);
            client = place.and_then(|place| usize::try_from(place).ok());
            let age = Duration::from_micros(fields.u64()?);
            let lease = Some(fields.u64()?).filter(|&lease| lease != NONE);
            let lease = lease.map(Duration::from_micros);
            let message = Message::copy_from(&fields.frames()?);
            Work::Busy(Running { client: PeerId::NOBODY, message, age, lease })
        }
        _ => return None,
    };
    Some(Heir { left: Left { work, stack, strikes, held, in_doubt, expected }, client })
}

/// No time is as long as what stands for none.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX - 1)
}
