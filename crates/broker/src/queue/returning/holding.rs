//! Replies for clients of an earlier queue that are not back yet.

use zmtp::Message;

use super::super::Queue;
use super::super::estate::Held;
use super::super::request::Request;
use super::{Absent, Returning};

impl Returning {
    /// All of them.
    fn held(&self) -> impl Iterator<Item = Held> {
        self.clients.iter().flat_map(|(client, absent)| {
            let held = move |number, reply: &Message| Held {
                client: client.clone(),
                lock_step: absent.lock_step,
                number,
                reply: reply.clone(),
            };
            let replies = absent.held.iter();
            let replies = replies.map(move |(request, reply)| held(Some(request.number), reply));
            let held = move |reply| held(None, reply);
            replies.chain(absent.errors.iter().map(held))
        })
    }
}

impl Queue {
    /// Keeps the reply to a request for a client that is not there.
    #[cold]
    pub(in crate::queue) fn hold_reply(&mut self, request: Request, reply: Message) {
        match self.take_home(&request) {
            Some(client) => client.held.push((request, reply)),
            None => self.abandon(&request),
        }
    }

    /// Keeps an error reply for a client that is not there.
    pub(in crate::queue) fn hold_error(&mut self, name: &[u8], reply: Option<Message>) {
        let absent = self.returning.as_mut().and_then(|returning| returning.clients.get_mut(name));
        if let Some(client) = absent {
            client.errors.extend(reply);
        }
    }

    /// What is left of all that to another queue.
    pub(in crate::queue) fn held(&self) -> Vec<Held> {
        self.returning.iter().flat_map(|returning| returning.held()).collect()
    }

    /// Keeps what another queue has kept. Its request is in the journal.
    pub(in crate::queue) fn hold(&mut self, held: Held) {
        let Held { client, lock_step, number, reply } = held;
        let (now, policy) = (self.now, &self.policy);
        let returning = self.returning.get_or_insert_with(|| Box::new(Returning::new(now, policy)));
        let Returning { clients, running, .. } = &mut **returning;
        let absent = clients.entry(client);
        let absent = absent.or_insert_with(|| Absent { lock_step, ..Absent::default() });
        let Some(number) = number else { return absent.errors.push(reply) };
        let request = if let Some(at) = absent.waiting.iter().position(|it| it.number == number) {
            let request = absent.waiting.remove(at);
            self.clients.note_gone(&request);
            Some(request)
        } else {
            // Whoever had it is at something else by now.
            let at = absent.running.iter().position(|(it, _)| *it == number);
            at.and_then(|at| running.remove(&absent.running.remove(at).1))
        };
        absent.held.extend(request.map(|request| (request, reply)));
    }
}
