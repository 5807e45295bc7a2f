//! [`Record`]: what has to be kept of what happens for the next queue to go on.

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::Queue;
use super::request::{Request, is_made_up};

/// What the next queue has to know if this one is killed. Requests are known by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever keeps records has to know them all")]
pub enum Record {
    /// A request waits.
    Asked(Asked),
    /// A worker with a name of its own is given a request, and has no other.
    HandedOut {
        /// Which.
        number: u64,
        /// What the worker is called.
        worker: Bytes,
    },
    /// A request has ended, in whatever way.
    Ended {
        /// Which.
        number: u64,
    },
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever keeps records has to know all of it")]
pub struct Asked {
    /// In the order of arrival, given once.
    pub number: u64,
    /// Which connection of the queue it came from; 0 if that was an earlier queue's.
    pub connection: u64,
    /// Its client can have only one outstanding: this takes the place of the one before.
    pub lock_step: bool,
    /// The frames that the client sent in front of the delimiter.
    pub stack: Vec<Bytes>,
    /// `[] C [] body...`, where `C` is what the client is called. Only `[] C` of a client without a name of its
    /// own, which nobody would know again.
    pub message: Message,
}

impl Asked {
    pub(super) fn client(&self) -> Bytes {
        Bytes::copy_from_slice(self.message.part(1).unwrap_or_default())
    }
}

impl Queue {
    /// From now on there are [records](Self::take_records) of all that the next queue would have to know.
    pub fn keep_records(&mut self) {
        self.records.get_or_insert_default();
    }

    /// What is to be kept, in the order in which it has happened. That a request was asked or handed out is to be kept
    /// before the next action is carried out, and that it has ended afterwards.
    pub fn take_records(&mut self) -> impl Iterator<Item = Record> {
        self.records.iter_mut().flat_map(|records| records.drain(..))
    }

    /// All that the next queue would have to know, in the order of the requests.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let waiting = self.clients.requests().map(|request| (request, None));
        let running = self.workers.requests().map(|(name, request)| (request, Some(name)));
        let mut requests: Vec<_> =
            waiting.chain(running).filter(|(request, _)| self.is_wanted(request)).collect();
        requests.extend(self.returning.iter().flat_map(|returning| returning.requests()));
        requests.sort_by_key(|(request, _)| request.number);
        let records = requests.into_iter().flat_map(|(request, worker)| {
            let asked = Record::Asked(self.asked(request));
            let handed_out = worker
                .filter(|name| !is_made_up(name))
                .map(|worker| Record::HandedOut { number: request.number, worker: worker.clone() });
            std::iter::once(asked).chain(handed_out)
        });
        records.collect()
    }

    fn asked(&self, request: &Request) -> Asked {
        let message = if request.has_named_client() {
            request.message.clone()
        } else {
            Message::copy_from(&[b"", request.client_name()])
        };
        Asked {
            number: request.number,
            connection: self.clients.connection(request.client),
            lock_step: request.lock_step,
            stack: request.stack.clone(),
            message,
        }
    }

    #[cold]
    pub(super) fn note_asked(&mut self, client: PeerId) {
        let number = self.number;
        let request = self.clients.last(client).filter(|request| request.number == number);
        let record = request.map(|request| Record::Asked(self.asked(request)));
        self.records.get_or_insert_default().extend(record);
    }

    #[cold]
    pub(super) fn note_handed_out(&mut self, number: u64, worker: PeerId) {
        let worker = self.workers.name(worker);
        if !is_made_up(&worker) {
            self.records.get_or_insert_default().push(Record::HandedOut { number, worker });
        }
    }

    #[inline]
    pub(super) fn note_ended(&mut self, number: u64) {
        if let Some(records) = &mut self.records {
            records.push(Record::Ended { number });
        }
    }
}
