use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

/// Passes on what it is told, after a panic if it is to have one.
struct Member {
    told: UnboundedSender<Told>,
    panics: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Ready(Readiness),
    Failed,
}

impl Ready for Member {
    fn ready(&self, readiness: Readiness) -> Response {
        assert!(!self.panics, "as it is to");
        self.told.send(Told::Ready(readiness)).unwrap();
        Response::default()
    }

    fn fail(&self) {
        self.told.send(Told::Failed).unwrap();
    }
}

/// A member with one end of a pair of sockets, and the other end.
struct Seat {
    _membership: Membership,
    _socket: UnixStream,
    place: Place,
    peer: UnixStream,
    told: UnboundedReceiver<Told>,
}

impl Seat {
    fn take(panics: bool) -> Self {
        let (tell, told) = unbounded_channel();
        Self { told, ..Self::telling(&tell, panics) }
    }

    /// One that tells what it is told elsewhere.
    fn telling(tell: &UnboundedSender<Told>, panics: bool) -> Self {
        let (socket, peer) = UnixStream::pair().unwrap();
        let member = Member { told: tell.clone(), panics };
        let (place, membership) = Place::take(Arc::new(member)).unwrap();
        place.watch(socket.as_fd()).unwrap();
        let (_, told) = unbounded_channel();
        Self { _membership: membership, _socket: socket, place, peer, told }
    }

    async fn next(&mut self) -> Told {
        self.told.recv().await.unwrap()
    }
}

const READABLE: Told =
    Told::Ready(Readiness { readable: true, writable: false, read_closed: false });

#[tokio::test]
async fn each_member_is_told_of_its_own_socket_and_once() {
    let (mut one, mut other) = (Seat::take(false), Seat::take(false));
    for _ in 0..3 {
        one.peer.write_all(b"x").unwrap();
        assert_eq!(one.next().await, READABLE);
        other.peer.write_all(b"x").unwrap();
        assert_eq!(other.next().await, READABLE);
    }
    assert!(one.told.try_recv().is_err() && other.told.try_recv().is_err());
    drop(one.peer);
    let Told::Ready(readiness) = one.told.recv().await.unwrap() else { panic!() };
    assert!(readiness.readable && readiness.read_closed);
}

#[tokio::test]
async fn a_panic_fails_its_own_member_and_nobody_else() {
    let mut seats: Vec<Seat> = (0..5).map(|i| Seat::take(i % 2 == 1)).collect();
    for _ in 0..2 {
        for seat in &mut seats {
            seat.peer.write_all(b"x").unwrap();
        }
        for (i, seat) in seats.iter_mut().enumerate() {
            assert_eq!(seat.next().await, if i % 2 == 1 { Told::Failed } else { READABLE });
        }
    }
}

#[tokio::test]
async fn others_have_their_turn_after_each_of_a_few_and_after_all_of_many() {
    // A task among tasks: what is blocked on has its turn less often.
    let portions = tokio::spawn(async {
        for count in [1, FEW, FEW + 1, EVENTS] {
            let (tell, mut told) = unbounded_channel();
            let mut seats: Vec<Seat> = (0..count).map(|_| Seat::telling(&tell, false)).collect();
            for seat in &mut seats {
                seat.peer.write_all(b"x").unwrap();
            }
            let at_once = if count > FEW { count } else { 1 };
            for _ in 0..count / at_once {
                assert_eq!(told.recv().await, Some(READABLE));
                assert_eq!(told.len() + 1, at_once, "of {count}");
                while told.try_recv().is_ok() {}
            }
        }
    });
    portions.await.unwrap();
}

#[tokio::test]
async fn the_last_to_leave_ends_the_reactor() {
    let tasks = || Handle::current().metrics().num_alive_tasks();
    for _ in 0..3 {
        let (one, other) = (Seat::take(false), Seat::take(false));
        assert!(Arc::ptr_eq(&one.place.reactor, &other.place.reactor));
        assert_eq!(tasks(), 1);
        drop(one);
        assert_eq!(tasks(), 1);
        drop(other);
        while tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn each_runtime_has_its_own_and_what_is_left_of_one_does_not_disturb_the_next() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let one = first.block_on(async { Seat::take(false) });
    let mut other = second.block_on(async { Seat::take(false) });
    assert!(!Arc::ptr_eq(&one.place.reactor, &other.place.reactor));
    drop(first);
    assert!(!lock(&REACTORS).iter().any(|known| Arc::ptr_eq(&known.reactor, &one.place.reactor)));
    second.block_on(async {
        other.peer.write_all(b"x").unwrap();
        assert_eq!(other.next().await, READABLE);
    });
    drop(one);
    second.block_on(async {
        other.peer.write_all(b"x").unwrap();
        assert_eq!(other.next().await, READABLE);
    });
}
