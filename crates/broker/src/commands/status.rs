//! `broker status`

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use crate::cli::Status;
use crate::output::say;
use crate::status::{Report, Times};

/// Counters that are shown if they are more than nothing, and what they are called.
const RARE: [(&str, &str); 10] = [
    ("given_up", "given up"),
    ("dropped", "dropped with their workers"),
    ("rejected", "rejected"),
    ("abandoned", "whose clients left or asked anew"),
    ("lost", "whose clients cannot be known again"),
    ("retries", "handed out again"),
    ("resumed", "handed to the same worker again after a restart"),
    ("stale_replies", "replies that nobody waited for"),
    ("adopted", "workers adopted"),
    ("full", "times full"),
];

pub(crate) async fn run(options: &Status) -> Result<ExitCode, Box<dyn Error>> {
    let place = options.at.place();
    let text = place.get("/status").await?;
    if options.json {
        say(text);
        return Ok(ExitCode::SUCCESS);
    }
    let report = serde_json::from_str(&text);
    let report = report.map_err(|error| format!("{place}: not the status of a queue: {error}"))?;
    say(show(&report).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// At one look.
fn show(report: &Report) -> String {
    let count = |name: &str| report.counters.get(name).copied().unwrap_or(0);
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{what:<12}{value}");
    };
    line("queue", format!("{}, up for {}", report.state(), time(report.up)));
    let waiting = &report.waiting;
    let oldest =
        waiting.oldest.map_or(String::new(), |age| format!(", the first for {}", time(age)));
    let delayed = match waiting.delayed {
        0 => String::new(),
        delayed => format!(", {delayed} of them until a pause is over or their client is back"),
    };
    line("waiting", format!("{} ({} bytes){oldest}{delayed}", waiting.requests, waiting.bytes));
    line("in flight", report.in_flight.to_string());
    line("clients", report.clients.to_string());
    line("requests", format!("{}, {} answered", count("requests"), count("replies")));
    for (name, what) in RARE {
        if count(name) > 0 {
            line("", format!("{} {what}", count(name)));
        }
    }
    for (what, times) in [("waited", &report.waited), ("served", &report.served)] {
        if let Some(Times { p50: Some(p50), p90: Some(p90), p99: Some(p99), .. }) = times {
            let [p50, p90, p99] = [*p50, *p90, *p99].map(time);
            line(what, format!("{p50} at the median, {p90} at 90 %, {p99} at 99 %"));
        }
    }
    for (kind, count) in &report.violations {
        line("faults", format!("{count} {}", kind.replace('_', " ")));
    }
    for (cause, count) in &report.losses {
        line("losses", format!("{count} {}", cause.replace('_', " ")));
    }
    line("workers", report.workers.len().to_string());
    for worker in &report.workers {
        let request = match (&worker.client, worker.since) {
            (Some(client), Some(since)) => format!("for {client}, {}", time(since)),
            _ => String::new(),
        };
        line(
            "",
            format!("{:<20} {:<12} {request}", worker.name, worker.shown_state())
                .trim_end()
                .to_owned(),
        );
    }
    text
}

/// A time that a person can read.
pub(super) fn time(seconds: f64) -> String {
    let unit = |value: f64, unit| {
        let digits = usize::from(value < 10.0);
        format!("{value:.digits$} {unit}")
    };
    match seconds {
        s if s < 1e-3 => unit(s * 1e6, "µs"),
        s if s < 1.0 => unit(s * 1e3, "ms"),
        s if s < 120.0 => unit(s, "s"),
        s if s < 7200.0 => unit(s / 60.0, "min"),
        s if s < 172_800.0 => unit(s / 3600.0, "h"),
        s => unit(s / 86_400.0, "days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        let times = [0.000_012, 0.0051, 1.25, 119.0, 600.0, 9000.0, 200_000.0].map(time);
        assert_eq!(times, ["12 µs", "5.1 ms", "1.2 s", "119 s", "10 min", "2.5 h", "2.3 days"]);
    }
}
