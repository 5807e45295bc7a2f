//! [`Handle`]: reaches a broker that runs.

use std::fmt;
use std::task::{Context, Poll};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

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
pub struct Handle(Sender<Order>);

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
        self.0.send(Order::SetPolicy(Box::new(policy))).await.map_err(|_| Ended)
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
        self.0.send(Order::TellStatus(tell)).await.map_err(|_| Ended)?;
        told.await.map_err(|_| Ended)
    }
}

/// The broker's end of its handles.
#[derive(Debug)]
pub(crate) struct Orders {
    sender: Sender<Order>,
    receiver: Receiver<Order>,
}

impl Default for Orders {
    fn default() -> Self {
        let (sender, receiver) = channel(ORDERS);
        Self { sender, receiver }
    }
}

impl Orders {
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.sender.clone())
    }

    /// The next order, if there is one.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Option<Order> {
        match self.receiver.poll_recv(cx) {
            Poll::Ready(order) => order,
            Poll::Pending => None,
        }
    }
}
