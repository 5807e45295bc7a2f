//! What a message costs the allocator.

use std::time::Instant;

use allocation_counter::measure;
use bytes::{Buf, BufMut, Bytes};
use interop::{GREETING, READY_REQ};
use zmtp::Message;
use zmtp::proto::{Connection, Event, Settings, SocketType};

/// The parts that a message of that many small ones has.
const PART: [u8; 64] = [b'x'; 64];

#[test]
fn a_message_of_up_to_three_parts_of_up_to_64_bytes_takes_one_allocation() {
    let one = || Bytes::from_static(&PART);
    let ways: [(&str, &dyn Fn() -> Message); 8] = [
        ("a string", &|| Message::from(str::from_utf8(&PART).unwrap())),
        ("a slice", &|| Message::from(&PART[..])),
        ("a byte string", &|| Message::from(&PART)),
        ("shared bytes", &|| Message::from(Bytes::from_static(&PART))),
        ("an array of shared bytes", &|| Message::from([one(), one(), one()])),
        ("copies of slices", &|| Message::copy_from(&[&PART[..], &PART[..], &PART[..]])),
        ("an iterator", &|| [one(), one(), one()].into_iter().collect()),
        ("a prefix", &|| Message::from("").prefixed(&[&PART[..], &PART[..]])),
    ];
    for (way, make) in ways {
        assert_eq!(allocations(make), 1, "{way}: {:?}", make());
    }
}

#[test]
fn a_message_of_up_to_53_bytes_with_its_headers_takes_none() {
    let ways: [(&str, &dyn Fn() -> Message); 7] = [
        ("a string", &|| Message::from("x")),
        ("a slice", &|| Message::from(&PART[..51])),
        ("shared bytes", &|| Message::from(Bytes::from_static(&PART[..51]))),
        ("an array of strings", &|| Message::from(["address", "", "body"])),
        ("an iterator", &|| [Bytes::from_static(b"x")].into_iter().collect()),
        ("a prefix", &|| Message::from("").prefixed(&["address", ""])),
        ("two messages", &|| Message::from(["", "address"]).followed_by(&["", "body"].into())),
    ];
    for (way, make) in ways {
        assert_eq!(allocations(make), 0, "{way}: {:?}", make());
    }
    assert_eq!(allocations(&|| Message::from(&PART[..52])), 1, "a byte more");
    assert!(size_of::<Message>() <= 64, "{}", size_of::<Message>());
}

fn allocations(make: &dyn Fn() -> Message) -> u64 {
    let mut message = Message::new();
    measure(|| message = make()).count_total
}

#[test]
fn receiving_one_takes_one_and_sending_it_on_none_beyond_the_buffers_of_the_connection() {
    let mut connection = Connection::new(SocketType::Router, Settings::default(), Instant::now());
    connection.receive().put_slice(&GREETING);
    connection.receive().put_slice(READY_REQ);
    assert!(matches!(connection.next_event(), Ok(Some(Event::Ready(_)))));
    let frames = [&[1, 64][..], &PART, &[1, 64], &PART, &[0, 64], &PART].concat();
    for round in 0..100 {
        connection.receive().put_slice(&frames);
        let mut event = Ok(None);
        let received = measure(|| event = connection.next_event()).count_total;
        let Ok(Some(Event::Message(message))) = event else { panic!("{event:?}") };
        let sent = measure(|| connection.send(message).unwrap()).count_total;
        let output = connection.transmit();
        output.advance(output.remaining());
        if round > 0 {
            assert_eq!((received, sent), (1, 0), "round {round}");
        }
    }
}

#[test]
fn a_clone_shares_the_payload() {
    let message = Message::from([vec![7; 1 << 20]]);
    let mut clone = Message::new();
    let bytes = measure(|| clone = message.clone()).bytes_total;
    assert!(bytes < 200, "{bytes}");
    assert_eq!(clone.part(0).map(<[u8]>::as_ptr), message.part(0).map(<[u8]>::as_ptr));
}
