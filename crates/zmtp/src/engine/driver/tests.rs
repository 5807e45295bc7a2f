use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::*;
use crate::proto::GREETING;
use crate::{Config, Heartbeat, Limits, MonitorEvent, PeerEvent, PeerId, ProtocolError, Router};

const READY_REQ: &[u8] = b"\x04\x26\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0";

/// Counts the reads and writes that were carried out.
#[derive(Debug)]
struct Counted {
    inner: DuplexStream,
    reads: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
}

impl Transport for Counted {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        // `poll_read_buf` would let a vector grow.
        let mut room = buffer.limit(buffer.capacity() - buffer.len());
        let result = poll_read_buf(Pin::new(&mut self.inner), cx, &mut room);
        self.reads.fetch_add(usize::from(result.is_ready()), Ordering::Relaxed);
        result
    }

    fn may_read_on(&self) -> bool {
        true
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_write(&mut cx, slices) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.writes.fetch_add(usize::from(result.is_ready()), Ordering::Relaxed);
        result
    }

    fn prepare_end(&mut self, _: bool) {}

    fn refuses(&self) -> bool {
        false
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    /// Tells who polls.
    fn watch(&mut self, _: Place) -> io::Result<()> {
        Ok(())
    }

    fn note(&mut self, _: Readiness) {}

    fn reads_several(&self) -> bool {
        false
    }

    fn detach(&mut self) -> Option<OwnedFd> {
        None
    }

    fn peer_has_closed(&self) -> bool {
        false
    }

    fn take_error(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Fixture {
    router: Router,
    raw: DuplexStream,
    reads: Arc<AtomicUsize>,
    writes: Arc<AtomicUsize>,
}

impl Fixture {
    /// A ROUTER with one connection to a raw peer over a pipe that holds `capacity` bytes.
    fn new(config: Config, capacity: usize) -> Self {
        let router = Router::new(config).unwrap();
        let (raw, inner) = duplex(capacity);
        let (reads, writes) = Default::default();
        let stream = Counted { inner, reads: Arc::clone(&reads), writes: Arc::clone(&writes) };
        tokio::spawn(drive(stream, router.admit("raw")));
        Self { router, raw, reads, writes }
    }

    /// The same with a REQ peer that has shaken hands.
    async fn ready(config: Config) -> (Self, PeerId) {
        let mut fixture = Self::new(config, 1 << 20);
        fixture.raw.write_all(&[&GREETING[..], READY_REQ].concat()).await.unwrap();
        let Some(PeerEvent::Joined(peer)) = fixture.router.recv_event().await else { panic!() };
        let mut hello = [0; 64 + 43];
        fixture.raw.read_exact(&mut hello).await.unwrap();
        (fixture, peer.id)
    }

    async fn left(&mut self) -> LeaveReason {
        let Some(PeerEvent::Left(_, reason)) = self.router.recv_event().await else { panic!() };
        reason
    }
}

#[tokio::test]
async fn replies_that_are_ready_together_leave_in_one_write() {
    let (mut fixture, peer) = Fixture::ready(Config::default()).await;
    let before = fixture.writes.load(Ordering::Relaxed);
    for i in 0..100_u8 {
        fixture.router.try_send(peer, Message::from(["".into(), vec![i]])).unwrap();
    }
    let mut replies = [0; 100 * 5];
    fixture.raw.read_exact(&mut replies).await.unwrap();
    assert_eq!(fixture.writes.load(Ordering::Relaxed) - before, 1);
    assert_eq!(replies[495..], [1, 0, 0, 1, 99]);
}

#[tokio::test]
async fn messages_of_one_batch_for_one_peer_leave_in_one_write() {
    let (mut fixture, peer) = Fixture::ready(Config::default()).await;
    for count in [1, 2, 50] {
        let before = fixture.writes.load(Ordering::Relaxed);
        let message = Message::from(["", "x"]);
        let mut batch = vec![(peer, message); count];
        let mut failed = Vec::new();
        fixture.router.send_many(&mut batch, &mut failed);
        assert!(failed.is_empty());
        let mut received = vec![0; count * 5];
        fixture.raw.read_exact(&mut received).await.unwrap();
        assert_eq!(received, b"\x01\0\0\x01x".repeat(count));
        assert_eq!(fixture.writes.load(Ordering::Relaxed) - before, 1);
    }
}

#[test]
fn what_a_panic_left_in_the_buffer_that_all_share_reaches_no_other_connection() {
    let panics = std::panic::catch_unwind(|| {
        Driver::<Counted>::with_room(|room| {
            room.extend_from_slice(b"secret");
            panic!("as a test");
        })
    });
    assert!(panics.is_err());
    Driver::<Counted>::with_room(|room| assert!(room.is_empty()));
}

#[tokio::test]
async fn requests_that_arrive_together_are_read_at_once() {
    let (mut fixture, _) = Fixture::ready(Config::default()).await;
    let before = fixture.reads.load(Ordering::Relaxed);
    fixture.raw.write_all(&b"\x01\x00\x00\x01x".repeat(200)).await.unwrap();
    for _ in 0..200 {
        fixture.router.recv().await.unwrap();
    }
    assert_eq!(fixture.reads.load(Ordering::Relaxed) - before, 1);
}

#[tokio::test]
async fn a_flood_is_received_whole_through_a_low_mark() {
    for hwm in [1, 2, 63, 100, 1000] {
        let (mut fixture, _) = Fixture::ready(Config::default().with_recv_hwm(hwm)).await;
        let flood: Vec<u8> =
            (0..20_000_u16).flat_map(|i| [[0, 2], i.to_be_bytes()].concat()).collect();
        let mut raw = fixture.raw;
        let sender = tokio::spawn(async move { raw.write_all(&flood).await.map(|()| raw) });
        for i in 0..20_000_u16 {
            let (_, message) = fixture.router.recv().await.unwrap();
            assert_eq!(message, Message::from(&i.to_be_bytes()[..]));
        }
        sender.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_a_peer_sent_before_it_closed_is_received_though_it_cannot_be_written_to() {
    let mut fixture = Fixture::new(Config::default(), 1 << 20);
    let request = b"\x01\x00\x00\x01x".repeat(100);
    fixture.raw.write_all(&[&GREETING[..], READY_REQ, &request].concat()).await.unwrap();
    drop(fixture.raw);
    for _ in 0..100 {
        assert!(fixture.router.recv().await.is_some());
    }
    assert!(matches!(fixture.router.recv_event().await, Some(PeerEvent::Left(..))));
}

#[tokio::test]
async fn a_large_body_leaves_while_small_ones_queue_behind_it() {
    let (mut fixture, peer) = Fixture::ready(Config::default()).await;
    let large = vec![7; 3 << 20];
    fixture.router.try_send(peer, Message::from([large.clone()])).unwrap();
    fixture.router.try_send(peer, Message::from("small")).unwrap();
    let mut bytes = vec![0; 9 + large.len() + 7];
    fixture.raw.read_exact(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(b"\x07\x00\x05small"));
    fixture.router.try_send(peer, Message::from("later")).unwrap();
    fixture.raw.read_exact(&mut bytes[..7]).await.unwrap();
    assert_eq!(&bytes[..7], b"\x00\x05later");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drips_its_handshake_is_closed_at_the_deadline() {
    let limits = Limits::default().with_handshake_timeout(Duration::from_secs(3));
    let mut fixture = Fixture::new(Config::default().with_limits(limits), 1024);
    let start = Instant::now();
    let mut sent = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if fixture.raw.write_all(&GREETING[sent..=sent]).await.is_err() {
            break;
        }
        sent += 1;
    }
    let elapsed = start.elapsed();
    assert!((3000..3200).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_shaken_hands_may_be_silent_for_ever() {
    let (mut fixture, _) = Fixture::ready(Config::default()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    fixture.raw.write_all(b"\x01\x00\x00\x01x").await.unwrap();
    assert!(fixture.router.recv().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_of_what_is_written_is_given_up() {
    let config = Config::default().with_write_timeout(Duration::from_secs(4));
    let (mut fixture, peer) = Fixture::ready(config).await;
    fixture.router.try_send(peer, Message::from([vec![7; 4 << 20]])).unwrap();
    let start = Instant::now();
    // As long as it takes something now and then it is merely slow.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        fixture.raw.read_exact(&mut [0; 1000]).await.unwrap();
    }
    assert_eq!(fixture.left().await, LeaveReason::WriteTimeout);
    assert_eq!(start.elapsed().as_secs(), 15 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_gets_pings_and_is_given_up() {
    let heartbeat = Heartbeat::every(Duration::from_secs(1))
        .with_timeout(Duration::from_secs(3))
        .with_ttl(Duration::from_secs(5));
    let (mut fixture, _) = Fixture::ready(Config::default().with_heartbeat(heartbeat)).await;
    let start = Instant::now();
    let mut ping = [0; 9];
    for _ in 0..10 {
        fixture.raw.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, b"\x04\x07\x04PING\x00\x32");
        fixture.raw.write_all(b"\x04\x05\x04PONG").await.unwrap();
    }
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(fixture.left().await, LeaveReason::Protocol(ProtocolError::HeartbeatTimeout));
    assert_eq!(start.elapsed().as_secs(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_longer_than_the_timeout_is_a_sign_of_life() {
    let heartbeat = Heartbeat::every(Duration::from_secs(1));
    let (mut fixture, _) = Fixture::ready(Config::default().with_heartbeat(heartbeat)).await;
    fixture.raw.write_all(b"\x00\x14").await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(900)).await;
        fixture.raw.write_all(b"x").await.unwrap();
    }
    let (_, message) = fixture.router.recv().await.unwrap();
    assert_eq!(message.body_size(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_peers_time_to_live_is_kept_for_it() {
    let (mut fixture, _) = Fixture::ready(Config::default()).await;
    let start = Instant::now();
    fixture.raw.write_all(b"\x04\x07\x04PING\x02\xBC").await.unwrap();
    assert_eq!(fixture.left().await, LeaveReason::Protocol(ProtocolError::HeartbeatTimeout));
    assert_eq!(start.elapsed().as_secs(), 70, "700 tenths of a second");
}

#[tokio::test(start_paused = true)]
async fn a_req_that_speaks_3_0_is_sent_no_ping() {
    let config = Config::default().with_heartbeat(Heartbeat::every(Duration::from_secs(1)));
    let mut fixture = Fixture::new(config, 1024);
    let mut greeting = GREETING;
    greeting[11] = 0;
    fixture.raw.write_all(&[&greeting[..], READY_REQ].concat()).await.unwrap();
    let mut hello = [0; 64 + 43];
    fixture.raw.read_exact(&mut hello).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let nothing = tokio::time::timeout(Duration::ZERO, fixture.raw.read(&mut hello)).await;
    assert!(nothing.is_err());
}

#[tokio::test]
async fn an_unfinished_message_beyond_the_budget_ends_its_connection() {
    let config = Config::default().with_max_total_bytes(1 << 20);
    let (mut fixture, _) = Fixture::ready(config).await;
    fixture.raw.write_all(b"\x02\0\0\0\0\x01\0\0\0").await.unwrap();
    let flood =
        tokio::spawn(async move { while fixture.raw.write_all(&[0; 4096]).await.is_ok() {} });
    let Some(PeerEvent::Left(_, reason)) = fixture.router.recv_event().await else { panic!() };
    assert_eq!(reason, LeaveReason::OverBudget);
    flood.await.unwrap();
}

#[tokio::test]
async fn a_monitor_tells_what_was_seen_of_a_peer_that_speaks_something_else() {
    let mut fixture = Fixture::new(Config::default(), 1024);
    let mut monitor = fixture.router.monitor();
    fixture.raw.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let reason = LeaveReason::Protocol(ProtocolError::NotZmtp(b'G'));
    let event = MonitorEvent::HandshakeFailed("raw".into(), reason);
    assert_eq!(monitor.recv().await, Some(event));
    drop(fixture.router);
    assert_eq!(monitor.recv().await, None);
}

#[tokio::test]
async fn an_end_of_stream_is_reported_after_the_messages_before_it() {
    let (mut fixture, _) = Fixture::ready(Config::default().with_recv_hwm(2)).await;
    fixture.raw.write_all(&b"\x01\x00\x00\x01x".repeat(500)).await.unwrap();
    fixture.raw.shutdown().await.unwrap();
    for _ in 0..500 {
        let event = fixture.router.recv_event().await;
        assert!(matches!(event, Some(PeerEvent::Message(..))));
    }
    assert_eq!(fixture.left().await, LeaveReason::Closed);
}

#[tokio::test]
async fn a_peer_at_its_receive_mark_is_still_seen_to_leave() {
    let config = Config::default().with_recv_hwm(2).with_release(Release::Explicit);
    let (mut fixture, _) = Fixture::ready(config).await;
    fixture.raw.write_all(&b"\x01\x00\x00\x01x".repeat(500)).await.unwrap();
    for _ in 0..2 {
        fixture.router.recv().await.unwrap();
    }
    fixture.raw.shutdown().await.unwrap();
    assert_eq!(fixture.left().await, LeaveReason::Closed);
}

#[tokio::test(start_paused = true)]
async fn of_a_peer_whose_large_messages_find_no_room_little_more_is_held() {
    let config = Config::default().with_recv_hwm(1).with_release(Release::Explicit);
    let (mut fixture, _) = Fixture::ready(config).await;
    let message = [&b"\x02\0\0\0\0\0\x01\x86\xA0"[..], &vec![7; 100_000]].concat();
    let flood = message.repeat(64);
    let mut taken = 0;
    while let Ok(count) =
        tokio::time::timeout(Duration::from_secs(1), fixture.raw.write(&flood[taken..])).await
    {
        taken += count.unwrap();
        assert!(taken < flood.len(), "all of it");
    }
    // The pipe holds a mebibyte of them.
    assert!(taken < 2 << 20, "{taken} bytes");
}

#[tokio::test]
async fn a_peer_at_its_receive_mark_has_its_pings_answered_once() {
    for messages in [2, 3, 70, 500] {
        let config = Config::default().with_recv_hwm(2).with_release(Release::Explicit);
        let (mut fixture, peer) = Fixture::ready(config).await;
        let ping = b"\x04\x0A\x04PING\x00\x00LOL";
        let flood = b"\x01\x00\x00\x01x".repeat(messages);
        fixture.raw.write_all(&[&flood[..], ping].concat()).await.unwrap();
        fixture.router.recv().await.unwrap();
        for i in 0..3 {
            if i > 0 {
                fixture.raw.write_all(ping).await.unwrap();
            }
            let mut pong = [0; 10];
            fixture.raw.read_exact(&mut pong).await.unwrap();
            assert_eq!(&pong, b"\x04\x08\x04PONGLOL");
        }
        fixture.router.release(peer, 1);
        for _ in 1..messages {
            fixture.router.recv().await.unwrap();
            fixture.router.release(peer, 1);
        }
        fixture.router.try_send(peer, Message::from("end")).unwrap();
        let mut end = [0; 5];
        fixture.raw.read_exact(&mut end).await.unwrap();
        assert_eq!(&end, b"\x00\x03end", "no PONG came twice");
    }
}

#[tokio::test]
async fn a_peer_that_leaves_within_a_message_broke_the_protocol() {
    let (mut fixture, _) = Fixture::ready(Config::default()).await;
    fixture.raw.write_all(b"\x01\x00\x00\x05Hel").await.unwrap();
    fixture.raw.shutdown().await.unwrap();
    let reason = LeaveReason::Protocol(ProtocolError::TruncatedAtEof);
    assert_eq!(fixture.left().await, reason);
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_waits_for_the_peer_to_end() {
    let (mut fixture, peer) = Fixture::ready(Config::default()).await;
    for _ in 0..500 {
        fixture.router.try_send(peer, Message::from([vec![7; 4000]])).unwrap();
    }
    let close = tokio::spawn(fixture.router.close());
    let mut bytes = Vec::new();
    fixture.raw.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len(), 500 * 4009);
    assert!(!close.is_finished());
    drop(fixture.raw);
    close.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_gives_up_on_a_peer_that_does_not_read_after_the_linger_time() {
    let config = Config::default().with_linger(Duration::from_secs(2));
    let (fixture, peer) = Fixture::ready(config).await;
    fixture.router.try_send(peer, Message::from([vec![7; 4 << 20]])).unwrap();
    let start = Instant::now();
    fixture.router.close().await;
    assert_eq!(start.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn dropping_the_socket_ends_its_connections() {
    let (mut fixture, _) = Fixture::ready(Config::default()).await;
    drop(fixture.router);
    assert_eq!(fixture.raw.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_not_written_whole_when_the_peer_left_is_dropped_and_counted_to_the_message() {
    // The pipe holds a hundred messages and half of one.
    let mut fixture = Fixture::new(Config::default(), 1005);
    fixture.raw.write_all(&[&GREETING[..], READY_REQ].concat()).await.unwrap();
    let Some(PeerEvent::Joined(peer)) = fixture.router.recv_event().await else { panic!() };
    fixture.raw.read_exact(&mut [0; 64 + 43]).await.unwrap();
    for _ in 0..200 {
        fixture.router.try_send(peer.id, Message::from([[7; 8]].map(Vec::from))).unwrap();
    }
    // The connection writes as much as it can.
    tokio::task::yield_now().await;
    fixture.raw = duplex(1).0;
    fixture.left().await;
    assert_eq!(fixture.router.dropped(), 100);
}
