//! [`Worker`]: says READY and answers, as libzmq's REQ does, and at times as it should not.

use std::time::{Duration, Instant};

use zmtp::Message;
use zmtp::proto::SocketType;

use super::choices::Choices;
use super::ledger::Ledger;
use super::link::{Link, Seen};

/// What it is at.
#[derive(Debug)]
enum State {
    /// Its process has just begun.
    New,
    /// It has sent something, and waits.
    Waiting,
    /// It has a request: its address and its body.
    Busy { client: Vec<u8>, body: String, until: Instant },
}

/// A worker.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own")]
pub struct Worker {
    pub name: String,
    pub link: Option<Link>,
    /// Its end of the link is there no more.
    gone: bool,
    ready: bool,
    /// It has said something on this connection.
    spoke: bool,
    /// The queue has to guess what it is at.
    doubted: bool,
    state: State,
    /// It does nothing until things go well again.
    hangs: bool,
}

impl Worker {
    pub fn new(name: String) -> Self {
        Self {
            name,
            link: None,
            gone: false,
            ready: false,
            spoke: false,
            doubted: false,
            state: State::New,
            hangs: false,
        }
    }

    /// Connects, or again.
    pub fn connect(&mut self, now: Instant) {
        self.link = Some(Link::new(SocketType::Req, &self.name, now));
        (self.gone, self.ready, self.spoke, self.doubted) = (false, false, false, false);
    }

    /// Its process ends, and another one begins.
    pub fn restart(&mut self, choices: &mut Choices) {
        self.disconnect(choices);
        self.state = State::New;
        self.hangs = false;
    }

    /// Its connection is lost.
    pub fn disconnect(&mut self, choices: &mut Choices) {
        self.link.iter_mut().for_each(|link| link.end(choices));
        (self.gone, self.ready) = (true, false);
    }

    pub fn hang(&mut self) {
        self.hangs = true;
    }

    /// The queue has to guess what it is at.
    pub fn be_doubted(&mut self) {
        self.doubted = true;
    }

    /// Says what it should not.
    pub fn misbehave(&mut self, choices: &mut Choices) {
        let Some(link) = self.link.as_mut().filter(|_| self.ready) else { return };
        match choices.below(4) {
            0 => link.peer_sends(&[b"", b"READY"]),
            1 => link.peer_sends(&[b"", b"nobody", b"", b"re:nothing"]),
            2 => link.peer_sends(&[b"", b"junk"]),
            _ => link.peer_sends(&[b"no", b"delimiter"]),
        }
        (self.spoke, self.doubted) = (true, true);
        self.state = State::Waiting;
    }

    /// Looks at what has arrived, and goes on with its work. Says whether it dies of that.
    pub fn work(&mut self, now: Instant, ledger: &mut Ledger, choices: &mut Choices) -> bool {
        if self.hangs || self.gone {
            return false;
        }
        // Mostly it has seen what was sent before it sends something itself, and drops that.
        if !choices.one_in(4) {
            self.link.iter_mut().for_each(Link::catch_up);
        }
        while let Some(seen) = self.link.as_mut().and_then(Link::peer_sees) {
            match seen {
                Seen::Ready => self.ready = true,
                Seen::Message(message) => {
                    if self.take(&message, now, ledger, choices) {
                        return true;
                    }
                }
                Seen::End => panic!("the queue broke the protocol"),
            }
        }
        let Some(link) = self.link.as_mut().filter(|_| self.ready) else { return false };
        match &self.state {
            State::New => link.peer_sends(&[b"", b"READY"]),
            State::Busy { client, body, until } if now >= *until => {
                let reply = format!("re:{body}");
                link.peer_sends(&[b"", client, b"", reply.as_bytes()]);
            }
            _ => return false,
        }
        self.spoke = true;
        self.state = State::Waiting;
        false
    }

    /// A request has arrived. Says whether it is one of those that kill.
    fn take(
        &mut self,
        message: &Message,
        now: Instant,
        ledger: &Ledger,
        choices: &mut Choices,
    ) -> bool {
        let parts: Vec<_> = message.parts().collect();
        let [b"", client, b"", body, ..] = &parts[..] else {
            panic!("{} was sent {message:?}", self.name);
        };
        if !matches!(self.state, State::Waiting) {
            // A REQ drops what has arrived when it sends. That happens only to one that the queue had to guess about, or
            // that spoke out of turn.
            assert!(!self.spoke || self.doubted, "{} has a request already", self.name);
            return false;
        }
        let body = String::from_utf8_lossy(body).into_owned();
        let time = [0, 10, 500, 5_000][choices.below(4)];
        if ledger.kills(&body) {
            return true;
        }
        let until = now + Duration::from_millis(time);
        self.state = State::Busy { client: client.to_vec(), body, until };
        false
    }
}
