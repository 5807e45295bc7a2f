//! [`Reactor`]: hears of all connections of a runtime that there is something to read, and lets them
//! read it, in one task.
//!
//! ```text
//!                       the runtime's own epoll
//!                                 │ this one has events
//!                                 ▼
//! sockets ──▶ epoll of all ──▶ its task ──▶ Driver, polled in place, one after the other
//!             connections                   └─▶ its own task, where there is more to do than that
//! ```
//!
//! A connection that had a registration and a wake-up of its own would cost more for each message than
//! to parse it does.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll as TaskPoll, ready};
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;

use super::linger::{Expected, Linger};

/// Events, and bytes read, before other tasks have their turn: what was read is still in the processor's cache
/// when they look at it.
const EVENTS: usize = 128;
const BYTES: usize = 256 << 10;

/// So many events at once or fewer are told of one by one, with the others' turn in between: the peer that is
/// answered first goes on while the next is read, instead of all waiting for each other.
const FEW: usize = 8;

const NOW: Duration = Duration::ZERO;

/// Those of all runtimes that have connections.
static REACTORS: Mutex<Vec<Running>> = Mutex::new(Vec::new());

struct Running {
    runtime: Id,
    reactor: Arc<Reactor>,
    /// None until it has been spawned.
    task: Option<AbortHandle>,
}

/// What is to be told.
pub(super) trait Ready: Send + Sync {
    /// There is something to read, or room to write.
    fn ready(&self, readiness: Readiness) -> Response;

    /// A panic while it was told. It is to end.
    fn fail(&self);
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Response {
    /// Bytes that were read.
    pub(super) read: usize,
    pub(super) expected: Expected,
}

/// What the system says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer will send nothing more than what there is to read.
    pub(super) read_closed: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        let read_closed = event.is_read_closed() || event.is_error();
        let readable = event.is_readable() || read_closed;
        Self { readable, writable: event.is_writable() || event.is_error(), read_closed }
    }
}

pub(super) struct Reactor {
    registry: Registry,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

struct Slot {
    /// The slot's number in the lower half, and how often it has been given in the upper: an event may come
    /// when its member has left and another one has the slot.
    token: usize,
    member: Option<Arc<dyn Ready>>,
}

const HALF: u32 = usize::BITS / 2;

fn slot_of(token: usize) -> usize {
    token & (usize::MAX >> HALF)
}

impl Members {
    fn insert(&mut self, member: Arc<dyn Ready>) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if let Some(place) = self.slots.get_mut(slot) {
            place.token = place.token.wrapping_add(1 << HALF);
            place.member = Some(member);
            return place.token;
        }
        self.slots.push(Slot { token: slot, member: Some(member) });
        slot
    }

    fn get(&self, token: usize) -> Option<&Arc<dyn Ready>> {
        let slot = self.slots.get(slot_of(token)).filter(|slot| slot.token == token)?;
        slot.member.as_ref()
    }

    fn remove(&mut self, token: usize) -> Option<Arc<dyn Ready>> {
        let slot = self.slots.get_mut(slot_of(token)).filter(|slot| slot.token == token)?;
        let member = slot.member.take()?;
        self.free.push(slot_of(token));
        Some(member)
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind them is changed in single steps.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's place in the reactor of its runtime.
#[derive(Clone)]
pub(super) struct Place {
    reactor: Arc<Reactor>,
    token: usize,
}

impl Place {
    /// Has `member` told what the system says from now on, by the runtime that this is called in.
    pub(super) fn take(member: Arc<dyn Ready>) -> io::Result<(Self, Membership)> {
        let mut reactors = lock(&REACTORS);
        let runtime = Handle::current().id();
        let known = reactors.iter().find(|running| running.runtime == runtime);
        let (reactor, turns) = if let Some(known) = known {
            (known.reactor.clone(), None)
        } else {
            let (reactor, turns) = Reactor::new()?;
            reactors.push(Running { runtime, reactor: reactor.clone(), task: None });
            (reactor, Some(turns))
        };
        let token = lock(&reactor.members).insert(member);
        drop(reactors);
        if let Some(turns) = turns {
            Reactor::start(&reactor, turns);
        }
        let place = Self { reactor, token };
        Ok((place.clone(), Membership(place)))
    }

    /// The member has this socket.
    pub(super) fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let source = &mut SourceFd(&socket.as_raw_fd());
        self.reactor.registry.register(source, Token(self.token), Interest::READABLE)
    }

    /// The member's socket goes on elsewhere. It would be told of as long as anybody has it.
    pub(super) fn unwatch(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.reactor.registry.deregister(&mut SourceFd(&socket.as_raw_fd()))
    }

    /// It wants to be told of room to write as well from now on, and of what there is already.
    pub(super) fn watch_writes(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let source = &mut SourceFd(&socket.as_raw_fd());
        self.reactor.registry.reregister(source, Token(self.token), interest)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Leaves the place when it is dropped. The last to leave ends the reactor. That there is nothing more
/// to tell of its socket the system sees when it is closed.
#[must_use = "a place is left at once if nobody holds this"]
pub(super) struct Membership(Place);

impl Drop for Membership {
    fn drop(&mut self) {
        let Place { reactor, token } = &self.0;
        let mut reactors = lock(&REACTORS);
        let mut members = lock(&reactor.members);
        let member = members.remove(*token);
        let end = if members.is_empty() { take_out(&mut reactors, reactor) } else { None };
        drop((members, reactors));
        // What may end with these takes locks, too.
        drop(member);
        if let Some(task) = end.and_then(|running| running.task) {
            task.abort();
        }
    }
}

fn take_out(reactors: &mut Vec<Running>, reactor: &Arc<Reactor>) -> Option<Running> {
    let at = reactors.iter().position(|running| Arc::ptr_eq(&running.reactor, reactor))?;
    Some(reactors.swap_remove(at))
}

impl Reactor {
    fn new() -> io::Result<(Arc<Self>, Turns)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let reactor = Arc::new(Self { registry, members: Mutex::default() });
        #[allow(
            deprecated,
            reason = "sound for a `Poll`, which owns its descriptor, and the other constructor is not safe to call"
        )]
        let poll = AsyncFd::with_interest(poll, tokio::io::Interest::READABLE)?;
        let events = Events::with_capacity(EVENTS);
        let linger = Linger::default();
        let turns = Turns { reactor: reactor.clone(), poll, events, told: 0, linger };
        Ok((reactor, turns))
    }

    /// Without the lock: a runtime that is ending drops what is spawned at once.
    fn start(reactor: &Arc<Self>, mut turns: Turns) {
        let task = tokio::spawn(poll_fn(move |cx| turns.poll(cx))).abort_handle();
        let mut reactors = lock(&REACTORS);
        let mut known = reactors.iter_mut();
        if let Some(running) = known.find(|running| Arc::ptr_eq(&running.reactor, reactor)) {
            running.task = Some(task);
        } else {
            // All have left by now, or its runtime has ended.
            drop(reactors);
            task.abort();
        }
    }

    /// Tells of the events from the first on that has not been told of, `most` at most. Says of how many then,
    /// and what the members expect.
    ///
    /// Members are told with the lock held, which is taken only to come and go.
    fn tell(&self, events: &Events, told: usize, most: usize) -> (usize, Expected) {
        let members = lock(&self.members);
        let mut told = told;
        let mut events = events.iter().skip(told).take(most);
        let (mut read, mut expected) = (0, Expected::Nothing);
        let mut current = None;
        loop {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                while read < BYTES
                    && let Some(event) = events.next()
                {
                    told += 1;
                    if let Some(member) = members.get(event.token().0) {
                        current = Some(member);
                        let response = member.ready(Readiness::from(event));
                        read += response.read;
                        expected = expected.max(response.expected);
                    }
                }
            }));
            match (outcome, current) {
                // One that goes wrong does not take the others with it.
                (Err(_), Some(member)) => member.fail(),
                _ => return (told, expected),
            }
        }
    }
}

/// The reactor's task.
struct Turns {
    reactor: Arc<Reactor>,
    poll: AsyncFd<Poll>,
    events: Events,
    /// How many of them have been told of.
    told: usize,
    linger: Linger,
}

/// Its runtime may end before its members do.
impl Drop for Turns {
    fn drop(&mut self) {
        let running = take_out(&mut lock(&REACTORS), &self.reactor);
        drop(running);
    }
}

impl Turns {
    /// Ready only if the runtime tells of no more events.
    fn poll(&mut self, cx: &mut Context<'_>) -> TaskPoll<()> {
        if self.linger.pauses() {
            cx.waker().wake_by_ref();
            return TaskPoll::Pending;
        }
        loop {
            let Ok(mut guard) = ready!(self.poll.poll_read_ready_mut(cx)) else {
                return TaskPoll::Ready(());
            };
            if self.told == 0 && guard.get_inner_mut().poll(&mut self.events, Some(NOW)).is_err() {
                self.events.clear();
            }
            let count = self.events.iter().count();
            let most = if count <= FEW { 1 } else { count };
            let (told, expected) = self.reactor.tell(&self.events, self.told, most);
            self.told = if told < count { told } else { 0 };
            // Where there is much, more has come meanwhile, and to look again after the others had their
            // turn spares asking the runtime.
            if self.told > 0 || count > 1 || self.linger.goes_on(count > 0, expected) {
                cx.waker().wake_by_ref();
                return TaskPoll::Pending;
            }
            // Of what comes later the runtime tells anew.
            guard.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests;
