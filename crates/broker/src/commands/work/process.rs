//! A process that makes a reply of a request.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zmtp::Message;

use super::{Job, program};
use crate::cli::Work;
use crate::names;

/// What the program finds the client's name under.
const CLIENT: &str = "BROKER_REQUEST_FROM";

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Failure {
    Start(io::Error),
    Io(io::Error),
    Exit(ExitStatus),
    TooLate(Duration),
    TooLarge(usize),
}

impl Failure {
    /// Whether it will be the same for each request.
    pub(super) fn is_final(&self) -> bool {
        use io::ErrorKind::{NotFound, PermissionDenied};
        let Self::Start(error) = self else { return false };
        let is_no_program = error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error());
        is_no_program || [NotFound, PermissionDenied].contains(&error.kind())
    }
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

/// What a process makes of a request.
pub(super) async fn answer(options: &Work, job: &Job) -> Result<Message, Failure> {
    let child = Command::new(program(options))
        .args(options.command.iter().skip(1))
        .env(CLIENT, OsStr::from_bytes(&variable(job.client())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What a terminal sends to all that run in it is not meant for the request at hand.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::Start)?;
    let mut input = Vec::new();
    for frame in job.frames() {
        input.extend_from_slice(frame);
        input.extend((!options.raw).then_some(b'\n'));
    }
    let exchange = exchange(child, input, options.limit.max_message_size);
    let mut output = match options.timeout {
        None => exchange.await?,
        // What is dropped here is killed.
        Some(time) => timeout(time, exchange).await.map_err(|_| Failure::TooLate(time))??,
    };
    if !options.raw && output.last() == Some(&b'\n') {
        output.pop();
    }
    Ok(Message::from(output))
}

/// A name as the environment can have it.
fn variable(name: &[u8]) -> Vec<u8> {
    if name.contains(&0) { names::show(name).into_bytes() } else { name.to_vec() }
}

/// Writes the request and reads the reply, both at once, and waits for the end of the process.
async fn exchange(mut child: Child, input: Vec<u8>, most: usize) -> Result<Vec<u8>, Failure> {
    let group = Group::of(&child);
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
    group.leave();
    if status.success() { Ok(output) } else { Err(Failure::Exit(status)) }
}

/// A process and those that it has started, which are killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| id.try_into().ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// They may stay. Once the first of them is waited for, its number may be another's.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(first) = self.0 {
            let _ = kill_process_group(first, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_may_be_started_later_is_no_end() {
        let start = |error: Errno| Failure::Start(error.into());
        for error in [Errno::NOENT, Errno::ACCESS, Errno::NOEXEC] {
            assert!(start(error).is_final(), "{error}");
        }
        for error in [Errno::TXTBSY, Errno::MFILE, Errno::AGAIN, Errno::NOMEM] {
            assert!(!start(error).is_final(), "{error}");
        }
    }
}
