//! Signs of life: when to send PING, and when to give a silent peer up (RFC 37, "Heartbeating").

use std::time::{Duration, Instant};

use crate::error::ProtocolError;

/// The largest time to live that is sent, in tenths of a second: libzmq computes with 16 bits of
/// milliseconds and takes a larger one for a small one.
const MAX_TTL: u16 = 655;

/// How to find out that a peer is gone though its connection is not.
///
/// ```
/// use std::time::Duration;
/// use zmtp::Heartbeat;
///
/// let heartbeat = Heartbeat::every(Duration::from_secs(2)).with_timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heartbeat {
    /// Between two PINGs. libzmq: `ZMQ_HEARTBEAT_IVL`.
    pub interval: Duration,
    /// How long a peer may take after a PING to send anything at all. Any byte counts, so that a
    /// message which takes longer than this does not end its own connection.
    /// libzmq: `ZMQ_HEARTBEAT_TIMEOUT`, by default the interval.
    pub timeout: Duration,
    /// After how long without a sign of life from this side the peer is to give up; zero for never.
    /// Sent in tenths of a second, at most 65.5 s. libzmq: `ZMQ_HEARTBEAT_TTL`.
    pub ttl: Duration,
}

impl Heartbeat {
    /// A PING in each interval, a timeout of the same length, and no time to live.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval, timeout: interval, ttl: Duration::ZERO }
    }

    /// Sets [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets [`ttl`](Self::ttl).
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// The time to live as it stands in a PING.
    pub(super) fn ttl_field(self) -> u16 {
        u16::try_from(self.ttl.as_millis() / 100).unwrap_or(MAX_TTL).min(MAX_TTL)
    }
}

/// The timers of one connection that has shaken hands.
///
/// Time is known only when [`Pulse::beat`] is told; what happens in between is noted, and a timer
/// that runs out is judged by whether bytes have arrived since it was set.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    heartbeat: Option<Heartbeat>,
    /// Bytes received in all, as far as it matters whether there were more.
    received: u64,
    /// A timer is to be set as soon as the time is known.
    due: bool,
    next_ping: Option<Instant>,
    answer: Option<Timer>,
    /// The peer's time to live, once it is set and before.
    peer_ttl: Option<Duration>,
    silence: Option<Timer>,
}

/// Runs out unless something is received.
#[derive(Clone, Copy, Debug)]
struct Timer {
    at: Instant,
    received: u64,
}

impl Pulse {
    pub(super) fn new(heartbeat: Heartbeat) -> Self {
        Self { heartbeat: Some(heartbeat), due: true, ..Self::default() }
    }

    /// What a PING says.
    pub(super) fn ttl_field(&self) -> u16 {
        self.heartbeat.map_or(0, Heartbeat::ttl_field)
    }

    pub(super) fn note_received(&mut self, bytes: usize) {
        self.received = self.received.wrapping_add(bytes as u64);
    }

    /// A PING with this time to live, in tenths of a second, has arrived.
    pub(super) fn note_ping(&mut self, ttl: u16) {
        if ttl > 0 {
            self.peer_ttl = Some(Duration::from_millis(u64::from(ttl) * 100));
            self.due = true;
        }
    }

    /// When [`beat`](Self::beat) is to be called, if ever; `clock` is a time that has passed.
    pub(super) fn next_timeout(&self, clock: Instant) -> Option<Instant> {
        if self.due {
            return Some(clock);
        }
        let timers = [self.answer, self.silence].into_iter().flatten().map(|timer| timer.at);
        timers.chain(self.next_ping).min()
    }

    /// Says whether to send a PING. A peer whose messages wait here is not held to have been silent.
    pub(super) fn beat(
        &mut self,
        now: Instant,
        its_messages_wait: bool,
    ) -> Result<bool, ProtocolError> {
        self.due = false;
        for timer in [&mut self.answer, &mut self.silence] {
            let Some(Timer { received, .. }) = timer.filter(|timer| timer.at <= now) else {
                continue;
            };
            if received == self.received && !its_messages_wait {
                return Err(ProtocolError::HeartbeatTimeout);
            }
            *timer = None;
        }
        let timer = |after| {
            let at = now.checked_add(after)?;
            Some(Timer { at, received: self.received })
        };
        if let Some(ttl) = self.peer_ttl.take() {
            self.silence = timer(ttl);
        }
        let Some(heartbeat) = self.heartbeat else { return Ok(false) };
        let ping = self.next_ping.is_some_and(|at| at <= now);
        if ping || self.next_ping.is_none() {
            self.next_ping = now.checked_add(heartbeat.interval);
        }
        let unanswered = self.answer.is_some_and(|timer| timer.received == self.received);
        if ping && !unanswered {
            self.answer = timer(heartbeat.timeout);
        }
        Ok(ping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_time_to_live_is_sent_in_tenths_of_a_second_and_is_at_most_655() {
        let field = |ms| Heartbeat::every(SECOND).with_ttl(Duration::from_millis(ms)).ttl_field();
        assert_eq!([99, 100, 65_500, 65_600, 6_553_600].map(field), [0, 1, 655, 655, 655]);
        assert_eq!(Heartbeat::every(SECOND).with_ttl(Duration::MAX).ttl_field(), 655);
    }

    #[test]
    fn a_ping_goes_out_each_interval_whatever_else_happens() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Heartbeat::every(SECOND));
        assert_eq!(pulse.next_timeout(start), Some(start), "it has to learn the time");
        assert_eq!(pulse.beat(start, false), Ok(false));
        for i in 1..5 {
            let at = start + i * SECOND;
            assert_eq!(pulse.next_timeout(start), Some(at));
            pulse.note_received(1);
            assert_eq!(pulse.beat(at, false), Ok(true));
        }
    }

    #[test]
    fn a_peer_that_answers_nothing_within_the_timeout_is_given_up() {
        let start = Instant::now();
        let heartbeat = Heartbeat::every(SECOND).with_timeout(SECOND * 5 / 2);
        let mut pulse = Pulse::new(heartbeat);
        for i in 0..4 {
            assert_eq!(pulse.beat(start + i * SECOND, false), Ok(i > 0));
        }
        let given_up = start + SECOND * 7 / 2;
        assert_eq!(pulse.next_timeout(start), Some(given_up), "the first unanswered PING counts");
        assert_eq!(pulse.beat(given_up, false), Err(ProtocolError::HeartbeatTimeout));
    }

    #[test]
    fn any_byte_is_a_sign_of_life_and_so_are_messages_that_wait_here() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Heartbeat::every(SECOND));
        pulse.beat(start, false).unwrap();
        pulse.beat(start + SECOND, false).unwrap();
        pulse.note_received(1);
        assert_eq!(pulse.beat(start + 2 * SECOND, false), Ok(true));
        assert_eq!(pulse.beat(start + 3 * SECOND, true), Ok(true));
        assert_eq!(pulse.beat(start + 4 * SECOND, false), Err(ProtocolError::HeartbeatTimeout));
    }

    #[test]
    fn a_peers_time_to_live_is_honoured_without_overflow() {
        for (ttl, ms) in [(1, 100), (655, 65_500), (656, 65_600), (u16::MAX, 6_553_500)] {
            let start = Instant::now();
            let mut pulse = Pulse::default();
            pulse.note_ping(ttl);
            assert_eq!(pulse.beat(start, false), Ok(false));
            let end = start + Duration::from_millis(ms);
            assert_eq!(pulse.next_timeout(start), Some(end));
            assert_eq!(pulse.beat(end, false), Err(ProtocolError::HeartbeatTimeout));
        }
    }

    #[test]
    fn without_heartbeats_and_without_a_peers_ttl_there_is_no_timer() {
        let mut pulse = Pulse::default();
        pulse.note_ping(0);
        assert_eq!(pulse.next_timeout(Instant::now()), None);
    }
}
