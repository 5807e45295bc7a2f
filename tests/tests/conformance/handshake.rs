//! The NULL handshake: rules N.

use crate::*;

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
