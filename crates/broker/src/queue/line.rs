//! [`Line`]: requests that wait for a worker, in the order of their turns.

use std::collections::VecDeque;

use super::request::Request;

/// Gaps that are not worth closing.
const GAPS_MIN: usize = 64;

/// Each request has a position of its own, by which it is found without a search. A position is given only
/// once, so one that was taken out long ago is not mistaken for another.
#[derive(Debug)]
pub(super) struct Line {
    /// One that was removed leaves a gap.
    places: VecDeque<Option<Request>>,
    /// The position of the first place.
    first: u64,
    gaps: usize,
}

impl Default for Line {
    /// 0 is nobody's position.
    fn default() -> Self {
        Self { places: VecDeque::new(), first: 1, gaps: 0 }
    }
}

impl Line {
    /// Puts a request behind all others. Returns its position.
    pub(super) fn push(&mut self, mut request: Request) -> u64 {
        let position = self.first + self.places.len() as u64;
        request.position = position;
        self.places.push_back(Some(request));
        position
    }

    pub(super) fn get_mut(&mut self, position: u64) -> Option<&mut Request> {
        self.place(position)?.as_mut()
    }

    pub(super) fn get(&self, position: u64) -> Option<&Request> {
        let at = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.places.get(at)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.places.iter().flatten()
    }

    pub(super) fn remove(&mut self, position: u64) -> Option<Request> {
        let request = self.place(position)?.take()?;
        self.gaps += 1;
        Some(request)
    }

    /// Takes the first request.
    pub(super) fn pop(&mut self) -> Option<Request> {
        loop {
            let place = self.places.pop_front()?;
            self.first += 1;
            if place.is_some() {
                return place;
            }
            self.gaps -= 1;
        }
    }

    /// Takes the gaps out once they are most of the line. `moved` is told where who was behind them is then.
    pub(super) fn close_gaps(&mut self, mut moved: impl FnMut(&Request)) {
        if self.gaps < GAPS_MIN.max(self.places.len() / 2) {
            return;
        }
        let places = std::mem::take(&mut self.places);
        self.first += places.len() as u64;
        self.gaps = 0;
        for request in places.into_iter().flatten() {
            let position = self.push(request);
            if let Some(request) = self.get_mut(position) {
                moved(request);
            }
        }
    }

    fn place(&mut self, position: u64) -> Option<&mut Option<Request>> {
        let at = usize::try_from(position.checked_sub(self.first)?).ok()?;
        self.places.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use zmtp::Message;

    use super::super::tests::ids;
    use super::*;

    fn request(body: &str) -> Request {
        Request {
            number: 1,
            client: ids(1)[0],
            position: 0,
            lock_step: true,
            since: 0,
            stack: Box::default(),
            message: Message::from(body),
            past: None,
        }
    }

    #[test]
    fn those_that_leave_take_no_room_and_the_others_keep_their_order() {
        let (mut line, stays, leaves) = (Line::default(), request("stays"), request("leaves"));
        let mut kept = Vec::new();
        for i in 0..10_000 {
            if i % 1000 == 0 {
                kept.push(line.push(stays.clone()));
            }
            let position = line.push(leaves.clone());
            assert_eq!(line.remove(position).unwrap().message, leaves.message);
            assert!(line.remove(position).is_none(), "it has left already");
            let mut moved = Vec::new();
            line.close_gaps(|request| moved.push(request.position));
            if !moved.is_empty() {
                assert!(kept.iter().all(|&before| line.get_mut(before).is_none()));
                kept = moved;
            }
            assert!(line.places.len() <= 2 * GAPS_MIN + kept.len());
        }
        for position in kept {
            assert_eq!(line.get_mut(position).unwrap().position, position);
            assert_eq!(line.pop().unwrap().position, position);
            assert!(line.get_mut(position).is_none());
        }
        assert!(line.pop().is_none());
    }
}
