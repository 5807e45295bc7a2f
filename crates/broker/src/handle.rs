//! [`Handle`]: reaches a broker that runs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use crate::handover::Handover;
use crate::journal::JournalError;
use crate::queue::{Policy, Side, Status};
use crate::service::Broker;
use crate::tap::Tap;

/// Orders that wait for the broker's turn.
const ORDERS: usize = 16;

/// What is to be done with a broker.
pub(crate) type Order = Box<dyn FnOnce(&mut Broker) + Send>;

/// Reaches a broker while it runs. All of them reach the same.
///
/// # Errors
///
/// Each method fails if the broker has ended.
///
/// # Cancel safety
///
/// If the future of a method is dropped before it is done, the broker may or may not have done it.
#[derive(Clone)]
pub struct Handle(Arc<Mailbox>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// Orders on their way. The broker looks at one flag for each batch, where a channel would cost it as much as a message.
struct Mailbox {
    /// There is an order.
    is_waiting: AtomicBool,
    inside: Mutex<Inside>,
    /// Places for orders; none once the broker has ended.
    places: Semaphore,
}

#[derive(Default)]
struct Inside {
    orders: VecDeque<Order>,
    broker: Option<Waker>,
}

impl Mailbox {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        // What is inside is changed in single steps.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The broker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say of it")]
pub struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the broker has ended")
    }
}

impl std::error::Error for Ended {}

impl Handle {
    /// From now on the queue does as this says, with requests that wait as well. A worker keeps the lease with which it was
    /// given its request; what is about the [time after a start](Policy::adoption) is not looked at any more.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn set_policy(&self, policy: Policy) -> Result<(), Ended> {
        self.order(move |broker| broker.queue.set_policy(policy)).await
    }

    /// What the queue is at.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn status(&self) -> Result<Status, Ended> {
        self.order(|broker| Status {
            journal_full: broker.stuck.is_some(),
            ..broker.queue.status()
        })
        .await
    }

    /// Hands out no more requests until it is [resumed](Self::resume). Those that workers have may be answered, and others
    /// wait as they do while all workers are busy.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn pause(&self) -> Result<(), Ended> {
        self.order(|broker| broker.queue.pause()).await
    }

    /// Goes on after a [pause](Self::pause).
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn resume(&self) -> Result<(), Ended> {
        self.order(|broker| broker.queue.resume()).await
    }

    /// Gives the workers of this name nothing more, once they have answered what they have, until they are
    /// [released](Self::release) or connect again. Returns how many there are.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn quarantine(&self, worker: Bytes) -> Result<usize, Ended> {
        self.order(move |broker| broker.queue.quarantine_worker(&worker)).await
    }

    /// Gives the workers of this name requests again, whether somebody [kept](Self::quarantine) them from that or their own
    /// faults. Returns how many there are.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn release(&self, worker: Bytes) -> Result<usize, Ended> {
        self.order(move |broker| broker.queue.release_worker(&worker)).await
    }

    /// Shows the messages of the peers of this name from now on, clients and workers, be they there or yet to come. A peer's
    /// name is its routing id.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn tap(&self, peer: Bytes) -> Result<Tap, Ended> {
        self.order(move |broker| broker.taps.open(peer)).await
    }

    /// Whether a client or a worker of this name is connected.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    pub async fn knows(&self, peer: Bytes) -> Result<bool, Ended> {
        self.order(move |broker| {
            let all = [Side::Frontend, Side::Backend].map(|side| broker.socket(side).peers());
            all.iter().flatten().any(|it| it.routing_id == peer)
        })
        .await
    }

    /// Has the broker begin its journal anew, if it has one. The next broker does so as well before it goes on, and has room for that
    /// then.
    ///
    /// # Errors
    ///
    /// If the broker has ended. Within that, if the journal cannot be written: it is as it was.
    pub async fn begin_journal_anew(&self) -> Result<Result<(), JournalError>, Ended> {
        self.order(Broker::begin_journal_anew).await
    }

    /// Has the broker end without closing anything, and brings what it leaves to the [next](crate::Builder::go_on).
    ///
    /// # Errors
    ///
    /// If the broker has ended, or drains.
    pub async fn hand_over(&self) -> Result<Handover, Ended> {
        let (heir, inherits) = oneshot::channel();
        // One that drains drops it, and goes on until that is over.
        self.order(|broker| broker.heir = Some(heir).filter(|_| !broker.queue.is_draining()))
            .await?;
        inherits.await.map_err(|_| Ended)
    }

    /// Has the broker do this between two batches, and brings what comes of it.
    async fn order<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Broker) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let (tell, told) = oneshot::channel();
        let place = self.0.places.acquire().await.map_err(|_| Ended)?;
        {
            let mut inside = self.0.inside();
            if self.0.places.is_closed() {
                return Err(Ended);
            }
            // It is given back when the order is followed.
            place.forget();
            inside.orders.push_back(Box::new(|broker| {
                // Who wanted to know may be gone.
                let _ = tell.send(work(broker));
            }));
            self.0.is_waiting.store(true, Ordering::Release);
            if let Some(broker) = &inside.broker {
                broker.wake_by_ref();
            }
        }
        told.await.map_err(|_| Ended)
    }
}

/// The broker's end of its handles.
pub(crate) struct Orders {
    mailbox: Arc<Mailbox>,
    /// Who is woken for the next order.
    waker: Option<Waker>,
}

impl Default for Orders {
    fn default() -> Self {
        let mailbox = Mailbox {
            is_waiting: AtomicBool::new(false),
            inside: Mutex::default(),
            places: Semaphore::new(ORDERS),
        };
        Self { mailbox: Arc::new(mailbox), waker: None }
    }
}

impl Orders {
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.mailbox.clone())
    }

    /// Whether there is an order. If there is none, `cx` is woken for the next.
    #[inline]
    pub(crate) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            self.register(cx.waker());
        }
        self.mailbox.is_waiting.load(Ordering::Acquire)
    }

    #[cold]
    fn register(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
        self.mailbox.inside().broker = Some(waker.clone());
    }

    /// The next order, if there is one.
    pub(crate) fn next(&mut self) -> Option<Order> {
        let mut inside = self.mailbox.inside();
        let order = inside.orders.pop_front();
        match &order {
            Some(_) => self.mailbox.places.add_permits(1),
            None => self.mailbox.is_waiting.store(false, Ordering::Relaxed),
        }
        order
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        let mut inside = self.mailbox.inside();
        self.mailbox.places.close();
        inside.orders.clear();
    }
}
