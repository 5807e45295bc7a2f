//! What the fuzz targets check, one function each. The ordinary tests replay the corpora through
//! the same functions.

use std::time::Instant;

use bytes::Buf;
use zmtp::proto::{
    Command, Connection, Event, FrameHeader, GREETING, PeerInfo, Settings, SocketType, Version,
    decode_greeting, encode_ready,
};
use zmtp::{Limits, ProtocolError};

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
    encode_ready(theirs, b"fuzz", &mut hello);
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
                    assert!(info.properties.iter().all(|(name, _)| !name.is_empty()));
                }
            }
        }
        Command::Ping { context, .. } => assert!(context.len() <= 16),
        _ => {}
    }
}

/// A whole connection, fed anything from its first byte on or, if the first byte is odd, from the
/// end of its handshake on. Whatever happens, it stays within its limits and errors are for good.
pub fn connection(data: &[u8]) {
    let Some((&[mode, size], stream)) = data.split_first_chunk() else { return };
    let types = [SocketType::Req, SocketType::Rep, SocketType::Dealer, SocketType::Router];
    let ours = types[usize::from(mode >> 1) % types.len()];
    let theirs = types.into_iter().find(|&theirs| ours.accepts(theirs)).expect("a peer type");
    let mut connection = if mode & 1 == 1 { ready(ours, theirs) } else { new(ours) };
    let size = usize::from(size).max(1);
    let (events, result) = feed(&mut connection, stream, &mut std::iter::repeat(size));
    let ready = events.iter().filter(|event| matches!(event, Event::Ready(_))).count();
    assert!(ready <= usize::from(mode & 1 == 0), "at most one handshake");
    for event in &events {
        if let Event::Message(message) = event {
            assert!(!message.is_empty() && message.len() <= 8);
            assert!(message.body_size() <= 16 << 10);
        }
    }
    let sent = connection.transmit().remaining();
    assert!(sent <= 512 + stream.len(), "{sent} bytes out for {} in", stream.len());
    if let Err(error) = result {
        connection.receive().extend_from_slice(b"\x00\x00");
        assert_eq!(connection.next_event(), Err(error));
    }
    let eof = connection.handle_eof();
    assert_eq!(eof.is_err(), connection.handle_eof().is_err());
}
