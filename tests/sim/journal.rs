//! [`Journal`]: what is kept of the records of a queue, as the program keeps them in a file.

use std::collections::HashSet;

use broker::{Record, Replay};

use super::world::Bug;

/// The records of a queue.
#[derive(Debug, Default)]
pub struct Journal {
    records: Vec<Record>,
    /// Records so far.
    count: u64,
}

impl Journal {
    pub fn keep(&mut self, records: impl IntoIterator<Item = Record>, bug: Option<Bug>) {
        for record in records {
            self.count += 1;
            if let Some(Bug::LosesRecords(count)) = bug
                && self.count.is_multiple_of(count)
            {
                continue;
            }
            self.records.push(record);
        }
    }

    pub fn replay(&self) -> Replay {
        let mut replay = Replay::default();
        self.records.iter().cloned().for_each(|record| replay.apply(record));
        replay
    }

    /// What a queue knows is kept, and nothing else.
    pub fn check(&self, snapshot: &[Record]) {
        let replay = self.replay();
        let kept: HashSet<_> = replay.requests().map(|asked| asked.number).collect();
        let known = snapshot.iter().filter_map(|record| match record {
            Record::Asked(asked) => Some(asked.number),
            _ => None,
        });
        assert_eq!(kept, known.collect());
    }

    pub fn begin_anew(&mut self, records: Vec<Record>) {
        self.records = records;
    }

    /// The first frames of the requests that have not ended.
    pub fn bodies(&self) -> HashSet<String> {
        let body = |message: &zmtp::Message| {
            let body = message.part(3).expect("a body");
            String::from_utf8_lossy(body).into_owned()
        };
        self.replay().requests().map(|asked| body(&asked.message)).collect()
    }
}
