//! The parts of a [`Handover`].
//!
//! ```text
//! head       1  version  last number  paused  in a journal
//! listener   2  side  owns its file
//! client     3  id  connection
//! worker     4  id  connection
//! waiting    5  request
//! at work    6  worker's id  name  what it is known by  lock-step  strikes  held  stack  is expected [when]  in doubt [doubt]  work
//! held       7  client's name  lock-step  is in the journal [number]  frames
//! away       8  worker's name  what it was at
//! account    9
//! end       10
//!
//! request    number  client's id  age  turn  frames  was handed out [losses]
//! turn       0 in line,  1 next,  2 after  pause
//! loss       worker  cause  age
//! doubt      unknown  rounds  number and client's name of each
//! work       0 silent,  1 idle,  2 busy  request,  3 busy  lease  request,  4 late,  5 late  client's id  number
//! ```
//!
//! Times are microseconds.

mod account;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use zmtp::proto::SocketType;
use zmtp::{DetachedConnection, DetachedListener, Message, PeerId};

use account::put_account;

use super::{Handover, Part};
use crate::fields::{Fields, put_bytes, put_frames, put_size};
use crate::queue::{At, Cause, Doubt, Estate, Held, Left, Owed, Pending, Turn, Work};

/// To be changed with anything below, or with what is in a connection.
const VERSION: u8 = 5;

const HEAD: u8 = 1;
const LISTENER: u8 = 2;
const CLIENT: u8 = 3;
const WORKER: u8 = 4;
const WAITING: u8 = 5;
const AT_WORK: u8 = 6;
const HELD: u8 = 7;
const AWAY: u8 = 8;
const ACCOUNT: u8 = 9;
const END: u8 = 10;

const SILENT: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;
const LEASED: u8 = 3;
const LATE: u8 = 4;
const OWES: u8 = 5;

const IN_LINE: u8 = 0;
const NEXT: u8 = 1;
const AFTER: u8 = 2;

pub(super) fn parts(handover: &Handover) -> impl Iterator<Item = Part<'_>> {
    let Handover { listeners, clients, workers, estate, is_kept } = handover;
    let mut head = vec![HEAD, VERSION];
    put_number(estate.number, &mut head);
    head.extend([estate.paused, *is_kept].map(u8::from));
    let sides = [0, 1].into_iter().zip(listeners);
    let listeners = sides.flat_map(|(side, listeners)| {
        listeners.iter().map(move |DetachedListener { socket, owns_file }| Part {
            bytes: vec![LISTENER, side, (*owns_file).into()].into(),
            socket: Some(socket.as_fd()),
        })
    });
    let clients = clients.iter().map(|(id, client)| connection(CLIENT, *id, client));
    let workers = workers.iter().map(|(id, worker)| connection(WORKER, *id, worker));
    let alone = |bytes: Vec<u8>| Part { bytes: bytes.into(), socket: None };
    let waiting = estate.waiting.iter().map(|waiting| {
        let mut bytes = vec![WAITING];
        put_request(waiting, &mut bytes);
        bytes
    });
    let at_work = estate.workers.iter().map(|(id, left)| {
        let mut bytes = vec![AT_WORK];
        put_number(id.to_bits(), &mut bytes);
        put_left(left, &mut bytes);
        bytes
    });
    let held = estate.held.iter().map(|Held { client, lock_step, number, reply }| {
        let mut bytes = vec![HELD];
        put_bytes(client, &mut bytes);
        bytes.extend([*lock_step, number.is_some()].map(u8::from));
        if let Some(number) = number {
            put_number(*number, &mut bytes);
        }
        put_frames(reply.len(), reply.parts(), &mut bytes);
        bytes
    });
    let away = estate.away.iter().map(|(name, was)| {
        let mut bytes = vec![AWAY];
        put_bytes(name, &mut bytes);
        bytes.push(match was {
            At::Work => 0,
            At::Nothing => 1,
            At::Rest => 2,
        });
        bytes
    });
    let peers = listeners.chain(clients).chain(workers);
    let mut account = vec![ACCOUNT];
    put_account(&estate.account, &mut account);
    let end = [account, vec![END]];
    let rest = waiting.chain(at_work).chain(held).chain(away).chain(end).map(alone);
    std::iter::once(alone(head)).chain(peers).chain(rest)
}

fn connection(tag: u8, id: PeerId, connection: &DetachedConnection) -> Part<'_> {
    let mut bytes = vec![tag];
    put_number(id.to_bits(), &mut bytes);
    bytes.extend_from_slice(&connection.encode());
    Part { bytes: bytes.into(), socket: Some(connection.socket.as_fd()) }
}

fn put_number(number: u64, bytes: &mut Vec<u8>) {
    bytes.extend(number.to_le_bytes());
}

fn put_time(time: Duration, bytes: &mut Vec<u8>) {
    put_number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), bytes);
}

fn put_request(request: &Pending, bytes: &mut Vec<u8>) {
    let Pending { number, client, message, age, losses, turn } = request;
    put_number(*number, bytes);
    put_number(client.to_bits(), bytes);
    put_time(*age, bytes);
    match turn {
        Turn::InLine => bytes.push(IN_LINE),
        Turn::Next => bytes.push(NEXT),
        Turn::After(pause) => {
            bytes.push(AFTER);
            put_time(*pause, bytes);
        }
    }
    put_frames(message.len(), message.parts(), bytes);
    bytes.push(losses.is_some().into());
    let Some(losses) = losses else { return };
    put_size(losses.len(), bytes);
    for (worker, cause, age) in losses {
        put_bytes(worker, bytes);
        let cause = Cause::ALL.iter().zip(0_u8..).find(|(other, _)| *other == cause);
        bytes.push(cause.map_or(u8::MAX, |(_, place)| place));
        put_time(*age, bytes);
    }
}

fn put_left(left: &Left, bytes: &mut Vec<u8>) {
    let Left { routing_id, known_as, lock_step, work, stack, strikes, held, doubt, expected } =
        left;
    put_bytes(routing_id, bytes);
    put_bytes(known_as, bytes);
    bytes.push((*lock_step).into());
    bytes.extend(strikes.to_le_bytes());
    bytes.push((*held).into());
    put_frames(stack.len(), stack.iter().map(|frame| &**frame), bytes);
    bytes.push(expected.is_some().into());
    if let Some(when) = expected {
        put_time(*when, bytes);
    }
    bytes.push(doubt.is_some().into());
    if let Some(Doubt { unknown, sent, rounds }) = doubt.as_deref() {
        bytes.extend([(*unknown).into(), *rounds]);
        put_size(sent.len(), bytes);
        for (number, client) in sent {
            put_number(*number, bytes);
            put_bytes(client, bytes);
        }
    }
    match work {
        Work::Silent => bytes.push(SILENT),
        Work::Idle => bytes.push(IDLE),
        Work::Late(None) => bytes.push(LATE),
        Work::Late(Some(Owed { client, number, .. })) => {
            bytes.push(OWES);
            put_number(client.to_bits(), bytes);
            put_number(*number, bytes);
        }
        Work::Busy(request, None) => {
            bytes.push(BUSY);
            put_request(request, bytes);
        }
        Work::Busy(request, Some(lease)) => {
            bytes.push(LEASED);
            put_time(*lease, bytes);
            put_request(request, bytes);
        }
    }
}

pub(super) fn from_parts(
    parts: impl IntoIterator<Item = (Bytes, Option<OwnedFd>)>,
) -> Option<Handover> {
    let mut parts = parts.into_iter();
    let mut handover = decode_head(&parts.next()?.0)?;
    for (bytes, socket) in parts {
        let (&tag, rest) = bytes.split_first()?;
        let mut fields = Fields(rest);
        match (tag, socket) {
            (LISTENER, Some(socket)) => {
                let &[side, owns_file] = rest else { return None };
                let listeners = handover.listeners.get_mut(usize::from(side))?;
                listeners.push(DetachedListener { socket, owns_file: owns_file != 0 });
            }
            (CLIENT | WORKER, Some(socket)) => {
                let id = fields.peer_id()?;
                let peer = DetachedConnection::decode(SocketType::Router, fields.0, socket)?;
                let is_client = tag == CLIENT;
                let peers = if is_client { &mut handover.clients } else { &mut handover.workers };
                peers.push((id, peer));
            }
            (WAITING, None) => handover.estate.waiting.push_back(fields.request()?),
            (AT_WORK, None) => {
                let worker = (fields.peer_id()?, fields.left()?);
                handover.estate.workers.push(worker);
            }
            (HELD, None) => handover.estate.held.push(fields.held()?),
            (AWAY, None) => {
                let name = Bytes::copy_from_slice(fields.bytes()?);
                let was = [At::Work, At::Nothing, At::Rest].get(usize::from(fields.u8()?));
                handover.estate.away.push((name, *was?));
            }
            (ACCOUNT, None) => handover.estate.account = fields.account()?,
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
    let (number, paused, is_kept) = (fields.u64()?, fields.bool()?, fields.bool()?);
    let estate = Estate { number, paused, ..Estate::default() };
    let (listeners, clients, workers) = Default::default();
    Some(Handover { listeners, clients, workers, estate, is_kept })
}

impl Fields<'_> {
    fn bool(&mut self) -> Option<bool> {
        Some(self.u8()? != 0)
    }

    fn peer_id(&mut self) -> Option<PeerId> {
        self.u64().map(PeerId::from_bits)
    }

    fn time(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_micros)
    }

    fn turn(&mut self) -> Option<Turn> {
        Some(match self.u8()? {
            IN_LINE => Turn::InLine,
            NEXT => Turn::Next,
            AFTER => Turn::After(self.time()?),
            _ => return None,
        })
    }

    fn request(&mut self) -> Option<Pending> {
        let (number, client) = (self.u64()?, self.peer_id()?);
        let (age, turn) = (self.time()?, self.turn()?);
        let message = Message::copy_from(&self.frames()?);
        let losses = if self.bool()? { Some(self.losses()?) } else { None };
        Some(Pending { number, client, message, age, losses, turn })
    }

    fn held(&mut self) -> Option<Held> {
        Some(Held {
            client: Bytes::copy_from_slice(self.bytes()?),
            lock_step: self.bool()?,
            number: if self.bool()? { Some(self.u64()?) } else { None },
            reply: Message::copy_from(&self.frames()?),
        })
    }

    fn losses(&mut self) -> Option<Vec<(Bytes, Cause, Duration)>> {
        let count = self.u32()?;
        let loss = |_| {
            let worker = Bytes::copy_from_slice(self.bytes()?);
            let cause = Cause::ALL.get(usize::from(self.u8()?)).copied()?;
            Some((worker, cause, self.time()?))
        };
        (0..count).map(loss).collect()
    }

    fn left(&mut self) -> Option<Left> {
        Some(Left {
            routing_id: Bytes::copy_from_slice(self.bytes()?),
            known_as: Bytes::copy_from_slice(self.bytes()?),
            lock_step: self.bool()?,
            strikes: self.u32()?,
            held: self.bool()?,
            stack: self.frames()?.into_iter().map(Bytes::copy_from_slice).collect(),
            expected: if self.bool()? { Some(self.time()?) } else { None },
            doubt: if self.bool()? { Some(Box::new(self.doubt()?)) } else { None },
            work: self.work()?,
        })
    }

    fn doubt(&mut self) -> Option<Doubt> {
        let (unknown, rounds) = (self.bool()?, self.u8()?);
        let count = self.u32()?;
        let sent = |_| Some((self.u64()?, self.bytes()?.into()));
        let sent = (0..count).map(sent).collect::<Option<_>>()?;
        Some(Doubt { unknown, sent, rounds })
    }

    fn work(&mut self) -> Option<Work> {
        Some(match self.u8()? {
            SILENT => Work::Silent,
            IDLE => Work::Idle,
            LATE => Work::Late(None),
            OWES => {
                let (client, number) = (self.peer_id()?, self.u64()?);
                Work::Late(Some(Owed { client, number, since: None }))
            }
            BUSY => Work::Busy(self.request()?, None),
            LEASED => {
                let lease = self.time()?;
                Work::Busy(self.request()?, Some(lease))
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
