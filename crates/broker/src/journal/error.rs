//! [`JournalError`]: what is wrong with a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: Trouble,
}

/// What is wrong with a file of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The system says so.
    Io(io::ErrorKind, String),
    /// Another process writes to it.
    InUse,
    /// It is something else.
    Foreign,
    /// It is of another version than this program writes.
    Version(u32),
    /// Messages may have this many bytes, which is more than it can hold.
    MessageSize(usize),
    /// It is not the one of the broker before, and requests were in it.
    OfAnother,
    /// What is at this offset is not a record, though there is more behind it.
    Damaged(u64),
}

impl JournalError {
    /// Whether there is no room for what was to be written, which may change.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.trouble, Trouble::Io(StorageFull | QuotaExceeded | FileTooLarge, _))
    }

    pub(super) fn new(path: &Path, trouble: Trouble) -> Self {
        Self { path: path.to_owned(), trouble }
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Self::new(path, Trouble::Io(error.kind(), error.to_string()))
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal {}: ", self.path.display())?;
        match &self.trouble {
            Trouble::Io(_, error) => f.write_str(error),
            Trouble::InUse => f.write_str("another queue that runs writes there"),
            Trouble::Foreign => f.write_str(
                "not a journal of a queue; give another directory, or move the file away",
            ),
            Trouble::Version(version) => write!(
                f,
                "of version {version}, and only {} can be read; start the release that wrote it, or move the file \
                 away to go on without what it holds",
                super::VERSION
            ),
            Trouble::MessageSize(size) => write!(
                f,
                "messages of {size} bytes are more than the {} it can hold; allow smaller ones only",
                super::MESSAGE_MAX
            ),
            Trouble::OfAnother => f.write_str(
                "the queue before kept none, and this one is another's; give an empty directory",
            ),
            Trouble::Damaged(offset) => write!(
                f,
                "damaged at byte {offset}; move the file away to go on without what it holds"
            ),
        }
    }
}

impl std::error::Error for JournalError {}
