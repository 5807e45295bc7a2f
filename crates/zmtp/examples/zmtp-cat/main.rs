//! Opens any of the four sockets, sends what it reads from standard input and prints what it receives.
//!
//! ```console
//! $ cargo run -p zmtp --example zmtp-cat -- rep --bind tcp://127.0.0.1:5555 --echo
//! $ echo Hello | cargo run -p zmtp --example zmtp-cat -- req --connect tcp://127.0.0.1:5555
//! ```
//!
//! `zmtp-cat --help` and `examples/README.md` tell the rest.

mod events;
mod frames;
mod options;
mod session;
mod standard;
mod talk;

use std::error::Error;
use std::fmt::Display;
use std::io::{Write, stderr};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use zmtp::{ConfigError, Dealer, Rep, Req, Router, Unsent};

use crate::options::{Options, Type, Usage};
use crate::session::Session;
use crate::standard::OutputClosed;
use crate::talk::Talk;

/// Why something came to nothing, in one sentence.
type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            note(format_args!("zmtp-cat: {error}"));
            ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
        }
    }
}

/// A line on standard error. That nobody reads it is no reason to end.
fn note(line: impl Display) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

const CUT_SHORT: &str = "a signal ended it before all was delivered and printed";

/// So many of something in words.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[tokio::main]
async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let config = options.config.to_config();
    match options.socket_type {
        Type::Req => drive(Req::new(config), options).await,
        Type::Rep => drive(Rep::new(config), options).await,
        Type::Dealer => drive(Dealer::new(config), options).await,
        Type::Router => drive(Router::new(config), options).await,
    }
}

async fn drive<S: Talk>(
    socket: Result<S, ConfigError>,
    options: &Options,
) -> Result<ExitCode, Failure> {
    let mut socket = socket.map_err(|error| Usage::of_field(&error))?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let watching = events::watch(socket.monitor(), options);
    let mut session = Session::new(options);
    let mut ended = tokio::select! {
        ended = talk(&mut socket, &mut session, options) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    let mut undelivered = session.undelivered(socket.dropped());
    let finish = async {
        let unsent = socket.close().await;
        watching.await?;
        session.finish().await?;
        Ok::<_, Failure>(unsent)
    };
    let unsent = tokio::select! {
        unsent = finish => unsent?,
        _ = interrupt.recv() => return Err(CUT_SHORT.into()),
        _ = terminate.recv() => return Err(CUT_SHORT.into()),
    };
    undelivered |= tell_of(&unsent);
    // Why it is closed was told by `finish`, unless nobody reads any more.
    if ended.as_ref().is_err_and(|error| error.is::<OutputClosed>()) {
        ended = Ok(());
    }
    ended.map(|()| ExitCode::from(u8::from(undelivered)))
}

async fn talk<S: Talk>(
    socket: &mut S,
    session: &mut Session,
    options: &Options,
) -> Result<(), Failure> {
    open(socket, options).await?;
    socket.talk(session).await
}

async fn open(socket: &impl Talk, options: &Options) -> Result<(), Failure> {
    for endpoint in &options.bind {
        let bound = socket.bind(endpoint).await?;
        note(format_args!("bound {bound}"));
    }
    for (name, endpoint) in &options.connect_as {
        let wrong = |error| Usage::of_option("--connect-as", error);
        socket.connect_as(endpoint, name).map_err(wrong)?;
    }
    for endpoint in &options.connect {
        socket.connect(endpoint).map_err(|error| Usage::of_option("--connect", error))?;
    }
    Ok(())
}

/// Says whether there was anything to tell.
fn tell_of(unsent: &[Unsent]) -> bool {
    for Unsent { address, messages, cut_off, .. } in unsent {
        let messages = counted(messages.len() as u64, "message");
        let cut_off = match cut_off {
            0 => String::new(),
            bytes => format!(" and {} of others", counted(*bytes as u64, "byte")),
        };
        note(format_args!("zmtp-cat: not delivered to {address}: {messages}{cut_off}"));
    }
    !unsent.is_empty()
}
