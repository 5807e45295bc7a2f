//! `broker work`: any program as a worker, a process for each request.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch::{Receiver, channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zmtp::{Message, ReqError};

use super::worker::{Job, ready, tell_of_connection};
use crate::cli::{OnFailure, Work};
use crate::client;
use crate::names;
use crate::output::{note, warn};
use crate::signals::Signals;

/// What the program finds the client's name under.
const CLIENT: &str = "BROKER_REQUEST_FROM";

/// After a failure before the next request is taken; twice as long after each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why there is no reply.
#[derive(Debug)]
enum Failure {
    /// The program cannot be started, now or ever.
    Start(io::Error),
    Io(io::Error),
    Exit(ExitStatus),
    TooLate(Duration),
    TooLarge(usize),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot be started: {error}"),
            Self::Io(error) => write!(f, "cannot be talked to: {error}"),
            Self::Exit(status) => write!(f, "ended with {status}"),
            Self::TooLate(time) => {
                write!(f, "took longer than {} s and was killed", time.as_secs_f64())
            }
            Self::TooLarge(most) => {
                write!(f, "wrote more than the {most} bytes that a reply may have")
            }
        }
    }
}

pub(crate) async fn run(options: Work) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    if !is_there(program(&options)) {
        // A request would be in vain.
        return Err(format!("there is no program {}", program(&options).display()).into());
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
    loop {
        tokio::select! {
            ended = places.join_next() => match ended {
                None => return Ok(ExitCode::SUCCESS),
                Some(result) => result??,
            },
            () = signals.next() => {
                if stop.send_replace(true) {
                    return Err("stopped at once; the requests that were worked on go to other workers".into());
                }
                note("stopping once the requests at hand are answered; a second signal stops at once");
            }
        }
    }
}

/// Works on one request after the other.
async fn work(options: Arc<Work>, name: String, mut stop: Receiver<bool>) -> Result<(), String> {
    let shown = if name.is_empty() { "worker".to_owned() } else { name.clone() };
    let mut pause = FIRST_PAUSE;
    loop {
        let mut req = client::req(name.clone(), &options.connect)?;
        let monitor = tokio::spawn(tell_of_connection(shown.clone(), req.monitor()));
        let mut next = ready();
        let failure = loop {
            let job = tokio::select! {
                job = req.request(next) => job,
                _ = stop.wait_for(|&stop| stop) => return Ok(()),
            };
            next = ready();
            let job = match job {
                Ok(job) => Job::parse(job),
                Err(ReqError::PeerLost(reason)) => {
                    note(format_args!("{shown} lost the queue ({reason}) and connects again"));
                    None
                }
                Err(error) => return Err(error.to_string()),
            };
            let Some(job) = job else { continue };
            match answer(&options, &job).await {
                Ok(reply) => {
                    pause = FIRST_PAUSE;
                    next = job.answer(&reply);
                }
                Err(failure) => break (job, failure),
            }
            if *stop.borrow() {
                req.send(next).await.map_err(|error| error.to_string())?;
                req.close().await;
                return Ok(());
            }
        };
        let (job, failure) = failure;
        if let Failure::Start(_) = failure {
            return Err(format!("{} {failure}", program(&options).display()));
        }
        warn(format_args!(
            "{} {failure}, for {}",
            program(&options).display(),
            names::show(job.client())
        ));
        if options.on_failure == OnFailure::Error {
            let reply = job.answer(&Message::from(&*options.error_reply));
            req.send(reply).await.map_err(|error| error.to_string())?;
        }
        // Without a reply, the queue gives the request to another worker when this connection ends.
        req.close().await;
        monitor.abort();
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.wait_for(|&stop| stop) => return Ok(()),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

fn program(options: &Work) -> &OsStr {
    options.command.first().map_or(OsStr::new(""), |program| program)
}

/// Whether a program is at a path, or on `PATH`.
fn is_there(program: &OsStr) -> bool {
    let is_path = program.as_bytes().contains(&b'/');
    let paths = std::env::var_os("PATH").filter(|_| !is_path).unwrap_or_default();
    let mut on_path = std::env::split_paths(&paths).map(|directory| directory.join(program));
    if is_path { Path::new(program).exists() } else { on_path.any(|path| path.exists()) }
}

/// What a process makes of a request.
async fn answer(options: &Work, job: &Job) -> Result<Message, Failure> {
    let child = Command::new(program(options))
        .args(options.command.iter().skip(1))
        .env(CLIENT, OsStr::from_bytes(&variable(job.client())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::Start)?;
    let frames: Vec<_> = job.frames().collect();
    let exchange = exchange(child, frames.join(&b'\n'));
    let mut output = match options.timeout {
        None => exchange.await?,
        // What is dropped here is killed.
        Some(time) => timeout(time, exchange).await.map_err(|_| Failure::TooLate(time))??,
    };
    if output.last() == Some(&b'\n') {
        output.pop();
    }
    Ok(Message::from(output))
}

/// A name as the environment can have it.
fn variable(name: &[u8]) -> Vec<u8> {
    if name.contains(&0) { names::show(name).into_bytes() } else { name.to_vec() }
}

/// Writes the request and reads the reply, both at once, and waits for the end of the process.
async fn exchange(mut child: Child, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let most = broker::Config::default().max_message_size;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program need not read what it is asked.
            let _ = stdin.write_all(&input).await;
        }
    };
    let read = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            stdout.take(limit).read_to_end(&mut output).await.map_err(Failure::Io)?;
        }
        if output.len() > most { Err(Failure::TooLarge(most)) } else { Ok(output) }
    };
    let ((), output) = tokio::join!(write, read);
    let output = output?;
    let status = child.wait().await.map_err(Failure::Io)?;
    if status.success() { Ok(output) } else { Err(Failure::Exit(status)) }
}
