//! What a queue is at and what has happened, in the text form of Prometheus.

use std::fmt;
use std::time::Duration;

use broker::{Cause, Faults, Histogram, Status, Violation, WorkerState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::connections::Connections;
use crate::status::counts;

pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds of times, each a power of two in microseconds: from 64 us to a bit more than a minute.
const BOUNDS: [u64; 11] = [6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26];

/// All of it, as text.
pub(crate) fn text(status: Status, connections: Connections) -> String {
    let mut registry = Registry::with_prefix("broker");
    registry.register_collector(Box::new(Scrape { status, connections }));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Scrape {
    status: Status,
    connections: Connections,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { status, connections } = self;
        for (name, help, count) in counts(&status.counters) {
            counter(&mut encoder, name, help, [("", "", count)])?;
        }
        // Those that have not happened yet as well: a rate counts from there.
        let Faults { violations, losses, .. } = &status.faults;
        let of_kind = |kind| violations.get(&kind).copied().unwrap_or_default();
        let violations = Violation::ALL.map(|kind| ("kind", kind.as_str(), of_kind(kind)));
        counter(&mut encoder, "violations", "What peers did wrong", violations)?;
        let of_cause = |cause| losses.get(&cause).copied().unwrap_or_default();
        let losses = Cause::ALL.map(|cause| ("cause", cause.as_str(), of_cause(cause)));
        counter(&mut encoder, "losses", "Attempts that brought no reply", losses)?;
        for (name, help, [frontend, backend]) in connections.counts() {
            let sides = [("side", "frontend", frontend), ("side", "backend", backend)];
            counter(&mut encoder, name, help, sides)?;
        }
        gauges(&mut encoder, status)?;
        if let Some(times) = &status.times {
            histogram(
                &mut encoder,
                "waited_seconds",
                "How long requests waited for a worker",
                &times.waited,
            )?;
            histogram(
                &mut encoder,
                "served_seconds",
                "How long workers had requests",
                &times.served,
            )?;
        }
        Ok(())
    }
}

fn gauges(encoder: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    for (name, help, value) in [
        ("waiting", "Requests that wait", whole(status.waiting)),
        ("waiting_bytes", "Bytes of requests that wait", whole(status.waiting_bytes)),
        (
            "delayed",
            "Those of the requests that wait until a pause is over or their client is back",
            whole(status.delayed),
        ),
        ("in_flight", "Requests that a worker has", whole(status.in_flight)),
        ("clients", "Clients that are connected", whole(status.clients)),
        ("paused", "1 if no requests are handed out until that is resumed", status.paused.into()),
        ("draining", "1 if no more requests are handed out", status.draining.into()),
        (
            "journal_full",
            "1 if nothing goes on before there is room for the journal",
            status.journal_full.into(),
        ),
        (
            "holding",
            "1 if requests are left with their clients, for too many wait",
            status.holds.into(),
        ),
    ] {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)?;
    }
    let oldest = status.oldest().map_or(0.0, |age| age.as_secs_f64());
    let help = "How long the first request that waits has";
    let metric =
        encoder.encode_descriptor("oldest_waiting_seconds", help, None, MetricType::Gauge)?;
    ConstGauge::new(oldest).encode(metric)?;
    let mut workers = encoder.encode_descriptor(
        "workers",
        "Workers that are connected",
        None,
        MetricType::Gauge,
    )?;
    for state in WorkerState::ALL {
        let count = status.workers.iter().filter(|worker| worker.state == state).count();
        let labels = [("state", state.as_str())];
        ConstGauge::new(whole(count)).encode(workers.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A counter, by labels if they have names.
fn counter<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counts: impl IntoIterator<Item = (&'a str, &'a str, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (label, value, count) in counts {
        let count = ConstCounter::new(count);
        if label.is_empty() {
            count.encode(metric)?;
            return Ok(());
        }
        let labels = [(label, value)];
        count.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    times: &Histogram,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    // Each bucket counts what is not in the one before.
    let mut before = 0;
    let buckets: Vec<_> = BOUNDS
        .iter()
        .map(|power| {
            let bound = Duration::from_micros(1 << power);
            let count = times.shorter_than(bound);
            (bound.as_secs_f64(), count - std::mem::replace(&mut before, count))
        })
        .collect();
    metric.encode_histogram::<NoLabelSet>(times.sum().as_secs_f64(), times.count(), &buckets, None)
}
