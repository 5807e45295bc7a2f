//! What a queue is at, in JSON: what `/status` serves and `broker status` reads.

use std::collections::BTreeMap;
use std::time::Duration;

use broker::{ClientStatus, Counters, Histogram, Status, WorkerStatus};
use serde::{Deserialize, Serialize};

use crate::faults::Fault;
use crate::names;

/// What a queue is at. Times are in seconds.
#[derive(Debug, Deserialize, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else")]
pub(crate) struct Report {
    pub(crate) version: String,
    pub(crate) up: f64,
    /// No requests are handed out for now, or no more.
    pub(crate) paused: bool,
    pub(crate) draining: bool,
    /// Requests are left with their clients, for too many wait.
    pub(crate) holding: bool,
    /// Nothing goes on before there is room for the journal.
    pub(crate) journal_full: bool,
    pub(crate) waiting: Waiting,
    pub(crate) in_flight: usize,
    pub(crate) clients: usize,
    /// The idle ones first, in the order of their turns.
    pub(crate) workers: Vec<Worker>,
    pub(crate) counters: BTreeMap<String, u64>,
    /// What peers did wrong, and why workers brought no reply.
    pub(crate) violations: BTreeMap<String, u64>,
    pub(crate) losses: BTreeMap<String, u64>,
    /// What the log last warned of, the latest first.
    pub(crate) recent: Vec<Fault>,
    /// From the arrival of a request until a worker has it, and from then until its reply is passed on.
    pub(crate) waited: Option<Times>,
    pub(crate) served: Option<Times>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Waiting {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// Of these, those that wait for something else than a worker.
    pub(crate) delayed: usize,
    /// How long the first of them has.
    pub(crate) oldest: Option<f64>,
    /// The clients that have longest.
    pub(crate) longest: Vec<Client>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) waits: f64,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) state: String,
    /// Whose request it has, and for how long.
    pub(crate) client: Option<String>,
    pub(crate) since: Option<f64>,
    /// It gets nothing more once it has answered.
    pub(crate) held: bool,
    pub(crate) strikes: u32,
}

/// How long it took since the start.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) mean: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Report {
    pub(crate) fn new(status: &Status, up: Duration, recent: Vec<Fault>) -> Self {
        let seconds = |time: Duration| time.as_secs_f64();
        let violations = status.faults.violations.iter();
        let losses = status.faults.losses.iter();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            up: seconds(up),
            paused: status.paused,
            draining: status.draining,
            holding: status.holds,
            journal_full: status.journal_full,
            waiting: Waiting {
                requests: status.waiting,
                bytes: status.waiting_bytes,
                delayed: status.delayed,
                oldest: status.oldest().map(seconds),
                longest: status.longest.iter().map(Client::new).collect(),
            },
            in_flight: status.in_flight,
            clients: status.clients,
            workers: status.workers.iter().map(Worker::new).collect(),
            counters: counts(&status.counters)
                .map(|(name, _, count)| (name.to_owned(), count))
                .into(),
            violations: violations
                .map(|(kind, &count)| (kind.as_str().to_owned(), count))
                .collect(),
            losses: losses.map(|(cause, &count)| (cause.as_str().to_owned(), count)).collect(),
            recent,
            waited: status.times.as_ref().map(|times| Times::new(&times.waited)),
            served: status.times.as_ref().map(|times| Times::new(&times.served)),
        }
    }
}

impl Report {
    /// Whether requests are taken and handed out, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self { journal_full: true, .. } => "stuck",
            Self { draining: true, .. } => "draining",
            Self { paused: true, .. } => "paused",
            Self { holding: true, .. } => "full",
            _ => "open",
        }
    }
}

impl Client {
    fn new(client: &ClientStatus) -> Self {
        Self { name: names::show(&client.name), waits: client.waits.as_secs_f64() }
    }
}

impl Worker {
    fn new(worker: &WorkerStatus) -> Self {
        Self {
            name: names::show(&worker.name),
            state: worker.state.as_str().to_owned(),
            client: worker.client.as_deref().map(names::show),
            since: worker.since.map(|time| time.as_secs_f64()),
            held: worker.held,
            strikes: worker.strikes,
        }
    }

    /// What it is at, and that it gets nothing more if that cannot be seen by it.
    pub(crate) fn shown_state(&self) -> String {
        let held = if self.held && self.state != "quarantined" { ", held" } else { "" };
        format!("{}{held}", self.state)
    }
}

impl Times {
    fn new(times: &Histogram) -> Self {
        let quantile = |share| times.quantile(share).map(|time| time.as_secs_f64());
        let count = u32::try_from(times.count()).unwrap_or(u32::MAX);
        Self {
            count: times.count(),
            mean: times.sum().checked_div(count).map(|time| time.as_secs_f64()),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
        }
    }
}

/// What has happened, each with what it says.
pub(crate) fn counts(counters: &Counters) -> [(&'static str, &'static str, u64); 15] {
    let Counters {
        requests,
        request_bytes,
        replies,
        reply_bytes,
        given_up,
        dropped,
        rejected,
        abandoned,
        lost,
        errors,
        full,
        retries,
        resumed,
        stale_replies,
        adopted,
        ..
    } = *counters;
    [
        ("requests", "Requests received", requests),
        ("request_bytes", "Bytes of requests received", request_bytes),
        ("replies", "Replies passed on", replies),
        ("reply_bytes", "Bytes of replies passed on", reply_bytes),
        ("given_up", "Requests given up after they had cost too much", given_up),
        ("dropped", "Requests forgotten with their worker", dropped),
        ("rejected", "Requests for which there was no room", rejected),
        ("abandoned", "Requests whose clients had left or asked anew", abandoned),
        ("lost", "Requests of an earlier queue whose clients cannot be known again", lost),
        ("error_replies", "Error replies", errors),
        ("full", "Times that requests were left with their clients, for too many waited", full),
        ("retries", "Times that a request was put in line again", retries),
        (
            "resumed",
            "Times that a worker was given again what an earlier queue had given it",
            resumed,
        ),
        ("stale_replies", "Replies that nobody waited for", stale_replies),
        ("adopted", "Workers taken for ready without a word", adopted),
    ]
}
