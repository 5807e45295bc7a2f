//! [`Connection`]: one side of one connection, as a state machine without I/O.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::assembler::{Assembler, Item};
use super::command::{Command, PeerInfo, encode_error, encode_ping, encode_pong, encode_ready};
use super::frame::FrameHeader;
use super::greeting::{GREETING, GREETING_SIZE, Version, decode_greeting};
use super::heartbeat::{Heartbeat, Pulse};
use super::socket_type::SocketType;
use super::transmit::Transmit;
use crate::error::{ProtocolError, SendError, SendErrorKind, printable};
use crate::limits::Limits;
use crate::message::Message;

/// Room for the handshake of a peer that sends no more than it has to.
const HANDSHAKE_RESERVE: usize = 256;

/// The least room offered to the system in traffic: more than most messages need, so that a read
/// that fills it is rare and a read that does not proves there is no more.
const READ_MIN: usize = 4 << 10;

/// The most room offered, reached when reads fill the buffer.
const READ_MAX: usize = 64 << 10;

/// What a [`Connection`] has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is over; messages may be sent. Comes once and first.
    Ready(Arc<PeerInfo>),
    /// A whole message has arrived.
    Message(Message),
}

/// What one side of a connection does where there is a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made with `..Settings::default()`")]
pub struct Settings {
    /// What READY announces; empty for none. REP announces none in any case.
    pub identity: Bytes,
    /// What else READY states, names and values.
    pub properties: Vec<(String, Bytes)>,
    /// Limits on what the peer may send.
    pub limits: Limits,
    /// PINGs to send; none by default. PINGs of the peer are answered in any case.
    pub heartbeat: Option<Heartbeat>,
}

/// One side of one ZMTP 3.1 connection with the NULL mechanism.
///
/// It does no I/O and reads no clock: bytes go in through [`receive`](Self::receive), come out
/// of [`transmit`](Self::transmit), and what they mean is pulled with
/// [`next_event`](Self::next_event). See the [module](super) for the contract and an example.
#[derive(Debug)]
pub struct Connection {
    socket_type: SocketType,
    /// Our READY, until it has been sent.
    ready: BytesMut,
    heartbeat: Option<Heartbeat>,
    input: BytesMut,
    /// Bytes in `input` when it was last looked at.
    looked_at: usize,
    /// Bytes that `input` has to hold before there is anything new to see in it.
    wanted: usize,
    /// Room to offer for the next read.
    read_size: usize,
    /// Bytes received since the input was last empty.
    burst: usize,
    assembler: Assembler,
    output: Transmit,
    /// Bytes of `input` in which PINGs have been answered ahead, and how many of them there are.
    seen_ahead: usize,
    answered_ahead: usize,
    /// What the next PONG carries. A later PING replaces it, so at most one waits.
    pong: Option<Bytes>,
    ping: bool,
    /// For the handshake.
    deadline: Option<Instant>,
    pulse: Pulse,
    /// The time it was when anybody last said so.
    clock: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Greeting,
    Handshake(Version),
    Traffic,
    /// The first error is the answer for ever after.
    Failed(ProtocolError),
}

impl Connection {
    /// A connection that has just been made. Its greeting is ready to be transmitted.
    #[must_use]
    pub fn new(socket_type: SocketType, settings: Settings, now: Instant) -> Self {
        let Settings { identity, properties, limits, heartbeat } = settings;
        let mut ready = BytesMut::new();
        encode_ready(socket_type, &identity, &properties, &mut ready);
        let mut output = Transmit::default();
        output.scratch().extend_from_slice(&GREETING);
        Self {
            socket_type,
            ready,
            heartbeat,
            input: BytesMut::new(),
            looked_at: 0,
            wanted: 1,
            read_size: HANDSHAKE_RESERVE,
            burst: 0,
            assembler: Assembler::new(limits),
            output,
            seen_ahead: 0,
            answered_ahead: 0,
            pong: None,
            ping: false,
            deadline: now.checked_add(limits.handshake_timeout),
            pulse: Pulse::default(),
            clock: now,
            state: State::Greeting,
        }
    }

    /// Where to append bytes from the peer. There is spare capacity, and it is what bounds memory:
    /// at most 64 KiB and as much again as the peer has sent of an incomplete message.
    pub fn receive(&mut self) -> &mut BytesMut {
        let missing = self.wanted.saturating_sub(self.input.len());
        self.input.reserve(missing.min(READ_MAX).max(self.read_size));
        &mut self.input
    }

    /// Bytes received that have not come out as an event yet.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.input.len() + self.assembler.held()
    }

    /// The next thing the peer's bytes mean, or `None` until there are more of them.
    ///
    /// # Errors
    ///
    /// What the peer did wrong. The connection is over and says the same from then on; what
    /// [`transmit`](Self::transmit) still holds may be sent first, to tell the peer why.
    pub fn next_event(&mut self) -> Result<Option<Event>, ProtocolError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        let received = self.input.len().saturating_sub(self.looked_at);
        self.pulse.note_received(received);
        self.burst = self.burst.saturating_add(received);
        self.looked_at = self.input.len();
        if self.input.len() < self.wanted {
            return Ok(None);
        }
        // A read that took all the room may have left more behind.
        if received >= self.read_size && self.input.len() == self.input.capacity() {
            self.read_size = (self.read_size * 2).min(READ_MAX);
        }
        let event = self.advance();
        let taken = self.looked_at.saturating_sub(self.input.len());
        self.seen_ahead = self.seen_ahead.saturating_sub(taken);
        self.looked_at = self.input.len();
        if let Err(error) = &event {
            self.state = State::Failed(error.clone());
        }
        event
    }

    /// Answers PINGs among the bytes that have arrived, without parsing the messages before them:
    /// for a peer whose messages have to wait.
    pub fn answer_ahead(&mut self) {
        if !matches!(self.state, State::Traffic) {
            return;
        }
        let mut at = self.seen_ahead.max(self.assembler.scanned());
        loop {
            let rest = self.input.get(at..).unwrap_or_default();
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

    fn advance(&mut self) -> Result<Option<Event>, ProtocolError> {
        loop {
            match self.state {
                State::Greeting => match decode_greeting(&self.input)? {
                    Some(version) => self.greeted(version),
                    None => return Ok(self.want(self.input.len() + 1)),
                },
                State::Handshake(version) => match self.next_command()? {
                    Ok(body) => {
                        if let Some(event) = self.shake_hands(version, &body)? {
                            return Ok(Some(event));
                        }
                    }
                    Err(wanted) => return Ok(self.want(wanted)),
                },
                State::Traffic => match self.assembler.next(&mut self.input)? {
                    Ok(Item::Message(message)) => {
                        self.wanted = 1;
                        return Ok(Some(Event::Message(message)));
                    }
                    Ok(Item::Command(body)) => self.obey(&body)?,
                    Err(wanted) => return Ok(self.want(wanted)),
                },
                State::Failed(ref error) => return Err(error.clone()),
            }
        }
    }

    /// Nothing to tell before `input` has grown to `wanted` bytes.
    fn want(&mut self, wanted: usize) -> Option<Event> {
        self.wanted = wanted;
        if self.input.is_empty() {
            // After a burst that needed little of the room, the next one gets less.
            let burst = std::mem::take(&mut self.burst);
            if self.read_size > READ_MIN && burst < self.read_size / 4 {
                self.read_size = (self.read_size / 2).max(READ_MIN);
                self.input = BytesMut::new();
            }
        }
        None
    }

    fn greeted(&mut self, version: Version) {
        self.input.advance(GREETING_SIZE);
        // Both sides speak at once, as libzmq does, rather than the client first.
        let ready = std::mem::take(&mut self.ready);
        self.output.scratch().extend_from_slice(&ready);
        self.state = State::Handshake(version);
    }

    fn next_command(&mut self) -> Result<Result<Bytes, usize>, ProtocolError> {
        // Judged by its header alone, so that no message is gathered before its time.
        if let Some((header, _)) = FrameHeader::decode(&self.input)?
            && !header.is_command()
        {
            return Err(ProtocolError::UnexpectedInHandshake);
        }
        Ok(match self.assembler.next(&mut self.input)? {
            Ok(Item::Command(body)) => Ok(body),
            Ok(Item::Message(_)) => return Err(ProtocolError::UnexpectedInHandshake),
            Err(wanted) => Err(wanted),
        })
    }

    fn shake_hands(
        &mut self,
        version: Version,
        body: &[u8],
    ) -> Result<Option<Event>, ProtocolError> {
        match Command::decode(body)? {
            Command::Ready(properties) => {
                let decoded = PeerInfo::decode(self.socket_type, version, properties);
                let info = decoded.inspect_err(|error| {
                    encode_error(&error.to_string(), self.output.scratch());
                })?;
                self.state = State::Traffic;
                self.deadline = None;
                self.wanted = 1;
                self.read_size = READ_MIN;
                // A REQ of libzmq 4.2 closes its connection at a PING, and says 3.0.
                let bears_pings = info.socket_type != SocketType::Req || version >= Version::V3_1;
                self.pulse.start(self.heartbeat.filter(|_| bears_pings));
                Ok(Some(Event::Ready(Arc::new(info))))
            }
            Command::Error(reason) => Err(ProtocolError::Refused(printable(reason))),
            _ => Err(ProtocolError::UnexpectedInHandshake),
        }
    }

    fn obey(&mut self, body: &Bytes) -> Result<(), ProtocolError> {
        match Command::decode(body)? {
            Command::Ping { ttl, .. } if self.answered_ahead > 0 => {
                self.answered_ahead -= 1;
                self.pulse.note_ping(ttl);
            }
            Command::Ping { ttl, context } => {
                self.pulse.note_ping(ttl);
                self.pong = Some(Bytes::copy_from_slice(context));
            }
            Command::Error(reason) => return Err(ProtocolError::Refused(printable(reason))),
            // libzmq ignores a stray READY as it does every command it does not know.
            Command::Ready(_) | Command::Pong | Command::Unknown => {}
        }
        Ok(())
    }

    /// Queues a message to be transmitted.
    ///
    /// # Errors
    ///
    /// [`SendErrorKind::NotReady`] before [`Event::Ready`], [`SendErrorKind::Closed`] after an
    /// error, [`SendErrorKind::Empty`] for a message without parts. The message comes back.
    pub fn send(&mut self, message: Message) -> Result<(), SendError> {
        let kind = match self.state {
            State::Traffic if message.is_empty() => SendErrorKind::Empty,
            State::Traffic => {
                message.into_chunks().for_each(|chunk| self.output.push(chunk));
                return Ok(());
            }
            State::Failed(_) => SendErrorKind::Closed,
            State::Greeting | State::Handshake(_) => SendErrorKind::NotReady,
        };
        Err(SendError::new(kind, message))
    }

    /// The bytes to write to the peer.
    pub fn transmit(&mut self) -> &mut Transmit {
        // These wait until what is there has left: a peer that sends PINGs and reads nothing makes
        // one PONG, not a heap of them.
        if self.output.is_empty() {
            if let Some(context) = self.pong.take() {
                encode_pong(&context, self.output.scratch());
            }
            if std::mem::take(&mut self.ping) {
                let ttl = self.heartbeat.map_or(0, Heartbeat::ttl_field);
                encode_ping(ttl, self.output.scratch());
            }
        }
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if ever. It may have passed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Greeting | State::Handshake(_) => self.deadline,
            State::Traffic => self.pulse.next_timeout(self.clock),
            State::Failed(_) => None,
        }
    }

    /// Tells the connection what time it is.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::HandshakeTimeout`] when the handshake should have been over, and
    /// [`ProtocolError::HeartbeatTimeout`] when the peer should have shown a sign of life.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ProtocolError> {
        self.clock = now;
        let result = match &self.state {
            State::Traffic => {
                let its_messages_wait = self.input.len() >= self.wanted;
                let ping = self.pulse.beat(now, its_messages_wait);
                ping.map(|ping| self.ping |= ping)
            }
            State::Failed(error) => Err(error.clone()),
            _ if self.deadline.is_some_and(|deadline| deadline <= now) => {
                Err(ProtocolError::HandshakeTimeout)
            }
            _ => Ok(()),
        };
        result.inspect_err(|error| self.state = State::Failed(error.clone()))
    }

    /// Tells the connection that no more bytes will come. Call it once
    /// [`next_event`](Self::next_event) has returned `None`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::TruncatedAtEof`] unless the stream ended between two messages, and the
    /// error there was before, if any.
    pub fn handle_eof(&mut self) -> Result<(), ProtocolError> {
        match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Traffic if self.input.is_empty() && !self.assembler.is_mid_message() => {
                return Ok(());
            }
            _ => self.state = State::Failed(ProtocolError::TruncatedAtEof),
        }
        Err(ProtocolError::TruncatedAtEof)
    }
}
