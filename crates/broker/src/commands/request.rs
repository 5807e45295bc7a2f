//! `broker request`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use zmtp::Message;

use crate::cli::Request;
use crate::client;
use crate::output::{line, say};
use crate::signals::Signals;

pub(crate) async fn run(options: Request) -> Result<ExitCode, Box<dyn Error>> {
    let Request { connect, identity, timeout, limit, frames } = options;
    let mut signals = Signals::catch()?;
    let request = Message::copy_from(&frames);
    let patience = timeout.unwrap_or(Duration::MAX);
    let reply = tokio::select! {
        reply = client::ask(identity, &connect, limit.max_message_size, request, patience) => reply?,
        () = signals.next() => return Err("interrupted before there was a reply".into()),
    };
    match reply.parts().next().map(std::str::from_utf8) {
        // What is more than a line is text all the same, if no other frame has to be told from it.
        Some(Ok(text)) if reply.len() == 1 && !text.contains(is_odd) => {
            say(text.trim_end_matches('\n'));
        }
        _ => reply.parts().for_each(|part| say(line(part))),
    }
    Ok(ExitCode::SUCCESS)
}

fn is_odd(character: char) -> bool {
    character.is_control() && !['\n', '\t'].contains(&character)
}
