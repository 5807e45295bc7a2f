//! [`Connection`]: one side of one connection, as a state machine without I/O.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::assembler::{Assembler, Item};
use super::command::{Command, PeerInfo, encode_error, encode_ping, encode_pong, encode_ready};
use super::frame::FrameHeader;
use super::greeting::{GREETING, GREETING_SIZE, Version, decode_greeting};
use super::heartbeat::{Heartbeat, Pulse};
use super::input::Input;
use super::socket_type::SocketType;
use super::transmit::Transmit;
use crate::error::{ProtocolError, SendError, SendErrorKind, printable};
use crate::limits::Limits;
use crate::message::Message;

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
    input: Input,
    /// Bytes in `input` when it was last looked at.
    looked_at: usize,
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
    /// Where there are heartbeats.
    pulse: Option<Box<Pulse>>,
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
            input: Input::default(),
            looked_at: 0,
            assembler: Assembler::new(limits),
            output,
            seen_ahead: 0,
            answered_ahead: 0,
            pong: None,
            ping: false,
            deadline: now.checked_add(limits.handshake_timeout),
            pulse: heartbeat.map(|heartbeat| Box::new(Pulse::new(heartbeat))),
            clock: now,
            state: State::Greeting,
        }
    }

    /// Where to append bytes from the peer. There is spare capacity, and it is what bounds memory:
    /// at most 64 KiB and as much again as the peer has sent of an incomplete message.
    #[inline]
    pub fn receive(&mut self) -> &mut Vec<u8> {
        self.input.receive(!matches!(self.state, State::Traffic))
    }

    /// Whether to offer room for several large messages where they follow one another.
    #[cfg(feature = "tokio")]
    pub(crate) fn read_several(&mut self, several: bool) {
        self.input.read_several(several);
    }

    /// Uses the room of `spare` until [`give_back`](Self::give_back).
    #[inline]
    #[cfg(feature = "tokio")]
    pub(crate) fn borrow(&mut self, spare: &mut Vec<u8>) {
        self.input.borrow(spare);
    }

    #[inline]
    #[cfg(feature = "tokio")]
    pub(crate) fn give_back(&mut self, spare: &mut Vec<u8>) {
        self.input.give_back(spare);
    }

    /// Whether there may be an event among the bytes received.
    #[cfg(feature = "tokio")]
    pub(crate) fn may_have_event(&self) -> bool {
        self.input.is_ripe()
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
        if let Some(pulse) = &mut self.pulse {
            pulse.note_received(self.input.len().saturating_sub(self.looked_at));
        }
        let before = self.input.len();
        let event = if self.input.is_ripe() { self.advance() } else { Ok(None) };
        self.looked_at = self.input.len();
        self.seen_ahead = self.seen_ahead.saturating_sub(before - self.looked_at);
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
            let rest = self.input.bytes().get(at..).unwrap_or_default();
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

    #[inline]
    fn advance(&mut self) -> Result<Option<Event>, ProtocolError> {
        loop {
            match self.state {
                State::Greeting => match decode_greeting(self.input.bytes())? {
                    Some(version) => self.greeted(version),
                    None => return Ok(self.want(self.input.len() + 1)),
                },
                State::Handshake(version) => match self.next_command()? {
                    Some(body) => {
                        if let Some(event) = self.shake_hands(version, &body)? {
                            return Ok(Some(event));
                        }
                    }
                    None => return Ok(None),
                },
                State::Traffic => match self.assembler.next(&mut self.input)? {
                    Item::Message(message) => {
                        self.input.note_message(message.wire_size());
                        return Ok(Some(Event::Message(message)));
                    }
                    Item::Command(body) => self.obey(&body)?,
                    Item::Incomplete(wanted) => return Ok(self.want(wanted)),
                },
                State::Failed(ref error) => return Err(error.clone()),
            }
        }
    }

    /// Nothing to tell before `input` has grown to `wanted` bytes.
    fn want(&mut self, wanted: usize) -> Option<Event> {
        self.input.want(wanted);
        None
    }

    fn greeted(&mut self, version: Version) {
        self.input.skip(GREETING_SIZE);
        // Both sides speak at once, as libzmq does, rather than the client first.
        let ready = std::mem::take(&mut self.ready);
        self.output.scratch().extend_from_slice(&ready);
        self.state = State::Handshake(version);
    }

    fn next_command(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        // Judged by its header alone, so that no message is gathered before its time.
        if let Some((header, _)) = FrameHeader::decode(self.input.bytes())?
            && !header.is_command()
        {
            return Err(ProtocolError::UnexpectedInHandshake);
        }
        match self.assembler.next(&mut self.input)? {
            Item::Command(body) => Ok(Some(body)),
            Item::Message(_) => Err(ProtocolError::UnexpectedInHandshake),
            Item::Incomplete(wanted) => {
                self.input.want(wanted);
                Ok(None)
            }
        }
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
                self.input.want(1);
                // A REQ of libzmq 4.2 closes its connection at a PING, and says 3.0.
                let bears_pings = info.socket_type != SocketType::Req || version >= Version::V3_1;
                self.pulse.take_if(|_| !bears_pings);
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
                self.note_ping(ttl);
            }
            Command::Ping { ttl, context } => {
                self.note_ping(ttl);
                self.pong = Some(Bytes::copy_from_slice(context));
            }
            Command::Error(reason) => return Err(ProtocolError::Refused(printable(reason))),
            // libzmq ignores a stray READY as it does every command it does not know.
            Command::Ready(_) | Command::Pong | Command::Unknown => {}
        }
        Ok(())
    }

    /// A PING with this time to live has arrived.
    fn note_ping(&mut self, ttl: u16) {
        if ttl > 0 {
            self.pulse.get_or_insert_default().note_ping(ttl);
        }
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
                message.encode_into(&mut self.output);
                return Ok(());
            }
            State::Failed(_) => SendErrorKind::Closed,
            State::Greeting | State::Handshake(_) => SendErrorKind::NotReady,
        };
        Err(SendError::new(kind, message))
    }

    /// The bytes to write to the peer.
    #[inline]
    pub fn transmit(&mut self) -> &mut Transmit {
        // These wait until what is there has left: a peer that sends PINGs and reads nothing makes
        // one PONG, not a heap of them.
        if (self.ping || self.pong.is_some()) && self.output.is_empty() {
            self.encode_heartbeat();
        }
        &mut self.output
    }

    fn encode_heartbeat(&mut self) {
        if let Some(context) = self.pong.take() {
            encode_pong(&context, self.output.scratch());
        }
        if std::mem::take(&mut self.ping) {
            let ttl = self.pulse.as_ref().map_or(0, |pulse| pulse.ttl_field());
            encode_ping(ttl, self.output.scratch());
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if ever. It may have passed.
    #[must_use]
    #[inline]
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Greeting | State::Handshake(_) => self.deadline,
            State::Traffic => self.pulse.as_ref()?.next_timeout(self.clock),
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
                let its_messages_wait = self.input.is_ripe();
                let beat = |pulse: &mut Box<Pulse>| pulse.beat(now, its_messages_wait);
                let ping = self.pulse.as_mut().map_or(Ok(false), beat);
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
