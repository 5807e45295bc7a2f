//! The rules of ZMTP 3.1 and 3.0 that bind these sockets, one script each, run against our ROUTER as
//! acceptor and as connector. `docs/compliance.md` says which rule is which.

use std::time::Duration;

use interop::PATIENCE;
use tokio::time::timeout;
use zmtp::proto::{Connection, Event, GREETING, Settings, SocketType};
use zmtp::testing::{RawListener, RawPeer};
use zmtp::{
    Config, Heartbeat, LeaveReason, Message, Monitor, MonitorEvent, ProtocolError, Router,
    RouterEvent,
};

const READY_REQ: &[u8] = interop::READY_REQ;

/// Our socket and the peer that follows a script.
struct Pair {
    router: Router,
    monitor: Monitor,
    peer: RawPeer,
    /// Where the next attempt of a connecting socket arrives.
    listener: Option<RawListener>,
}

/// Runs a script with our socket as acceptor, and as connector.
async fn each_way(script: impl AsyncFn(&mut Pair)) {
    each_way_with(Config::default(), script).await;
}

async fn each_way_with(config: Config, script: impl AsyncFn(&mut Pair)) {
    let reconnect = Duration::from_millis(10);
    let config = config.with_reconnect(reconnect, reconnect);
    let anywhere = "tcp://127.0.0.1:0".parse().unwrap();

    let router = Router::new(config.clone()).unwrap();
    let endpoint = router.bind(&anywhere).await.unwrap();
    let monitor = router.monitor();
    let peer = RawPeer::connect(&endpoint).await.unwrap();
    script(&mut Pair { router, monitor, peer, listener: None }).await;

    let listener = RawListener::bind(&anywhere).await.unwrap();
    let router = Router::new(config).unwrap();
    let monitor = router.monitor();
    router.connect(listener.endpoint()).unwrap();
    let peer = listener.accept().await.unwrap();
    script(&mut Pair { router, monitor, peer, listener: Some(listener) }).await;
}

impl Pair {
    async fn event(&mut self) -> RouterEvent {
        timeout(PATIENCE, self.router.recv_event()).await.unwrap().unwrap()
    }

    async fn joined(&mut self) -> std::sync::Arc<zmtp::Peer> {
        let event = self.event().await;
        let RouterEvent::Joined(peer) = event else { panic!("{event:?}") };
        peer
    }

    async fn message(&mut self) -> Message {
        timeout(PATIENCE, self.router.recv()).await.unwrap().unwrap().1
    }

    /// The handshake of a REQ, to its end on both sides.
    async fn shake_hands(&mut self) -> zmtp::PeerId {
        self.peer.shake_hands(SocketType::Req, b"").await.unwrap();
        self.joined().await.id
    }

    /// The connection ends before the handshake does, for this reason, and nothing was delivered.
    async fn fails_with(&mut self, expected: ProtocolError) {
        loop {
            match timeout(PATIENCE, self.monitor.recv()).await.unwrap().unwrap() {
                MonitorEvent::HandshakeFailed(_, reason) => {
                    assert_eq!(reason, LeaveReason::Protocol(expected));
                    break;
                }
                MonitorEvent::HandshakeSucceeded(_) => panic!("the handshake succeeded"),
                _ => {}
            }
        }
        assert!(self.router.peers().is_empty());
    }

    /// The connection ends after the handshake, for this reason.
    async fn ends_with(&mut self, expected: ProtocolError) {
        let event = self.event().await;
        let RouterEvent::Left(_, reason) = event else { panic!("{event:?}") };
        assert_eq!(reason, LeaveReason::Protocol(expected));
    }
}

/// A greeting with some bytes replaced.
fn greeting(at: usize, bytes: &[u8]) -> [u8; 64] {
    let mut greeting = GREETING;
    greeting[at..at + bytes.len()].copy_from_slice(bytes);
    greeting
}

/// READY with these properties.
fn ready(properties: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in properties {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
    }
    command(&body)
}

/// A command frame, long if it has to be.
fn command(body: &[u8]) -> Vec<u8> {
    let head = match u8::try_from(body.len()) {
        Ok(len) => vec![4, len],
        Err(_) => [&[6][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    [&head, body].concat()
}

// ---- greeting ----

#[tokio::test]
async fn the_greeting_is_zmtp_3_1_with_the_null_mechanism() {
    each_way(async |pair| {
        let mut expected = b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL".to_vec();
        expected.resize(64, 0);
        pair.peer.expect(&expected).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_waits_after_ten_bytes_is_not_kept_waiting() {
    each_way(async |pair| {
        pair.peer.send(&GREETING[..10]).await.unwrap();
        pair.peer.expect(&GREETING).await.unwrap();
        pair.peer.send(&GREETING[10..]).await.unwrap();
        let (header, _) = pair.peer.receive_frame().await.unwrap();
        assert!(header.is_command());
    })
    .await;
}

#[tokio::test]
async fn a_greeting_is_understood_in_any_split_and_with_frames_glued_on() {
    each_way(async |pair| {
        let bytes = [&GREETING[..], READY_REQ, b"\x01\0\0\x05Hello"].concat();
        for byte in bytes {
            pair.peer.send(&[byte]).await.unwrap();
        }
        assert_eq!(pair.message().await, Message::from(["", "Hello"]));
    })
    .await;
    each_way(async |pair| {
        let bytes = [&GREETING[..], READY_REQ, b"\x01\0\0\x05Hello"].concat();
        pair.peer.send(&bytes).await.unwrap();
        assert_eq!(pair.message().await, Message::from(["", "Hello"]));
    })
    .await;
}

#[tokio::test]
async fn another_mechanism_is_closed_without_an_error_command() {
    for name in [&b"PLAIN"[..], b"CURVE", b"null", b"NULL\0x", b""] {
        each_way(async |pair| {
            let mut mechanism = [0; 20];
            mechanism[..name.len()].copy_from_slice(name);
            pair.peer.send(&greeting(12, &mechanism)).await.unwrap();
            pair.peer.expect(&GREETING).await.unwrap();
            pair.peer.expect_end().await.unwrap();
            pair.fails_with(ProtocolError::MechanismMismatch(mechanism)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn padding_as_server_and_filler_are_not_looked_at() {
    for (at, bytes) in [(1, &[0xAA; 8][..]), (9, &[1]), (32, &[1]), (33, &[0x55; 31])] {
        each_way(async |pair| {
            pair.peer.send(&greeting(at, bytes)).await.unwrap();
            pair.peer.send(READY_REQ).await.unwrap();
            pair.joined().await;
        })
        .await;
    }
}

#[tokio::test]
async fn versions_below_3_are_closed_and_told_to_the_monitor() {
    for major in [0, 1, 2] {
        each_way(async |pair| {
            pair.peer.send(&greeting(10, &[major])).await.unwrap();
            pair.peer.expect(&GREETING).await.unwrap();
            pair.peer.expect_end().await.unwrap();
            pair.fails_with(ProtocolError::UnsupportedVersion(major)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn zmtp_1_peers_and_web_clients_are_closed_without_a_byte_delivered() {
    for (bytes, told) in [
        (&b"\x01\x00\x06\x00Hello"[..], 1),
        (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", b'G'),
        (b"\x08\x00sneaky", 8),
        (b"\xFF\0\0\0\0\0\0\0\x08\x00sneaky", 0),
    ] {
        each_way(async |pair| {
            pair.peer.send(bytes).await.unwrap();
            pair.peer.expect(&GREETING).await.unwrap();
            pair.peer.expect_end().await.unwrap();
            pair.fails_with(ProtocolError::NotZmtp(told)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn versions_3_0_and_later_ones_are_spoken_to_in_3_1() {
    for version in [[3, 0], [3, 1], [3, 7], [4, 0], [255, 255]] {
        each_way(async |pair| {
            pair.peer.send(&greeting(10, &version)).await.unwrap();
            pair.peer.send(READY_REQ).await.unwrap();
            let info = pair.joined().await.info.clone();
            assert_eq!([info.version.major, info.version.minor], version);
        })
        .await;
    }
}

// ---- handshake ----

#[tokio::test]
async fn ready_states_socket_type_and_identity_in_libzmqs_order() {
    let config = Config::default().with_identity("ME");
    each_way_with(config, async |pair| {
        pair.peer.send(&GREETING).await.unwrap();
        pair.peer.expect(&GREETING).await.unwrap();
        let expected = ready(&[("Socket-Type", b"ROUTER"), ("Identity", b"ME")]);
        pair.peer.expect(&expected).await.unwrap();
    })
    .await;
    let config = Config::default().with_identity(vec![b'x'; 255]);
    each_way_with(config, async |pair| {
        pair.peer.send(&GREETING).await.unwrap();
        pair.peer.expect(&GREETING).await.unwrap();
        let (header, _) = pair.peer.receive_frame().await.unwrap();
        assert_eq!((header.size(), header.len), (9, 296), "a long frame");
    })
    .await;
}

#[test]
fn ready_of_a_rep_has_no_identity() {
    let settings = Settings { identity: "ME".into(), ..Settings::default() };
    let mut rep = Connection::new(SocketType::Rep, settings, std::time::Instant::now());
    rep.receive().extend_from_slice(&GREETING);
    assert_eq!(rep.next_event(), Ok(None::<Event>));
    let sent: &[u8] = bytes::Buf::chunk(rep.transmit());
    assert_eq!(sent[64..], ready(&[("Socket-Type", b"REP")]));
}

#[tokio::test]
async fn property_names_do_not_depend_on_case() {
    each_way(async |pair| {
        pair.peer.send(&GREETING).await.unwrap();
        let ready = ready(&[("SOCKET-TYPE", b"REQ"), ("identity", b"ME")]);
        pair.peer.send(&ready).await.unwrap();
        let peer = pair.joined().await;
        assert_eq!((peer.info.socket_type, &peer.routing_id[..]), (SocketType::Req, &b"ME"[..]));
    })
    .await;
}

#[tokio::test]
async fn other_properties_are_kept() {
    each_way(async |pair| {
        pair.peer.send(&GREETING).await.unwrap();
        let ready = ready(&[("X-App", b"v"), ("Socket-Type", b"REQ"), ("Resource", b"")]);
        pair.peer.send(&ready).await.unwrap();
        let info = pair.joined().await.info.clone();
        assert_eq!(info.property("x-app"), Some(&b"v"[..]));
        assert_eq!(info.property("Resource"), Some(&b""[..]));
    })
    .await;
}

#[tokio::test]
async fn a_ready_that_is_not_sound_is_answered_with_error_and_closed() {
    let cut = |bytes: &[u8]| command(&[b"\x05READY", bytes].concat());
    let incompatible = |theirs: &str| ProtocolError::IncompatibleSocket {
        ours: SocketType::Router,
        theirs: theirs.into(),
    };
    let malformed = ProtocolError::MalformedCommand("READY");
    let twice = ProtocolError::DuplicateProperty;
    let with_identity =
        |identity: &[u8]| ready(&[("Socket-Type", b"DEALER"), ("Identity", identity)]);
    for (bytes, error) in [
        (ready(&[]), ProtocolError::MissingSocketType),
        (ready(&[("Identity", b"x")]), ProtocolError::MissingSocketType),
        (ready(&[("Socket-Type", b"REQ"), ("socket-type", b"REQ")]), twice("Socket-Type")),
        (ready(&[("Identity", b"a"), ("Identity", b"a")]), twice("Identity")),
        (ready(&[("Socket-Type", b"REP")]), incompatible("REP")),
        (ready(&[("Socket-Type", b"PUB")]), incompatible("PUB")),
        (ready(&[("Socket-Type", b"req")]), incompatible("req")),
        (ready(&[("Socket-Type", b"")]), incompatible("")),
        (with_identity(&[b'x'; 256]), ProtocolError::BadIdentity),
        (with_identity(b"\0abcd"), ProtocolError::BadIdentity),
        (cut(b"\x0B"), malformed.clone()),
        (cut(b"\x0BSocket-Type"), malformed.clone()),
        (cut(b"\x0BSocket-Type\0\0\0\x06"), malformed.clone()),
        (cut(b"\x0BSocket-Type\xFF\xFF\xFF\xFFREQ"), malformed.clone()),
        (cut(b"\x00\0\0\0\x03REQ"), malformed),
    ] {
        each_way(async |pair| {
            pair.peer.send(&[&GREETING[..], &bytes].concat()).await.unwrap();
            pair.peer.expect(&GREETING).await.unwrap();
            pair.peer.receive_frame().await.unwrap();
            let (_, answer) = pair.peer.receive_frame().await.unwrap();
            assert!(answer.starts_with(b"\x05ERROR"), "{}", answer.escape_ascii());
            pair.peer.expect_end().await.unwrap();
            pair.fails_with(error.clone()).await;
        })
        .await;
    }
}

#[tokio::test]
async fn anything_but_ready_or_error_in_the_handshake_closes() {
    for bytes in [
        &b"\x04\x07\x04PING\0\0"[..],
        b"\x04\x06\x05HELLO",
        b"\x04\x06\x05READX",
        b"\x01\0\0\x05Hello",
        b"\x00\x06\x05READY",
        b"\x02\0\0\0\0\x04\0\0\0",
    ] {
        each_way(async |pair| {
            pair.peer.send(&[&GREETING[..], bytes].concat()).await.unwrap();
            pair.fails_with(ProtocolError::UnexpectedInHandshake).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_second_ready_is_ignored() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(READY_REQ).await.unwrap();
        pair.peer.send(b"\x00\x05after").await.unwrap();
        assert_eq!(pair.message().await, Message::from("after"));
    })
    .await;
}

#[tokio::test]
async fn error_closes_with_its_reason_in_the_handshake_and_after() {
    let refused = |reason: &str| ProtocolError::Refused(reason.into());
    each_way(async |pair| {
        let error = b"\x04\x0A\x05ERROR\x03400";
        pair.peer.send(&[&GREETING[..], error].concat()).await.unwrap();
        pair.fails_with(refused("400")).await;
    })
    .await;
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x04\x0D\x05ERROR\x03byeand").await.unwrap();
        pair.ends_with(refused("bye")).await;
    })
    .await;
    for malformed in [&b"\x04\x06\x05ERROR"[..], b"\x04\x08\x05ERROR\x04a"] {
        each_way(async |pair| {
            pair.peer.send(&[&GREETING[..], malformed].concat()).await.unwrap();
            pair.fails_with(ProtocolError::MalformedCommand("ERROR")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_handshake_has_a_deadline_that_dripping_does_not_extend() {
    let limits = zmtp::Limits::default().with_handshake_timeout(Duration::from_millis(300));
    each_way_with(Config::default().with_limits(limits), async |pair| {
        for byte in GREETING {
            if pair.peer.send(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        pair.fails_with(ProtocolError::HandshakeTimeout).await;
    })
    .await;
}

#[tokio::test]
async fn a_connecting_socket_comes_back_after_a_peer_closed_in_the_handshake() {
    each_way(async |pair| {
        let Some(listener) = pair.listener.take() else { return };
        for sent in [&b""[..], &GREETING[..10], &GREETING, b"junk"] {
            pair.peer.send(sent).await.unwrap();
            pair.peer = timeout(PATIENCE, async {
                // Dropping the old one closes it.
                pair.peer = RawPeer::new(tokio::io::duplex(1).0);
                listener.accept().await.unwrap()
            })
            .await
            .unwrap();
        }
        pair.shake_hands().await;
    })
    .await;
}

// ---- frames ----

#[tokio::test]
async fn bodies_of_255_bytes_are_sent_short_and_of_256_long() {
    each_way(async |pair| {
        let id = pair.shake_hands().await;
        for (size, header) in [(0, 2), (255, 2), (256, 9), (70_000, 9)] {
            pair.router.send(id, Message::from([vec![7; size]])).unwrap();
            let (sent, body) = pair.peer.receive_frame().await.unwrap();
            assert_eq!((sent.size(), body.len()), (header, size));
        }
    })
    .await;
}

#[tokio::test]
async fn more_is_set_on_all_parts_but_the_last() {
    each_way(async |pair| {
        let id = pair.shake_hands().await;
        pair.router.send(id, Message::from(["a", "", "c"])).unwrap();
        pair.peer.expect(b"\x01\x01a\x01\x00\x00\x01c").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn each_legal_flags_byte_is_accepted_and_every_other_one_closes() {
    for flags in 0..=u8::MAX {
        let config = Config::default();
        let router = Router::new(config).unwrap();
        let endpoint = router.bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let monitor = router.monitor();
        let peer = RawPeer::connect(&endpoint).await.unwrap();
        let mut pair = Pair { router, monitor, peer, listener: None };
        pair.shake_hands().await;
        let long = flags & 2 != 0;
        let len: &[u8] = if long { b"\0\0\0\0\0\0\0\x04" } else { b"\x04" };
        pair.peer.send(&[&[flags], len, b"\x03FOO", b"\0\x05after"].concat()).await.unwrap();
        match flags {
            0 | 2 => assert_eq!(pair.message().await, Message::from("\x03FOO")),
            1 | 3 => assert_eq!(pair.message().await, Message::from(["\x03FOO", "after"])),
            4 | 6 => assert_eq!(pair.message().await, Message::from("after")),
            5 | 7 => pair.ends_with(ProtocolError::CommandWithMore).await,
            _ => pair.ends_with(ProtocolError::ReservedFlags(flags)).await,
        }
    }
}

#[tokio::test]
async fn a_short_body_in_long_form_is_accepted() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x03\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x05Hello").await.unwrap();
        assert_eq!(pair.message().await, Message::from(["", "Hello"]));
        pair.peer.send(b"\x06\0\0\0\0\0\0\0\x07\x04PING\0\0").await.unwrap();
        pair.peer.expect(b"\x04\x05\x04PONG").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn empty_frames_are_parts() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\0\0\x01\0\0\0").await.unwrap();
        assert_eq!(pair.message().await, Message::from([""]));
        assert_eq!(pair.message().await, Message::from(["", ""]));
    })
    .await;
}

#[tokio::test]
async fn a_length_of_2_to_the_63_or_above_closes_at_once() {
    for len in [1 << 63, u64::MAX, u64::MAX - 255] {
        each_way(async |pair| {
            pair.shake_hands().await;
            let header = [&[2][..], &len.to_be_bytes()].concat();
            pair.peer.send(&header).await.unwrap();
            pair.ends_with(ProtocolError::LengthOutOfRange(len)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_frame_of_the_largest_size_is_accepted_and_one_byte_more_closes_before_the_body() {
    let limits = zmtp::Limits::default().with_max_message_size(1000);
    each_way_with(Config::default().with_limits(limits), async |pair| {
        pair.shake_hands().await;
        let body = [7; 1000];
        pair.peer.send(&[&b"\x02\0\0\0\0\0\0\x03\xE8"[..], &body].concat()).await.unwrap();
        assert_eq!(pair.message().await, Message::from(&body[..]));
        pair.peer.send(b"\x02\0\0\0\0\0\0\x03\xE9").await.unwrap();
        pair.ends_with(ProtocolError::FrameTooLarge { size: 1001, max: 1000 }).await;
    })
    .await;
}

#[tokio::test]
async fn a_message_is_delivered_whole_or_not_at_all() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x00\x05whole\x01\x04part").await.unwrap();
        pair.peer.finish().await.unwrap();
        assert_eq!(pair.message().await, Message::from("whole"));
        pair.ends_with(ProtocolError::TruncatedAtEof).await;
    })
    .await;
}

#[tokio::test]
async fn unknown_commands_are_ignored_and_malformed_ones_close() {
    each_way(async |pair| {
        pair.shake_hands().await;
        let large = [b"\x09SUBSCRIBE".as_slice(), &[b'x'; 4000]].concat();
        for body in [&b"\x03FOO"[..], b"\x06CANCELtopic", b"\x00", &large] {
            pair.peer.send(&command(body)).await.unwrap();
        }
        pair.peer.send(b"\x00\x05after").await.unwrap();
        assert_eq!(pair.message().await, Message::from("after"), "and never delivered");
    })
    .await;
    for malformed in [&b"\x04\x00"[..], b"\x04\x02\x05F"] {
        each_way(async |pair| {
            pair.shake_hands().await;
            pair.peer.send(malformed).await.unwrap();
            pair.ends_with(ProtocolError::MalformedCommand("command")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn frames_may_be_split_at_any_byte() {
    each_way(async |pair| {
        pair.shake_hands().await;
        let long = [&b"\x02\0\0\0\0\0\0\x01\x00"[..], &[b'x'; 256]].concat();
        let bytes = [&b"\x01\x01a\x01\0\x00\x01b"[..], &long].concat();
        for byte in bytes {
            pair.peer.send(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(pair.message().await, Message::from(["a", "", "b"]));
        assert_eq!(pair.message().await.body_size(), 256);
    })
    .await;
}

#[tokio::test]
async fn sizes_around_the_buffers_of_libzmq_and_ours_survive() {
    each_way(async |pair| {
        let id = pair.shake_hands().await;
        for size in [2047_usize, 2048, 4095, 4096, 4097, 8191, 8192, 8193, 65_535, 65_536, 65_537] {
            let body: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let header = [&[2][..], &(size as u64).to_be_bytes()].concat();
            pair.peer.send(&[&header[..], &body].concat()).await.unwrap();
            let message = pair.message().await;
            assert_eq!(message.part(0), Some(&body[..]));
            pair.router.send(id, message).unwrap();
            assert_eq!(pair.peer.receive_frame().await.unwrap().1, body);
        }
    })
    .await;
}

// ---- heartbeats ----

#[tokio::test]
async fn a_ping_is_answered_with_its_context_of_at_most_16_bytes() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x04\x0A\x04PING\x00\x0ALOL").await.unwrap();
        pair.peer.expect(b"\x04\x08\x04PONGLOL").await.unwrap();
        let context = [b'c'; 58];
        pair.peer.send(&command(&[b"\x04PING\0\0", &context[..]].concat())).await.unwrap();
        pair.peer.expect(&command(&[b"\x04PONG", &context[..16]].concat())).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_ping_without_a_whole_time_to_live_closes_and_nothing_is_echoed() {
    for ping in [&b"\x04\x05\x04PING"[..], b"\x04\x06\x04PING\0"] {
        each_way(async |pair| {
            pair.shake_hands().await;
            pair.peer.send(ping).await.unwrap();
            pair.peer.expect_end().await.unwrap();
            pair.ends_with(ProtocolError::MalformedCommand("PING")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn pings_go_out_in_the_interval_and_a_silent_peer_is_given_up() {
    let heartbeat = Heartbeat::every(Duration::from_millis(50))
        .with_timeout(Duration::from_secs(2))
        .with_ttl(Duration::from_secs(1));
    each_way_with(Config::default().with_heartbeat(heartbeat), async |pair| {
        pair.shake_hands().await;
        for _ in 0..3 {
            pair.peer.expect(b"\x04\x07\x04PING\x00\x0A").await.unwrap();
            pair.peer.send(b"\x04\x05\x04PONG").await.unwrap();
        }
        pair.ends_with(ProtocolError::HeartbeatTimeout).await;
    })
    .await;
}

#[tokio::test]
async fn a_ping_within_a_message_does_not_touch_it() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x01\x01a\x04\x07\x04PING\0\0").await.unwrap();
        pair.peer.expect(b"\x04\x05\x04PONG").await.unwrap();
        pair.peer.send(b"\x00\x01b").await.unwrap();
        assert_eq!(pair.message().await, Message::from(["a", "b"]));
    })
    .await;
}

#[tokio::test]
async fn pings_go_out_though_the_peer_sends_all_the_time() {
    let heartbeat = Heartbeat::every(Duration::from_millis(50)).with_timeout(PATIENCE);
    each_way_with(Config::default().with_heartbeat(heartbeat), async |pair| {
        pair.shake_hands().await;
        for _ in 0..3 {
            for _ in 0..10 {
                pair.peer.send(b"\x00\x01x").await.unwrap();
                pair.message().await;
            }
            pair.peer.expect(b"\x04\x07\x04PING\0\0").await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_slower_than_the_timeout_ends_nothing() {
    let config = Config::default().with_heartbeat(Heartbeat::every(Duration::from_secs(2)));
    each_way_with(config, async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x00\x14").await.unwrap();
        // Past the first PING, at 2 s, and the end of its timeout, at 4 s.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(220)).await;
            pair.peer.send(b"x").await.unwrap();
        }
        assert_eq!(pair.message().await.body_size(), 20);
    })
    .await;
}

#[tokio::test]
async fn a_peer_whose_messages_wait_is_answered_and_not_given_up() {
    let config = Config::default()
        .with_heartbeat(Heartbeat::every(Duration::from_millis(50)).with_timeout(PATIENCE))
        .with_release(zmtp::Release::Explicit)
        .with_recv_hwm(1);
    each_way_with(config, async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x00\x011\x00\x012\x00\x013\x04\x07\x04PING\0\0").await.unwrap();
        let mut pongs = 0;
        // Two of its messages wait here, and it is heard and answered all the same.
        for _ in 0..10 {
            let (_, body) = pair.peer.receive_frame().await.unwrap();
            pongs += usize::from(body.starts_with(b"\x04PONG"));
            pair.peer.send(b"\x04\x05\x04PONG").await.unwrap();
        }
        assert_eq!(pongs, 1);
        assert_eq!(pair.message().await, Message::from("1"));
    })
    .await;
}

#[tokio::test]
async fn a_time_to_live_runs_out_when_it_says_and_one_above_65_s_not_at_once() {
    each_way(async |pair| {
        pair.shake_hands().await;
        pair.peer.send(b"\x04\x07\x04PING\x00\x02").await.unwrap();
        pair.peer.expect(b"\x04\x05\x04PONG").await.unwrap();
        pair.ends_with(ProtocolError::HeartbeatTimeout).await;
    })
    .await;
    each_way(async |pair| {
        pair.shake_hands().await;
        // 65.6 s, which is 64 ms to who computes with 16 bits.
        pair.peer.send(b"\x04\x07\x04PING\x02\x90").await.unwrap();
        pair.peer.expect(b"\x04\x05\x04PONG").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        pair.peer.send(b"\x00\x05alive").await.unwrap();
        assert_eq!(pair.message().await, Message::from("alive"));
    })
    .await;
}

#[tokio::test]
async fn our_time_to_live_is_never_above_655_tenths_of_a_second() {
    let heartbeat = Heartbeat::every(Duration::from_millis(50)).with_ttl(Duration::from_secs(3600));
    each_way_with(Config::default().with_heartbeat(heartbeat), async |pair| {
        pair.shake_hands().await;
        pair.peer.expect(b"\x04\x07\x04PING\x02\x8F").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_req_that_says_3_0_is_sent_no_ping_and_a_dealer_is() {
    let config = Config::default().with_heartbeat(Heartbeat::every(Duration::from_millis(50)));
    for (name, pinged) in [(&b"REQ"[..], false), (b"DEALER", true)] {
        each_way_with(config.clone(), async |pair| {
            let ready = ready(&[("Socket-Type", name)]);
            pair.peer.send(&[&greeting(11, &[0])[..], &ready].concat()).await.unwrap();
            pair.peer.expect(&GREETING).await.unwrap();
            pair.peer.receive_frame().await.unwrap();
            let id = pair.joined().await.id;
            if pinged {
                pair.peer.expect(b"\x04\x07\x04PING\0\0").await.unwrap();
            } else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                pair.router.send(id, Message::from("first")).unwrap();
                pair.peer.expect(b"\x00\x05first").await.unwrap();
            }
        })
        .await;
    }
}
