//! Commands that tell a queue what to do over its control socket, each in one sentence.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use form_urlencoded::Serializer;
use hyper::Method;

use crate::cli::{Controlled, OfWorker, Tap};
use crate::http::Place;
use crate::output::{note, say, say_next};
use crate::signals::Signals;

/// For the next process to go on.
const UPGRADE: Duration = Duration::from_secs(60);

/// Has the queue do something, and prints what it says of that.
pub(crate) async fn run(at: Controlled, path: &str) -> Result<ExitCode, Box<dyn Error>> {
    let reply = Place::Control(at.control).ask(Method::POST, path).await?;
    say(reply.text().await?);
    Ok(ExitCode::SUCCESS)
}

/// Has another process go on with the queue, and prints which.
pub(crate) async fn upgrade(at: Controlled) -> Result<ExitCode, Box<dyn Error>> {
    let reply = Place::Control(at.control).ask_within(UPGRADE, Method::POST, "/upgrade").await?;
    say(reply.text().await?);
    Ok(ExitCode::SUCCESS)
}

/// Has the queue do something with a worker.
pub(crate) async fn with_worker(of: OfWorker, path: &str) -> Result<ExitCode, Box<dyn Error>> {
    run(of.at, &with(path, "worker", &of.worker)).await
}

/// Prints the messages of a peer as they pass, until a signal.
pub(crate) async fn tap(options: Tap) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    let path = with("/tap", "peer", &options.peer);
    let place = Place::Control(options.at.control);
    let mut reply = place.ask(Method::GET, &path).await?;
    note(format_args!("messages of {} are shown as they pass; Ctrl-C ends", options.peer));
    loop {
        let line = tokio::select! {
            line = reply.line() => line,
            () = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        if let Some(Ok(line)) = line {
            if say_next(line) {
                continue;
            }
            return Ok(ExitCode::SUCCESS);
        }
        // Another process may go on with the queue, or this one again.
        reply = place.ask(Method::GET, &path).await.map_err(|_| "the queue has ended")?;
        note("the queue was upgraded and goes on");
    }
}

fn with(path: &str, key: &str, value: &str) -> String {
    let query = Serializer::new(String::new()).append_pair(key, value).finish();
    format!("{path}?{query}")
}
