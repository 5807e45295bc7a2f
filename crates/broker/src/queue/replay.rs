//! [`Replay`]: what is left of many records.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::record::{Asked, Record};

/// What is left of records in their order: the requests that have not ended.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    requests: BTreeMap<u64, Unended>,
    by_worker: BTreeMap<Bytes, u64>,
    /// The last requests of lock-step clients, by name and connection.
    latest: BTreeMap<(Bytes, u64), u64>,
    last: u64,
}

/// A request that has not ended, and who has it.
#[derive(Clone, Debug)]
pub(super) struct Unended {
    pub(super) asked: Asked,
    pub(super) worker: Option<Bytes>,
}

impl Replay {
    /// Takes the next record into account. What is said of requests that are not known is of no account.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Asked(asked) => self.ask(asked),
            Record::HandedOut { number, worker, in_doubt } => {
                self.hand_out(number, worker, in_doubt);
            }
            Record::Ended { number } => self.end(number),
        }
    }

    fn ask(&mut self, asked: Asked) {
        self.last = self.last.max(asked.number);
        if asked.lock_step {
            // It is the same client as that of an earlier queue, or nobody could tell them apart.
            for connection in [asked.connection, 0] {
                if let Some(&earlier) = self.latest.get(&(asked.client(), connection)) {
                    self.end(earlier);
                }
            }
            self.latest.insert((asked.client(), asked.connection), asked.number);
        }
        self.requests.insert(asked.number, Unended { asked, worker: None });
    }

    fn hand_out(&mut self, number: u64, worker: Bytes, in_doubt: bool) {
        if let Some(earlier) = self.by_worker.remove(&worker)
            && let Some(request) = self.requests.get_mut(&earlier)
        {
            request.worker = None;
        }
        let Some(request) = self.requests.get_mut(&number) else { return };
        if let Some(before) = request.worker.take() {
            self.by_worker.remove(&before);
        }
        if !in_doubt {
            request.worker = Some(worker.clone());
            self.by_worker.insert(worker, number);
        }
    }

    fn end(&mut self, number: u64) {
        self.last = self.last.max(number);
        let Some(Unended { asked, worker }) = self.requests.remove(&number) else { return };
        let key = (asked.client(), asked.connection);
        if self.latest.get(&key) == Some(&number) {
            self.latest.remove(&key);
        }
        if let Some(worker) = worker {
            self.by_worker.remove(&worker);
        }
    }

    /// The requests that have not ended, in their order.
    pub fn requests(&self) -> impl Iterator<Item = &Asked> {
        self.requests.values().map(|request| &request.asked)
    }

    /// The number of the last request that there was.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The requests that have not ended, by their client's name.
    pub(super) fn by_client(self) -> BTreeMap<Bytes, Vec<Unended>> {
        let mut clients: BTreeMap<Bytes, Vec<Unended>> = BTreeMap::new();
        for request in self.requests.into_values() {
            clients.entry(request.asked.client()).or_default().push(request);
        }
        clients
    }
}
