//! [`Limit`]: of a flood of faults a few are told at once, and later how many there were.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use broker::{Side, Violation};
use zmtp::LeaveReason;

/// What one peer does over and over is told so seldom.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Things that are remembered for it.
const KEPT: usize = 256;

/// How many others are told of within this time.
const SECOND: Duration = Duration::from_secs(1);
const PER_SECOND: u64 = 10;

/// What a peer has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Fault(Violation),
    Left(LeaveReason),
    NoHandshake(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(violation) => violation.fmt(f),
            Self::Left(reason) => reason.fmt(f),
            Self::NoHandshake(reason) => f.write_str(reason),
        }
    }
}

/// Who has done it. One without a name, or whose name is made up, is known by its address without the port: both are others
/// each time that it connects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'a> {
    pub(super) side: Side,
    pub(super) name: &'a [u8],
    pub(super) address: &'a str,
}

impl Who<'_> {
    fn key(&self) -> &[u8] {
        let has_name = self.name.first().is_some_and(|&first| first != 0);
        if has_name { self.name } else { host(self.address).as_bytes() }
    }
}

/// A line of the log about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) side: Side,
    pub(super) name: Box<[u8]>,
    pub(super) address: String,
    pub(super) what: What,
    pub(super) sentence: String,
}

/// When something is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    /// At a time that was not [known](Limit::next_due) before.
    Later,
    /// With what is told later anyway.
    Along,
}

/// What was left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// The same of the same peer, so often.
    More(Line, u64),
    /// So many others.
    Others(u64),
}

/// What was told of whom, the first first.
#[derive(Debug, Default)]
pub(super) struct Limit {
    told: VecDeque<Told>,
    /// The second that counts, and how many were told in it.
    since: Option<Instant>,
    count: u64,
    /// Those that were too many, and when the first of them was.
    others: u64,
    others_since: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    key: Box<[u8]>,
    line: Line,
    at: Instant,
    /// How often it has happened since.
    more: u64,
}

impl Told {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= TELL_AGAIN
    }
}

impl Limit {
    /// A peer has done something, of which `sentence` makes the line.
    pub(super) fn tell(
        &mut self,
        who: Who<'_>,
        what: &What,
        now: Instant,
        sentence: impl FnOnce() -> String,
    ) -> When {
        // What is to be told of again, is so by `take_due`.
        self.told.retain(|told| told.more > 0 || !told.is_over(now));
        let is_it = |told: &&mut Told| {
            told.line.what == *what && told.line.side == who.side && *told.key == *who.key()
        };
        if let Some(told) = self.told.iter_mut().find(is_it) {
            told.more += 1;
            return if told.more == 1 { When::Later } else { When::Along };
        }
        if !self.has_room(now) {
            return self.leave_out(1, now);
        }
        if self.told.len() == KEPT
            && let Some(first) = self.told.pop_front().filter(|first| first.more > 0)
        {
            // Whoever waits for it to be due finds this instead.
            self.leave_out(first.more, now);
        }
        let Who { side, name, address } = who;
        let (name, address, what) = (name.into(), address.to_owned(), what.clone());
        let line = Line { side, name, address, what, sentence: sentence() };
        self.told.push_back(Told { key: who.key().into(), line, at: now, more: 0 });
        When::Now
    }

    fn leave_out(&mut self, count: u64, now: Instant) -> When {
        self.others += count;
        let is_known = self.others_since.is_some();
        self.others_since.get_or_insert(now);
        if is_known { When::Along } else { When::Later }
    }

    /// When there is something to tell of, if nothing happens before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let more = self.told.iter().find(|told| told.more > 0).map(|told| told.at + TELL_AGAIN);
        let others = self.others_since.map(|since| since + SECOND);
        more.into_iter().chain(others).min()
    }

    /// Takes what is to be told of now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Untold> {
        let mut due = Vec::new();
        let is_due = |told: &Told| told.more > 0 && told.is_over(now);
        while let Some(place) = self.told.iter().position(is_due)
            && let Some(mut told) = self.told.remove(place)
        {
            due.push(Untold::More(told.line.clone(), std::mem::take(&mut told.more)));
            told.at = now;
            self.told.push_back(told);
        }
        let is_over = |since: &mut Instant| now.saturating_duration_since(*since) >= SECOND;
        if self.others_since.take_if(is_over).is_some() {
            due.push(Untold::Others(std::mem::take(&mut self.others)));
        }
        due
    }

    /// Takes all that was left out.
    pub(super) fn take_rest(&mut self) -> Vec<Untold> {
        let told = std::mem::take(&mut self.told).into_iter().filter(|told| told.more > 0);
        let others = std::mem::take(&mut self.others);
        self.others_since = None;
        let others = (others > 0).then_some(Untold::Others(others));
        told.map(|told| Untold::More(told.line, told.more)).chain(others).collect()
    }

    /// Whether one more may be told in this second.
    fn has_room(&mut self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= SECOND;
        if self.since.is_none_or(is_over) {
            (self.since, self.count) = (Some(now), 0);
        }
        let has_room = self.count < PER_SECOND;
        self.count += u64::from(has_room);
        has_room
    }
}

fn host(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        limit: Limit,
        start: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            Self { limit: Limit::default(), start: Instant::now() }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn tell_of(&mut self, name: &[u8], address: &str, what: Violation, millis: u64) -> When {
            let who = Who { side: Side::Frontend, name, address };
            let now = self.at(millis);
            self.limit.tell(who, &What::Fault(what), now, || "sentence".to_owned())
        }

        fn tell(&mut self, name: &str, millis: u64) -> When {
            self.tell_of(name.as_bytes(), "tcp://h:1", Violation::NotReady, millis)
        }

        /// When something is due, and how much of it is of one peer and of others.
        fn due(&mut self) -> Option<(u128, u64, u64)> {
            let due = self.limit.next_due()?;
            let told = self.limit.take_due(due);
            let mut sum = (due.duration_since(self.start).as_millis(), 0, 0);
            for untold in told {
                match untold {
                    Untold::More(_, more) => sum.1 += more,
                    Untold::Others(others) => sum.2 += others,
                }
            }
            Some(sum)
        }
    }

    #[test]
    fn the_same_of_one_peer_is_told_once_a_minute_with_how_often_it_was() {
        let mut fixture = Fixture::new();
        assert_eq!([fixture.tell("A", 0), fixture.tell("B", 0)], [When::Now, When::Now]);
        let other = fixture.tell_of(b"A", "", Violation::NoDelimiter, 0);
        assert_eq!((other, fixture.due()), (When::Now, None));
        assert_eq!([1000, 2000].map(|at| fixture.tell("A", at)), [When::Later, When::Along]);
        assert_eq!(fixture.due(), Some((60_000, 2, 0)));
        assert_eq!(fixture.tell("A", 61_000), When::Later, "it was told of at 60");
        assert_eq!((fixture.due(), fixture.due()), (Some((120_000, 1, 0)), None));
        assert_eq!(fixture.tell("A", 180_000), When::Now, "nothing was left out since");
    }

    #[test]
    fn of_many_peers_ten_a_second_are_told_and_then_how_many_were_left_out() {
        let mut fixture = Fixture::new();
        let told: Vec<_> = (0..30).map(|i| fixture.tell(&i.to_string(), 500)).collect();
        assert!(told[..10].iter().all(|when| *when == When::Now));
        assert!(told[10] == When::Later && told[11..].iter().all(|when| *when == When::Along));
        assert_eq!((fixture.due(), fixture.due()), (Some((1500, 0, 20)), None));
        assert_eq!(fixture.tell("next", 1500), When::Now);
    }

    #[test]
    fn in_a_flood_that_goes_on_it_is_told_each_second_how_many_were_left_out() {
        let mut fixture = Fixture::new();
        let (mut dues, mut told) = (Vec::new(), 0);
        for millis in (0..3000).step_by(10) {
            // The timer is a moment late.
            while fixture
                .limit
                .next_due()
                .is_some_and(|due| due + Duration::from_millis(5) < fixture.at(millis))
            {
                dues.extend(fixture.due());
            }
            told += u64::from(fixture.tell(&format!("{millis}"), millis) == When::Now);
        }
        let others: Vec<_> = dues.iter().map(|(_, _, others)| *others).collect();
        assert!(
            others.len() == 2 && others.iter().all(|count| (80..=110).contains(count)),
            "{dues:?}"
        );
        let Some(Untold::Others(rest)) = fixture.limit.take_rest().pop() else { panic!() };
        assert_eq!(told + others.iter().sum::<u64>() + rest, 300);
    }

    #[test]
    fn so_many_things_are_remembered_and_none_is_forgotten_without_a_word() {
        let mut fixture = Fixture::new();
        let at = |i: usize| 100 * i as u64;
        assert!((0..KEPT).all(|i| fixture.tell(&i.to_string(), at(i)) == When::Now));
        // By then the first has been told of for long enough.
        let now = at(KEPT);
        assert!(now < 60_000 && fixture.tell("0", now) == When::Later);
        assert_eq!(fixture.tell("one more", now), When::Now);
        assert_eq!(fixture.limit.take_rest(), [Untold::Others(1)]);
    }

    #[test]
    fn at_the_end_all_that_was_left_out_is_told() {
        let mut fixture = Fixture::new();
        (0..12).for_each(|i| _ = fixture.tell(&i.to_string(), 0));
        (0..3).for_each(|_| _ = fixture.tell("0", 0));
        let rest = fixture.limit.take_rest();
        assert!(
            matches!(&rest[..], [Untold::More(line, 3), Untold::Others(2)] if *line.name == *b"0")
        );
        assert_eq!((fixture.limit.take_rest(), fixture.due()), (vec![], None));
    }

    #[test]
    fn who_has_no_name_is_known_by_the_host() {
        let mut fixture = Fixture::new();
        let mut tell =
            |name: &[u8], address| fixture.tell_of(name, address, Violation::NotReady, 0);
        assert_eq!(tell(b"\0abcd", "tcp://10.0.0.1:4000"), When::Now);
        assert_eq!(tell(b"\0abce", "tcp://10.0.0.1:4001"), When::Later);
        assert_eq!(tell(b"", "tcp://[::1]:1"), When::Now);
        assert_eq!(tell(b"", "ipc:///run/broker/frontend.ipc"), When::Now);
    }
}
