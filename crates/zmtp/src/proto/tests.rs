use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use proptest::prelude::*;

use super::*;
use crate::{Limits, Message, ProtocolError, SendErrorKind};

const READY_REQ: &[u8] = b"\x04\x26\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0";

fn connect(socket_type: SocketType, limits: Limits) -> Connection {
    let settings = Settings { limits, ..Settings::default() };
    Connection::new(socket_type, settings, Instant::now())
}

fn router(limits: Limits) -> Connection {
    connect(SocketType::Router, limits)
}

/// What a peer makes of a byte stream that arrives in chunks of these sizes, taken in turn.
fn outcome(
    connection: &mut Connection,
    mut bytes: &[u8],
    sizes: &[usize],
) -> (Vec<Event>, Result<(), ProtocolError>) {
    let mut events = Vec::new();
    for &size in sizes.iter().cycle() {
        let (chunk, rest) = bytes.split_at(size.clamp(1, bytes.len().max(1)).min(bytes.len()));
        connection.receive().extend_from_slice(chunk);
        bytes = rest;
        loop {
            match connection.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
        if bytes.is_empty() {
            return (events, Ok(()));
        }
    }
    unreachable!("sizes is not empty")
}

/// A router whose REQ peer has said READY.
fn ready_router(limits: Limits) -> Connection {
    let mut connection = router(limits);
    let hello = [&GREETING[..], READY_REQ].concat();
    let (events, result) = outcome(&mut connection, &hello, &[hello.len()]);
    assert!(matches!(events[..], [Event::Ready(_)]) && result.is_ok());
    drain(&mut connection);
    connection
}

fn drain(connection: &mut Connection) -> Vec<u8> {
    let mut out = Vec::new();
    while connection.transmit().has_remaining() {
        let transmit = connection.transmit();
        out.extend_from_slice(transmit.chunk());
        let size = transmit.chunk().len();
        transmit.advance(size);
    }
    out
}

/// Feeds bytes whose meaning the test does not look at.
fn feed(connection: &mut Connection, bytes: &[u8], sizes: &[usize]) {
    let _ = outcome(connection, bytes, sizes);
}

fn receive(bytes: &[u8]) -> (Vec<Event>, Result<(), ProtocolError>) {
    outcome(&mut ready_router(Limits::default()), bytes, &[bytes.len()])
}

fn error_of(bytes: &[u8], limits: Limits) -> ProtocolError {
    outcome(&mut ready_router(limits), bytes, &[bytes.len()]).1.unwrap_err()
}

#[test]
fn greeting_leaves_whole_before_a_byte_has_arrived() {
    assert_eq!(drain(&mut router(Limits::default())), GREETING);
}

#[test]
fn ready_follows_the_peers_greeting_without_waiting_for_its_ready() {
    let mut connection = router(Limits::default());
    drain(&mut connection);
    feed(&mut connection, &GREETING, &[64]);
    assert!(drain(&mut connection).starts_with(b"\x04\x29\x05READY"));
}

#[test]
fn messages_pipelined_behind_ready_are_delivered() {
    let bytes = [&GREETING[..], READY_REQ, b"\x01\x00\x00\x05Hello"].concat();
    let (events, result) = outcome(&mut router(Limits::default()), &bytes, &[bytes.len()]);
    assert_eq!(result, Ok(()));
    assert_eq!(events[1..], [Event::Message(Message::from(["", "Hello"]))]);
}

#[test]
fn a_message_before_ready_is_refused_by_its_header_alone() {
    let bytes = [&GREETING[..], b"\x02\0\0\0\0\x03\0\0\0"].concat();
    let (_, result) = outcome(&mut router(Limits::default()), &bytes, &[bytes.len()]);
    assert_eq!(result, Err(ProtocolError::UnexpectedInHandshake));
}

#[test]
fn a_ping_before_ready_is_refused() {
    let bytes = [&GREETING[..], b"\x04\x07\x04PING\0\0"].concat();
    let (_, result) = outcome(&mut router(Limits::default()), &bytes, &[bytes.len()]);
    assert_eq!(result, Err(ProtocolError::UnexpectedInHandshake));
}

#[test]
fn an_incompatible_peer_is_told_why_before_the_connection_ends() {
    let mut connection = router(Limits::default());
    let ready = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP";
    let bytes = [&GREETING[..], ready].concat();
    let (_, result) = outcome(&mut connection, &bytes, &[bytes.len()]);
    assert!(matches!(result, Err(ProtocolError::IncompatibleSocket { .. })));
    let sent = drain(&mut connection);
    let reason = b"\x05ERROR\x2Ba REP socket cannot talk to a ROUTER socket";
    assert!(sent.ends_with(reason), "{}", sent.escape_ascii());
}

#[test]
fn an_error_command_ends_the_connection_with_its_reason() {
    for before in [&GREETING[..], &[&GREETING[..], READY_REQ].concat()] {
        let bytes = [before, b"\x04\x0A\x05ERROR\x03400"].concat();
        let (_, result) = outcome(&mut router(Limits::default()), &bytes, &[bytes.len()]);
        assert_eq!(result, Err(ProtocolError::Refused("400".into())));
    }
}

#[test]
fn errors_are_sticky() {
    let mut connection = ready_router(Limits::default());
    let (_, result) = outcome(&mut connection, b"\x08\x00", &[2]);
    assert_eq!(result, Err(ProtocolError::ReservedFlags(8)));
    connection.receive().extend_from_slice(b"\x00\x00");
    assert_eq!(connection.next_event(), Err(ProtocolError::ReservedFlags(8)));
    assert_eq!(connection.handle_eof(), Err(ProtocolError::ReservedFlags(8)));
    let refused = connection.send(Message::from("x")).unwrap_err();
    assert_eq!(refused.kind(), SendErrorKind::Closed);
}

#[test]
fn commands_between_the_parts_of_a_message_do_not_touch_it() {
    let (events, result) =
        receive(b"\x01\x01a\x04\x07\x04PING\0\0\x01\x01b\x04\x04\x03FOO\x00\x01c");
    assert_eq!(result, Ok(()));
    assert_eq!(events, [Event::Message(Message::from(["a", "b", "c"]))]);
}

#[test]
fn a_part_in_long_form_is_delivered_and_forwarded_in_short_form() {
    let (events, _) = receive(b"\x03\0\0\0\0\0\0\0\x00\x02\0\0\0\0\0\0\0\x02ab");
    let Event::Message(message) = &events[0] else { panic!("{events:?}") };
    assert_eq!(message, &Message::from(["", "ab"]));
    let mut connection = ready_router(Limits::default());
    connection.send(message.clone()).unwrap();
    assert_eq!(drain(&mut connection), b"\x01\x00\x00\x02ab");
}

#[test]
fn a_ping_is_answered_with_its_context() {
    let mut connection = ready_router(Limits::default());
    feed(&mut connection, b"\x04\x0A\x04PING\x00\x0ALOL", &[3]);
    assert_eq!(drain(&mut connection), b"\x04\x08\x04PONGLOL");
}

#[test]
fn at_most_one_pong_waits_for_a_peer_that_does_not_read() {
    let mut connection = ready_router(Limits::default());
    for _ in 0..1000 {
        feed(&mut connection, b"\x04\x07\x04PING\x00\x00", &[9]);
        assert!(connection.transmit().remaining() <= 7);
    }
    assert_eq!(drain(&mut connection), b"\x04\x05\x04PONG".repeat(2));
}

#[test]
fn nothing_can_be_sent_before_ready() {
    let mut connection = router(Limits::default());
    let error = connection.send(Message::from("x")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::NotReady);
    assert_eq!(error.into_message(), Message::from("x"));
    let error = ready_router(Limits::default()).send(Message::new()).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Empty);
}

#[test]
fn each_limit_holds_to_the_byte() {
    let limits =
        Limits { max_frame_size: 8, max_command_size: 64, max_frames: 3, ..Limits::default() };
    assert_eq!(
        error_of(b"\x00\x09", limits),
        ProtocolError::FrameTooLarge { size: 9, max: 8 },
        "refused by its header"
    );
    let whole = error_of(b"\x00\x09123456789", limits);
    assert_eq!(whole, ProtocolError::FrameTooLarge { size: 9, max: 8 });
    assert_eq!(error_of(b"\x04\x41", limits), ProtocolError::CommandTooLarge { size: 65, max: 64 });
    let frames = b"\x01\x00\x01\x00\x01\x00\x00\x00";
    assert_eq!(error_of(frames, limits), ProtocolError::TooManyFrames { max: 3 });
    let (events, result) =
        outcome(&mut ready_router(limits), b"\x01\0\x01\0\x00\x0812345678", &[1]);
    assert_eq!((events.len(), result), (1, Ok(())));
    let limits = Limits::default().with_max_message_size(100);
    let message = b"\x01\x0A1234567890\x00\x0A1234567890";
    let error = error_of(message, limits);
    assert_eq!(error, ProtocolError::MessageTooLarge { max: 100 }, "each frame costs 64 more");
    let alone = [&b"\x00\x64"[..], &[0; 100]].concat();
    assert_eq!(outcome(&mut ready_router(limits), &alone, &[7]).0.len(), 1);
}

#[test]
fn room_does_not_follow_the_length_a_peer_declares() {
    let mut connection = ready_router(Limits::default());
    feed(&mut connection, b"\x02\0\0\0\0\x03\0\0\0", &[9]);
    let input = connection.receive();
    assert!(input.capacity() <= 128 << 10, "{}", input.capacity());
    let mut received = input.len();
    while received < 4 << 20 {
        connection.receive().extend_from_slice(&[0; 8192]);
        received += 8192;
        assert_eq!(connection.next_event(), Ok(None));
        let capacity = connection.receive().capacity();
        assert!(capacity <= 2 * received + (128 << 10), "{capacity} for {received}");
    }
}

#[test]
fn the_handshake_has_a_deadline_and_traffic_has_none() {
    let now = Instant::now();
    let limits = Limits::default().with_handshake_timeout(Duration::from_secs(2));
    let mut connection =
        Connection::new(SocketType::Req, Settings { limits, ..Settings::default() }, now);
    let deadline = connection.next_timeout().unwrap();
    assert_eq!(deadline, now + Duration::from_secs(2));
    feed(&mut connection, &GREETING[..20], &[1]);
    assert_eq!(connection.next_timeout(), Some(deadline), "bytes do not extend it");
    assert_eq!(connection.handle_timeout(now + Duration::from_millis(1999)), Ok(()));
    assert_eq!(connection.handle_timeout(deadline), Err(ProtocolError::HandshakeTimeout));
    assert_eq!(ready_router(limits).next_timeout(), None);
}

#[test]
fn an_end_of_stream_is_clean_between_messages_only() {
    let bytes = b"\x01\x01a\x00\x01b\x04\x04\x03FOO";
    for end in 0..=bytes.len() {
        let mut connection = ready_router(Limits::default());
        feed(&mut connection, &bytes[..end], &[2]);
        let clean = [0, 6, bytes.len()].contains(&end);
        assert_eq!(connection.handle_eof().is_ok(), clean, "at {end}");
    }
    let in_greeting = Err(ProtocolError::EndedInGreeting);
    assert_eq!(router(Limits::default()).handle_eof(), in_greeting);
}

#[test]
fn every_change_of_a_byte_in_a_handshake_is_an_error_or_a_success() {
    let hello = [&GREETING[..], READY_REQ].concat();
    for i in 0..hello.len() {
        for value in 0..=u8::MAX {
            let mut changed = hello.clone();
            changed[i] = value;
            let mut connection = router(Limits::default());
            let (events, result) = outcome(&mut connection, &changed, &[changed.len()]);
            assert!(result.is_err() || events.len() <= 1);
        }
    }
}

#[test]
fn every_truncation_of_a_handshake_is_an_error_and_every_split_a_success() {
    let hello = [&GREETING[..], READY_REQ].concat();
    for end in 0..hello.len() {
        let mut connection = router(Limits::default());
        let (events, result) = outcome(&mut connection, &hello[..end], &[7]);
        assert_eq!((events.len(), result), (0, Ok(())));
        let in_greeting = end < GREETING.len();
        let error = if in_greeting {
            ProtocolError::EndedInGreeting
        } else {
            ProtocolError::TruncatedAtEof
        };
        assert_eq!(connection.handle_eof(), Err(error));
        let sizes = [end.max(1), hello.len()];
        let (events, result) = outcome(&mut router(Limits::default()), &hello, &sizes);
        assert_eq!((events.len(), result), (1, Ok(())));
    }
}

#[test]
#[cfg(feature = "tokio")]
fn a_connection_rests_where_nothing_is_under_way() {
    let mut connection = ready_router(Limits::default());
    let ping = b"\x04\x07\x04PING\0\0";
    let large = [&[2][..], &20_000_u64.to_be_bytes(), &vec![7; 20_000]].concat();
    for (bytes, rests) in [
        (&b"\0\x01x"[..], true),
        (b"\0", false),
        (b"\x01x", true),
        // In a longer form than needed, with more to come.
        (b"\x03\0\0\0\0\0\0\0\0", false),
        (b"\0\0", true),
        (ping, false),
        (b"\0\0", true),
        // What comes next may be as large.
        (&large, false),
        (b"\0\0", true),
    ] {
        feed(&mut connection, bytes, &[bytes.len()]);
        assert_eq!(connection.rests(), rests, "after {:?}", &bytes[..bytes.len().min(9)]);
        drain(&mut connection);
    }
    connection.send(Message::from("x")).unwrap();
    assert!(!connection.rests());
    drain(&mut connection);
    assert!(connection.rests());
    assert!(!router(Limits::default()).rests());
}

#[test]
fn an_idle_connection_does_not_keep_the_buffer_of_its_largest_message() {
    let mut connection = ready_router(Limits::default());
    let size = 4 << 20;
    connection.receive().extend_from_slice(b"\x02\0\0\0\0\0\x40\0\0");
    connection.receive().extend_from_slice(&vec![7; size]);
    let Ok(Some(Event::Message(message))) = connection.next_event() else { panic!() };
    assert_eq!(message.body_size(), size);
    drop(message);
    assert_eq!(connection.next_event(), Ok(None));
    let capacity = connection.receive().capacity();
    assert!(capacity <= 128 << 10, "{capacity}");
}

#[test]
fn a_mebibyte_that_arrives_byte_by_byte_is_looked_at_once() {
    let mut connection = ready_router(Limits::default());
    let size = 1 << 20;
    connection.receive().extend_from_slice(b"\x02\0\0\0\0\0\x10\0\0");
    for _ in 0..size {
        assert_eq!(connection.next_event(), Ok(None));
        connection.receive().extend_from_slice(b"x");
    }
    let Ok(Some(Event::Message(message))) = connection.next_event() else { panic!() };
    assert_eq!(message.body_size(), size);
}

fn message() -> impl Strategy<Value = Message> {
    let size = prop_oneof![0..3_usize, 254..258_usize, 2040..2060_usize, 4090..4100_usize];
    let part = (any::<u8>(), size).prop_map(|(byte, size)| Bytes::from(vec![byte; size]));
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.into_iter().collect())
}

/// The wire form by the book, written for the reader and not for speed.
fn reference(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, part) in message.parts().enumerate() {
        let more = u8::from(i + 1 < message.len());
        if let Ok(len) = u8::try_from(part.len()) {
            out.extend([more, len]);
        } else {
            out.push(more | 2);
            out.extend((part.len() as u64).to_be_bytes());
        }
        out.extend(part);
    }
    out
}

proptest! {
    #[test]
    fn messages_survive_the_wire_in_any_chunking(
        messages in proptest::collection::vec(message(), 1..8),
        sizes in proptest::collection::vec(1..5000_usize, 1..20),
    ) {
        let mut sender = ready_router(Limits::default());
        for message in &messages {
            sender.send(message.clone()).unwrap();
        }
        let bytes = drain(&mut sender);
        prop_assert_eq!(&bytes, &messages.iter().flat_map(reference).collect::<Vec<_>>());
        let expected: Vec<_> = messages.into_iter().map(Event::Message).collect();
        let mut receiver = ready_router(Limits::default());
        let (events, result) = outcome(&mut receiver, &bytes, &sizes);
        prop_assert_eq!(events, expected);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(receiver.handle_eof(), Ok(()));
    }

    #[test]
    fn what_bytes_mean_does_not_depend_on_how_they_are_split(
        tail in proptest::collection::vec(0..8_u8, 0..200),
        sizes in proptest::collection::vec(1..40_usize, 1..10),
    ) {
        let bytes = [&GREETING[..], READY_REQ, &tail].concat();
        let tight = Limits { max_frame_size: 3, max_frames: 3, ..Limits::default() };
        for limits in [Limits::default(), tight.with_max_message_size(68), tight] {
            let whole = outcome(&mut router(limits), &bytes, &[bytes.len()]);
            let split = outcome(&mut router(limits), &bytes, &sizes);
            prop_assert_eq!(whole, split);
        }
    }

    #[test]
    #[cfg(feature = "tokio")]
    fn the_short_way_of_a_message_means_what_the_long_one_does(
        bytes in proptest::collection::vec(0..8_u8, 0..70),
    ) {
        let tight = Limits { max_frame_size: 3, max_frames: 3, ..Limits::default() };
        for limits in [Limits::default(), tight.with_max_message_size(68), tight] {
            let mut connection = ready_router(limits);
            prop_assert!(connection.rests());
            let short = connection.whole_message(&bytes);
            let (events, result) = outcome(&mut connection, &bytes, &[bytes.len().max(1)]);
            let whole = match &events[..] {
                [Event::Message(message)] if result.is_ok() => Some(message),
                _ => None,
            };
            let fits = |message: &&Message| bytes.len() <= 53 && reference(message) == bytes;
            prop_assert_eq!(short.as_ref(), whole.filter(fits));
        }
    }
}
