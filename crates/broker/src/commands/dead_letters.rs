//! `broker dead-letters`

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use hyper::Method;

use crate::cli::{DeadLetters, Resubmit};
use crate::dead_letters::{Found, Frame, Letter, read};
use crate::http::{NOT_SENT, Place};
use crate::names;
use crate::output::{note, say};

/// Characters of a request in the list.
const SHORT: usize = 40;

pub(crate) async fn run(command: DeadLetters) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        DeadLetters::List { file } => list(&load(&file)?),
        DeadLetters::Show { file, number } => show(load(&file)?.find(number)?),
        DeadLetters::Resubmit(options) => return resubmit(options).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn load(file: &Path) -> Result<Found, Box<dyn Error>> {
    let found = read(file)?;
    for line in &found.bad_lines {
        note(format_args!("line {line} of {} is not a dead letter", file.display()));
    }
    if found.letters.is_empty() && !found.bad_lines.is_empty() {
        return Err(format!(
            "{} has no dead letters; give the file of `serve --dead-letters`",
            file.display()
        )
        .into());
    }
    Ok(found)
}

fn list(found: &Found) {
    if found.letters.is_empty() {
        return note("no request was given up");
    }
    say(format_args!(
        "{:>6}  {:24}  {:16}  {:5}  {:40}  RESUBMITTED",
        "NUMBER", "AT", "CLIENT", "TRIES", "REQUEST"
    ));
    for letter in found.letters.values() {
        let request =
            letter.request.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        say(format_args!(
            "{:>6}  {:24}  {:16}  {:>5}  {:40}  {}",
            letter.number,
            letter.at,
            short(&name(&letter.client), 16),
            letter.attempts.len(),
            short(&request, SHORT),
            letter.resubmitted.as_deref().unwrap_or("-"),
        ));
    }
}

/// What a peer is called, as in the log.
fn name(frame: &Frame) -> String {
    frame.bytes().map_or_else(|| frame.to_string(), |bytes| names::show(&bytes))
}

/// The beginning of a text, if it is longer.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 3).chain("...".chars()).collect()
}

fn show(letter: &Letter) {
    say(format_args!("number       {}", letter.number));
    say(format_args!("given up     {}, because {}", letter.at, letter.reason));
    say(format_args!("client       {}", name(&letter.client)));
    for attempt in &letter.attempts {
        say(format_args!(
            "attempt      {}, {}: {}",
            attempt.at,
            name(&attempt.worker),
            attempt.what
        ));
    }
    if let Some(at) = &letter.resubmitted {
        say(format_args!("sent again   {at}"));
    }
    for frame in &letter.envelope {
        say(format_args!("envelope     {frame}"));
    }
    for frame in &letter.request {
        say(format_args!("frame        {frame}"));
    }
}

/// Has the queue that writes the file send requests again, and prints what comes of each as it comes.
async fn resubmit(options: Resubmit) -> Result<ExitCode, Box<dyn Error>> {
    let Resubmit { numbers, timeout, at } = options;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("timeout", &timeout.as_secs_f64().to_string());
    for number in numbers {
        query.append_pair("number", &number.to_string());
    }
    let place = Place::Control(at.control);
    let path = format!("/resubmit?{}", query.finish());
    let mut reply = place.ask(Method::POST, &path).await?;
    while let Some(line) = reply.line().await {
        match line? {
            trouble if trouble.starts_with(NOT_SENT) => return Err(trouble.into()),
            line => say(line),
        }
    }
    Ok(ExitCode::SUCCESS)
}
