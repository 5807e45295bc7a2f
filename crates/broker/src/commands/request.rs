//! `broker request`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use zmtp::Message;

use crate::cli::Request;
use crate::output::say;
use crate::signals::Signals;

pub(crate) async fn run(options: Request) -> Result<ExitCode, Box<dyn Error>> {
    let Request { connect, identity, timeout, frames } = options;
    let mut signals = Signals::catch()?;
    let request = Message::copy_from(&frames);
    let patience = timeout.unwrap_or(Duration::MAX);
    let reply = super::ask(identity, &connect, request, patience, &mut signals).await?;
    for part in &reply {
        say(super::line(part));
    }
    Ok(ExitCode::SUCCESS)
}
