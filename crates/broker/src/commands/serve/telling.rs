//! What `broker serve` says at its start and its end, and of requests that are given up.

use std::time::Duration;

use broker::{Broker, Counters, DeadLetter, Outcome, Restored};
use tokio::time::interval;
use zmtp::Endpoint;

use crate::dead_letters::{Kept, Letters};
use crate::output::{fail, note, say, warn};

/// Between two attempts to write what could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// What is left, and what became of all.
pub(super) fn tell_of_end(outcome: &Outcome, keeps: bool) {
    if outcome.waiting + outcome.in_flight > 0 {
        let kept = if keeps { ", which the journal keeps" } else { "" };
        note(format_args!(
            "stopped with {} requests waiting and {} in flight{kept}",
            outcome.waiting, outcome.in_flight
        ));
    }
    note(summary(&outcome.counters));
}

/// What became of all requests, leaving out what did not happen.
pub(super) fn summary(counters: &Counters) -> String {
    let Counters {
        requests,
        replies,
        given_up,
        dropped,
        rejected,
        abandoned,
        lost,
        retries,
        resumed,
        ..
    } = *counters;
    let again = retries + resumed;
    let rare = [
        (given_up, "given up"),
        (dropped, "dropped with their workers"),
        (rejected, "rejected"),
        (abandoned, "whose clients left or asked anew"),
        (lost, "whose clients cannot be known again"),
    ];
    let rare = rare.into_iter().filter(|(count, _)| *count > 0);
    let ends = std::iter::once((replies, "answered")).chain(rare);
    let ends: Vec<_> = ends.map(|(count, what)| format!("{count} {what}")).collect();
    let again = if again > 0 { format!("; {again} handed out again") } else { String::new() };
    format!("{requests} requests: {}{again}", ends.join(", "))
}

/// What the queue goes on with, and what it does not.
pub(super) fn tell_of_restored(restored: &Restored, cut_off: u64) {
    let Restored { waiting, running, clients, lost, .. } = *restored;
    if cut_off > 0 {
        warn(format_args!(
            "the journal's last record was cut off, and its {cut_off} bytes are left out"
        ));
    }
    if waiting + running > 0 {
        note(format_args!(
            "going on with {waiting} requests that waited and {running} that a worker had, of {clients} clients"
        ));
    }
    if lost > 0 {
        warn(format_args!(
            "{lost} requests are lost: their clients have no name that nobody else has, to know them again by"
        ));
    }
}

/// Says that a request was given up, once it is kept if it is to be.
pub(super) fn tell_of_letter(letter: &DeadLetter, letters: Option<&Letters>) {
    let DeadLetter { number, client, reason, .. } = letter;
    let what = format!("gave up request {number} of client {}: {reason}", client.escape_ascii());
    match letters.map(|letters| letters.add(letter)) {
        None => warn(what),
        Some(Kept { number, trouble: None }) => warn(format!("{what}; it is dead letter {number}")),
        Some(Kept { number, trouble: Some(error) }) => fail(format!(
            "{what}; it is dead letter {number}, which is in memory only until it can be written: {error}"
        )),
    }
}

/// Writes dead letters that could not be written, now and then.
pub(super) async fn keep_letters(letters: Letters) {
    let mut ticks = interval(RETRY);
    loop {
        ticks.tick().await;
        if let Ok(count @ 1..) = letters.flush() {
            note(format_args!(
                "{count} lines of dead letters that could not be written are written"
            ));
        }
    }
}

/// What could not be written by the end is lost.
pub(super) fn tell_of_letters(letters: Option<&Letters>) {
    if let Some(Err(error)) = letters.map(Letters::flush) {
        fail(format_args!("dead letters that could not be written are lost: {error}"));
    }
}

/// Where the queue listens.
pub(super) fn tell_of_endpoints(broker: &Broker) {
    for (side, endpoints) in [("frontend", broker.frontend()), ("backend", broker.backend())] {
        for endpoint in endpoints {
            warn_if_remote(endpoint);
            say(format_args!("{side} {endpoint}"));
        }
    }
}

fn warn_if_remote(endpoint: &Endpoint) {
    if endpoint.is_remote() {
        warn(format_args!(
            "{endpoint} can be reached from other machines, and nobody who \
             connects is authenticated"
        ));
    }
}
