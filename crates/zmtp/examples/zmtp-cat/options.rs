//! [`Options`]: the command line.

#![expect(clippy::doc_markdown, reason = "help is plain text")]

mod config;
mod values;

use std::fmt;
use std::process::ExitCode;

use bytes::Bytes;
use clap::error::ErrorKind;
use clap::{ArgGroup, Parser, ValueEnum};
use zmtp::{ConfigError, Endpoint};

use crate::note;
use config::ConfigOptions;
pub(crate) use values::Span;
use values::parse_named_endpoint;

const USAGE: &str = "\
zmtp-cat <TYPE> <--bind ENDPOINT | --connect ENDPOINT | --connect-as NAME=ENDPOINT>... [OPTIONS]";

const FORMAT: &str = "\
Input and output have the same format. Each line is a frame and an empty line ends a message, as the \
end of input does. A line that begins with 0x is a frame in hex: 0x68656c6c6f, or 0x alone for an \
empty frame. Frames that are empty, begin with 0x, or are not UTF-8 without control characters are \
shown so. The first frame of a router's message is the routing id of the peer, either way. IDENTITY, \
NAME and VALUE above can be written in hex as well.

A req sends a message, prints the reply, and ends with its input. A rep prints a request and sends \
the next message of its input. A dealer and a router send and receive at any time, and go on when \
their input has ended. SIGINT and SIGTERM end it as well; what was sent still leaves within --linger.

Durations are whole numbers with a unit: 200ms, 5s, 2m, 1h, or `forever`.

Standard error has a line `bound ENDPOINT` for each --bind, with the port that was chosen, and what \
could not be delivered. The exit code is 0 when all went well, 1 when something failed, was not \
delivered or did not arrive in time, and 2 for options that make no sense.";

/// Opens a ZeroMQ socket, sends what standard input says and prints what it receives.
#[derive(Debug, Parser)]
#[command(name = "zmtp-cat", override_usage = USAGE, after_help = FORMAT)]
#[command(allow_negative_numbers = true)]
#[command(group(ArgGroup::new("endpoint").required(true).multiple(true)))]
pub(crate) struct Options {
    /// The type of the socket.
    #[arg(value_name = "TYPE", ignore_case = true)]
    pub(crate) socket_type: Type,
    /// Listens here; may be given more than once. Port 0 is a free one.
    #[arg(long, value_name = "ENDPOINT", group = "endpoint")]
    pub(crate) bind: Vec<Endpoint>,
    /// Connects there; may be given more than once.
    #[arg(long, value_name = "ENDPOINT", group = "endpoint")]
    pub(crate) connect: Vec<Endpoint>,
    /// Connects there and calls the peer NAME; may be given more than once. Of a router.
    /// [libzmq: ZMQ_CONNECT_ROUTING_ID]
    #[arg(long, value_name = "NAME=ENDPOINT", group = "endpoint", value_parser = parse_named_endpoint)]
    pub(crate) connect_as: Vec<(Bytes, Endpoint)>,

    /// Sends each message back where it came from, a dealer to whoever is next. Reads no input. Not
    /// of a req.
    #[arg(long)]
    pub(crate) echo: bool,
    /// Ends after N received messages; with 0, a dealer or a router ends with its input.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Ends when nothing was received for so long, which is a failure if a reply or a message of
    /// --count is missing.
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Span>,
    /// Tells who joins and who leaves on standard error: address, socket type and routing id. A req
    /// and a rep tell the address only.
    #[arg(long)]
    pub(crate) events: bool,
    /// Tells what happens to endpoints and connections on standard error. [libzmq:
    /// zmq_socket_monitor]
    #[arg(long)]
    pub(crate) monitor: bool,

    #[command(flatten)]
    pub(crate) config: ConfigOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    Req,
    Rep,
    Dealer,
    Router,
}

impl Options {
    /// The options, or the exit code once help or a complaint has been printed.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        let error = match Self::try_parse() {
            Ok(options) => match options.check() {
                Ok(()) => return Ok(options),
                Err(usage) => usage.0,
            },
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                // That nobody reads it is no failure.
                let _ = error.print();
                return Err(ExitCode::SUCCESS);
            }
            Err(error) => sentence(&error.to_string()),
        };
        note(format_args!("zmtp-cat: {error}"));
        Err(ExitCode::from(2))
    }

    fn check(&self) -> Result<(), Usage> {
        if self.echo && self.socket_type == Type::Req {
            return Err(Usage::of_option("--echo", "a req has nothing to send back"));
        }
        if !self.connect_as.is_empty() && self.socket_type != Type::Router {
            return Err(Usage::of_option("--connect-as", "only a router gives names"));
        }
        Ok(())
    }
}

/// The complaint itself, on one line: without the usage that follows it after an empty line.
fn sentence(text: &str) -> String {
    let complaint = text.split("\n\n").next().unwrap_or(text);
    let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
    complaint.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An option that makes no sense. It names the option.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn of_option(option: &str, reason: impl fmt::Display) -> Self {
        Self(format!("{option}: {reason}"))
    }

    /// The option has the field's name with dashes.
    pub(crate) fn of_field(error: &ConfigError) -> Self {
        let option = match error.field() {
            "heartbeat.interval" => "heartbeat",
            "properties" => "property",
            field => field.rsplit('.').next().unwrap_or(field),
        };
        let option = format!("--{}", option.replace('_', "-"));
        Self(format!("{option} is not usable: {}", error.reason()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
