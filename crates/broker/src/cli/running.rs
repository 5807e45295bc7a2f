//! The options of commands for a queue that runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{parse_http, parse_seconds};
use crate::http::Place;

/// The file of a control socket, if nothing else is said.
pub(super) const CONTROL: &str = "broker.control";

/// Where a queue serves HTTP, if nothing else is said.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5580);

#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) at: Watched,
    /// For programs: what /status serves.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a queue can be watched.
#[derive(Args, Debug)]
pub(crate) struct Watched {
    /// Where it serves HTTP: what `serve --http` was given, or said; 127.0.0.1:5580 if nothing else is given.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_http)]
    http: Option<SocketAddr>,
    /// Its control socket instead: what `serve --control` was given. `BROKER_CONTROL` counts as well.
    #[arg(long, value_name = "PATH", conflicts_with = "http")]
    control: Option<PathBuf>,
}

impl Watched {
    pub(crate) fn place(&self) -> Place {
        let named = || std::env::var_os("BROKER_CONTROL").map(PathBuf::from);
        match (self.http, self.control.clone()) {
            (Some(address), _) => Place::Http(address),
            (None, control) => match control.or_else(named) {
                Some(path) => Place::Control(path),
                None => Place::Http(HTTP),
            },
        }
    }
}

#[cfg(feature = "top")]
#[derive(Args, Debug)]
pub(crate) struct Top {
    #[command(flatten)]
    pub(crate) at: Watched,
}

/// Where a queue can be told what to do.
#[derive(Args, Debug)]
pub(crate) struct Controlled {
    /// Its control socket: what `serve --control` was given.
    #[arg(long, value_name = "PATH", env = "BROKER_CONTROL", default_value = CONTROL)]
    pub(crate) control: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct OfWorker {
    /// What the worker is called, as `broker status` and the log have it.
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) worker: String,
    #[command(flatten)]
    pub(crate) at: Controlled,
}

#[derive(Args, Debug)]
pub(crate) struct Tap {
    /// What the client or worker is called, as `broker status` and the log have it.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) peer: String,
    #[command(flatten)]
    pub(crate) at: Controlled,
}

#[derive(Args, Debug)]
pub(crate) struct Resubmit {
    /// Their numbers in the list; all that have not been sent again if none is given.
    pub(crate) numbers: Vec<u64>,
    /// Give up after waiting this many seconds for a reply.
    #[arg(long, value_name = "S", default_value = "60", allow_negative_numbers = true,
          value_parser = parse_seconds)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) at: Controlled,
}
