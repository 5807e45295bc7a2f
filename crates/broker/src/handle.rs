//! [`Handle`]: reaches a broker that runs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::sync::{Semaphore, oneshot};

use crate::queue::{Policy, Status};

/// Orders that wait for the broker's turn.
const ORDERS: usize = 16;

/// What a broker is to do.
#[derive(Debug)]
pub(crate) enum Order {
    SetPolicy(Box<Policy>),
    TellStatus(oneshot::Sender<Status>),
}

/// Reaches a broker while it runs. All of them reach the same.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Mailbox>);

/// Orders on their way. The broker looks at one flag for each batch, where a channel would cost it as much as a message.
#[derive(Debug)]
struct Mailbox {
    /// There is an order.
    is_waiting: AtomicBool,
    inside: Mutex<Inside>,
    /// Places for orders; none once the broker has ended.
    places: Semaphore,
}

#[derive(Debug, Default)]
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
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is done, the policy is as it was.
    pub async fn set_policy(&self, policy: Policy) -> Result<(), Ended> {
        self.send(Order::SetPolicy(Box::new(policy))).await
    }

    /// What the queue is at.
    ///
    /// # Errors
    ///
    /// If the broker has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing has happened.
    pub async fn status(&self) -> Result<Status, Ended> {
        let (tell, told) = oneshot::channel();
        self.send(Order::TellStatus(tell)).await?;
        told.await.map_err(|_| Ended)
    }

    async fn send(&self, order: Order) -> Result<(), Ended> {
        let place = self.0.places.acquire().await.map_err(|_| Ended)?;
        let mut inside = self.0.inside();
        if self.0.places.is_closed() {
            return Err(Ended);
        }
        // It is given back when the order is followed.
        place.forget();
        inside.orders.push_back(order);
        self.0.is_waiting.store(true, Ordering::Release);
        if let Some(broker) = &inside.broker {
            broker.wake_by_ref();
        }
        Ok(())
    }
}

/// The broker's end of its handles.
#[derive(Debug)]
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
