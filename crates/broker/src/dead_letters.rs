//! The file of requests that were given up: one JSON object a line, which a person can read and `broker dead-letters`
//! does.
//!
//! ```text
//! {"letter":1,"at":"2026-01-31T12:00:00.000Z","client":"C","request":["body"],...}
//! {"resubmitted":1,"at":"2026-01-31T12:05:00.000Z"}
//! ```
//!
//! A letter that was sent again and given up again is there twice, and the last counts.
//!
//! A frame is its text, or `{"hex":"00ff"}` where it is not printable.

mod writing;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub(crate) use writing::{Kept, Letters};

use crate::output::hex;

/// A line of the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Line {
    Letter(Letter),
    Resubmitted { resubmitted: u64, at: String },
}

/// A request that was given up.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Letter {
    /// Its number in the file.
    #[serde(rename = "letter")]
    pub(crate) number: u64,
    /// When it was given up.
    pub(crate) at: String,
    pub(crate) client: Frame,
    pub(crate) reason: String,
    pub(crate) attempts: Vec<Attempt>,
    /// What its client sent in front of the delimiter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) envelope: Vec<Frame>,
    pub(crate) request: Vec<Frame>,
    /// When it was sent again.
    #[serde(skip)]
    pub(crate) resubmitted: Option<String>,
}

/// A worker that had it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Attempt {
    pub(crate) worker: Frame,
    pub(crate) what: String,
    pub(crate) at: String,
}

/// A frame of a message.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Frame {
    Text(String),
    Bytes { hex: String },
}

impl Frame {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(char::is_control) => Self::Text(text.to_owned()),
            _ => Self::Bytes { hex: hex(bytes) },
        }
    }

    /// The bytes themselves, if the hexadecimal digits are some.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Bytes { hex } => {
                let digits: Option<Vec<_>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
                let byte = |pair: &[u32]| match *pair {
                    [high, low] => u8::try_from(high << 4 | low).ok(),
                    _ => None,
                };
                digits?.chunks(2).map(byte).collect()
            }
        }
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bytes { hex } => write!(f, "0x{hex}"),
        }
    }
}

/// A time as the file has it, in UTC.
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// What is wrong with a file.
fn trouble(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the dead letters in {}: {what}", path.display()))
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) letters: BTreeMap<u64, Letter>,
    /// Lines that are none, by number.
    pub(crate) bad_lines: Vec<usize>,
}

impl Found {
    pub(crate) fn find(&self, number: u64) -> Result<&Letter, String> {
        let count = self.letters.len();
        let letter = self.letters.get(&number);
        letter.ok_or_else(|| format!("there is no number {number} among {count} dead letters"))
    }

    /// Those of these numbers, or all that have not been sent again if there are none.
    pub(crate) fn choose(mut self, numbers: &[u64]) -> Result<Vec<Letter>, String> {
        if numbers.is_empty() {
            self.letters.retain(|_, letter| letter.resubmitted.is_none());
            return Ok(self.letters.into_values().collect());
        }
        numbers.iter().try_for_each(|&number| self.find(number).map(drop))?;
        Ok(numbers.iter().filter_map(|number| self.letters.remove(number)).collect())
    }
}

/// Reads a file of dead letters.
pub(crate) fn read(path: &Path) -> io::Result<Found> {
    let file = File::open(path).map_err(|error| trouble(path, error))?;
    let mut found = Found::default();
    for (i, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(|error| trouble(path, error))?;
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Line::Letter(letter)) => drop(found.letters.insert(letter.number, letter)),
            Ok(Line::Resubmitted { resubmitted, at }) => {
                if let Some(letter) = found.letters.get_mut(&resubmitted) {
                    letter.resubmitted = Some(at);
                }
            }
            Err(_) => found.bad_lines.push(i + 1),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_frame_is_text_where_it_can_be_read() {
        for bytes in [&b"plain"[..], b"", "grün".as_bytes(), b"0x00", b"\x00\xFF", b"a\nb"] {
            let frame = Frame::new(bytes);
            assert_eq!(
                matches!(frame, Frame::Text(_)),
                !bytes.contains(&0) && !bytes.contains(&b'\n')
            );
            let json = serde_json::to_string(&frame).unwrap();
            let back: Frame = serde_json::from_str(&json).unwrap();
            assert_eq!(back.bytes().unwrap(), bytes);
        }
        for hex in ["0", "0g", "+1", "é"] {
            assert_eq!(Frame::Bytes { hex: hex.to_owned() }.bytes(), None, "{hex}");
        }
    }

    #[test]
    fn times_are_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(timestamp(time), "1970-01-01T00:00:01.500Z");
    }
}
