//! `broker serve`

mod build;
mod doors;
mod running;
mod successor;
mod telling;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{self, Serve, Setting};
use crate::commands::reload::Current;
use crate::log;
use crate::memory::Memory;
use crate::output::{say, warn};
use crate::signals::{self, Signals};
use crate::systemd;

use running::{End, Legacy, Running};
use successor::Ancestor;

/// For who has asked for the next process to hear of it.
const FAREWELL: Duration = Duration::from_millis(200);

pub(crate) async fn run(
    options: Serve,
    settings: Vec<Setting>,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    // The options have just been read.
    let _early = signals::hangup()?;
    signals::outlive_full_files()?;
    successor::remember_program();
    let mut memory = Memory::default();
    log::start(options.log, options.log_level, memory.faults.clone());
    cli::misspelt_variables().into_iter().for_each(warn);
    options.doubts().into_iter().for_each(|(_, what)| warn(what));
    let peers = memory.peers.clone();
    let result = run_on(&options, settings, &mut signals, &mut memory).await;
    peers.tell_of_rest();
    result
}

/// Runs queues until one is not followed by another of this process.
async fn run_on(
    options: &Serve,
    settings: Vec<Setting>,
    signals: &mut Signals,
    memory: &mut Memory,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut ancestor = Ancestor::find()?;
    let mut legacy = match &mut ancestor {
        Some(ancestor) => ancestor.inherit(memory).map_err(|error| {
            format!("nothing was left to this process by the one before: {error}")
        })?,
        None => Legacy::of(systemd::sockets()?),
    };
    let current = Current::new(options.policy(), settings);
    loop {
        let is_first = !legacy.is_own;
        let mut running = Running::start(options, &current, legacy, memory).await?;
        // Nothing is awaited since the connections are here, so none has been touched before the other process is told.
        if let Some(ancestor) = ancestor.take() {
            ancestor.release()?;
            signals.unite_for(5 * FAREWELL);
        }
        running.claim_files();
        if is_first {
            say("ready");
        }
        systemd::tell_ready();
        legacy = match running.end(signals).await? {
            End::Over(code) => return Ok(code),
            End::LeftTo(process) => {
                systemd::tell_successor(process);
                tokio::select! {
                    // It was meant for the queue.
                    () = signals.next() => successor::terminate(process),
                    () = tokio::time::sleep(FAREWELL) => {}
                }
                return Ok(ExitCode::SUCCESS);
            }
            End::Left(legacy) => {
                warn("going on, for the next process did not");
                *legacy
            }
        };
    }
}
