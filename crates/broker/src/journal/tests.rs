use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use zmtp::Message;

use super::encoding::{decode, decode_head};
use super::*;
use crate::queue::Asked;

fn asked(number: u64, client: &str, body: &[u8]) -> Record {
    let message = Message::copy_from(&[b"", client.as_bytes(), b"", body]);
    let stack = vec![Bytes::from_static(b"id")];
    Record::Asked(Asked { number, connection: 1, lock_step: true, stack, message })
}

fn handed_out(number: u64, worker: &str) -> Record {
    Record::HandedOut { number, worker: Bytes::from(worker.to_owned()), in_doubt: false }
}

/// A directory with a journal of some records, and its bytes.
fn journal_of(records: &[Record]) -> (TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(directory.path(), Durability::Fsync).unwrap();
    for record in records {
        journal.add(record);
    }
    journal.write().unwrap();
    drop(journal);
    let bytes = std::fs::read(directory.path().join("journal")).unwrap();
    (directory, bytes)
}

/// What a journal of these bytes holds: the numbers of its requests, and how many bytes are cut off.
fn open(directory: &TempDir, bytes: &[u8]) -> Result<(Vec<u64>, u64), Trouble> {
    std::fs::write(directory.path().join("journal"), bytes).unwrap();
    let opened = Journal::open(directory.path(), Durability::Os);
    let (_, replay, cut_off) = opened.map_err(|error| error.trouble)?;
    Ok((replay.requests().map(|asked| asked.number).collect(), cut_off))
}

#[test]
fn what_is_written_is_read_again() {
    let records = [asked(7, "C", b"body"), handed_out(7, "W"), Record::Ended { number: 300 }];
    for record in &records {
        let mut bytes = Vec::new();
        encode(record, &mut bytes);
        let (head, payload) = bytes.split_first_chunk().unwrap();
        assert_eq!(decode_head(*head).unwrap().0 as usize, payload.len());
        assert_eq!(decode(payload).as_ref(), Some(record));
        for end in 0..payload.len() {
            assert_eq!(decode(&payload[..end]), None, "{record:?} to {end}");
        }
    }
}

#[test]
fn a_record_that_was_cut_off_anywhere_is_left_out_and_told_of() {
    let (directory, whole) = journal_of(&[asked(1, "C", b"one"), asked(2, "D", b"two")]);
    let (_, one) = journal_of(&[asked(1, "C", b"one")]);
    assert_eq!(open(&directory, &whole), Ok((vec![1, 2], 0)));
    for end in one.len()..whole.len() {
        let cut_off = (end - one.len()) as u64;
        assert_eq!(open(&directory, &whole[..end]), Ok((vec![1], cut_off)));
        let blank = [&whole[..end], &[0; 5000][..]].concat();
        let cut_off = cut_off + 5000;
        assert_eq!(open(&directory, &blank), Ok((vec![1], cut_off)), "a size without its bytes");
    }
}

#[test]
fn a_byte_that_changed_anywhere_but_at_the_end_is_an_error_with_its_place() {
    let (directory, whole) = journal_of(&[asked(1, "C", b"one"), asked(2, "D", b"two")]);
    let (_, one) = journal_of(&[asked(1, "C", b"one")]);
    let begins = MAGIC.len() + 4;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let expected = match at {
            0..8 => Err(Trouble::Foreign),
            8..12 => Err(Trouble::Version(VERSION ^ 1 << (8 * (at - 8)))),
            _ if at < one.len() => Err(Trouble::Damaged(begins as u64)),
            _ if at < one.len() + 8 => Err(Trouble::Damaged(one.len() as u64)),
            // The last one may not have been written whole.
            _ => Ok((vec![1], (whole.len() - one.len()) as u64)),
        };
        assert_eq!(open(&directory, &bytes), expected, "byte {at}");
    }
}

#[test]
fn what_is_added_behind_a_record_that_was_cut_off_is_read_again() {
    let (directory, whole) = journal_of(&[asked(1, "C", b"one"), asked(2, "D", b"two")]);
    assert_eq!(open(&directory, &whole[..whole.len() - 1]).unwrap().0, [1]);
    let (mut journal, ..) = Journal::open(directory.path(), Durability::Os).unwrap();
    journal.add(&asked(3, "E", b"three"));
    journal.write().unwrap();
    drop(journal);
    let bytes = std::fs::read(directory.path().join("journal")).unwrap();
    assert_eq!(open(&directory, &bytes), Ok((vec![1, 3], 0)));
}

#[test]
fn a_journal_that_could_not_be_written_is_not_written_further() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(directory.path(), Durability::Os).unwrap();
    // A file that cannot be written stands for a disk that fails.
    journal.file = File::open(directory.path().join("journal")).unwrap();
    journal.add(&asked(1, "C", b"one"));
    let error = journal.write().unwrap_err();
    journal.file = OpenOptions::new().append(true).open(directory.path().join("journal")).unwrap();
    assert_eq!(journal.write(), Err(error));
    journal.begin_anew(&[asked(2, "D", b"two")]).unwrap();
    assert!(journal.pending.is_empty(), "that has it all");
    assert_eq!(journal.write(), Ok(()));
}

#[test]
fn a_journal_that_has_grown_long_is_begun_anew_with_what_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, ..) = Journal::open(directory.path(), Durability::Os).unwrap();
    let body = vec![0; 1 << 20];
    let mut written = 0;
    while !journal.is_long() {
        journal.add(&asked(written, "C", &body));
        journal.write().unwrap();
        written += 1;
    }
    assert_eq!(written, LONG >> 20);
    // It goes on as it is where it cannot be.
    let new = directory.path().join("journal.new");
    std::fs::create_dir(&new).unwrap();
    assert!(journal.prepare(&[]).is_err() && journal.is_long());
    journal.put_off();
    assert!(!journal.is_long());
    journal.add(&asked(written, "C", &body));
    journal.write().unwrap();
    std::fs::remove_dir(&new).unwrap();
    let left = [asked(written, "C", b"left"), handed_out(written, "W")];
    journal.begin_anew(&left).unwrap();
    journal.add(&asked(written + 1, "D", b"more"));
    journal.write().unwrap();
    assert!(!journal.is_long());
    drop(journal);
    let bytes = std::fs::read(directory.path().join("journal")).unwrap();
    assert_eq!(open(&directory, &bytes), Ok((vec![written, written + 1], 0)));
    assert!(bytes.len() < 500);
}

#[test]
fn one_queue_at_a_time_writes_and_nobody_else_reads() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("a/b");
    let (journal, ..) = Journal::open(&inside, Durability::Os).unwrap();
    let error = Journal::open(&inside, Durability::Os).unwrap_err();
    assert_eq!((error.path, error.trouble), (inside.join("lock"), Trouble::InUse));
    for (name, mode) in [("", 0o700), ("journal", 0o600), ("lock", 0o600)] {
        let path = if name.is_empty() { inside.clone() } else { inside.join(name) };
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    drop(journal);
    Journal::open(&inside, Durability::Os).unwrap();
}

#[test]
fn messages_that_a_journal_cannot_hold_are_not_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, ..) = Journal::open(directory.path(), Durability::Os).unwrap();
    assert_eq!(journal.check_message_size(MESSAGE_MAX), Ok(()));
    let error = journal.check_message_size(MESSAGE_MAX + 1).unwrap_err();
    assert_eq!(error.trouble, Trouble::MessageSize(MESSAGE_MAX + 1));
}

proptest! {
    #[test]
    fn whatever_a_file_holds_it_is_read_or_refused(
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        begins_well in any::<bool>(),
    ) {
        let (directory, whole) = journal_of(&[asked(1, "C", b"one")]);
        let bytes = if begins_well { [&whole, &garbage[..]].concat() } else { garbage };
        let _ = open(&directory, &bytes);
    }

    #[test]
    fn whatever_a_payload_is_it_is_a_record_or_none(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(record) = decode(&payload) {
            let mut bytes = Vec::new();
            encode(&record, &mut bytes);
            prop_assert_eq!(decode(&bytes[HEAD..]), Some(record));
        }
    }
}
