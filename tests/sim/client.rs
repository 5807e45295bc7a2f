//! [`Client`]: asks, waits, and checks what it is answered.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use zmtp::Message;
use zmtp::proto::SocketType;

use super::choices::Choices;
use super::ledger::Ledger;
use super::link::{Link, Seen};

/// After how long a client gives its connection and what it waits for up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What kind of socket it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Req,
    /// A REQ that numbers its requests and may give one up.
    Relaxed,
    /// A DEALER with as many requests outstanding.
    Dealer(usize),
}

/// What it waits for.
#[derive(Debug)]
struct Asked {
    body: String,
    id: u32,
    at: Instant,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    pub name: String,
    /// What its requests begin with.
    label: String,
    pub kind: Kind,
    pub link: Option<Link>,
    ready: bool,
    /// It is told of requests that are given up.
    told: bool,
    asked: Vec<Asked>,
    next: u32,
    /// It is connected again by the same socket, which waits for what it has asked.
    goes_on: bool,
    /// How many sockets it has had.
    sockets: u32,
}

impl Client {
    pub fn new(name: String, kind: Kind, told: bool) -> Self {
        Self {
            label: name.clone(),
            name,
            kind,
            link: None,
            ready: false,
            told,
            asked: Vec::new(),
            next: 0,
            goes_on: false,
            sockets: 0,
        }
    }

    pub fn socket_type(&self) -> SocketType {
        if self.is_lock_step() { SocketType::Req } else { SocketType::Dealer }
    }

    /// It cannot have more than one request outstanding.
    pub fn is_lock_step(&self) -> bool {
        !matches!(self.kind, Kind::Dealer(_))
    }

    /// Connects: with another socket, unless the queue has begun anew with what it has asked. Where a name stands for
    /// what was asked under it, another socket has another.
    pub fn connect(&mut self, now: Instant, renames: bool) {
        if !std::mem::take(&mut self.goes_on) {
            self.asked.clear();
            self.sockets += 1;
            if renames {
                self.name = format!("{}/{}", self.label, self.sockets);
            }
        }
        self.link = Some(Link::new(self.socket_type(), &self.name, now));
        self.ready = false;
    }

    /// The queue has begun anew and knows of requests with these bodies. What else it asked was lost on the way, and its
    /// reply may have been; it sees that after a time.
    pub fn goes_on_with(&mut self, kept: &HashSet<String>) {
        self.asked.retain(|asked| kept.contains(&asked.body));
        self.goes_on = !self.asked.is_empty();
    }

    /// Whether it is left without an answer, though its request was not given up.
    pub fn is_left_waiting(&self, ledger: &Ledger) -> bool {
        self.asked.iter().any(|asked| self.told || !ledger.is_dead(&asked.body))
    }

    /// What it waits for is new again.
    pub fn renew_patience(&mut self, now: Instant) {
        self.asked.iter_mut().for_each(|asked| asked.at = now);
    }

    /// Asks something, if it may.
    pub fn ask(&mut self, now: Instant, ledger: &mut Ledger, choices: &mut Choices) {
        let most = if let Kind::Dealer(most) = self.kind { most } else { 1 };
        // Who is told nothing goes on after a while; here it knows.
        self.asked.retain(|asked| self.told || !ledger.is_dead(&asked.body));
        if self.asked.len() >= most && self.kind == Kind::Relaxed && choices.one_in(8) {
            self.asked.clear();
        }
        let Some(link) = self.link.as_mut().filter(|_| self.ready && self.asked.len() < most)
        else {
            return;
        };
        self.next += 1;
        let body = format!("{}.{}", self.label, self.next);
        let id = self.next.to_be_bytes();
        match self.kind {
            Kind::Relaxed => link.peer_sends(&[&id, b"", body.as_bytes()]),
            _ => link.peer_sends(&[b"", body.as_bytes(), b"second part"]),
        }
        ledger.ask(&body, choices.one_in(40));
        self.asked.push(Asked { body, id: self.next, at: now });
    }

    /// Looks at what has arrived. Says whether it has lost its patience.
    pub fn look(&mut self, now: Instant, ledger: &mut Ledger) -> bool {
        while let Some(seen) = self.link.as_mut().and_then(Link::peer_sees) {
            match seen {
                Seen::Ready => self.ready = true,
                Seen::Message(message) => self.take(&message, ledger),
                Seen::End => panic!("the queue broke the protocol"),
            }
        }
        self.asked.iter().any(|asked| now.duration_since(asked.at) > PATIENCE)
    }

    fn take(&mut self, message: &Message, ledger: &mut Ledger) {
        let parts: Vec<_> = message.parts().collect();
        let (id, reply) = match (self.kind, &parts[..]) {
            (Kind::Relaxed, [id, b"", reply]) => (Some(*id), *reply),
            (_, [b"", reply]) => (None, *reply),
            _ => panic!("{} was sent {message:?}", self.name),
        };
        let reply = std::str::from_utf8(reply).expect("it is text");
        if id.is_some_and(|id| self.asked.iter().all(|asked| asked.id.to_be_bytes() != id)) {
            return; // The reply to a request that was given up was on its way already.
        }
        if reply == "ERROR" {
            // Which of a DEALER's it is cannot be told.
            let at = self.asked.iter().position(|asked| ledger.is_dead(&asked.body));
            self.asked.remove(at.expect("one of them was given up"));
            return;
        }
        let body = reply.strip_prefix("re:").expect("a reply");
        let at = self.asked.iter().position(|asked| asked.body == body);
        let at = at.unwrap_or_else(|| panic!("{} did not ask for {reply:?}", self.label));
        self.asked.remove(at);
        ledger.answer(body);
    }
}
