//! The command line.

mod conflicts;
mod file;
mod running;
mod serve;
mod settings;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use zmtp::Endpoint;

use file::{Complaint, File};
#[cfg(feature = "top")]
pub(crate) use running::Top;
pub(crate) use running::{Controlled, OfWorker, Resubmit, Status, Tap};
pub(crate) use serve::Serve;
pub(crate) use settings::{RELOADED, Setting, Source, check, doubts, misspelt_variables};
use values::{parse_period, parse_seconds, parse_size};

use crate::output::{complain_all, fail, say_all, speak_json};

/// An LRU request queue between ordinary ZeroMQ clients and workers, without libzmq.
#[derive(Debug, Parser)]
#[command(name = "broker", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const ENVIRONMENT: &str = "Each option can also be set in the environment (BROKER_MAX_WAITING=1000), or in the file that --config names \
(max-waiting = 1000). The command line comes before the environment, and that before the file.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the queue: clients connect to the frontend, workers to the backend.
    #[command(after_help = ENVIRONMENT)]
    Serve(Box<Serve>),
    /// Show what each option of `serve` is with these, and where that comes from.
    Config(Box<Serve>),
    /// Say what is wrong with a file of options, if anything is.
    Check {
        /// What `serve --config` is to read.
        file: PathBuf,
    },
    /// Show what a queue is at.
    Status(Status),
    /// Show what a queue is at, in the terminal, each second anew.
    #[cfg(feature = "top")]
    Top(Top),
    /// Show a message as it passes for each that a client or worker sends or is sent.
    Tap(Tap),
    /// Have a queue hand out no more requests until it is resumed.
    Pause(Controlled),
    /// Have a queue that was paused go on.
    Resume(Controlled),
    /// Have the program that is installed now go on with a queue: a new process takes over all connections as they stand, and
    /// no peer notices. Should it not start, nothing changes.
    Upgrade(Controlled),
    /// Have a queue end as SIGTERM does: once no request is in flight, or its drain limit is over.
    Drain(Controlled),
    /// Give a worker nothing more, once it has answered what it has, until it is released or connects again.
    Quarantine(OfWorker),
    /// Give a worker requests again, whether somebody kept it from that or its own faults.
    Release(OfWorker),
    /// Watch a queue at work in this one process: ten clients, three workers.
    Demo(Demo),
    /// Send one request and print the reply, one frame a line, in hexadecimal where it is not printable.
    Request(Request),
    /// Be a worker: say READY, answer requests, log them.
    Worker(Worker),
    /// Put a queue under load and say how long its replies take.
    Bench(Bench),
    /// Make any program a worker: it reads a request from its standard input and writes the reply to its standard output.
    Work(Work),
    /// Print what completes this program's options in a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page, or that of one command, for `man`.
    Man {
        /// Write all of them into this directory instead.
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        directory: Option<PathBuf>,
        /// Of which command, such as `serve` or `dead-letters list`.
        command: Vec<String>,
    },
    /// Look at requests that were given up, and send them again.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// How many clients there are, with one request each.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) clients: u16,
    /// How many workers there are.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) workers: u16,
}

/// How much one that talks to a queue takes.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// The largest message to take, as `serve` has it; K, M and G stand for KiB, MiB and GiB.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, default_value = "64M", value_parser = parse_size)]
    pub(crate) max_message_size: usize,
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
    #[command(flatten)]
    pub(crate) limit: Limit,
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
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// What to answer; the request itself if not given.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reply: Option<String>,
    /// How many seconds to take for each answer.
    #[arg(long, value_name = "S", default_value = "0", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    pub(crate) sleep: Duration,
    /// Stop after this many answers. SIGTERM stops after the one that is being worked on.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// The frontend of a queue.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) frontend: Endpoint,
    /// Its backend, for workers that answer at once; without it the workers are those that are there.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) backend: Option<Endpoint>,
    /// How many clients there are, each with one request at a time.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) clients: u16,
    /// How many workers, if there is a backend.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) workers: u16,
    /// How large a request is.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, default_value = "32", value_parser = parse_size)]
    pub(crate) size: usize,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// For how many seconds requests are sent.
    #[arg(long, value_name = "S", default_value = "10", allow_negative_numbers = true, value_parser = parse_period)]
    pub(crate) seconds: Duration,
    /// Requests in a second of all clients together, at even intervals, whether the queue keeps up or not; if not given, each client
    /// asks as soon as it has its reply.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// After how many seconds since it was due a request counts as not answered.
    #[arg(long, value_name = "S", default_value = "10", allow_negative_numbers = true, value_parser = parse_period)]
    pub(crate) timeout: Duration,
    /// For programs: the result as a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Work {
    /// The backend of a queue.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) connect: Endpoint,
    /// The name to announce, 1 to 240 bytes; with more than one process at a time, each has a number behind it.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) identity: String,
    /// How many requests to work on at a time, each in a process of its own.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) processes: u16,
    /// What becomes of a request whose process fails: another worker gets it, or its client gets an error.
    #[arg(long, value_name = "WHAT", value_enum, default_value = "retry")]
    pub(crate) on_failure: OnFailure,
    /// What a client gets whose request failed.
    #[arg(long, value_name = "TEXT", default_value = "the command failed")]
    pub(crate) error_reply: String,
    /// Give it the bytes of the request and take those that it writes as they are, without ends of lines.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Kill a process that takes longer than this many seconds, which is a failure; wait for ever if not given.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_period)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) limit: Limit,
    /// The program and its arguments, behind `--`. Each frame of a request is a line of its input; its output, without
    /// the end of the last line, is the reply. `BROKER_REQUEST_FROM` is what the client is called.
    #[arg(value_name = "COMMAND", required = true, last = true)]
    pub(crate) command: Vec<OsString>,
}

/// What becomes of a request whose process fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    Retry,
    Error,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// One line for each request that was given up.
    List {
        /// What `serve --dead-letters` wrote.
        file: PathBuf,
    },
    /// One request whole, with what it has been through.
    Show {
        /// What `serve --dead-letters` wrote.
        file: PathBuf,
        /// Its number in the list.
        number: u64,
    },
    /// Have the queue that runs send requests of its file again, one after the other, print the replies, and note that in the
    /// file. One that is given up again ends it, and stays one letter.
    Resubmit(Resubmit),
}

/// What is to be done, and what the options of `serve` are where it has any; or the exit code once help or complaints have
/// been printed.
pub(crate) fn parse(args: &[OsString]) -> Result<(Command, Vec<Setting>), ExitCode> {
    let complain = |complaints: Vec<Complaint>| {
        complaints.iter().for_each(fail);
        ExitCode::from(2)
    };
    if settings::wants_json(args) {
        speak_json();
    }
    let bare = Cli::command().try_get_matches_from(args).map_err(|error| refuse(&error))?;
    let mut file = File::default();
    if settings::takes_any(&bare) {
        let complaints = settings::check_environment();
        let named = settings::command(&file).try_get_matches_from(args);
        match named {
            _ if !complaints.is_empty() => return Err(complain(complaints)),
            Ok(named) => file = settings::named_file(&named).map_err(complain)?,
            Err(error) => return Err(refuse(&error)),
        }
    }
    let mut command = settings::command(&file);
    let matches = command.try_get_matches_from_mut(args).map_err(|error| refuse(&error))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| refuse(&error))?;
    if let Command::Serve(options) = &cli.command
        && let conflicts = options.conflicts()
        && !conflicts.is_empty()
    {
        for (_, what) in conflicts {
            fail(what);
        }
        return Err(ExitCode::from(2));
    }
    Ok((cli.command, settings::settings(&command, &matches, &file)))
}

/// All that can be given on the command line.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            say_all(error.to_string().as_bytes());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            complain_all(error.to_string().as_bytes());
            ExitCode::from(2)
        }
        _ => {
            let hint = hint(error).map(|hint| format!("; {hint}"));
            fail(sentence(&error.to_string()) + &hint.unwrap_or_default());
            ExitCode::from(2)
        }
    }
}

/// What may have been meant.
fn hint(error: &clap::Error) -> Option<String> {
    let context = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    };
    let similar = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    if let Some(name) = similar.into_iter().find_map(context) {
        return Some(format!("did you mean {name}?"));
    }
    let is_word = context(ContextKind::InvalidArg).is_some_and(|arg| !arg.starts_with('-'));
    let takes_command = context(ContextKind::Usage).is_some_and(|usage| usage.contains(" -- <"));
    (is_word && takes_command).then(|| "the command comes behind `--`".to_owned())
}

/// The complaint itself, on one line: without the usage that follows it after an empty line.
fn sentence(text: &str) -> String {
    let complaint = text.split("\n\n").next().unwrap_or(text);
    let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
    complaint.split_whitespace().collect::<Vec<_>>().join(" ")
}
