//! SIGINT, SIGTERM and SIGHUP.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Asks a program to read its options again.
pub(crate) fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// A file that may not be larger is an error where it is written from now on, and no end of the process.
pub(crate) fn outlive_full_files() -> io::Result<()> {
    // It stays caught though nobody listens.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// The signals by which a program is asked to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
    has_come: bool,
    /// Until when all that come are one.
    united_until: Option<Instant>,
}

/// Whoever tells a process and its group to end, as `timeout` does, means one end.
const AT_ONCE: Duration = Duration::from_millis(100);

impl Signals {
    /// From now on the signals no longer kill the process.
    pub(crate) fn catch() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate, hangup: None, has_come: false, united_until: None })
    }

    /// A terminal that is gone asks for the same, unless that is ignored, as under `nohup`.
    pub(crate) fn and_hangup(mut self) -> io::Result<Self> {
        self.hangup = if ignores_hangup() { None } else { Some(hangup()?) };
        Ok(self)
    }

    /// All that come within this time are one, as those are that come at once: the process before passes on those that it gets, and what goes to a terminal's or
    /// a service's processes comes to this one as well.
    pub(crate) fn unite_for(&mut self, time: Duration) {
        self.united_until = Instant::now().checked_add(time);
    }

    /// The next one of either.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = async { self.hangup.as_mut()?.recv().await }, if self.hangup.is_some() => {}
            }
            let now = Instant::now();
            let is_united = self.united_until.is_some_and(|until| now < until);
            if !std::mem::replace(&mut self.has_come, true) || !is_united {
                self.united_until = self.united_until.max(Some(now + AT_ONCE));
                return;
            }
        }
    }
}

/// Whether whoever has started this process wants that.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}
