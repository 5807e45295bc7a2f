//! The greeting: rules G.

use crate::*;

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
