//! [`Letters`]: the file as the queue writes it.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use broker::DeadLetter;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::output::{note, warn};

use super::{Attempt, Found, Frame, Letter, Line, read, timestamp, trouble};

/// Only the owner sees what clients have sent.
const MODE: u32 = 0o600;

/// Bytes that wait for the file to be written again, but for one letter. Of more, the oldest are lost.
const UNWRITTEN: usize = 64 << 20;

/// A file that this queue writes. All of them are the same.
#[derive(Clone, Debug)]
pub(crate) struct Letters(Arc<Mutex<Writer>>);

/// A letter has its number in the file, where it may not be yet.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) trouble: Option<io::Error>,
}

impl Letters {
    /// Goes on with a file, or makes one.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or holds something else.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let writer = Writer::open(path)?;
        let Found { letters, mut bad_lines } = read(path)?;
        if writer.opened.torn {
            // That was cut off.
            bad_lines.pop();
        }
        if !bad_lines.is_empty() {
            let what = trouble(path, format!("lines that are none: {bad_lines:?}"));
            if letters.is_empty() {
                return Err(trouble(path, "it holds something else; give a file of its own"));
            }
            warn(what);
        }
        Ok(Self(Arc::new(Mutex::new(writer))))
    }

    /// Another queue may write there from now on.
    pub(crate) fn unlock(&self) {
        // A file that is gone is not locked.
        let _ = self.writer().opened.file.unlock();
    }

    /// No other queue may, for it does not go on.
    pub(crate) fn lock_again(&self) {
        let _ = self.writer().opened.file.try_lock();
    }

    pub(crate) fn add(&self, letter: &DeadLetter) -> Kept {
        self.writer().add(letter)
    }

    /// A letter is sent again under this name. If it is given up again, it is the same letter, and who listens hears why.
    pub(crate) fn send_as(&self, name: &str, letter: Letter) -> oneshot::Receiver<String> {
        let (tell, told) = oneshot::channel();
        self.writer().sent.insert(Bytes::copy_from_slice(name.as_bytes()), (letter, tell));
        told
    }

    /// A letter that was sent under this name has been answered, or nobody waits for that.
    pub(crate) fn forget(&self, name: &str) {
        self.writer().sent.remove(name.as_bytes());
    }

    /// Notes that a letter has been sent again.
    pub(crate) fn note_resubmitted(&self, number: u64) -> io::Result<()> {
        let at = timestamp(SystemTime::now());
        self.writer().write(&Line::Resubmitted { resubmitted: number, at })
    }

    /// Writes what could not be written before. Says how many lines that were.
    pub(crate) fn flush(&self) -> io::Result<usize> {
        self.writer().flush()
    }

    pub(crate) fn read(&self) -> io::Result<Found> {
        self.flush()?;
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
    opened: Opened,
    /// Lines for which there was no room.
    unwritten: VecDeque<Vec<u8>>,
    /// Letters that are sent again, by the names of their clients.
    sent: HashMap<Bytes, (Letter, oneshot::Sender<String>)>,
}

/// A file as it was found.
#[derive(Debug)]
struct Opened {
    file: File,
    /// The number of the last letter.
    last: u64,
    /// The last line was not written whole.
    torn: bool,
}

impl Opened {
    /// Opens a file, or makes one, and keeps others from writing there.
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
        Ok(Self { file, last, torn })
    }

    /// Whether the file is no longer at its path.
    fn is_gone_from(&self, path: &Path) -> bool {
        let place = |found: Metadata| (found.dev(), found.ino());
        match (self.file.metadata(), std::fs::metadata(path)) {
            (Ok(ours), Ok(there)) => place(ours) != place(there),
            (Ok(_), Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), _) => false,
        }
    }
}

impl Writer {
    /// Goes on with a file, or makes one.
    fn open(path: &Path) -> io::Result<Self> {
        let (unwritten, sent) = Default::default();
        Ok(Self { path: path.to_owned(), opened: Opened::open(path)?, unwritten, sent })
    }

    fn add(&mut self, letter: &DeadLetter) -> Kept {
        let (now, instant) = (SystemTime::now(), Instant::now());
        let at = |past: Instant| timestamp(now - instant.saturating_duration_since(past));
        let frames = |frames: &[Bytes]| frames.iter().map(|frame| Frame::new(frame)).collect();
        let attempt = |loss: &broker::Loss| Attempt {
            worker: Frame::new(&loss.worker),
            what: loss.cause.to_string(),
            at: at(loss.at),
        };
        let attempts = letter.losses.iter().map(attempt);
        let (at, reason) = (timestamp(now), letter.reason.to_string());
        let letter = if let Some((mut before, tell)) = self.sent.remove(&letter.client) {
            // Who listens may be gone.
            let _ = tell.send(reason.clone());
            before.attempts.extend(attempts);
            Letter { at, reason, resubmitted: None, ..before }
        } else {
            self.opened.last += 1;
            Letter {
                number: self.opened.last,
                at,
                client: Frame::new(&letter.client),
                reason,
                attempts: attempts.collect(),
                envelope: frames(&letter.stack),
                request: letter.body.parts().map(Frame::new).collect(),
                resubmitted: None,
            }
        };
        let number = letter.number;
        Kept { number, trouble: self.write(&Line::Letter(letter)).err() }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.unwritten.push_back(text);
        self.flush().map(drop).inspect_err(|_| {
            let size = |lines: &VecDeque<Vec<u8>>| lines.iter().map(Vec::len).sum::<usize>();
            while self.unwritten.len() > 1 && size(&self.unwritten) > UNWRITTEN {
                self.unwritten.pop_front();
            }
        })
    }

    fn flush(&mut self) -> io::Result<usize> {
        let mut count = 0;
        if !self.unwritten.is_empty() {
            self.follow_path()?;
        }
        while let Some(text) = self.unwritten.front() {
            let text = if self.opened.torn { [b"\n", &text[..]].concat() } else { text.clone() };
            self.append(&text).map_err(|error| trouble(&self.path, error))?;
            self.unwritten.pop_front();
            count += 1;
        }
        Ok(count)
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let Opened { file, torn, .. } = &mut self.opened;
        let before = file.metadata()?.len();
        file.write_all(text).inspect_err(|_| {
            // What there was room for is no line.
            *torn |= file.set_len(before).is_err();
        })?;
        *torn = false;
        Ok(())
    }

    /// Whoever has moved the file away, or removed it, finds what follows in a new one.
    fn follow_path(&mut self) -> io::Result<()> {
        if self.opened.is_gone_from(&self.path) {
            let opened = Opened::open(&self.path)?;
            let last = opened.last.max(self.opened.last);
            self.opened = Opened { last, ..opened };
            let path = self.path.display();
            note(format_args!("{path} was moved away, and dead letters go on in a new one"));
        }
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
        let line = line?;
        let number = serde_json::from_slice::<Number>(&line)
            .map_or_else(|_| begun(&line), |line| line.letter);
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}

/// The number of a letter of which the rest was cut off.
fn begun(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(br#"{"letter":"#)?;
    let digits: Vec<_> = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_told_of_and_spoils_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("letters");
        let letter =
            r#"{"letter":7,"at":"","client":"C","reason":"","attempts":[],"request":["x"]}"#;
        let cut_off = &letter.replace('7', "8")[..20];
        std::fs::write(&path, format!("{letter}\n{cut_off}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(MODE)).unwrap();
        let mut writer = Writer::open(&path).unwrap();
        assert_eq!(writer.opened.last, 8);
        writer.write(&Line::Resubmitted { resubmitted: 7, at: String::new() }).unwrap();
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
}
