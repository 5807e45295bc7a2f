//! [`Policy`]: what the queue does where there is a choice.

use std::time::Duration;

use bytes::Bytes;

/// What a [`Queue`](crate::Queue) does where there is a choice.
///
/// | field | default |
/// |---|---|
/// | [`ready`](Self::ready) | `READY`, and a byte of 1 |
/// | [`on_worker_loss`](Self::on_worker_loss) | [`OnWorkerLoss::Requeue`] |
/// | [`max_worker_kills`](Self::max_worker_kills) | 2 |
/// | [`max_attempts`](Self::max_attempts) | 5 |
/// | [`lease`](Self::lease) | none |
/// | [`max_strikes`](Self::max_strikes) | 3 |
/// | [`adoption`](Self::adoption) | 10 s |
/// | [`adoption_grace`](Self::adoption_grace) | 5 s |
/// | [`client_grace`](Self::client_grace) | 60 s |
/// | [`max_waiting`](Self::max_waiting) | 100,000 requests |
/// | [`max_waiting_bytes`](Self::max_waiting_bytes) | 512 MiB |
/// | [`max_waiting_per_client`](Self::max_waiting_per_client) | 1,000 requests |
/// | [`at_limit`](Self::at_limit) | [`AtLimit::Wait`] |
/// | [`error_reply`](Self::error_reply) | none |
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made with `..Policy::default()`")]
pub struct Policy {
    /// The messages, of one part each, by which a worker says that it is ready.
    pub ready: Vec<Bytes>,
    /// What becomes of a request whose worker is lost or answers with something else.
    pub on_worker_loss: OnWorkerLoss,
    /// So many workers may leave while they have a request before it is given up: it may be what kills
    /// them. At least 1.
    pub max_worker_kills: u32,
    /// So many workers may have a request and bring no reply, for whatever reason, before it is given up. At
    /// least 1.
    pub max_attempts: u32,
    /// How long a worker may take for a request. Then that counts as lost; the worker gets no other before it
    /// has answered, and its late reply is taken if the request still waits or runs.
    pub lease: Option<Duration>,
    /// Messages a worker may send that it should not before it gets nothing more until it connects again. At
    /// least 1.
    pub max_strikes: u32,
    /// How long after its start the queue takes REQ workers that connect and stay silent for a second for ready: they
    /// said so to the queue that was there before, and will not again. What such a worker answers first may be meant
    /// for that one and is trusted only where it cannot be; otherwise its request goes to the next worker. One whose connection
    /// failed while it was not at work is known again at any time, by its name or else by its host. Zero for neither.
    pub adoption: Duration,
    /// How long after its start a [restored](crate::Queue::restore) queue waits for a worker that had a request
    /// before the next worker gets that.
    pub adoption_grace: Duration,
    /// How long after its start a restored queue waits for clients that had asked something before that is forgotten.
    pub client_grace: Duration,
    /// Requests that wait for a worker, of all clients together. At least 1.
    pub max_waiting: usize,
    /// Bytes of them. At least 1.
    pub max_waiting_bytes: usize,
    /// Requests of one client that wait, where those beyond a limit are [rejected](AtLimit::Reject). A REQ client
    /// that asks anew takes no more room than before.
    pub max_waiting_per_client: usize,
    /// What becomes of a request for which there is no room.
    pub at_limit: AtLimit,
    /// What a client gets instead of a reply, as one part, when its request was given up or rejected. Without it
    /// the client gets nothing, for a plain REQ cannot tell an error from a reply.
    pub error_reply: Option<Bytes>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ready: vec![Bytes::from_static(b"READY"), Bytes::from_static(b"\x01")],
            on_worker_loss: OnWorkerLoss::Requeue,
            max_worker_kills: 2,
            max_attempts: 5,
            lease: None,
            max_strikes: 3,
            adoption: Duration::from_secs(10),
            adoption_grace: Duration::from_secs(5),
            client_grace: Duration::from_secs(60),
            max_waiting: 100_000,
            max_waiting_bytes: 512 << 20,
            max_waiting_per_client: 1000,
            at_limit: AtLimit::Wait,
            error_reply: None,
        }
    }
}

/// What becomes of a request whose worker is lost, or answers with something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever chooses names them all")]
pub enum OnWorkerLoss {
    /// The next worker gets it: at once the first time, before those that have not had a worker yet, and after a
    /// pause that grows to 800 ms the next times.
    Requeue,
    /// It is given up, as after the last attempt.
    Fail,
    /// It is forgotten. The client hears nothing.
    Drop,
}

/// What becomes of a request for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever chooses names them all")]
pub enum AtLimit {
    /// It stays in the client's connection until there is.
    Wait,
    /// It is dropped, and its client gets the [error reply](Policy::error_reply) if there is one.
    Reject,
}
