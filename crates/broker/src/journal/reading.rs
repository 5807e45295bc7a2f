//! What is left of a journal that is there already.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::encoding::{decode, decode_head};
use super::{HEAD, JournalError, MAGIC, Trouble, VERSION};
use crate::queue::Replay;

/// What is at some place of a file.
enum Found {
    Record(Vec<u8>),
    /// The file ends here, or in the middle of a record.
    End,
    Damage,
}

/// Returns what is left of the records, and how many bytes at the end of the file were cut off.
pub(super) fn read(path: &Path, file: File) -> Result<(Replay, u64), JournalError> {
    let broken = |error: io::Error| JournalError::io(path, &error);
    let trouble = |trouble| JournalError::new(path, trouble);
    let size = file.metadata().map_err(broken)?.len();
    let mut file = BufReader::new(file);
    check_version(&mut file, size).map_err(broken)?.map_or(Ok(()), |wrong| Err(trouble(wrong)))?;
    let mut offset = (MAGIC.len() + size_of::<u32>()) as u64;
    let mut replay = Replay::default();
    loop {
        let damaged = || trouble(Trouble::Damaged(offset));
        match find(&mut file, size - offset).map_err(broken)? {
            Found::Record(payload) => {
                replay.apply(decode(&payload).ok_or_else(damaged)?);
                offset += (HEAD + payload.len()) as u64;
            }
            Found::End => return Ok((replay, size - offset)),
            Found::Damage => return Err(damaged()),
        }
    }
}

/// Says what is wrong with the beginning of a file.
fn check_version(file: &mut impl Read, size: u64) -> io::Result<Option<Trouble>> {
    let mut magic = [0; MAGIC.len()];
    let mut version = [0; size_of::<u32>()];
    if size < (magic.len() + version.len()) as u64 {
        return Ok(Some(Trouble::Foreign));
    }
    file.read_exact(&mut magic)?;
    file.read_exact(&mut version)?;
    let version = u32::from_le_bytes(version);
    Ok(match version {
        _ if magic != *MAGIC => Some(Trouble::Foreign),
        VERSION => None,
        other => Some(Trouble::Version(other)),
    })
}

/// Looks at the next record of a file that has so many bytes more. One that does not fit was not written whole if nothing
/// follows it, or only zeros: some file systems give a file its new size before its new bytes.
fn find(file: &mut impl Read, rest: u64) -> io::Result<Found> {
    let mut head = [0; HEAD];
    let Some(behind) = rest.checked_sub(HEAD as u64) else { return Ok(Found::End) };
    file.read_exact(&mut head)?;
    let head = decode_head(head);
    let size = head.map_or(0, |(size, _)| u64::from(size));
    if size > behind {
        return Ok(Found::End);
    }
    let Ok(size) = usize::try_from(size) else { return Ok(Found::Damage) };
    let mut payload = vec![0; size];
    file.read_exact(&mut payload)?;
    if head.is_some_and(|(_, checksum)| checksum == crc32fast::hash(&payload)) {
        return Ok(Found::Record(payload));
    }
    Ok(if is_zero(file)? { Found::End } else { Found::Damage })
}

/// Whether there are only zeros to the end.
fn is_zero(file: &mut impl Read) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(true),
            count if buffer.iter().take(count).any(|&byte| byte != 0) => return Ok(false),
            _ => {}
        }
    }
}
