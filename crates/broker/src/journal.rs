//! [`Journal`]: the records of a queue in a file, for the next one to go on.
//!
//! ```text
//! DIR/journal      what is read at the start, and appended to
//! DIR/journal.new  what is left of it, put in its place when it has grown long
//! DIR/lock         held by the one process that writes there
//!
//! journal:  "lruqueue" version record...
//! record:   size  size inverted  CRC-32 of the payload  payload      numbers of 4 bytes, the lowest first
//! ```
//!
//! A record that was cut off at the end was never acted on and is left out. Whatever else does not fit is an error.

mod encoding;
mod error;
mod reading;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::queue::{Record, Replay};
use encoding::encode;
pub use error::{JournalError, Trouble};
use reading::read;

const MAGIC: &[u8] = b"lruqueue";
const VERSION: u32 = 1;

/// Bytes of a message that a journal can hold.
const MESSAGE_MAX: usize = 1 << 30;

/// In front of a payload.
const HEAD: usize = 12;

/// Only the owner sees what clients have sent.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// A journal is begun anew when it is as long as this, and some times as long as it was when it was begun.
const LONG: u64 = 64 << 20;
const TIMES_LONGER: u64 = 4;

/// A buffer that is not worth being given back.
const BUFFER_KEPT: usize = 1 << 20;

/// When what is written to a journal is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever chooses names them all")]
pub enum Durability {
    /// As soon as the system has it: it survives the process, but not the machine.
    Os,
    /// Once the disk has it: it survives the machine, and costs a wait for the disk for each batch of requests.
    Fsync,
}

/// The records of a queue in a file. Another process cannot write there at the same time.
///
/// What a [`Broker`](crate::Broker) has in its [journal](crate::Broker::with_journal) goes on after it was killed, for
/// clients and workers that have names of their own. Who drives a [`Queue`](crate::Queue) otherwise adds its
/// [records](crate::Queue::take_records) and writes them before its actions are carried out.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    durability: Durability,
    /// Bytes in the file, and how many it may have before it is begun anew.
    size: u64,
    long_at: u64,
    /// Encoded records that are not written yet.
    pending: Vec<u8>,
    /// What is to be in its place, and its bytes.
    next: Option<(File, u64)>,
    /// Why it could not be written: it may end in half a record, behind which nothing can follow.
    failure: Option<JournalError>,
    _lock: File,
}

impl Journal {
    /// Opens a journal in a directory, which is made if it does not exist. Returns what is left of what was in it, and how
    /// many bytes at its end were cut off.
    ///
    /// # Errors
    ///
    /// A [`JournalError`] if another process has it, if the file is not a journal or damaged, and for those of the system.
    /// Nothing is changed then.
    pub fn open(
        directory: &Path,
        durability: Durability,
    ) -> Result<(Self, Replay, u64), JournalError> {
        make(directory).map_err(|error| match std::fs::metadata(directory) {
            Ok(found) if !found.is_dir() => JournalError::new(directory, Trouble::Foreign),
            _ => JournalError::io(directory, &error),
        })?;
        let lock = lock(&directory.join("lock"))?;
        let path = directory.join("journal");
        let (replay, cut_off) = match File::open(&path) {
            Ok(file) => read(&path, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_new(&path, &[])?;
                put_in_place(&path)?;
                sync_directory_of(&path)?;
                (Replay::default(), 0)
            }
            Err(error) => return Err(JournalError::io(&path, &error)),
        };
        let file = OpenOptions::new().append(true).open(&path).and_then(|file| {
            // What comes next is not to follow half a record.
            let size = file.metadata()?.len().saturating_sub(cut_off);
            file.set_len(size).map(|()| (file, size))
        });
        let (file, size) = file.map_err(|error| JournalError::io(&path, &error))?;
        let journal = Self {
            path,
            file,
            durability,
            size,
            long_at: LONG,
            pending: Vec::new(),
            next: None,
            failure: None,
            _lock: lock,
        };
        Ok((journal, replay, cut_off))
    }

    /// Whether messages of so many bytes can be kept. Others may not be [added](Self::add).
    ///
    /// # Errors
    ///
    /// If they cannot.
    pub fn check_message_size(&self, size: usize) -> Result<(), JournalError> {
        let fits = size <= MESSAGE_MAX;
        if fits { Ok(()) } else { Err(JournalError::new(&self.path, Trouble::MessageSize(size))) }
    }

    /// Whether no request was ever in it. Others have their numbers.
    pub(crate) fn check_unused(&self, replay: &Replay) -> Result<(), JournalError> {
        let is_unused = replay.last() == 0;
        if is_unused { Ok(()) } else { Err(JournalError::new(&self.path, Trouble::OfAnother)) }
    }

    /// Whether to write is to wait for the disk, so that what is written together is cheaper by far.
    pub(crate) fn waits_for_disk(&self) -> bool {
        self.durability == Durability::Fsync
    }

    /// Takes a record, to be written.
    pub fn add(&mut self, record: &Record) {
        encode(record, &mut self.pending);
    }

    /// Writes what was added, before anything follows from it. This waits for the system, or for the disk.
    ///
    /// # Errors
    ///
    /// If it cannot be written. If there is [no room](JournalError::is_full) for it nothing of it is, and that may be tried
    /// again; otherwise a part of it may be, and nothing more is.
    pub fn write(&mut self) -> Result<(), JournalError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            let error = JournalError::io(&self.path, &error);
            let undone = error.is_full() && self.file.set_len(self.size).is_ok();
            return Err(if undone { error } else { self.failure.insert(error).clone() });
        }
        if self.waits_for_disk()
            && let Err(error) = self.file.sync_data()
        {
            // What the disk has of it is not known.
            return Err(self.failure.insert(JournalError::io(&self.path, &error)).clone());
        }
        self.size += self.pending.len() as u64;
        self.pending.clear();
        self.pending.shrink_to(BUFFER_KEPT);
        Ok(())
    }

    /// Whether the journal is to be begun anew.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.size > self.long_at
    }

    /// Puts these records in the place of all that there were.
    ///
    /// # Errors
    ///
    /// If they cannot be written. Then the journal is as it was, or, if only its directory cannot be, as it is to be until
    /// the machine ends.
    pub fn begin_anew(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.prepare(records)?;
        self.switch()
    }

    /// Writes what is to be in its place, safe on the disk.
    pub(crate) fn prepare(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.next = Some(write_new(&self.path, records)?);
        Ok(())
    }

    /// It is not long before it has grown by as much again as makes one long.
    pub(crate) fn put_off(&mut self) {
        self.long_at = self.size + LONG;
    }

    /// Puts what is [prepared](Self::prepare) in its place.
    pub(crate) fn switch(&mut self) -> Result<(), JournalError> {
        let Some((file, size)) = self.next.take() else { return Ok(()) };
        put_in_place(&self.path)?;
        // That has it all.
        self.pending.clear();
        (self.file, self.size, self.long_at) = (file, size, LONG + TIMES_LONGER * size);
        self.failure = None;
        sync_directory_of(&self.path)
    }
}

/// Makes a journal of these records beside the one that there is. Returns it, to be appended to, and its size.
fn write_new(path: &Path, records: &[Record]) -> Result<(File, u64), JournalError> {
    let new = path.with_extension("new");
    write(&new, records).map_err(|error| {
        // Half of one is in nobody's way but the disk's.
        let _ = std::fs::remove_file(&new);
        JournalError::io(&new, &error)
    })
}

/// Puts that one in the place of the one that there is.
fn put_in_place(path: &Path) -> Result<(), JournalError> {
    let renamed = std::fs::rename(path.with_extension("new"), path);
    renamed.map_err(|error| JournalError::io(path, &error))
}

/// Makes a directory, safe on the disk, and those above it.
fn make(directory: &Path) -> io::Result<()> {
    let missing: Vec<_> = directory.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    missing.iter().try_for_each(|path| sync_parent(path))
}

fn lock(path: &Path) -> Result<File, JournalError> {
    let opened =
        OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    let file = opened.map_err(|error| JournalError::io(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::new(path, Trouble::InUse)),
        Err(TryLockError::Error(error)) => Err(JournalError::io(path, &error)),
    }
}

fn write(path: &Path, records: &[Record]) -> io::Result<(File, u64)> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(path)?;
    let mut buffer = [MAGIC, &VERSION.to_le_bytes()].concat();
    let mut size = 0;
    for record in records {
        encode(record, &mut buffer);
        if buffer.len() >= BUFFER_KEPT {
            file.write_all(&buffer)?;
            size += buffer.len() as u64;
            buffer.clear();
        }
    }
    file.write_all(&buffer)?;
    size += buffer.len() as u64;
    file.sync_all()?;
    Ok((file, size))
}

fn sync_directory_of(path: &Path) -> Result<(), JournalError> {
    sync_parent(path).map_err(|error| JournalError::io(path, &error))
}

/// The name is safe as well.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
