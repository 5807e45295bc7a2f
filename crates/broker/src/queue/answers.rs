//! What workers send: READY, replies, and what is neither.

use zmtp::{Message, PeerId};

use super::Queue;
use super::action::{Action, Side, Violation};
use super::doubt::Verdict;
use super::envelope::{Stack, split_envelope};
use super::policy::OnWorkerLoss;
use super::request::{Cause, Request};
use super::workers::{Owed, Was};

impl Queue {
    /// A worker has sent a message.
    pub fn worker_message(&mut self, worker: PeerId, message: Message) {
        let was = self.workers.interrupt(worker);
        let Some((stack, message)) = split_envelope(message) else {
            // A worker that speaks in the wrong form has none of the right one to give.
            if let Was::Busy(request) | Was::Doubtful(request) = was {
                self.workers.doubt(worker, &request);
                self.lose(worker, request, Cause::WrongReply);
            }
            self.strike(worker, Violation::NoDelimiter);
            return self.dispatch();
        };
        let is_ready = self.is_ready(&message);
        match was {
            Was::Busy(request) if !is_ready => self.answer(worker, request, stack, message),
            was if is_ready => self.ready(worker, was, stack),
            Was::Doubtful(request) => self.answer_doubtful(worker, request, stack, message),
            Was::Late(owed) => self.answer_late(worker, owed, stack, message),
            Was::Busy(_) | Was::Silent | Was::Idle => self.answer_unasked(worker, stack, message),
        }
        self.dispatch();
    }

    #[inline]
    fn is_ready(&self, message: &Message) -> bool {
        message.len() == 2
            && self.policy.ready.iter().any(|ready| message.part(1) == Some(&**ready))
    }

    #[cold]
    fn ready(&mut self, worker: PeerId, was: Was, stack: Stack) {
        if self.workers.is_quarantined(worker, self.policy.max_strikes) {
            return self.report(Side::Backend, worker, Violation::Quarantined);
        }
        // One that was taken for ready before it said so has done nothing wrong.
        let was_adopted = self.workers.speaks_up(worker);
        self.requeue_assigned(worker);
        match was {
            Was::Silent | Was::Late(_) => self.workers.set_idle(worker, stack),
            Was::Idle if was_adopted => {}
            Was::Busy(request) | Was::Doubtful(request) if was_adopted => {
                self.workers.doubt(worker, &request);
                self.requeue(request);
                self.workers.set_idle(worker, stack);
            }
            Was::Idle => self.report(Side::Backend, worker, Violation::DuplicateReady),
            Was::Busy(request) | Was::Doubtful(request) => {
                self.workers.doubt(worker, &request);
                self.lose(worker, request, Cause::Ready);
                if !self.strike(worker, Violation::ReadyWhileBusy) {
                    self.workers.set_idle(worker, stack);
                }
            }
        }
    }

    /// The reply has left before its worker is idle again.
    #[inline]
    fn answer(&mut self, worker: PeerId, request: Request, stack: Stack, reply: Message) {
        if let Some(request) = self.finish(request, reply) {
            self.workers.doubt(worker, &request);
            self.lose(worker, request, Cause::WrongReply);
            if self.strike(worker, Violation::WrongReply) {
                return;
            }
        }
        self.workers.set_idle(worker, stack);
    }

    /// The first reply counts, be it that of a worker from which the request was taken.
    #[cold]
    fn answer_late(&mut self, worker: PeerId, owed: Option<Owed>, stack: Stack, reply: Message) {
        self.workers.settle(worker, reply.part(1).unwrap_or_default());
        let request = owed.and_then(|Owed { client, number, since }| {
            let waits = self.clients.take(client, number);
            let request = waits.or_else(|| self.workers.recall(number, &reply))?;
            // It is this worker that has served it, and not who was given it since.
            Some(Request { since: since.unwrap_or(request.since), ..request })
        });
        if let Some(request) = request {
            if let Some(request) = self.finish(request, reply) {
                self.requeue(request);
                if self.strike(worker, Violation::WrongReply) {
                    return;
                }
            }
        } else {
            self.counters.stale_replies += 1;
        }
        self.workers.set_idle(worker, stack);
    }

    /// A reply that may be to what the worker was given before costs a retry and nobody a wrong answer.
    #[cold]
    fn answer_doubtful(&mut self, worker: PeerId, request: Request, stack: Stack, reply: Message) {
        let name = reply.part(1).unwrap_or_default();
        match self.workers.judge(worker, name, &request) {
            Verdict::This | Verdict::Nothing => self.answer(worker, request, stack, reply),
            // Who can do without a reply to each message comes to the request that it has next.
            Verdict::Earlier if !self.workers.is_lock_step(worker) => {
                self.counters.stale_replies += 1;
                self.workers.go_on(worker, request);
            }
            verdict @ (Verdict::Ambiguous | Verdict::Earlier) => {
                self.counters.stale_replies += 1;
                if verdict == Verdict::Earlier {
                    self.workers.doubt(worker, &request);
                }
                if self.policy.on_worker_loss == OnWorkerLoss::Requeue {
                    self.requeue(request);
                } else {
                    self.lose(worker, request, Cause::WrongReply);
                }
                self.workers.set_idle(worker, stack);
            }
        }
    }

    /// A REQ that speaks up with a reply has been asked on a connection that was lost, and waits for something now.
    #[cold]
    fn answer_unasked(&mut self, worker: PeerId, stack: Stack, message: Message) {
        if self.workers.is_quarantined(worker, self.policy.max_strikes) {
            self.report(Side::Backend, worker, Violation::Quarantined);
        } else if is_reply(&message)
            && let Some(request) = self.take_assigned(&self.workers.name(worker))
        {
            // It has worked for the queue that was there before.
            if let Some(request) = self.finish(request, message) {
                self.counters.stale_replies += 1;
                self.requeue(request);
            }
            self.workers.note_back(worker);
            self.workers.set_idle(worker, stack);
        } else if is_reply(&message) && self.workers.is_new_and_waits(worker) {
            self.counters.stale_replies += 1;
            self.workers.note_back(worker);
            self.workers.set_idle(worker, stack);
        } else {
            self.strike(worker, Violation::UnaskedReply);
        }
    }

    /// Passes on the reply to a request, `[] C [] reply...`. Returns the request if it is something else.
    #[inline]
    fn finish(&mut self, request: Request, mut reply: Message) -> Option<Request> {
        let answers = reply.strip_parts_of(&request.message, 2);
        if !answers || reply.len() < 2 || reply.part(0) != Some(b"") {
            return Some(request);
        }
        if !request.stack.is_empty() {
            reply.prepend(&request.stack);
        }
        if self.clients.want(&request) {
            self.counters.replies += 1;
            self.counters.reply_bytes += reply.wire_size() as u64;
            if let Some(times) = &mut self.times {
                times.served.record(self.micros - request.since);
            }
            self.note_ended(request.number);
            self.actions.push_back(Action::Reply(request.client, reply));
        } else {
            self.hold_reply(request, reply);
        }
        None
    }

    /// A worker has sent what it should not have. Says whether it gets nothing more.
    #[cold]
    fn strike(&mut self, worker: PeerId, violation: Violation) -> bool {
        self.report(Side::Backend, worker, violation);
        let quarantined = self.workers.strike(worker, self.policy.max_strikes);
        if quarantined {
            let violation = Violation::Quarantined;
            self.actions.push_back(Action::Report(Side::Backend, worker, violation, None));
        }
        quarantined
    }
}

/// Whether a message is `[] C [] reply...`.
fn is_reply(message: &Message) -> bool {
    message.len() > 3 && [0, 2].iter().all(|&i| message.part(i) == Some(b""))
}
