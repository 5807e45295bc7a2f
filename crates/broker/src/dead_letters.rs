//! The file of requests that were given up: one JSON object a line, which a person can read and `broker dead-letters`
//! does.
//!
//! ```text
//! {"letter":1,"at":"2026-01-31T12:00:00.000Z","client":"C","request":["body"],...}
//! {"resubmitted":1,"at":"2026-01-31T12:05:00.000Z"}
//! ```
//!
//! A frame is its text, or `{"hex":"00ff"}` where it is not printable.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use broker::DeadLetter;
use serde::{Deserialize, Serialize};

use crate::output::hex;

/// Only the owner sees what clients have sent.
const MODE: u32 = 0o600;

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

/// A file that this queue writes. All of them are the same.
#[derive(Clone, Debug)]
pub(crate) struct Letters(Arc<Mutex<Writer>>);

impl Letters {
    /// Goes on with a file, or makes one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Writer::open(path)?))))
    }

    /// Another queue may write there from now on.
    pub(crate) fn unlock(&self) {
        // A file that is gone is not locked.
        let _ = self.writer().file.unlock();
    }

    /// No other queue may, for it does not go on.
    pub(crate) fn lock_again(&self) {
        let _ = self.writer().file.try_lock();
    }

    /// Returns the letter's number in the file.
    pub(crate) fn add(&self, letter: &DeadLetter) -> io::Result<u64> {
        self.writer().add(letter)
    }

    /// Notes that a letter has been sent again.
    pub(crate) fn note_resubmitted(&self, number: u64) -> io::Result<()> {
        self.writer().note_resubmitted(number)
    }

    pub(crate) fn read(&self) -> io::Result<Found> {
        // Nobody waits for that who writes.
        let path = self.writer().path.clone();
        read(&path)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to a file of dead letters.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    file: File,
    last: u64,
    /// The last line was not written whole.
    torn: bool,
}

impl Writer {
    /// Goes on with a file, or makes one, and keeps others from writing there.
    fn open(path: &Path) -> io::Result<Self> {
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path);
        let mut file = opened.map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "; make the directory first",
                _ => "",
            };
            trouble(path, format!("{error}{hint}"))
        })?;
        let wrong = |error| trouble(path, error);
        let mode = file.metadata().map_err(wrong)?.permissions().mode() & 0o777;
        if mode & !MODE != 0 {
            let what = format!("others may read them (mode {mode:o}); `chmod 600` the file");
            return Err(trouble(path, what));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(trouble(path, "another queue that runs writes there"));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let last = last_number(&file).map_err(wrong)?;
        let torn = is_torn(&mut file).map_err(wrong)?;
        Ok(Self { path: path.to_owned(), file, last, torn })
    }

    fn add(&mut self, letter: &DeadLetter) -> io::Result<u64> {
        let (now, instant) = (SystemTime::now(), Instant::now());
        let at = |past: Instant| timestamp(now - instant.saturating_duration_since(past));
        let frames =
            |frames: &[bytes::Bytes]| frames.iter().map(|frame| Frame::new(frame)).collect();
        let attempt = |loss: &broker::Loss| Attempt {
            worker: Frame::new(&loss.worker),
            what: loss.cause.to_string(),
            at: at(loss.at),
        };
        let line = Line::Letter(Letter {
            number: self.last + 1,
            at: timestamp(now),
            client: Frame::new(&letter.client),
            reason: letter.reason.to_string(),
            attempts: letter.losses.iter().map(attempt).collect(),
            envelope: frames(&letter.stack),
            request: letter.body.parts().map(Frame::new).collect(),
            resubmitted: None,
        });
        self.write(&line)?;
        self.last += 1;
        Ok(self.last)
    }

    fn note_resubmitted(&mut self, number: u64) -> io::Result<()> {
        self.write(&Line::Resubmitted { resubmitted: number, at: timestamp(SystemTime::now()) })
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = if self.torn { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        let before = self.file.metadata().map_err(|error| trouble(&self.path, error))?.len();
        self.file.write_all(&text).map_err(|error| {
            // What there was room for is no line.
            self.torn |= self.file.set_len(before).is_err();
            trouble(&self.path, error)
        })?;
        self.torn = false;
        Ok(())
    }
}

/// Whether the last line was cut off, which is not to spoil the next one.
fn is_torn(file: &mut File) -> io::Result<bool> {
    let mut end = *b"\n";
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut end)?;
    }
    Ok(end != *b"\n")
}

/// The highest number in a file.
fn last_number(file: &File) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Number {
        letter: Option<u64>,
    }
    let mut last = 0;
    for line in BufReader::new(file).split(b'\n') {
        let number = serde_json::from_slice::<Number>(&line?).ok().and_then(|line| line.letter);
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
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
    fn a_line_that_was_cut_off_is_told_of_and_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters");
        let letter =
            r#"{"letter":7,"at":"","client":"C","reason":"","attempts":[],"request":["x"]}"#;
        std::fs::write(&path, format!("{letter}\n{}", &letter[..20])).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(MODE)).unwrap();
        let mut writer = Writer::open(&path).unwrap();
        assert_eq!(writer.last, 7);
        writer.note_resubmitted(7).unwrap();
        let found = read(&path).unwrap();
        assert!(found.letters[&7].resubmitted.is_some());
        assert_eq!(found.bad_lines, [2]);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters");
        drop(Writer::open(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Writer::open(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("others may read them (mode 640); `chmod 600` the file"),
            "{error}"
        );
    }

    #[test]
    fn times_are_utc() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(timestamp(time), "1970-01-01T00:00:01.500Z");
    }
}
