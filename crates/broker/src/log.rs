//! What `broker serve` says of what goes on: sentences for people, or JSON for programs, a line each on standard error.
//!
//! ```text
//! 2026-01-31T12:00:00.000Z WARN  client C at ipc://frontend.ipc: dropped a message without an empty frame...
//! {"timestamp":"2026-01-31T12:00:00.000000Z","level":"WARN","message":"client C at...","identity":"C",...}
//! ```

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, layer::SubscriberExt};

use crate::faults;

mod limit;
mod peers;

pub(crate) use peers::Peers;

/// Whether there is a log. Before that, and in commands without one, lines go to standard error as they are.
static STARTED: AtomicBool = AtomicBool::new(false);

/// Who is to read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// How much of it there is: what is said of this level, and of what matters more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Depth {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Depth> for Level {
    fn from(depth: Depth) -> Self {
        match depth {
            Depth::Error => Self::ERROR,
            Depth::Warn => Self::WARN,
            Depth::Info => Self::INFO,
            Depth::Debug => Self::DEBUG,
            Depth::Trace => Self::TRACE,
        }
    }
}

/// From now on there is a log.
pub(crate) fn start(format: Format, depth: Depth, faults: faults::Shared) {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        // It would complain on standard error, and panic if that is closed.
        .log_internal_errors(false)
        .with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let depth = LevelFilter::from(Level::from(depth));
    let layer = match format {
        Format::Text => layer.event_format(Text).with_filter(depth).boxed(),
        Format::Json => {
            layer.json().flatten_event(true).with_target(false).with_filter(depth).boxed()
        }
    };
    let started = tracing::subscriber::set_global_default(
        tracing_subscriber::registry()
            .with(layer)
            .with(faults::Keep(faults).with_filter(LevelFilter::WARN)),
    );
    STARTED.store(started.is_ok(), Ordering::Relaxed);
}

pub(crate) fn has_started() -> bool {
    STARTED.load(Ordering::Relaxed)
}

/// A time, a level and a sentence. The fields are in the sentence already.
struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let level = *event.metadata().level();
        if writer.has_ansi_escapes() {
            let colour = colour(level);
            write!(writer, "\x1b[2m{time}\x1b[0m \x1b[{colour}m{level:<5}\x1b[0m ")?;
        } else {
            write!(writer, "{time} {level:<5} ")?;
        }
        let mut sentence = Sentence::to(writer);
        event.record(&mut sentence);
        sentence.result?;
        sentence.writer.write_char('\n')
    }
}

/// As terminals number them.
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 2,
    }
}

/// What an event says, without its fields.
pub(crate) struct Sentence<W> {
    pub(crate) writer: W,
    result: fmt::Result,
}

impl<W> Sentence<W> {
    pub(crate) fn to(writer: W) -> Self {
        Self { writer, result: Ok(()) }
    }
}

impl<W: fmt::Write> Visit for Sentence<W> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.result = write!(self.writer, "{value:?}");
        }
    }
}
