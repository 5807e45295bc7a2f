//! [`Connection`]: one side of one connection, as a state machine without I/O.

#[cfg(feature = "tokio")]
mod detaching;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::assembler::{Assembler, Item};
use super::command::{Command, PeerInfo, encode_error, encode_ready};
use super::frame::FrameHeader;
use super::greeting::{GREETING, GREETING_SIZE, Version, decode_greeting};
use super::heartbeat::Heartbeat;
use super::input::Input;
use super::pings::Pings;
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
    settings: Arc<Settings>,
    input: Input,
    assembler: Assembler,
    output: Transmit,
    state: State,
    /// From the first one on.
    pings: Option<Box<Pings>>,
    /// When it was made; in traffic, the time it was when anybody last said so.
    clock: Instant,
    socket_type: SocketType,
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
    pub fn new(socket_type: SocketType, settings: impl Into<Arc<Settings>>, now: Instant) -> Self {
        let settings = settings.into();
        let mut output = Transmit::default();
        output.scratch().extend_from_slice(&GREETING);
        Self {
            input: Input::default(),
            assembler: Assembler::default(),
            output,
            state: State::Greeting,
            pings: settings.heartbeat.map(|heartbeat| Box::new(Pings::of(heartbeat))),
            clock: now,
            socket_type,
            settings,
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

    /// Uses the room of `spare` until [`give_back`](Self::give_back). Only to a connection that
    /// [`rests`](Self::rests) may there be bytes in it, which become its input.
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

    /// Whether nothing is under way in traffic, either way, and what comes need not be large.
    #[cfg(feature = "tokio")]
    pub(crate) fn rests(&self) -> bool {
        let in_traffic = matches!(self.state, State::Traffic);
        let pings = self.pings.as_ref().is_none_or(|pings| pings.rests());
        let input = self.input.rests() && !self.assembler.is_mid_message();
        in_traffic && pings && input && self.output.is_empty()
    }

    /// The message that `bytes` are for a connection that [`rests`](Self::rests), if they are a whole one that is
    /// held in place.
    #[inline]
    #[cfg(feature = "tokio")]
    pub(crate) fn whole_message(&self, bytes: &[u8]) -> Option<Message> {
        Assembler::whole(bytes, &self.settings.limits)
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
        if let Some(pings) = &mut self.pings {
            pings.note_input(self.input.len());
        }
        let event = if self.input.is_ripe() { self.advance() } else { Ok(None) };
        if let Some(pings) = &mut self.pings {
            pings.note_left(self.input.len());
        }
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
        let pings = self.pings.get_or_insert_default();
        pings.answer_ahead(self.input.bytes(), self.assembler.scanned());
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
                State::Traffic => {
                    match self.assembler.next(&mut self.input, &self.settings.limits)? {
                        Item::Message(message) => {
                            self.input.note_message(message.wire_size());
                            return Ok(Some(Event::Message(message)));
                        }
                        Item::Command(body) => self.obey(&body)?,
                        Item::Incomplete(wanted) => return Ok(self.want(wanted)),
                    }
                }
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
        let Settings { identity, properties, .. } = &*self.settings;
        encode_ready(self.socket_type, identity, properties, self.output.scratch());
        self.state = State::Handshake(version);
    }

    fn next_command(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        // Judged by its header alone, so that no message is gathered before its time.
        if let Some((header, _)) = FrameHeader::decode(self.input.bytes())?
            && !header.is_command()
        {
            return Err(ProtocolError::UnexpectedInHandshake);
        }
        match self.assembler.next(&mut self.input, &self.settings.limits)? {
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
                self.begin_traffic(&info);
                Ok(Some(Event::Ready(Arc::new(info))))
            }
            Command::Error(reason) => Err(ProtocolError::Refused(printable(reason))),
            _ => Err(ProtocolError::UnexpectedInHandshake),
        }
    }

    fn begin_traffic(&mut self, info: &PeerInfo) {
        self.state = State::Traffic;
        self.input.want(1);
        // A REQ of libzmq 4.2 closes its connection at a PING, and says 3.0.
        let bears_pings = info.socket_type != SocketType::Req || info.version >= Version::V3_1;
        if let Some(pings) = self.pings.as_mut().filter(|_| !bears_pings) {
            pings.spare_peer();
        }
    }

    fn obey(&mut self, body: &Bytes) -> Result<(), ProtocolError> {
        match Command::decode(body)? {
            Command::Ping { ttl, context } => {
                self.pings.get_or_insert_default().obey(ttl, context);
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
        if let Some(pings) = &mut self.pings {
            pings.encode_into(&mut self.output);
        }
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if ever. It may have passed.
    #[must_use]
    #[inline]
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Greeting | State::Handshake(_) => {
                self.clock.checked_add(self.settings.limits.handshake_timeout)
            }
            State::Traffic => self.pings.as_ref()?.next_timeout(self.clock),
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
        let result = match &self.state {
            State::Traffic => {
                self.clock = now;
                let they_wait = self.input.is_ripe();
                self.pings.as_mut().map_or(Ok(()), |pings| pings.beat(now, they_wait))
            }
            State::Failed(error) => Err(error.clone()),
            _ if self.next_timeout().is_some_and(|deadline| deadline <= now) => {
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
    /// [`ProtocolError::EndedInGreeting`] or [`ProtocolError::TruncatedAtEof`] unless the stream ended
    /// between two messages, and the error there was before, if any.
    pub fn handle_eof(&mut self) -> Result<(), ProtocolError> {
        let error = match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Traffic if self.input.is_empty() && !self.assembler.is_mid_message() => {
                return Ok(());
            }
            State::Greeting => ProtocolError::EndedInGreeting,
            _ => ProtocolError::TruncatedAtEof,
        };
        self.state = State::Failed(error.clone());
        Err(error)
    }
}
