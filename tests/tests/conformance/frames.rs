//! Frames and messages: rules F.

use crate::*;

#[tokio::test]
async fn bodies_of_255_bytes_are_sent_short_and_of_256_long() {
    each_way(async |pair| {
        let id = pair.shake_hands().await;
        for (size, header) in [(0, 2), (255, 2), (256, 9), (70_000, 9)] {
            pair.router.try_send(id, Message::from([vec![7; size]])).unwrap();
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
        pair.router.try_send(id, Message::from(["a", "", "c"])).unwrap();
        pair.peer.expect(b"\x01\x01a\x01\x00\x00\x01c").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn each_legal_flags_byte_is_accepted_and_every_other_one_closes() {
    for flags in 0..=u8::MAX {
        each_way(async |pair| {
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
        })
        .await;
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
            pair.router.try_send(id, message).unwrap();
            assert_eq!(pair.peer.receive_frame().await.unwrap().1, body);
        }
    })
    .await;
}
