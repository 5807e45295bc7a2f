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
        /// It may answer something else first, so that nobody knows what its next reply is to.
        in_doubt: bool,
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

    /// What is to be kept, in the order in which it has happened, before the next action is carried out.
    pub fn take_records(&mut self) -> impl Iterator<Item = Record> {
        self.records.iter_mut().flat_map(|records| records.drain(..))
    }

    /// All that the next queue would have to know, in the order of the requests.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let returning = self.returning.iter().flat_map(|returning| returning.requests());
        let returning = returning.map(|(request, worker)| (request, worker, false));
        let waiting = self.clients.requests().map(|request| (request, None, false));
        let running = self.workers.requests();
        let running = running.map(|(request, worker, in_doubt)| (request, Some(worker), in_doubt));
        let mut requests: Vec<_> = waiting.chain(running).chain(returning).collect();
        requests.retain(|(request, ..)| self.is_wanted(request));
        requests.sort_by_key(|(request, ..)| request.number);
        let records = requests.into_iter().flat_map(|(request, worker, in_doubt)| {
            let handed_out = worker.and_then(|name| handed_out(request.number, name, in_doubt));
            std::iter::once(Record::Asked(self.asked(request))).chain(handed_out)
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
            stack: request.stack.to_vec(),
            message,
        }
    }

    /// What a client that leaves has running is of no use to the next queue.
    #[cold]
    pub(super) fn note_running_ended(&mut self, client: PeerId) {
        let running = self.workers.requests().map(|(request, ..)| request);
        let returning = self.returning.iter().flat_map(|returning| returning.requests());
        let all = running.chain(returning.map(|(request, _)| request));
        let ended = all.filter(|request| request.client == client);
        let ended = ended.map(|request| Record::Ended { number: request.number });
        self.records.get_or_insert_default().extend(ended);
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
        let record =
            handed_out(number, &self.workers.name(worker), self.workers.is_in_doubt(worker));
        self.records.get_or_insert_default().extend(record);
    }

    #[inline]
    pub(super) fn note_ended(&mut self, number: u64) {
        if let Some(records) = &mut self.records {
            records.push(Record::Ended { number });
        }
    }
}

/// There is nothing to know of a worker without a name.
fn handed_out(number: u64, worker: &Bytes, in_doubt: bool) -> Option<Record> {
    let worker = Some(worker.clone()).filter(|name| !is_made_up(name))?;
    Some(Record::HandedOut { number, worker, in_doubt })
}
