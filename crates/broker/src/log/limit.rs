//! [`Limit`]: of a flood of faults a few are told, and how many there were.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// What one peer does over and over is told so seldom.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// Things that are remembered for it.
const KEPT: usize = 256;

/// Others that are told of in a second.
const PER_SECOND: u64 = 10;

/// What was told of whom.
#[derive(Debug)]
pub(super) struct Limit<T> {
    told: VecDeque<Told<T>>,
    /// The second that counts, and how many were told in it.
    since: Option<Instant>,
    count: u64,
    /// Those that were too many.
    others: u64,
}

#[derive(Debug)]
struct Told<T> {
    who: Box<[u8]>,
    what: T,
    at: Instant,
    /// How often it has happened since.
    more: u64,
}

/// What was left out before something that is told: the same of the same peer, and others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Untold {
    more: u64,
    others: u64,
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.more > 0 {
            write!(f, "; {} more lately", self.more)?;
        }
        if self.others > 0 {
            write!(f, " ({} others were left out before)", self.others)?;
        }
        Ok(())
    }
}

impl<T> Default for Limit<T> {
    fn default() -> Self {
        Self { told: VecDeque::new(), since: None, count: 0, others: 0 }
    }
}

impl<T: PartialEq> Limit<T> {
    /// A peer has done something. If that is to be told, what was not told before it. Peers are known by their names, and those
    /// without one of their own by their addresses without the ports.
    pub(super) fn tell(
        &mut self,
        name: &[u8],
        address: &str,
        what: T,
        now: Instant,
    ) -> Option<Untold> {
        // Names that are made up, and ports, are others each time that a peer connects.
        let has_name = name.first().is_some_and(|&first| first != 0);
        let who = if has_name { name } else { host(address).as_bytes() };
        let place = self.told.iter().position(|told| told.what == what && *told.who == *who);
        if let Some(told) = place.and_then(|place| self.told.get_mut(place))
            && now.saturating_duration_since(told.at) < TELL_AGAIN
        {
            told.more += 1;
            return None;
        }
        if !self.has_room(now) {
            return None;
        }
        let more = place.and_then(|place| self.told.remove(place)).map_or(0, |told| told.more);
        if self.told.len() == KEPT {
            self.told.pop_front();
        }
        self.told.push_back(Told { who: who.into(), what, at: now, more: 0 });
        Some(Untold { more, others: std::mem::take(&mut self.others) })
    }

    /// Whether one more may be told in this second.
    fn has_room(&mut self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            (self.since, self.count) = (Some(now), 0);
        }
        let has_room = self.count < PER_SECOND;
        *(if has_room { &mut self.count } else { &mut self.others }) += 1;
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

    const FIRST: Option<Untold> = Some(Untold { more: 0, others: 0 });

    #[test]
    fn the_same_of_one_peer_is_told_once_a_minute_with_how_often_it_was() {
        let (mut limit, start) = (Limit::default(), Instant::now());
        let mut tell = |name: &str, what, seconds| {
            let now = start + Duration::from_secs(seconds);
            limit.tell(name.as_bytes(), "tcp://10.0.0.1:4000", what, now).map(|untold| untold.more)
        };
        assert_eq!([tell("A", 1, 0), tell("B", 1, 0), tell("A", 2, 0)], [Some(0); 3]);
        assert_eq!([1, 2, 59].map(|seconds| tell("A", 1, seconds)), [None; 3]);
        assert_eq!([60, 61, 120].map(|seconds| tell("A", 1, seconds)), [Some(3), None, Some(1)]);
        assert_eq!(Untold { more: 3, others: 0 }.to_string(), "; 3 more lately");
    }

    #[test]
    fn so_many_things_are_remembered() {
        let (mut limit, start) = (Limit::default(), Instant::now());
        let mut tell = |name: usize| {
            let now = start + Duration::from_millis(100 * name as u64);
            limit.tell(format!("{name}").as_bytes(), "", (), now)
        };
        assert!((0..KEPT).all(|name| tell(name) == FIRST));
        assert_eq!([tell(0), tell(KEPT), tell(0)], [None, FIRST, FIRST]);
    }

    #[test]
    fn of_many_peers_ten_a_second_are_told_and_how_many_were_left_out() {
        let (mut limit, start) = (Limit::default(), Instant::now());
        let names = (0..30).map(|i| format!("{i}"));
        let told = names.filter(|name| limit.tell(name.as_bytes(), "", (), start).is_some());
        assert_eq!(told.count(), 10);
        let next = limit.tell(b"next", "", (), start + Duration::from_secs(1));
        assert_eq!(next, Some(Untold { more: 0, others: 20 }));
        assert_eq!(next.unwrap().to_string(), " (20 others were left out before)");
    }

    #[test]
    fn who_has_no_name_is_known_by_the_host() {
        let (mut limit, now) = (Limit::default(), Instant::now());
        let mut tell = |name: &[u8], address| limit.tell(name, address, (), now);
        assert_eq!(tell(b"\0abcd", "tcp://10.0.0.1:4000"), FIRST);
        assert_eq!(tell(b"\0abce", "tcp://10.0.0.1:4001"), None);
        assert_eq!(tell(b"", "tcp://[::1]:1"), FIRST);
        assert_eq!(tell(b"", "ipc:///run/broker/frontend.ipc"), FIRST);
    }
}
