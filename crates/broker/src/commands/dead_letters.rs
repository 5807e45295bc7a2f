//! `broker dead-letters`

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use zmtp::Message;

use crate::cli::{DeadLetters, Resubmit};
use crate::dead_letters::{Frame, Letter, Letters, Writer, read};
use crate::output::{note, say};
use crate::signals::Signals;

/// Characters of a request in the list.
const SHORT: usize = 40;

pub(crate) async fn run(command: DeadLetters) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        DeadLetters::List { file } => list(&load(&file)?),
        DeadLetters::Show { file, number } => show(find(&load(&file)?, number)?),
        DeadLetters::Resubmit(options) => return resubmit(options).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn load(file: &Path) -> Result<Letters, Box<dyn Error>> {
    let found = read(file)?;
    for line in &found.bad_lines {
        note(format_args!("line {line} of {} is not a dead letter", file.display()));
    }
    Ok(found)
}

fn find(found: &Letters, number: u64) -> Result<&Letter, String> {
    let count = found.letters.len();
    let letter = found.letters.get(&number);
    letter.ok_or_else(|| format!("there is no number {number} among {count} dead letters"))
}

fn list(found: &Letters) {
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
            short(&letter.client.to_string(), 16),
            letter.attempts.len(),
            short(&request, SHORT),
            letter.resubmitted.as_deref().unwrap_or("-"),
        ));
    }
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
    say(format_args!("client       {}", letter.client));
    for attempt in &letter.attempts {
        say(format_args!("attempt      {}, {}: {}", attempt.at, attempt.worker, attempt.what));
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

async fn resubmit(options: Resubmit) -> Result<ExitCode, Box<dyn Error>> {
    let Resubmit { file, numbers, connect, timeout: patience } = options;
    let found = load(&file)?;
    let numbers = if numbers.is_empty() {
        let open = found.letters.values().filter(|letter| letter.resubmitted.is_none());
        open.map(|letter| letter.number).collect()
    } else {
        numbers
    };
    // Nothing is sent if not all of them are there.
    let letters = numbers.iter().map(|&number| find(&found, number));
    let letters = letters.collect::<Result<Vec<_>, _>>()?;
    let mut writer = Writer::open(&file)?;
    let mut signals = Signals::catch()?;
    for letter in letters {
        let number = letter.number;
        let frames: Option<Vec<_>> = letter.request.iter().map(Frame::bytes).collect();
        let frames =
            frames.ok_or_else(|| format!("number {number} has a frame that is not hexadecimal"))?;
        let request = Message::copy_from(&frames);
        let reply = super::ask(String::new(), &connect, request, patience, &mut signals).await;
        let reply = reply.map_err(|error| format!("number {number}: {error}"))?;
        writer.note_resubmitted(number)?;
        let parts: Vec<_> = reply.parts().map(super::line).collect();
        say(format_args!("{number}: {}", parts.join(" | ")));
    }
    Ok(ExitCode::SUCCESS)
}
