//! [`Seat`]: a worker's side of its connection with a queue.

use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use zmtp::{Endpoint, Message, Monitor, MonitorEvent, Req, ReqError};

use super::worker::Job;
use crate::cli::Limit;
use crate::client;
use crate::output::note;

/// How long one that is to stop waits for a request that may be on its way: to the queue, whoever leaves when it has
/// one may have been killed by it.
const ON_ITS_WAY: Duration = Duration::from_millis(200);

/// A worker's side of its connection with a queue.
pub(super) struct Seat {
    req: Req,
    name: String,
    /// What is to be said next.
    next: Option<Message>,
    /// What was said last is a reply.
    replied: bool,
    /// Whoever occupies it was asked to stop.
    stops: bool,
    telling: JoinHandle<()>,
}

impl Seat {
    /// Connects, and says what comes of it under this name or else as `role`.
    pub(super) fn take(
        identity: String,
        role: &str,
        endpoint: &Endpoint,
        limit: Limit,
    ) -> Result<Self, String> {
        let name = if identity.is_empty() { role.to_owned() } else { identity.clone() };
        let req = client::req(identity, endpoint, limit.max_message_size)?;
        let telling = tokio::spawn(tell_of_connection(name.clone(), req.monitor()));
        Ok(Self { req, name, next: None, replied: false, stops: false, telling })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next request; none if there is none on its way when `stop` is done.
    pub(super) async fn next_job(
        &mut self,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Job>, String> {
        let mut stop = pin!(stop);
        while !self.stops {
            let next = self.next.take();
            self.replied = next.is_some();
            let received = tokio::select! {
                // What is to be said is said, be it asked to stop by then or not.
                biased;
                received = self.req.request(next.unwrap_or_else(ready)) => received,
                () = &mut stop => {
                    self.stops = true;
                    match timeout(ON_ITS_WAY, self.req.recv()).await {
                        Ok(Ok(last)) => Ok(last),
                        _ => return Ok(None),
                    }
                }
            };
            match received {
                Ok(job) => {
                    if let Some(job) = Job::parse(job) {
                        return Ok(Some(job));
                    }
                }
                Err(ReqError::PeerLost(reason)) => {
                    let name = &self.name;
                    note(format_args!("{name} lost the queue ({reason}) and connects again"));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }

    /// This is the reply to the request that was last.
    pub(super) fn answer(&mut self, reply: Message) {
        self.next = Some(reply);
    }

    /// The request that was last is for another worker, though nothing is wrong with it.
    pub(super) fn decline(&mut self) {
        self.next = Some(ready());
    }

    /// Says what is still to be said, all in one with the end of the connection, so that nothing is sent here any more. A request
    /// without an answer goes to another worker.
    pub(super) async fn leave(mut self) -> Result<(), String> {
        if let Some(last) = self.next.take() {
            self.req.send(last).await.map_err(|error| error.to_string())?;
            self.replied = true;
        }
        // For READY nobody waits.
        if self.replied {
            self.req.close().await;
        }
        self.telling.abort();
        Ok(())
    }
}

/// Says when there is a connection, and once for each time there is none why.
async fn tell_of_connection(name: String, mut monitor: Monitor) {
    let mut told = false;
    while let Some(event) = monitor.recv().await {
        let trouble = match event {
            MonitorEvent::HandshakeSucceeded(address) => {
                note(format_args!("{name} is ready for requests from {address}"));
                told = false;
                continue;
            }
            MonitorEvent::ConnectFailed(address, error) => {
                format!("cannot connect to {address}: {error}")
            }
            MonitorEvent::HandshakeFailed(address, reason) => {
                format!("cannot use {address}: {reason}")
            }
            _ => continue,
        };
        if !std::mem::replace(&mut told, true) {
            note(format_args!("{name} {trouble}; trying again"));
        }
    }
}

/// What a worker says when it connects.
pub(super) fn ready() -> Message {
    Message::from("READY")
}
