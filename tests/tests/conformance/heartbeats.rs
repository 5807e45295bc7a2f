//! PING and PONG: rules H.

use crate::*;

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
                pair.router.try_send(id, Message::from("first")).unwrap();
                pair.peer.expect(b"\x00\x05first").await.unwrap();
            }
        })
        .await;
    }
}
