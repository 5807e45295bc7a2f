//! [`Control`]: what the owner of a queue may tell it to do, and what only the owner may see.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use broker::{Ended, Excerpt, Handle, Passed, Side, Tap};
use bytes::Bytes;
use futures::stream::unfold;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use zmtp::{Endpoint, Message};

use super::{Answer, parameter, plain};
use crate::client::ask;
use crate::dead_letters::{self, Letter, Letters};
use crate::names;
use crate::output::{excerpt, line, note, warn};

pub(super) const COMMANDS: &str = "; so are /pause, /resume, /drain, /upgrade, /quarantine, /release and /resubmit for POST, and /tap";

/// Of a reply to a letter that is sent again: what a queue can have at most.
const LARGEST: usize = 1 << 30;

/// How a line begins that says why a dead letter has not been sent again.
pub(crate) const NOT_SENT: &str = "dead letter ";

/// What the process is to do with its queue.
#[derive(Debug)]
pub(crate) enum Demand {
    /// End, once no request is in flight.
    Drain,
    /// Have another process go on, and say which, or why not.
    Upgrade(oneshot::Sender<Result<String, String>>),
}

/// What the owner of a queue can reach.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) broker: Handle,
    /// What the process is to do.
    pub(crate) demand: mpsc::Sender<Demand>,
    pub(crate) letters: Option<Letters>,
    /// Where requests are sent again.
    pub(crate) frontend: Endpoint,
}

impl Control {
    /// None if this is not the owner's to ask for.
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Option<Answer> {
        let uri = request.uri();
        let answer = match (request.method(), uri.path()) {
            (&Method::GET, "/tap") => self.tap(uri).await,
            (&Method::POST, "/pause") => self.pause().await,
            (&Method::POST, "/resume") => self.resume().await,
            (&Method::POST, "/drain") => {
                let sent = self.demand.send(Demand::Drain).await.map_err(|_| Ended);
                sent.map(|()| done("draining: the queue ends once no request is in flight"))
            }
            (&Method::POST, "/upgrade") => self.upgrade().await,
            (&Method::POST, "/quarantine") => self.quarantine(uri).await,
            (&Method::POST, "/release") => self.release(uri).await,
            (&Method::POST, "/resubmit") => Ok(self.resubmit(uri).await),
            _ => return None,
        };
        let ended = |Ended| plain(StatusCode::SERVICE_UNAVAILABLE, "the queue has ended");
        Some(answer.unwrap_or_else(ended))
    }

    async fn pause(&self) -> Result<Answer, Ended> {
        if self.broker.status().await?.draining {
            return Ok(drains());
        }
        self.broker.pause().await?;
        Ok(done("paused: no request is handed out"))
    }

    async fn resume(&self) -> Result<Answer, Ended> {
        if self.broker.status().await?.draining {
            return Ok(drains());
        }
        self.broker.resume().await?;
        Ok(done("resumed: requests are handed out"))
    }

    async fn upgrade(&self) -> Result<Answer, Ended> {
        let (tell, told) = oneshot::channel();
        self.demand.send(Demand::Upgrade(tell)).await.map_err(|_| Ended)?;
        Ok(match told.await.map_err(|_| Ended)? {
            Ok(text) => plain(StatusCode::OK, text),
            Err(error) => {
                warn(&error);
                plain(StatusCode::INTERNAL_SERVER_ERROR, error)
            }
        })
    }

    async fn quarantine(&self, uri: &Uri) -> Result<Answer, Ended> {
        let (shown, name) = match named(uri, "worker") {
            Ok(named) => named,
            Err(text) => return Ok(plain(StatusCode::BAD_REQUEST, text)),
        };
        Ok(match self.broker.quarantine(name).await? {
            0 => no_worker(&shown),
            _ => done(format!("worker {shown} gets nothing more until it is released")),
        })
    }

    async fn release(&self, uri: &Uri) -> Result<Answer, Ended> {
        let (shown, name) = match named(uri, "worker") {
            Ok(named) => named,
            Err(text) => return Ok(plain(StatusCode::BAD_REQUEST, text)),
        };
        Ok(match self.broker.release(name).await? {
            0 => no_worker(&shown),
            _ => done(format!("worker {shown} is in quarantine no more")),
        })
    }

    async fn tap(&self, uri: &Uri) -> Result<Answer, Ended> {
        let (shown, name) = match named(uri, "peer") {
            Ok(named) => named,
            Err(text) => return Ok(plain(StatusCode::BAD_REQUEST, text)),
        };
        let tap = self.broker.tap(name.clone()).await?;
        note(format_args!("messages of {shown} are shown"));
        let nobody = (!self.broker.knows(name).await?).then(|| {
            format!("nobody is called {shown} now; what passes is shown once somebody is")
        });
        Ok(lines((nobody, tap), move |(first, mut tap): (Option<String>, Tap)| {
            let shown = shown.clone();
            async move {
                let line = match first {
                    Some(line) => line,
                    None => tell(&shown, &tap.recv().await?),
                };
                Some((line, (None, tap)))
            }
        }))
    }

    /// Sends dead letters again, one after the other, until one brings no reply.
    async fn resubmit(&self, uri: &Uri) -> Answer {
        let Some(letters) = self.letters.clone() else {
            return plain(StatusCode::CONFLICT, "no dead letters are kept; `--dead-letters` does");
        };
        let (Some(numbers), Some(patience)) = (numbers(uri), patience(uri)) else {
            let text = "?number= is to be that of a dead letter, ?timeout= a number of seconds, and there is nothing else";
            return plain(StatusCode::BAD_REQUEST, text);
        };
        let file = letters.clone();
        let choose = move || file.read().map_err(|error| error.to_string())?.choose(&numbers);
        // The file may be long, and the queue is not to wait.
        let chosen = match spawn_blocking(choose).await {
            Ok(Ok(chosen)) => chosen,
            Ok(Err(error)) => return plain(StatusCode::NOT_FOUND, error),
            Err(error) => return plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        if chosen.is_empty() {
            return plain(StatusCode::OK, "no request is left to be sent again");
        }
        let frontend = self.frontend.clone();
        lines(chosen.into_iter(), move |mut chosen| {
            let (frontend, letters) = (frontend.clone(), letters.clone());
            async move {
                let letter = chosen.next()?;
                let number = letter.number;
                match send_again(letter, &frontend, patience, &letters).await {
                    Ok(reply) => Some((format!("{number}: {reply}"), chosen)),
                    Err(error) => {
                        let left = chosen.len();
                        let text =
                            format!("{NOT_SENT}{number}: {error}; {left} more were not sent");
                        Some((text, Vec::new().into_iter()))
                    }
                }
            }
        })
    }
}

/// Returns the reply as a line.
async fn send_again(
    letter: Letter,
    frontend: &Endpoint,
    patience: Duration,
    letters: &Letters,
) -> Result<String, String> {
    let number = letter.number;
    let frames: Option<Vec<_>> = letter.request.iter().map(dead_letters::Frame::bytes).collect();
    let frames = frames.ok_or("a frame is not hexadecimal")?;
    // A name of its own, by which it is known if it is given up again.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = format!("dead-letter-{number}-{:x}", now.as_nanos());
    let mut given_up = letters.send_as(&name, letter);
    let reply = tokio::select! {
        // That is known before an error reply arrives.
        biased;
        Ok(reason) = &mut given_up => Err(format!("given up again: {reason}")),
        reply = ask(name.clone(), frontend, LARGEST, Message::copy_from(&frames), patience) => reply,
    };
    letters.forget(&name);
    let reply = reply?;
    if let Ok(reason) = given_up.try_recv() {
        return Err(format!("given up again: {reason}"));
    }
    letters.note_resubmitted(number).map_err(|error| error.to_string())?;
    note(format_args!("dead letter {number} was sent again"));
    Ok(reply.parts().map(line).collect::<Vec<_>>().join(" | "))
}

/// Peers are asked for by what is shown of them.
fn named(uri: &Uri, what: &str) -> Result<(String, Bytes), String> {
    let shown = parameter(uri, what).unwrap_or_default().into_owned();
    if let Some(name) = names::parse(&shown).filter(|name| !name.is_empty()) {
        return Ok((shown, name));
    }
    Err(format!(
        "{shown:?} is not what a {what} is called; give the name as the log has it, with \\\\ for a backslash"
    ))
}

fn drains() -> Answer {
    plain(StatusCode::CONFLICT, "the queue drains, and ends")
}

fn no_worker(name: &str) -> Answer {
    plain(StatusCode::NOT_FOUND, format!("no worker is called {name}; `broker status` lists all"))
}

/// None if one of them is none, or something is misspelt: without a number all letters are meant.
fn numbers(uri: &Uri) -> Option<Vec<u64>> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let numbers = pairs.filter(|(key, _)| key != "timeout");
    numbers.map(|(key, number)| if key == "number" { number.parse().ok() } else { None }).collect()
}

/// How long each reply may take; for ever if that is not said.
fn patience(uri: &Uri) -> Option<Duration> {
    let Some(seconds) = parameter(uri, "timeout") else { return Some(Duration::MAX) };
    seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// Says so in the log as well.
fn done(text: impl Into<String>) -> Answer {
    let text = text.into();
    note(&text);
    plain(StatusCode::OK, text)
}

/// Lines as they come.
fn lines<S, F>(state: S, mut next: impl FnMut(S) -> F + Send + 'static) -> Answer
where
    S: Send + 'static,
    F: Future<Output = Option<(String, S)>> + Send + 'static,
{
    let frames = unfold(state, move |state| {
        let next = next(state);
        async move {
            let (line, state) = next.await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line + "\n"))), state))
        }
    });
    Response::new(StreamBody::new(frames).boxed_unsync())
}

/// A message that has passed, as a line.
fn tell(name: &str, passed: &Passed) -> String {
    let at = humantime::format_rfc3339_millis(SystemTime::now());
    let missed = match passed.missed {
        0 => String::new(),
        missed => format!("{missed} messages were not shown, for they came too fast\n"),
    };
    let direction = if passed.sent { "to" } else { "from" };
    let side = match passed.side {
        Side::Frontend => "client",
        Side::Backend => "worker",
    };
    // What stands in front of an empty frame is whom it is for, as others show it too.
    let behind = passed.frames.iter().skip(1).map(Some).chain([None]);
    let show = |(frame, behind): (&Excerpt, Option<&Excerpt>)| {
        let is_whole = frame.size > 0 && frame.size == frame.start.len();
        if is_whole && behind.is_some_and(|behind| behind.size == 0) {
            names::show(&frame.start)
        } else {
            excerpt(&frame.start, frame.size)
        }
    };
    let mut frames: Vec<_> = passed.frames.iter().zip(behind).map(show).collect();
    if passed.more > 0 {
        frames.push(format!("{} more frames", passed.more));
    }
    format!("{missed}{at} {direction} {side} {name}: {}", frames.join(" | "))
}
