//! A broker as the options want it.

use std::os::fd::OwnedFd;

use broker::{Builder, Config, JournalChange, Side};
use zmtp::Endpoint;

use super::telling::tell_of_letter;
use crate::cli::Serve;
use crate::connections::{Connections, Fate};
use crate::dead_letters::Letters;
use crate::descriptors;
use crate::memory::Memory;
use crate::output::{note, warn};
use crate::systemd::Sockets;

/// What the options say. A side for which systemd listens does not listen elsewhere.
pub(super) fn build(options: &Serve, sockets: Sockets, is_watched: bool) -> Builder {
    let unless = |passed: &[OwnedFd], endpoints: &[Endpoint]| {
        if passed.is_empty() { endpoints.to_vec() } else { Vec::new() }
    };
    let mut builder = Builder::from(Config {
        policy: options.policy(),
        max_connections: descriptors::max_connections(),
        frontend: unless(&sockets.frontend, &options.frontend),
        backend: unless(&sockets.backend, &options.backend),
        ipc_mode: options.ipc_mode,
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
pub(super) fn tell(builder: Builder, memory: &Memory, letters: Option<Letters>) -> Builder {
    let Memory { connections, peers, .. } = memory.clone();
    let tell_of_report = peers.clone();
    builder
        .on_report(move |report| tell_of_report.tell_of_report(report))
        .on_peer_change(move |change| {
            if change.left.is_none() {
                Connections::note(&connections, change.side, Fate::Joined);
            }
            peers.tell_of_change(change);
        })
        .on_journal_change(|change| match change {
            JournalChange::GoesOn => note(change),
            _ => warn(change),
        })
        .on_dead_letter(move |letter| tell_of_letter(letter, letters.as_ref()))
}
