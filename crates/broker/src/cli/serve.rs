//! The options of `broker serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use broker::{AtLimit, Durability, OnWorkerLoss, Policy};
use bytes::Bytes;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use zmtp::Endpoint;

use crate::log::{Depth, Format};

use super::running::CONTROL;
use super::values::{parse_address, parse_mode, parse_period, parse_seconds, parse_size};

/// The options, each of which can also be set in the environment, in capitals and with `BROKER_` in front
/// (`BROKER_MAX_WAITING`), or in a file (`max-waiting = 1000`). The command line comes before the environment, and that before
/// the file.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Read options from this TOML file, under the same names; `broker config` shows what comes of it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where clients connect; may be given more than once.
    #[arg(long, value_name = "ENDPOINT", num_args = 1.., value_delimiter = ',', default_value = "ipc://frontend.ipc")]
    pub(crate) frontend: Vec<Endpoint>,
    /// Where workers connect; may be given more than once.
    #[arg(long, value_name = "ENDPOINT", num_args = 1.., value_delimiter = ',', default_value = "ipc://backend.ipc")]
    pub(crate) backend: Vec<Endpoint>,
    /// Who may connect to those that are Unix sockets, as `chmod` takes it: "0600" for this user, "0660" for its group too,
    /// "0666" for everybody, in quotes in a file; as the umask has it if not given.
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    pub(crate) ipc_mode: Option<u32>,
    /// The largest message, where each frame counts 64 bytes more than its body; K, M and G stand for
    /// KiB, MiB and GiB.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, default_value = "64M", value_parser = parse_size)]
    pub(crate) max_message_size: usize,
    /// Requests of one DEALER client read before the first of them is answered.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 16,
          value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) read_ahead: u16,
    /// Ask peers for a sign of life this often, and disconnect one that gives none for as long.
    #[arg(long, value_name = "S", num_args = 0..=1, default_missing_value = "2.5",
          allow_negative_numbers = true, value_parser = parse_period)]
    pub(crate) heartbeat: Option<Duration>,
    /// How long to wait at the end for requests that workers have.
    #[arg(long, value_name = "S", default_value = "10", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    pub(crate) drain: Duration,
    /// Append requests that are given up to this file, for `broker dead-letters`; without it they are told of and
    /// forgotten.
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letters: Option<PathBuf>,
    /// What is said of what goes on: sentences, or JSON, a line each on standard error.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub(crate) log: Format,
    /// How much is said: of each connection with `debug`.
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "info")]
    pub(crate) log_level: Depth,
    /// Serve a page, /metrics, /status, /history, /healthz and /readyz over HTTP here, read-only.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:5580",
          value_parser = parse_address)]
    pub(crate) http: Option<SocketAddr>,
    /// Names by which that may be asked for, besides `localhost` and addresses.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) http_host: Vec<String>,
    /// Be told what to do over a Unix socket at this path, which only this user can connect to: by `broker pause`, `resume`,
    /// `drain`, `upgrade`, `quarantine`, `release`, `tap` and `dead-letters resubmit`.
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = CONTROL)]
    pub(crate) control: Option<PathBuf>,
    #[command(flatten)]
    losses: Losses,
    #[command(flatten)]
    pub(crate) start: Start,
    #[command(flatten)]
    room: Room,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "When a worker is lost")]
struct Losses {
    /// What becomes of its request: the next worker gets it, its client gets an error, or nobody hears of it.
    #[arg(long, value_name = "WHAT", default_value = "requeue",
          value_parser = PossibleValuesParser::new(["requeue", "fail", "drop"]).map(on_worker_loss))]
    on_worker_loss: OnWorkerLoss,
    /// So many workers may leave while they have a request before it is given up.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_worker_kills: u32,
    /// So many workers may have a request and bring no reply, for whatever reason, before it is given up.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: u32,
    /// How long a worker may take for a request before that goes to the next; for ever if not given.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_period)]
    lease: Option<Duration>,
    /// So many wrong messages may a worker send before it gets nothing more until it connects again.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_strikes: u32,
    /// What a client gets as its reply when its request is given up or rejected; nothing if not given.
    #[arg(long, value_name = "TEXT")]
    error_reply: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "When this queue is killed and started again")]
pub(crate) struct Start {
    /// Keep requests in this directory, so that those of clients with a name go on; without it they are lost.
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// When a request in the journal is safe: once the system has it, or once the disk has it, which survives the machine.
    #[arg(long, value_name = "WHAT", default_value = "os",
          value_parser = PossibleValuesParser::new(["os", "fsync"]).map(durability))]
    pub(crate) durability: Durability,
    /// How long to wait for a worker that had a request before the next one gets that.
    #[arg(long, value_name = "S", default_value = "5", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    adoption_grace: Duration,
    /// How long to wait for a client to come back for its reply.
    #[arg(long, value_name = "S", default_value = "60", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    client_grace: Duration,
    /// How long REQ workers that connect and stay silent are taken for ready, for they said so before; 0 for not at
    /// all, nor those that come back from a connection that failed.
    #[arg(long, value_name = "S", default_value = "10", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    adoption: Duration,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "When too many requests wait")]
struct Room {
    /// Requests that may wait, of all clients together.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_waiting: u32,
    /// Bytes of them.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, default_value = "512M", value_parser = parse_size)]
    max_waiting_bytes: usize,
    /// What becomes of the others: they wait in their clients' connections, or are rejected.
    #[arg(long, value_name = "WHAT", default_value = "wait",
          value_parser = PossibleValuesParser::new(["wait", "reject"]).map(at_limit))]
    at_limit: AtLimit,
    /// Requests of one client that may wait where others are rejected.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_waiting_per_client: u32,
}

#[expect(clippy::needless_pass_by_value, reason = "a parser of clap's maps values")]
fn on_worker_loss(text: String) -> OnWorkerLoss {
    match &*text {
        "fail" => OnWorkerLoss::Fail,
        "drop" => OnWorkerLoss::Drop,
        _ => OnWorkerLoss::Requeue,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a parser of clap's maps values")]
fn durability(text: String) -> Durability {
    if text == "fsync" { Durability::Fsync } else { Durability::Os }
}

#[expect(clippy::needless_pass_by_value, reason = "a parser of clap's maps values")]
fn at_limit(text: String) -> AtLimit {
    if text == "reject" { AtLimit::Reject } else { AtLimit::Wait }
}

impl Serve {
    /// What the queue is to do.
    pub(crate) fn policy(&self) -> Policy {
        let Self { losses, start, room, .. } = self;
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Policy {
            on_worker_loss: losses.on_worker_loss,
            max_worker_kills: losses.max_worker_kills,
            max_attempts: losses.max_attempts,
            lease: losses.lease,
            max_strikes: losses.max_strikes,
            adoption: start.adoption,
            adoption_grace: start.adoption_grace,
            client_grace: start.client_grace,
            error_reply: losses.error_reply.clone().map(Bytes::from),
            max_waiting: number(room.max_waiting),
            max_waiting_bytes: room.max_waiting_bytes,
            max_waiting_per_client: number(room.max_waiting_per_client),
            at_limit: room.at_limit,
            ..Policy::default()
        }
    }
}
