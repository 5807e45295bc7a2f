//! Connecting, and connecting again for as long as the endpoint is wanted.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::driver::{Ended, drive};
use super::stream::Stream;
use super::transport::Polled;
use crate::endpoint::Endpoint;
use crate::socket::{EndpointId, Hub, LeaveReason, MonitorEvent, Origin};

/// An endpoint to be connected to.
#[derive(Debug)]
pub(crate) struct Dialler {
    hub: Arc<Hub>,
    endpoint: Endpoint,
    id: EndpointId,
    /// The endpoint is no longer wanted. What waits for it may still leave.
    stop: CancellationToken,
    address: Arc<str>,
    backoff: Backoff,
}

impl Dialler {
    pub(crate) fn new(
        hub: Arc<Hub>,
        endpoint: Endpoint,
        id: EndpointId,
        stop: CancellationToken,
    ) -> Self {
        let backoff = Backoff::new(hub.config.reconnect_min, hub.config.reconnect_max);
        let address = endpoint.to_string().into();
        Self { hub, endpoint, id, stop, address, backoff }
    }

    /// Keeps a connection until the endpoint is no longer wanted and nothing waits for it.
    pub(crate) async fn run(mut self) {
        while self.is_wanted() {
            let pause = match self.connect().await {
                Some(Ok(stream)) => match self.drive(stream).await {
                    Some(pause) => pause,
                    None => continue,
                },
                Some(Err(error)) => {
                    self.fail(&error);
                    // The next attempt may succeed where this one failed, whatever the reason.
                    self.backoff.next()
                }
                None => continue,
            };
            if !self.hub.config.reconnect {
                break;
            }
            if self.is_wanted() {
                let address = self.address.clone();
                self.hub.monitors.tell(|| MonitorEvent::ConnectRetried(address, pause));
                self.until_stopped(sleep(pause)).await;
            }
        }
        self.hub.close_outlet(self.id);
    }

    fn is_wanted(&self) -> bool {
        let lingers = || self.hub.lingers(self.id).is_some_and(|by| Instant::now() < by);
        !self.stop.is_cancelled() || lingers()
    }

    /// Waits for `future`, but not beyond the end of the endpoint: the moment that it is no longer
    /// wanted, and if that has been, the time until which it lingers.
    async fn until_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        if !self.stop.is_cancelled() {
            return self.stop.run_until_cancelled(future).await;
        }
        match self.hub.lingers(self.id) {
            Some(by) => timeout_at(by, future).await.ok(),
            None => None,
        }
    }

    /// Makes one attempt. None says that it was broken off.
    async fn connect(&self) -> Option<io::Result<Polled>> {
        let address = self.address.clone();
        self.hub.monitors.tell(|| MonitorEvent::ConnectDelayed(address));
        let options = self.hub.config.transport;
        let attempt = async { Stream::connect(&self.endpoint, &options).await?.into_polled() };
        self.until_stopped(attempt).await
    }

    /// An attempt has failed. If it was the only one, who hears of it finds the endpoint forgotten.
    fn fail(&self, error: &io::Error) {
        if !self.hub.config.reconnect {
            self.hub.close_outlet(self.id);
        }
        let (address, error) = (self.address.clone(), error.to_string());
        self.hub.monitors.tell(|| MonitorEvent::ConnectFailed(address, error.into()));
    }

    /// Carries messages until the connection ends. Returns how long to wait for the next one, or
    /// `None` if it was ended here for the sake of a new one.
    async fn drive(&mut self, stream: Polled) -> Option<Duration> {
        let address = self.address.clone();
        if let Some(link) = self.hub.admit(Origin::Local, self.id, address) {
            let start = Instant::now();
            let Ended { joined, reason } = drive(stream, link).await;
            if joined && reason == LeaveReason::GivenUp {
                return None;
            }
            // One that is lost at once may be refused each time, unless we ended it.
            let lasted = start.elapsed() > self.hub.config.reconnect_max;
            if joined && (lasted || reason == LeaveReason::Local) {
                self.backoff.reset();
            }
        }
        Some(self.backoff.next())
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
