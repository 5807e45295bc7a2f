//! Buffers that a connection needs only while it is polled, one set for each thread.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::Driver;
use crate::message::Message;
use crate::proto::make_loan;

/// Queues longer than this are not kept.
const KEEP_MAX: usize = 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    input: Vec<u8>,
    incoming: VecDeque<Message>,
    outgoing: VecDeque<Message>,
}

impl<S> Driver<S> {
    /// Has `act` read to where there is room for any connection. It leaves nothing there.
    #[inline]
    pub(super) fn with_room<T>(act: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        SCRATCH.with_borrow_mut(|scratch| {
            // A panic may have left what belongs to another connection.
            scratch.input.clear();
            make_loan(&mut scratch.input);
            act(&mut scratch.input)
        })
    }

    /// Lends the connection what it needs for `act`, as far as it holds nothing of its own. What it
    /// has put there and needs later stays with it.
    pub(super) fn with_scratch<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.input.clear();
            self.connection.borrow(&mut scratch.input);
            lend(&mut scratch.incoming, &mut self.incoming);
            lend(&mut scratch.outgoing, &mut self.outgoing);
            let result = act(self);
            self.connection.give_back(&mut scratch.input);
            take_back(&mut scratch.incoming, &mut self.incoming);
            take_back(&mut scratch.outgoing, &mut self.outgoing);
            result
        })
    }
}

fn lend(scratch: &mut VecDeque<Message>, own: &mut VecDeque<Message>) {
    if own.capacity() == 0 {
        std::mem::swap(scratch, own);
    }
}

fn take_back(scratch: &mut VecDeque<Message>, own: &mut VecDeque<Message>) {
    if own.is_empty() && own.capacity() > 0 {
        std::mem::swap(scratch, own);
        if own.capacity() > 0 || scratch.capacity() > KEEP_MAX {
            *own = VecDeque::new();
        }
    }
}
