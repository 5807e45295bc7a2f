//! Connecting, and connecting again for as long as the socket lives.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::driver::{Driver, Ended};
use super::stream::Stream;
use crate::endpoint::Endpoint;
use crate::socket::{Hub, LeaveReason, MonitorEvent, Origin};

/// How long the system may take to connect: it alone would try for two minutes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps a connection to `endpoint` until the socket is closed.
pub(crate) async fn dial(hub: Arc<Hub>, endpoint: Endpoint) {
    let mut backoff = Backoff::new(hub.config.reconnect_min, hub.config.reconnect_max);
    let address: Arc<str> = endpoint.to_string().into();
    while !hub.stop.is_cancelled() {
        let attempt = timeout(CONNECT_TIMEOUT, Stream::connect(&endpoint));
        let Some(attempt) = hub.stop.run_until_cancelled(attempt).await else { return };
        let error = match attempt {
            Ok(Ok(stream)) => {
                if let Some(link) = hub.admit(Origin::Local, address.clone()) {
                    let start = Instant::now();
                    let Ended { joined, reason } = Driver::new(stream, link).await;
                    // One that is lost at once may be refused each time, unless we ended it.
                    let lasted = start.elapsed() > hub.config.reconnect_max;
                    if joined && (lasted || reason == LeaveReason::Local) {
                        backoff.reset();
                    }
                }
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("timed out".to_owned()),
        };
        // The next attempt may succeed where this one failed, whatever the reason.
        let pause = backoff.next();
        if let Some(error) = error {
            hub.monitors.tell(|| MonitorEvent::ConnectFailed(address.clone(), error.into(), pause));
        }
        hub.stop.run_until_cancelled(sleep(pause)).await;
    }
}

/// Pauses that double from a least to a most, each varied by a fifth so that peers which lost the
/// same connection do not all come back at once (RFC 37, "Connection heartbeating" advises so).
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    pause: Duration,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, pause: min }
    }

    pub(super) fn reset(&mut self) {
        self.pause = self.min;
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(self.max);
        // 80 to 120 per cent.
        let percent = 80 + crate::socket::random() % 41;
        pause.saturating_mul(u32::try_from(percent).unwrap_or(100)) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_vary_by_a_fifth() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for expected in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next().as_millis();
            assert!((expected * 80 / 100..=expected * 120 / 100).contains(&pause), "{pause}");
        }
        backoff.reset();
        assert!(backoff.next().as_millis() <= 120);
    }
}
