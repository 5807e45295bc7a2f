//! `broker work`: any program as a worker, a process for each request.

use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::{Receiver, channel};
use tokio::task::JoinSet;
use tokio::time::sleep;
use zmtp::Message;

use super::seat::Seat;
use super::worker::Job;
use crate::cli::{OnFailure, Work};
use crate::descriptors;
use crate::names;
use crate::output::{note, warn};
use crate::signals::Signals;

mod process;

use process::answer;

/// After a failure before the next request is taken; twice as long after each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Descriptors of a process and its connection, and of all else.
const PER_PROCESS: u64 = 8;
const SPARE: u64 = 64;

const STOPPING: &str = "stopping once the requests at hand are answered";

pub(crate) async fn run(options: Work) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?.and_hangup()?;
    descriptors::raise_limit_to(SPARE + PER_PROCESS * u64::from(options.processes));
    if !is_there(program(&options)) {
        // A request would be in vain.
        return Err(format!(
            "there is no program {}, or it may not be run",
            program(&options).display()
        )
        .into());
    }
    let options = Arc::new(options);
    let (stop, stopped) = channel(false);
    let mut places = JoinSet::new();
    for i in 0..options.processes {
        let name = match (&*options.identity, options.processes) {
            ("", _) | (_, 1) => options.identity.clone(),
            (name, _) => format!("{name}-{i}"),
        };
        places.spawn(work(options.clone(), name, stopped.clone()));
    }
    let (mut failure, mut has_signal) = (None, false);
    loop {
        tokio::select! {
            ended = places.join_next() => match ended {
                None => return failure.map_or(Ok(ExitCode::SUCCESS), Err),
                Some(result) => {
                    if let Err(error) = result? {
                        // The others would fail likewise.
                        if !stop.send_replace(true) && !places.is_empty() {
                            note(format_args!("{error}; {STOPPING}"));
                        }
                        failure.get_or_insert(error.into());
                    }
                }
            },
            () = signals.next() => {
                stop.send_replace(true);
                if std::mem::replace(&mut has_signal, true) {
                    return Err("stopped at once; the requests that were worked on go to other workers".into());
                }
                note(format_args!("{STOPPING}; a second signal stops at once"));
            }
        }
    }
}

/// Works on one request after the other.
async fn work(options: Arc<Work>, name: String, mut stop: Receiver<bool>) -> Result<(), String> {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut seat = Seat::take(name.clone(), "worker", &options.connect, options.limit)?;
        let (job, failure) = loop {
            let Some(job) = seat.next_job(is_to_stop(&mut stop)).await? else {
                return seat.leave().await;
            };
            match answer(&options, &job).await {
                Ok(reply) => seat.answer(job.answer(&reply)),
                Err(failure) => break (job, failure),
            }
            pause = FIRST_PAUSE;
            if *stop.borrow() {
                return seat.leave().await;
            }
        };
        let failed = format!("{} {failure}", program(&options).display());
        if failure.is_final() {
            seat.decline();
            seat.leave().await?;
            return Err(failed);
        }
        warn(format_args!("{failed}, for {}", names::show(job.client())));
        if options.on_failure == OnFailure::Error {
            seat.answer(job.answer(&Message::from(&*options.error_reply)));
        }
        seat.leave().await?;
        tokio::select! {
            () = sleep(pause) => {}
            () = is_to_stop(&mut stop) => return Ok(()),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

async fn is_to_stop(stop: &mut Receiver<bool>) {
    // Without anybody to say so, all ends.
    let _ = stop.wait_for(|&stop| stop).await;
}

fn program(options: &Work) -> &OsStr {
    options.command.first().map_or(OsStr::new(""), |program| program)
}

/// Whether a program is at a path, or on `PATH`.
fn is_there(program: &OsStr) -> bool {
    let is_path = program.as_bytes().contains(&b'/');
    let paths = std::env::var_os("PATH").filter(|_| !is_path).unwrap_or_default();
    let mut on_path = std::env::split_paths(&paths).map(|directory| directory.join(program));
    if is_path { is_program(Path::new(program)) } else { on_path.any(|path| is_program(&path)) }
}

fn is_program(path: &Path) -> bool {
    let found = path.metadata();
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
