//! `broker serve`

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use broker::{Broker, Builder, Config, Counters, DeadLetter, Journal, Outcome, Restored, Side};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;
use zmtp::Endpoint;

use super::reload;
use crate::cli::{Serve, Setting};
use crate::connections::{self, Connections, Fate};
use crate::dead_letters::Letters;
use crate::faults;
use crate::history;
use crate::http::{Control, Server, View};
use crate::log;
use crate::output::{note, say, warn};
use crate::signals::{self, Signals};
use crate::systemd::{self, Sockets};

/// Descriptors that are not connections: standard streams, listeners, the runtime's own.
const SPARE_DESCRIPTORS: u64 = 64;

pub(crate) async fn run(
    options: Serve,
    settings: Vec<Setting>,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    let hangup = signals::hangup()?;
    let faults = faults::Shared::default();
    log::start(options.log, options.log_level, faults.clone());
    let mut sockets = systemd::sockets()?;
    let letters = options.dead_letters.as_deref().map(Letters::open).transpose()?;
    let start = &options.start;
    let journal = start.journal.as_deref().map(|path| Journal::open(path, start.durability));
    let journal = journal.transpose()?;
    let keeps = journal.is_some();
    let connections = connections::Shared::default();
    let http = sockets.http.take();
    let is_watched = options.http.is_some() || http.is_some() || options.control.is_some();
    let builder = tell(build(&options, sockets, is_watched), &connections, letters.clone());
    let mut broker = builder.bind().await?;
    for (monitor, side) in broker.monitors().into_iter().zip([Side::Frontend, Side::Backend]) {
        tokio::spawn(log::follow(monitor, side, connections.clone()));
    }
    if let Some((journal, replay, cut_off)) = journal {
        let restored;
        (broker, restored) = broker.with_journal(journal, replay)?;
        tell_of_restored(&restored, cut_off);
    }
    tokio::spawn(reload::at_each(hangup, broker.handle(), options.policy(), settings));
    for (side, endpoints) in [("frontend", broker.frontend()), ("backend", broker.backend())] {
        for endpoint in endpoints {
            warn_if_remote(endpoint);
            say(format_args!("{side} {endpoint}"));
        }
    }
    let drain = Arc::new(Notify::new());
    if is_watched {
        let view = View::of(broker.handle(), connections, faults);
        open_doors(&options, http, &broker, &view, &drain, letters).await?;
    }
    say("ready");
    systemd::tell_ready();
    tokio::spawn(systemd::watch(broker.handle()));

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    // As a task, it has its turn behind those of the connections, and finds all that they have read.
    let run = tokio::spawn(broker.run(async {
        // An error would say that nobody can ask to stop any more, which is the same.
        let _ = stopped.await;
    }));
    let ask = async {
        tokio::select! {
            () = signals.next() => {}
            () = drain.notified() => {}
        }
        note("stopping once no request is in flight; a second signal stops at once");
        systemd::tell_stopping();
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        outcome = run => {
            let outcome = outcome?;
            tell_of_end(&outcome, keeps);
            outcome.failure.map_or(Ok(ExitCode::SUCCESS), |failure| Err(failure.into()))
        }
        () = ask => Err("stopped at once".into()),
    }
}

/// What the options say. A side for which systemd listens does not listen elsewhere.
fn build(options: &Serve, sockets: Sockets, is_watched: bool) -> Builder {
    let unless = |passed: &[OwnedFd], endpoints: &[Endpoint]| {
        if passed.is_empty() { endpoints.to_vec() } else { Vec::new() }
    };
    let mut builder = Builder::from(Config {
        policy: options.policy(),
        max_connections: max_connections(raise_descriptor_limit()),
        frontend: unless(&sockets.frontend, &options.frontend),
        backend: unless(&sockets.backend, &options.backend),
        max_message_size: options.max_message_size,
        read_ahead: options.read_ahead.into(),
        heartbeat: options.heartbeat,
        drain: options.drain,
    });
    for (side, passed) in [(Side::Frontend, sockets.frontend), (Side::Backend, sockets.backend)] {
        for socket in passed {
            builder = builder.listener(side, socket);
        }
    }
    if is_watched { builder.times() } else { builder }
}

/// Has the broker tell of what happens.
fn tell(builder: Builder, connections: &connections::Shared, letters: Option<Letters>) -> Builder {
    let connections = connections.clone();
    builder
        .on_report(log::tell_of_report)
        .on_peer_change(move |change| {
            if change.left.is_none() {
                Connections::note(&connections, change.side, Fate::Joined);
            }
            log::tell_of_change(change);
        })
        .on_dead_letter(move |letter| warn(given_up(letter, letters.as_ref())))
}

/// Serves what can be seen of the queue and what it can be told, where that is wanted.
async fn open_doors(
    options: &Serve,
    http: Option<TcpListener>,
    broker: &Broker,
    view: &View,
    drain: &Arc<Notify>,
    letters: Option<Letters>,
) -> io::Result<()> {
    tokio::spawn(history::keep(view.history.clone(), view.broker.clone()));
    let hosts = options.http_host.clone();
    let server = match (http, options.http) {
        (Some(listener), _) => Some(Server::on(listener, hosts, view.clone())?),
        (None, Some(address)) => Some(Server::bind(address, hosts, view.clone())?),
        (None, None) => None,
    };
    if let Some(server) = server {
        say(format_args!("http {server}"));
        tokio::spawn(server.run());
    }
    if let (Some(path), Some(frontend)) = (&options.control, broker.frontend().first()) {
        let (broker, drain, frontend) = (view.broker.clone(), drain.clone(), frontend.clone());
        let control = Control { broker, drain, letters, frontend };
        let server = Server::bind_control(path, control, view.clone()).await?;
        say(format_args!("control {server}"));
        tokio::spawn(server.run());
    }
    Ok(())
}

/// What is left, and what became of all.
fn tell_of_end(outcome: &Outcome, keeps: bool) {
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
fn summary(counters: &Counters) -> String {
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
fn tell_of_restored(restored: &Restored, cut_off: u64) {
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

/// What there is to say of a request that was given up, once it is kept if it is to be.
fn given_up(letter: &DeadLetter, letters: Option<&Letters>) -> String {
    let DeadLetter { number, client, reason, .. } = letter;
    let what = format!("gave up request {number} of client {}: {reason}", client.escape_ascii());
    match letters.map(|letters| letters.add(letter)) {
        Some(Ok(number)) => format!("{what}; it is dead letter {number}"),
        Some(Err(error)) => format!("{what}, and it is lost: {error}"),
        None => what,
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

/// Each connection takes a descriptor, and the soft limit is often 1024 while the hard one is far
/// above it. Returns the limit in force.
fn raise_descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.unwrap_or(u64::MAX)
}

/// Half of the descriptors for each side, so that neither can starve the other.
fn max_connections(descriptors: u64) -> usize {
    let half = descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
    usize::try_from(half).unwrap_or(usize::MAX).clamp(1, Config::default().max_connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_spare() {
        assert_eq!(max_connections(1024), 480);
        assert_eq!(max_connections(10), 1);
        assert_eq!(max_connections(u64::MAX), 16_384);
    }
}
