use super::*;
use crate::queue::{Account, Counters, Faults, Histogram, Times, Violation};

fn pending(losses: Option<Vec<(Bytes, Cause, Duration)>>, turn: Turn) -> Pending {
    Pending {
        number: 7,
        client: PeerId::from_bits(3 << 32 | 5),
        message: Message::copy_from(&[&b"id"[..], b"", b"body", &[9; 3000]]),
        age: Duration::from_micros(123_456_789),
        losses,
        turn,
    }
}

/// Nothing is as often as anything else.
fn account() -> Account {
    let mut counters = Counters::default();
    counters.each().into_iter().zip(1..).for_each(|(count, i)| *count = i);
    let mut faults = Faults::default();
    faults.violations.extend(Violation::ALL.into_iter().zip(20..));
    faults.losses.extend(Cause::ALL.into_iter().zip(40..));
    let histogram = |buckets: &[_]| Histogram::from_parts(buckets, 60).unwrap();
    let times = Times { waited: histogram(&[(0, 1), (303, 2)]), served: histogram(&[]) };
    Account { counters, faults, times: Some(Box::new(times)) }
}

/// One of each kind of whatever there is.
fn estate() -> Estate {
    let losses = Cause::ALL.map(|cause| (Bytes::from("W"), cause, Duration::from_millis(5)));
    let sent = [(6, Box::from(&b"C0"[..])), (7, Box::from(&b"\0abcd"[..]))].into();
    let doubt = Some(Box::new(Doubt { unknown: true, sent, rounds: 3 }));
    let owed = Owed { client: PeerId::NOBODY, number: 4, since: None };
    let work = [
        Work::Silent,
        Work::Idle,
        Work::Busy(pending(None, Turn::InLine), None),
        Work::Busy(pending(Some(Vec::new()), Turn::InLine), Some(Duration::from_secs(2))),
        Work::Late(None),
        Work::Late(Some(owed)),
    ];
    let left = |(i, work)| {
        let left = Left {
            work,
            stack: vec![Bytes::from("hop"), Bytes::from("hop 2")],
            strikes: 2,
            held: true,
            doubt: doubt.clone(),
            expected: Some(Duration::from_millis(i)),
            ..Left::silent(Bytes::from("W"), Bytes::from("here"), true)
        };
        (PeerId::from_bits(i), left)
    };
    let mut workers: Vec<_> = (0..).zip(work).map(left).collect();
    workers.push((PeerId::from_bits(9), Left::silent(Bytes::new(), Bytes::new(), false)));
    let held = |number| Held {
        client: Bytes::from("C"),
        lock_step: true,
        number,
        reply: Message::copy_from(&["", "reply"]),
    };
    Estate {
        number: 99,
        waiting: [
            pending(Some(losses.into()), Turn::Next),
            pending(None, Turn::InLine),
            pending(None, Turn::After(Duration::from_millis(70))),
        ]
        .into(),
        workers,
        held: vec![held(Some(5)), held(None)],
        away: vec![(Bytes::from("W"), At::Work), (Bytes::from("V"), At::Rest)],
        paused: true,
        account: account(),
        ..Estate::default()
    }
}

#[test]
fn all_that_is_left_is_the_same_in_another_process_and_nothing_less_is_taken_for_it() {
    let handover = Handover {
        listeners: Default::default(),
        clients: Vec::new(),
        workers: Vec::new(),
        estate: estate(),
        is_kept: true,
    };
    let all: Vec<_> = handover.parts().map(|part| part.bytes).collect();
    let from = |parts: Vec<Bytes>| Handover::from_parts(parts.into_iter().map(|part| (part, None)));
    let decoded = from(all.clone()).unwrap();
    assert_eq!((decoded.estate, decoded.is_kept), (handover.estate.clone(), true));
    for (i, part) in all.iter().enumerate() {
        for size in 0..part.len().min(80) {
            let mut parts = all.clone();
            parts[i] = part.slice(..size);
            assert!(from(parts).is_none(), "part {i} cut off at {size}");
        }
    }
}
