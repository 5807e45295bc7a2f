//! What systemd is told, if it has started the queue and wants to know (`Type=notify`, `WatchdogSec=`).

use std::time::Duration;

use broker::Handle;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The queue listens.
pub(crate) fn tell_ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("listening")]);
}

/// It ends, once no request is in flight.
pub(crate) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("waiting for requests in flight")]);
}

/// Gives a sign of life as often as is wanted, as long as the queue answers.
pub(crate) async fn watch(broker: Handle) {
    let mut micros = 0;
    if !sd_notify::watchdog_enabled(false, &mut micros) {
        return;
    }
    // Twice as often as it has to be.
    let period = Duration::from_micros(micros / 2).max(Duration::from_millis(1));
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(period, broker.status()).await {
            Ok(Ok(_)) => tell(&[NotifyState::Watchdog]),
            Ok(Err(_)) => return,
            // Without a sign of life it is started again.
            Err(_) => {}
        }
    }
}

/// That nobody listens is no reason to end.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(false, states);
}
