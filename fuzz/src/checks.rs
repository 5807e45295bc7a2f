//! What the fuzz targets check, one function each. The ordinary tests replay the corpora through
//! the same functions.

use std::time::Instant;

use bytes::{Buf, Bytes};
use zmtp::proto::{
    Command, Connection, Event, FrameHeader, GREETING, PeerInfo, Settings, SocketType, Version,
    decode_greeting, encode_ready,
};
use zmtp::{Endpoint, Limits, Message, ProtocolError};

/// Small enough for a fuzzer to reach, large enough for each path.
fn limits() -> Limits {
    Limits::default().with_max_message_size(16 << 10).with_max_frames(8).with_max_command_size(512)
}

/// A greeting is judged the same however much of it has arrived: once there is an answer, more
/// bytes do not change it.
pub fn greeting(data: &[u8]) {
    let mut answer = None;
    for end in 0..=data.len().min(80) {
        let outcome = decode_greeting(&data[..end]);
        if let Some(answer) = &answer {
            assert_eq!(&outcome, answer);
        } else if !matches!(outcome, Ok(None)) {
            answer = Some(outcome);
        }
    }
}

/// Frames are the same in any chunking, and encode to the bytes they were decoded from unless their
/// length was in a longer form than needed.
pub fn frames(data: &[u8]) {
    let Some((&[seed, size], stream)) = data.split_first_chunk() else { return };
    if let Ok(Some((header, taken))) = FrameHeader::decode(stream) {
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        assert_eq!(encoded, stream[..taken]);
    }
    let whole = traffic(stream, &mut std::iter::repeat(usize::MAX));
    let mut state = u32::from(seed);
    let mut sizes = std::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(usize::from(size).min(1 + (state >> 24) as usize))
    });
    assert_eq!(traffic(stream, &mut sizes), whole);
}

/// What a connection that has shaken hands makes of `stream`, which arrives in chunks of `sizes`.
fn traffic(
    stream: &[u8],
    sizes: &mut dyn Iterator<Item = usize>,
) -> (Vec<Event>, Result<(), ProtocolError>) {
    let mut connection = ready(SocketType::Router, SocketType::Dealer);
    feed(&mut connection, stream, sizes)
}

fn new(ours: SocketType) -> Connection {
    let settings = Settings { limits: limits(), ..Settings::default() };
    Connection::new(ours, settings, Instant::now())
}

/// A connection whose peer has said READY, with nothing left to transmit.
fn ready(ours: SocketType, theirs: SocketType) -> Connection {
    let mut connection = new(ours);
    let mut hello = GREETING.to_vec();
    encode_ready(theirs, b"fuzz", &[], &mut hello);
    let (events, result) = feed(&mut connection, &hello, &mut std::iter::repeat(usize::MAX));
    assert!(matches!(events[..], [Event::Ready(_)]) && result.is_ok());
    let sent = connection.transmit().remaining();
    connection.transmit().advance(sent);
    connection
}

fn feed(
    connection: &mut Connection,
    mut stream: &[u8],
    sizes: &mut dyn Iterator<Item = usize>,
) -> (Vec<Event>, Result<(), ProtocolError>) {
    let mut events = Vec::new();
    loop {
        let size = sizes.next().unwrap_or(1).clamp(1, stream.len().max(1)).min(stream.len());
        let (chunk, rest) = stream.split_at(size);
        connection.receive().extend_from_slice(chunk);
        stream = rest;
        loop {
            match connection.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
        if stream.is_empty() {
            return (events, Ok(()));
        }
    }
}

/// Commands and READY's properties decode or are refused; what was decoded keeps the rules.
pub fn command(data: &[u8]) {
    let Ok(command) = Command::decode(data) else { return };
    match command {
        Command::Ready(properties) => {
            let version = Version::V3_1;
            for ours in [SocketType::Req, SocketType::Rep, SocketType::Dealer, SocketType::Router] {
                if let Ok(info) = PeerInfo::decode(ours, version, properties) {
                    assert!(ours.accepts(info.socket_type));
                    assert!(info.identity.len() <= 255 && info.identity.first() != Some(&0));
                    assert!(info.properties().all(|(name, _)| !name.is_empty()));
                }
            }
        }
        Command::Ping { context, .. } => assert!(context.len() <= 16),
        _ => {}
    }
}

/// A whole connection of a bound ROUTER or REP.
pub fn acceptor(data: &[u8]) {
    connection(data, [SocketType::Router, SocketType::Rep]);
}

/// A whole connection of a connecting REQ or DEALER.
pub fn connector(data: &[u8]) {
    connection(data, [SocketType::Req, SocketType::Dealer]);
}

/// A connection fed anything from its first byte on or, if the first byte is odd, from the end of its
/// handshake on, with PINGs answered ahead or not. Whatever happens, it stays within its limits and errors are for good.
fn connection(data: &[u8], types: [SocketType; 2]) {
    let Some((&[mode, size], stream)) = data.split_first_chunk() else { return };
    let ours = types[usize::from(mode >> 1) % types.len()];
    let theirs = if ours == SocketType::Rep { SocketType::Req } else { SocketType::Router };
    let shaken = mode & 1 == 1;
    let mut connection = if shaken { ready(ours, theirs) } else { new(ours) };
    let mut may_be_ready = !shaken;
    let mut error = None;
    for chunk in stream.chunks(usize::from(size).max(1)) {
        connection.receive().extend_from_slice(chunk);
        if mode & 4 == 4 {
            connection.answer_ahead();
        }
        loop {
            match connection.next_event() {
                Ok(Some(Event::Message(message))) => {
                    assert!(!may_be_ready, "no message before READY");
                    assert!(!message.is_empty() && message.len() <= 8);
                    assert!(message.body_size() <= 16 << 10);
                }
                Ok(Some(_)) => assert!(std::mem::take(&mut may_be_ready), "one handshake"),
                Ok(None) => break,
                Err(reason) => {
                    error = Some(reason);
                    break;
                }
            }
        }
    }
    let sent = connection.transmit().remaining();
    assert!(sent <= 512 + stream.len(), "{sent} bytes out for {} in", stream.len());
    if let Some(error) = error {
        connection.receive().extend_from_slice(b"\x00\x00");
        assert_eq!(connection.next_event(), Err(error));
        assert!(connection.handle_eof().is_err());
    }
    let eof = connection.handle_eof();
    assert_eq!(eof.is_err(), connection.handle_eof().is_err());
}

/// Two connections back to back, through pipes cut at sizes taken from the input, sending each other
/// what the input says: all of it arrives, in order and unchanged.
pub fn pair(data: &[u8]) {
    let mut ops = data.iter().copied();
    let end = || Connection::new(SocketType::Dealer, Settings::default(), Instant::now());
    let mut ends = [end(), end()];
    let mut sent = [Vec::new(), Vec::new()];
    let mut received = [Vec::new(), Vec::new()];
    let mut ready = [false; 2];
    let mut queued = 0;
    while let Some(op) = ops.next() {
        let from = usize::from(op & 1);
        if op & 2 == 0 {
            carry(&mut ends, from, usize::from(op >> 2) * 7 + 1, &mut ready, &mut received);
        } else if ready[from] && queued < 32 {
            let sizes = (0..=(op >> 2) % 5).map(|_| usize::from(ops.next().unwrap_or(0)));
            // Small parts mostly; now and then one that is chained rather than copied.
            let size = |size: usize| if size > 250 { size * 17 } else { size };
            let message: Message = sizes.map(|byte| vec![op; size(byte)]).collect();
            ends[from].send(message.clone()).expect("it is ready");
            sent[from].push(message);
            queued += 1;
        }
    }
    while carry(&mut ends, 0, 4096, &mut ready, &mut received)
        | carry(&mut ends, 1, 4096, &mut ready, &mut received)
    {}
    assert_eq!(ready, [true; 2]);
    assert_eq!(sent[0], received[1]);
    assert_eq!(sent[1], received[0]);
    for end in &mut ends {
        end.handle_eof().expect("nothing is unfinished");
    }
}

/// Moves up to `size` bytes from one end to the other. Says whether there were any.
fn carry(
    ends: &mut [Connection; 2],
    from: usize,
    size: usize,
    ready: &mut [bool; 2],
    received: &mut [Vec<Message>; 2],
) -> bool {
    let transmit = ends[from].transmit();
    let chunk = transmit.chunk();
    let chunk = chunk[..chunk.len().min(size)].to_vec();
    transmit.advance(chunk.len());
    let to = 1 - from;
    ends[to].receive().extend_from_slice(&chunk);
    while let Some(event) = ends[to].next_event().expect("the other end keeps the protocol") {
        match event {
            Event::Message(message) => received[to].push(message),
            _ => ready[to] = true,
        }
    }
    !chunk.is_empty()
}

/// A message is the same after it was taken apart and put together in another way, and after the
/// wire.
pub fn round_trip(data: &[u8]) {
    let mut data = data;
    let mut parts = Vec::new();
    while let Some((&[high, low], rest)) = data.split_first_chunk() {
        let size = usize::from(u16::from_be_bytes([high, low]) % 5000).min(rest.len());
        let (part, rest) = rest.split_at(size);
        parts.push(Bytes::copy_from_slice(part));
        data = rest;
    }
    parts.truncate(8);
    let message: Message = parts.iter().cloned().collect();
    assert!(message.parts().eq(parts.iter().map(|part| &part[..])));
    let mut built = Message::new();
    for part in parts.iter().rev() {
        built.prepend(&[part]);
    }
    assert_eq!(built, message);
    for skip in 0..=parts.len() {
        let mut tail = message.clone();
        tail.skip(skip);
        assert!(tail.into_iter().eq(parts[skip..].iter().cloned()));
    }
    if parts.is_empty() || message.body_size() + 64 * parts.len() > 16 << 10 {
        return;
    }
    let mut sender = ready(SocketType::Dealer, SocketType::Dealer);
    sender.send(message.clone()).expect("it is ready");
    let mut stream = Vec::new();
    while sender.transmit().has_remaining() {
        let transmit = sender.transmit();
        stream.extend_from_slice(transmit.chunk());
        let taken = transmit.chunk().len();
        transmit.advance(taken);
    }
    let (events, result) = traffic(&stream, &mut std::iter::repeat(1000));
    assert_eq!((events, result), (vec![Event::Message(message)], Ok(())));
}

/// An endpoint that is understood prints as one that means the same.
pub fn endpoint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(endpoint) = text.parse::<Endpoint>() {
        assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
    }
}
