//! What the program does, one command a file.

mod bench;
mod config;
mod dead_letters;
mod demo;
mod manual;
mod reload;
mod request;
mod serve;
mod status;
mod work;
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;
use zmtp::{Config, Message, Monitor, MonitorEvent, Req};

use crate::cli::{Command, Setting};
use crate::output::hex;
use crate::signals::Signals;

pub(crate) async fn run(
    command: Command,
    settings: Vec<Setting>,
) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Config(_) => Ok(config::show(&settings)),
        Command::Check { file } => Ok(config::check(&file)),
        Command::Serve(options) => serve::run(*options, settings).await,
        Command::Completions { shell } => Ok(manual::complete(shell)),
        Command::Man { command } => manual::page(command.as_deref()),
        Command::Status(options) => status::run(&options).await,
        Command::Demo(options) => demo::run(&options).await,
        Command::Request(options) => request::run(options).await,
        Command::Bench(options) => bench::run(options).await,
        Command::Work(options) => work::run(options).await,
        Command::Worker(options) => worker::run(options).await,
        Command::DeadLetters(command) => dead_letters::run(command).await,
    }
}

/// A REQ socket that announces `identity` and connects to `endpoint`.
fn req(identity: String, endpoint: &zmtp::Endpoint) -> Result<Req, Box<dyn Error>> {
    let config = Config::default()
        .with_identity(identity)
        .with_limits(broker::backend_limits(broker::Config::default().max_message_size));
    let req = Req::new(config)?;
    req.connect(endpoint)?;
    Ok(req)
}

/// The reply to a request that is sent over a socket of its own.
async fn ask(
    identity: String,
    endpoint: &zmtp::Endpoint,
    request: Message,
    patience: Duration,
    signals: &mut Signals,
) -> Result<Message, Box<dyn Error>> {
    let mut req = req(identity, endpoint)?;
    let mut monitor = req.monitor();
    let reply = tokio::select! {
        reply = timeout(patience, req.request(request)) => reply,
        () = signals.next() => return Err("interrupted before there was a reply".into()),
    };
    let Ok(reply) = reply else {
        let seconds = patience.as_secs_f64();
        let why = trouble(&mut monitor).await.map_or(String::new(), |why| format!(": {why}"));
        return Err(format!("no reply from {endpoint} within {seconds} s{why}").into());
    };
    let reply = reply?;
    req.close().await;
    Ok(reply)
}

/// Why there is no connection, if the last that was told of it is that there is none.
async fn trouble(monitor: &mut Monitor) -> Option<String> {
    let mut trouble = None;
    while let Ok(Some(event)) = timeout(Duration::ZERO, monitor.recv()).await {
        trouble = match event {
            MonitorEvent::ConnectFailed(_, error) => Some(format!("cannot connect: {error}")),
            MonitorEvent::HandshakeFailed(_, reason) => Some(format!("connected, but {reason}")),
            MonitorEvent::HandshakeSucceeded(_) => None,
            _ => trouble,
        };
    }
    trouble
}

/// A frame as a line of text: in hexadecimal, after `0x`, unless it is printable UTF-8.
fn line(frame: &[u8]) -> String {
    match std::str::from_utf8(frame) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(frame)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_shown_as_text_where_they_are_text() {
        assert_eq!(line(b"OK from PROCESSOR-0"), "OK from PROCESSOR-0");
        assert_eq!(line("grün".as_bytes()), "grün");
        assert_eq!(line(b""), "");
        assert_eq!(line(b"a\nb"), "0x610a62");
        assert_eq!(line(b"\xFF\x00"), "0xff00");
    }
}
