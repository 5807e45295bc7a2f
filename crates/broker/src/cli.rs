//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use zmtp::Endpoint;

use crate::output::note;

/// An LRU request queue between ordinary ZeroMQ clients and workers, without libzmq.
#[derive(Debug, Parser)]
#[command(name = "broker", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the queue: clients connect to the frontend, workers to the backend.
    Serve(Serve),
    /// Watch a queue at work in this one process: ten clients, three workers.
    Demo(Demo),
    /// Send one request and print the reply, one frame a line.
    Request(Request),
    /// Be a worker: say READY, answer requests, log them.
    Worker(Worker),
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Where clients connect; may be given more than once.
    #[arg(long, value_name = "ENDPOINT", num_args = 1.., default_value = "ipc://frontend.ipc")]
    pub(crate) frontend: Vec<Endpoint>,
    /// Where workers connect; may be given more than once.
    #[arg(long, value_name = "ENDPOINT", num_args = 1.., default_value = "ipc://backend.ipc")]
    pub(crate) backend: Vec<Endpoint>,
    /// The largest message, where each frame counts 64 bytes more than its body; K, M and G stand for
    /// KiB, MiB and GiB.
    #[arg(long, value_name = "BYTES", default_value = "64M", value_parser = parse_size)]
    pub(crate) max_message_size: usize,
    /// Requests of one DEALER client read before the first of them is answered.
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) read_ahead: u16,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// How many clients there are, with one request each.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) clients: u16,
    /// How many workers there are.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) workers: u16,
}

#[derive(Args, Debug)]
pub(crate) struct Request {
    /// The frontend of a queue, or any other ROUTER or REP socket.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) connect: Endpoint,
    /// The name to announce, 1 to 255 bytes.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) identity: String,
    /// Give up after this many seconds; wait for ever if not given.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_seconds)]
    pub(crate) timeout: Option<Duration>,
    /// The request, one frame each.
    #[arg(value_name = "FRAME", required = true)]
    pub(crate) frames: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Worker {
    /// The backend of a queue.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) connect: Endpoint,
    /// The name to announce, 1 to 255 bytes.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) identity: String,
    /// What to answer; the request itself if not given.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reply: Option<String>,
    /// How many seconds to take for each answer.
    #[arg(long, value_name = "S", default_value = "0", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    pub(crate) sleep: Duration,
    /// Stop after this many answers. SIGTERM stops after the one that is being worked on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// What is to be done, or the exit code once help or a complaint has been printed.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, ExitCode> {
    let error = match Cli::try_parse_from(args) {
        Ok(cli) => return Ok(cli.command),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            Err(ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{error}");
            Err(ExitCode::from(2))
        }
        _ => {
            note(sentence(&error.to_string()));
            Err(ExitCode::from(2))
        }
    }
}

/// The complaint itself, on one line: without the usage that follows it after an empty line.
fn sentence(text: &str) -> String {
    let complaint = text.split("\n\n").next().unwrap_or(text);
    let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
    complaint.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parse_size(text: &str) -> Result<usize, &'static str> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (text.trim_end_matches('K'), 10),
        Some(b'M') => (text.trim_end_matches('M'), 20),
        Some(b'G') => (text.trim_end_matches('G'), 30),
        _ => (text, 0),
    };
    let size: usize = digits.parse().map_err(|_| "not a number of bytes such as 65536 or 64M")?;
    match size.checked_mul(1 << shift) {
        Some(0) => Err("it must be at least 1"),
        Some(size) if isize::try_from(size).is_ok() => Ok(size),
        _ => Err("more than this machine can address"),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().map_err(|_| "not a number of seconds such as 2 or 0.5")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a length of time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_suffixes() {
        assert_eq!(parse_size("1"), Ok(1));
        assert_eq!(parse_size("4K"), Ok(4096));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        for wrong in ["", "M", "0", "0K", "-1", "1.5M", "1KB", "99999999999G"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_but_no_sign() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "x", "-1", "inf", "NaN"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
    }
}
