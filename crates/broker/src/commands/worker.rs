//! `broker worker`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use zmtp::{Message, Parts};

use super::seat::Seat;
use crate::cli::Worker;
use crate::names;
use crate::output::{line, note, say};
use crate::signals::Signals;

pub(crate) async fn run(options: Worker) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::catch()?;
    let mut seat = Seat::take(options.identity, "worker", &options.connect, options.limit)?;
    let mut answers = 0;
    while let Some(job) = seat.next_job(signals.next()).await? {
        say(job.log(seat.name()));
        let stop = work(options.sleep, &mut signals).await?;
        seat.answer(job.reply(options.reply.as_deref()));
        answers += 1;
        if stop || Some(answers) == options.count {
            break;
        }
    }
    tokio::select! {
        result = seat.leave() => Ok(result.map(|()| ExitCode::SUCCESS)?),
        () = signals.next() => Err("stopped before the last reply was sent".into()),
    }
}

/// Takes its time. A signal asks to stop after this, which is returned, and a second one at once.
async fn work(time: Duration, signals: &mut Signals) -> Result<bool, Box<dyn Error>> {
    let work = sleep(time);
    tokio::pin!(work);
    tokio::select! {
        () = &mut work => return Ok(false),
        () = signals.next() => {}
    }
    tokio::select! {
        () = &mut work => Ok(true),
        () = signals.next() => Err("stopped with a request in flight".into()),
    }
}

/// A request as a worker gets it: `[client][][request...]`.
pub(super) struct Job {
    client: Bytes,
    request: Message,
}

/// A frame as a log shows it: no more than eighty bytes of it.
fn shortened(frame: &[u8]) -> String {
    match frame.get(..80) {
        Some(start) if frame.len() > 80 => format!("{}…", start.escape_ascii()),
        _ => line(frame),
    }
}

impl Job {
    /// `None` for anything else.
    pub(super) fn parse(mut message: Message) -> Option<Self> {
        if message.len() < 3 || message.part(1) != Some(b"") {
            note(format_args!("not a request, [client] [] [request]: {message:?}"));
            return None;
        }
        let client = message.pop_front()?;
        message.skip(1);
        Some(Self { client, request: message })
    }

    /// What its client is called.
    pub(super) fn client(&self) -> &[u8] {
        &self.client
    }

    /// The frames of the request.
    pub(super) fn frames(&self) -> Parts<'_> {
        self.request.parts()
    }

    /// The first frame of the request.
    pub(super) fn request(&self) -> &[u8] {
        self.request.part(0).unwrap_or_default()
    }

    /// The line that the seed prints for each request.
    pub(super) fn log(&self, worker: &str) -> String {
        let frames: Vec<_> = self.request.parts().map(shortened).collect();
        let (request, client) = (frames.join(" "), names::show(&self.client));
        format!("{worker:>11}: REQ {request:>2} from {client}")
    }

    /// The reply to it: `text`, or else the request itself.
    pub(super) fn reply(self, text: Option<&str>) -> Message {
        let body = text.map_or_else(|| self.request.clone(), Message::from);
        self.answer(&body)
    }

    /// The reply to it.
    pub(super) fn answer(&self, body: &Message) -> Message {
        body.prefixed(&[&self.client[..], b""])
    }
}
