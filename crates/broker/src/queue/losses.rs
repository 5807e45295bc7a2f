//! What becomes of requests whose worker brings no reply.

use std::time::Duration;

use bytes::Bytes;
use zmtp::{Message, PeerId};

use super::action::{Action, Side, Violation};
use super::policy::OnWorkerLoss;
use super::request::{Cause, DeadLetter, GaveUp, Loss, Request};
use super::steering::Mode;
use super::workers::{At, Due};
use super::{Queue, SILENCE};

/// Before the second time that a request is put in line again; twice as long each time after that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// How long a worker that may be at work is silent before it is taken for ready, where there is no lease.
const LONG_SILENCE: Duration = Duration::from_secs(60);

/// How long a request waits after so many attempts. The first may have been bad luck.
fn pause(attempts: usize) -> Option<Duration> {
    let doublings = u32::try_from(attempts.checked_sub(2)?).unwrap_or(u32::MAX);
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings));
    Some(pause.min(LONGEST_PAUSE))
}

impl Queue {
    /// How long a REQ worker that joins is to be silent before it is taken for ready, if it may be.
    pub(super) fn silence(&self, routing_id: &Bytes, known_as: &Bytes) -> Option<Duration> {
        let is_early = self.adopts_until.is_none_or(|until| self.now < until);
        let was_at = self.workers.was_at(known_as).filter(|_| !self.policy.adoption.is_zero());
        match was_at {
            Some(At::Work) if !is_early => Some(self.policy.lease.unwrap_or(LONG_SILENCE)),
            Some(_) => Some(SILENCE),
            None => (is_early || self.is_assigned(routing_id)).then_some(SILENCE),
        }
    }

    /// A worker had this request, and brings no reply.
    #[cold]
    pub(super) fn lose(&mut self, worker: PeerId, request: Request, cause: Cause) {
        let name = self.workers.name(worker);
        self.lose_with(name, request, cause);
    }

    #[cold]
    pub(super) fn lose_with(&mut self, worker: Bytes, mut request: Request, cause: Cause) {
        if !self.is_wanted(&request) {
            return self.abandon(&request);
        }
        *self.faults.losses.entry(cause).or_default() += 1;
        let (attempts, kills) = request.note_loss(Loss { worker, cause, at: self.now });
        let reaches = |count, most: u32| count >= most.max(1) as usize;
        match self.policy.on_worker_loss {
            OnWorkerLoss::Drop => {
                self.counters.dropped += 1;
                self.note_ended(request.number);
                self.release(request.client);
            }
            OnWorkerLoss::Fail => self.give_up(request, GaveUp::Fails),
            OnWorkerLoss::Requeue if reaches(kills, self.policy.max_worker_kills) => {
                self.give_up(request, GaveUp::Kills);
            }
            OnWorkerLoss::Requeue if reaches(attempts, self.policy.max_attempts) => {
                self.give_up(request, GaveUp::Attempts);
            }
            OnWorkerLoss::Requeue => {
                self.counters.retries += 1;
                self.put_back(request, pause(attempts));
            }
        }
    }

    /// A request waits again, behind its client if that is not there.
    fn put_back(&mut self, mut request: Request, pause: Option<Duration>) {
        request.since = self.micros;
        match pause {
            _ if request.client == PeerId::NOBODY => self.await_client(request),
            None => self.clients.push_urgent(request),
            Some(pause) => self.clients.push_later(request, self.now + pause),
        }
    }

    /// Whether a worker was still to be sent what it was given, which it is not any more: several that leave at once do not pass a
    /// request from one to the other.
    pub(super) fn take_back(&mut self, worker: PeerId) -> bool {
        let is_it = |action: &Action| matches!(action, Action::Dispatch(to, _) if *to == worker);
        let place = self.actions.iter().position(is_it);
        place.and_then(|place| self.actions.remove(place)).is_some()
    }

    /// A request that no worker has seen, as far as is known, is put in line again. That is no attempt.
    #[cold]
    pub(super) fn requeue(&mut self, request: Request) {
        if self.is_wanted(&request) {
            self.counters.retries += 1;
            self.put_back(request, None);
        } else {
            self.abandon(&request);
        }
    }

    fn give_up(&mut self, request: Request, reason: GaveUp) {
        self.counters.given_up += 1;
        self.note_ended(request.number);
        let letter = DeadLetter { reason, ..DeadLetter::from(request) };
        let (client, name, stack) = (letter.peer, letter.client.clone(), letter.stack.clone());
        self.actions.push_back(Action::GiveUp(Box::new(letter)));
        if client == PeerId::NOBODY {
            let reply = self.error_reply(&stack);
            return self.hold_error(&name, reply);
        }
        self.answer_with_error(client, &stack);
    }

    /// Sends a client an error instead of a reply, if that is wanted. Its request no longer counts.
    #[cold]
    pub(super) fn answer_with_error(&mut self, client: PeerId, stack: &[Bytes]) {
        match self.error_reply(stack) {
            None => self.release(client),
            Some(reply) => self.actions.push_back(Action::Reply(client, reply)),
        }
    }

    fn error_reply(&mut self, stack: &[Bytes]) -> Option<Message> {
        let error = self.policy.error_reply.as_ref()?;
        self.counters.errors += 1;
        let mut reply = Message::copy_from(&[&b""[..], error]);
        reply.prepend(stack);
        Some(reply)
    }

    /// Requests whose pause is over are put in line, those whose lease is over are taken from their workers, and workers
    /// that have been silent for long enough are adopted.
    #[cold]
    pub(super) fn expire(&mut self) {
        while let Some(request) = self.clients.take_due(self.now) {
            if self.clients.want(&request) {
                self.clients.push_urgent(request);
            } else {
                self.abandon(&request);
            }
        }
        while let Some(due) = self.workers.take_due(self.now) {
            match due {
                Due::LeaseOver(worker, request) => {
                    let (over, number) = (Violation::LeaseOver, Some(request.number));
                    self.count_violation(over);
                    self.actions.push_back(Action::Report(Side::Backend, worker, over, number));
                    self.lose(worker, request, Cause::LeaseOver);
                }
                Due::NotReady(worker) => self.report(Side::Backend, worker, Violation::NotReady),
            }
        }
        while let Some(worker) = self.workers.next_silent(self.now) {
            let name = self.workers.name(worker);
            let waits = self.mode == Mode::Paused || self.workers.is_held(worker);
            if waits && self.is_assigned(&name) {
                // It may be at its request, which it is given again when that may be.
                self.workers.expect(worker, self.now + SILENCE);
                continue;
            }
            let was_idle = self.workers.note_back(worker);
            match self.take_assigned(&name) {
                Some(request) if self.mode == Mode::Open => self.hand_out_again(worker, request),
                request => {
                    if let Some(request) = request {
                        self.requeue(request);
                    }
                    self.counters.adopted += 1;
                    self.workers.adopt(worker, was_idle);
                }
            }
        }
        if self.returning.is_some() {
            self.expire_returning();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_is_at_once_and_no_later_one_waits_for_a_second() {
        let pauses: Vec<_> =
            (1..=7).map(|attempts| pause(attempts).unwrap_or_default().as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 800, 800]);
        assert_eq!(pause(usize::MAX), Some(LONGEST_PAUSE));
    }
}
