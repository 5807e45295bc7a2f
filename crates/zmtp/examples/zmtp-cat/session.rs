//! [`Session`]: what the four sockets have in common here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use zmtp::{Message, Peer, PeerEvent, PeerId, SendError};

use crate::frames;
use crate::options::{Options, Span};
use crate::standard::{Input, Output};
use crate::{Failure, counted, note};

pub(crate) struct Session {
    pub(crate) input: Input,
    /// Read or to be sent back, and not sent yet.
    pub(crate) pending: Option<Message>,
    /// Each message goes back where it came from.
    pub(crate) echo: bool,
    /// A req sends the next request without waiting for a reply.
    pub(crate) relaxed: bool,
    output: Output,
    peers: HashMap<PeerId, Arc<Peer>>,
    tells_events: bool,
    count: Option<u64>,
    received: u64,
    patience: Option<Duration>,
    /// When the silence began.
    silent_since: Instant,
    /// Messages that no peer will get.
    unsent: u64,
}

impl Session {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            input: if options.echo { Input::none() } else { Input::start() },
            pending: None,
            echo: options.echo,
            relaxed: options.config.relaxed(),
            output: Output::start(),
            peers: HashMap::new(),
            tells_events: options.events,
            count: options.count,
            received: 0,
            patience: options.timeout.map(Span::duration),
            silent_since: Instant::now(),
            unsent: 0,
        }
    }

    /// Whether another message is to be received.
    pub(crate) fn wants_more(&self) -> bool {
        match self.count {
            Some(0) => !self.input.ended(),
            Some(count) => self.received < count,
            None => true,
        }
    }

    /// Prints and counts a message that was received.
    pub(crate) async fn receive(&mut self, message: &Message) -> Result<(), Failure> {
        self.received += 1;
        self.output.print(message).await?;
        self.begin_silence();
        Ok(())
    }

    pub(crate) fn begin_silence(&mut self) {
        self.silent_since = Instant::now();
    }

    /// When the silence has lasted long enough.
    pub(crate) fn deadline(&self) -> Instant {
        // For ever is a lifetime.
        let lifetime = Duration::from_secs(30 * 365 * 24 * 3600);
        self.silent_since + self.patience.map_or(lifetime, |patience| patience.min(lifetime))
    }

    /// What a future comes to, unless the silence lasts too long.
    pub(crate) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.deadline(), future).await.ok()
    }

    /// Ends because nothing was received for so long, which is a failure if something was to come.
    pub(crate) fn end_of_silence(&self, is_due: bool) -> Result<(), Failure> {
        let patience = Span::from(self.patience.unwrap_or_default());
        match self.count {
            Some(count) if self.received < count => {
                let count = counted(count, "message");
                Err(format!("nothing for {patience}, after {} of {count}", self.received).into())
            }
            _ if is_due => Err(format!("nothing for {patience}, and a reply is due").into()),
            _ => Ok(()),
        }
    }

    /// What became of the message that was pending.
    pub(crate) fn sent(&mut self, sent: Result<(), SendError>) {
        self.pending = None;
        if let Err(error) = sent {
            note(format_args!("zmtp-cat: a message was not sent: {error}"));
            self.unsent += 1;
        }
    }

    /// Notes that a peer joined or left.
    pub(crate) fn follow(&mut self, event: PeerEvent) {
        let line = match event {
            PeerEvent::Joined(peer) => {
                let Peer { address, info, routing_id, .. } = &*peer;
                let line =
                    format!("joined {address} {} {}", info.socket_type, frames::show(routing_id));
                self.peers.insert(peer.id, peer);
                line
            }
            PeerEvent::Left(peer, reason) => {
                self.peers.remove(&peer.id);
                format!("left {} {}: {reason}", peer.address, frames::show(&peer.routing_id))
            }
            _ => return,
        };
        if self.tells_events {
            note(line);
        }
    }

    /// A message of a peer as it is shown: behind the peer's routing id.
    pub(crate) fn addressed(&self, id: PeerId, message: &Message) -> Message {
        match self.peers.get(&id) {
            Some(peer) => message.prefixed(&[&peer.routing_id]),
            None => message.clone(),
        }
    }

    /// Tells what was not sent, `dropped` by the socket or kept here. Says whether there was any.
    pub(crate) fn undelivered(&self, dropped: u64) -> bool {
        if self.pending.is_some() {
            note("zmtp-cat: a message was not sent: it waited for a peer with room for it");
        }
        if dropped > 0 {
            note(format_args!("zmtp-cat: dropped: {}", counted(dropped, "message")));
        }
        self.pending.is_some() || dropped > 0 || self.unsent > 0
    }

    /// Waits until all that was received is printed.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        self.output.finish().await
    }
}
