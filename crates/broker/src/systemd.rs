//! What systemd passes on (sockets that listen already), and what it is told, if it wants to know (`Type=notify`,
//! `WatchdogSec=`).

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::time::Duration;

use broker::Handle;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Sockets that systemd listens on, by their names (`FileDescriptorName=`).
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) frontend: Vec<OwnedFd>,
    pub(crate) backend: Vec<OwnedFd>,
    pub(crate) http: Option<TcpListener>,
}

/// Those that were passed on to this process.
pub(crate) fn sockets() -> Result<Sockets, String> {
    let mut passed = ListenFd::from_env();
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = Sockets::default();
    for at in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        let trouble = |error| format!("the socket {name:?} of systemd: {error}");
        match name {
            "frontend" => sockets.frontend.extend(take(&mut passed, at).map_err(trouble)?),
            "backend" => sockets.backend.extend(take(&mut passed, at).map_err(trouble)?),
            "http" => sockets.http = passed.take_tcp_listener(at).map_err(trouble)?,
            _ => {
                return Err(format!(
                    "systemd passes a socket called {name:?}; `FileDescriptorName=` is to be frontend, backend or http"
                ));
            }
        }
    }
    Ok(sockets)
}

fn take(passed: &mut ListenFd, at: usize) -> io::Result<Option<OwnedFd>> {
    if let Ok(listener) = passed.take_tcp_listener(at) {
        return Ok(listener.map(OwnedFd::from));
    }
    Ok(passed.take_unix_listener(at)?.map(OwnedFd::from))
}

/// The queue listens.
pub(crate) fn tell_ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("listening")]);
}

/// It ends, once no request is in flight.
pub(crate) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("waiting for requests in flight")]);
}

/// There is no time for a sign of life for a while, and a reason for that.
pub(crate) fn tell_alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Another process goes on.
pub(crate) fn tell_successor(process: u32) {
    tell(&[NotifyState::MainPid(process), NotifyState::Watchdog]);
}

/// Gives a sign of life as often as is wanted, as long as the queue answers.
pub(crate) async fn watch(broker: Handle) {
    let Some(micros) = watchdog() else { return };
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

/// How often a sign of life is wanted, in microseconds. What says of which process may be missing: then it is this one.
fn watchdog() -> Option<u64> {
    let variable = |name| std::env::var(name).ok();
    let is_meant = |process: String| process.parse() == Ok(std::process::id());
    variable("WATCHDOG_PID").is_none_or(is_meant).then_some(())?;
    variable("WATCHDOG_USEC")?.parse().ok().filter(|&micros| micros > 0)
}

/// That nobody listens is no reason to end.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(false, states);
}
