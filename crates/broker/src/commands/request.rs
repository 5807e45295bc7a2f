//! `broker request`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;
use zmtp::Message;

use crate::cli::Request;
use crate::output::say;
use crate::signals::Signals;

pub(crate) async fn run(options: Request) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    let mut req = super::req(options.identity, &options.connect)?;
    let mut monitor = req.monitor();
    let patience = options.timeout.unwrap_or(Duration::MAX);
    let request = timeout(patience, req.request(Message::copy_from(&options.frames)));
    let reply = tokio::select! {
        reply = request => reply,
        () = signals.next() => return Err("interrupted before there was a reply".into()),
    };
    let Ok(reply) = reply else {
        let (seconds, endpoint) = (patience.as_secs_f64(), options.connect);
        let why =
            super::trouble(&mut monitor).await.map_or(String::new(), |why| format!(": {why}"));
        return Err(format!("no reply from {endpoint} within {seconds} s{why}").into());
    };
    for part in &reply? {
        say(super::line(part));
    }
    req.close().await;
    Ok(ExitCode::SUCCESS)
}
