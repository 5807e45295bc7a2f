use std::collections::hash_map::DefaultHasher;

use proptest::prelude::*;

use super::*;

fn large(byte: u8) -> Bytes {
    vec![byte; SHARE_MIN].into()
}

/// A message of these parts in each way it can come to be: collected, received, put together from the
/// back and from the front, and of two.
fn shapes(parts: &[Bytes]) -> Vec<Message> {
    let collected: Message = parts.iter().cloned().collect();
    let wire = wire(&collected);
    let received = Message::from_short_wire(&wire, parts.len())
        .unwrap_or_else(|| Message::from_wire(wire.into(), Vec::new(), parts.len()));
    let mut prepended = Message::new();
    for part in parts.iter().rev() {
        prepended.prepend(&[part]);
    }
    let mut pushed = Message::new();
    for part in parts {
        pushed.push_back(part.clone());
    }
    let collect = |parts: &[Bytes]| parts.iter().cloned().collect::<Message>();
    let joined =
        (0..=parts.len()).map(|at| collect(&parts[..at]).followed_by(&collect(&parts[at..])));
    [collected, received, prepended, pushed].into_iter().chain(joined).collect()
}

fn wire(message: &Message) -> Vec<u8> {
    let mut output = Transmit::default();
    message.clone().encode_into(&mut output);
    output.copy_to_bytes(output.remaining()).into()
}

#[test]
fn wire_form_has_more_on_all_parts_but_the_last() {
    assert_eq!(wire(&Message::from(["", "Hello"])), b"\x01\x00\x00\x05Hello");
    assert_eq!(wire(&Message::from([""])), b"\x00\x00");
    assert_eq!(wire(&Message::new()), b"");
}

#[test]
fn large_parts_keep_their_buffer() {
    let body = large(7);
    assert_eq!(Message::from(&body).part(0).map(<[u8]>::as_ptr), Some(body.as_ptr()));
    let mut message = Message::from([body.clone(), Bytes::from_static(b"x")]);
    message.prepend(&["envelope", ""]);
    message.skip(1);
    message.skip(1);
    assert_eq!(message.pop_front().unwrap().as_ptr(), body.as_ptr());
    assert_eq!(message.pop_front().unwrap(), "x");
    assert_eq!(message.pop_front(), None);
}

#[test]
fn a_prefix_of_nothing_changes_nothing() {
    for message in [Message::from([large(7)]), Message::from("x"), Message::new()] {
        let prefixed = message.prefixed::<&str>(&[]);
        assert_eq!(prefixed, message);
        assert_eq!(prefixed.into_iter().count(), message.len());
    }
}

#[test]
fn skipping_more_parts_than_there_are_leaves_none() {
    let mut message = Message::from(["a", "b"]);
    message.skip(7);
    assert!(message.is_empty());
    assert_eq!(message.part(0), None);
}

#[test]
fn debug_shows_at_most_eight_parts_of_sixteen_bytes() {
    let message: Message = (0..100).map(|_| Bytes::from(vec![b'x'; 1000])).collect();
    let shown = format!("{message:?}");
    assert!(shown.len() < 400, "{shown}");
    assert!(shown.ends_with("… 100 parts]"), "{shown}");
    assert_eq!(format!("{:?}", Message::from(["a\n", ""])), r#"["a\n", ""]"#);
}

fn part() -> impl Strategy<Value = Bytes> {
    let size = prop_oneof![0..4_usize, 250..260_usize, SHARE_MIN - 2..SHARE_MIN + 2];
    (any::<u8>(), size).prop_map(|(byte, size)| vec![byte; size].into())
}

proptest! {
    #[test]
    fn every_shape_has_the_same_parts_wire_and_hash(
        parts in proptest::collection::vec(part(), 0..6),
        skip in 0..7_usize,
    ) {
        let hash = |message: &Message| {
            let mut hasher = DefaultHasher::new();
            message.hash(&mut hasher);
            hasher.finish()
        };
        let expected = shapes(&parts).remove(0);
        for message in shapes(&parts) {
            prop_assert_eq!(&message, &expected);
            prop_assert_eq!(hash(&message), hash(&expected));
            prop_assert_eq!(wire(&message), wire(&expected));
            prop_assert_eq!(message.wire_size(), wire(&expected).len());
            prop_assert_eq!(message.parts().len(), parts.len());
            prop_assert!(message.parts().eq(parts.iter().map(|part| &part[..])));
            prop_assert_eq!(message.body_size(), parts.iter().map(Bytes::len).sum::<usize>());
            let mut skipped = message.clone();
            skipped.skip(skip);
            let rest: Vec<Bytes> = skipped.into_iter().collect();
            prop_assert_eq!(&rest[..], &parts[skip.min(parts.len())..]);
            for other in shapes(&parts) {
                let mut stripped = message.clone();
                let strips = stripped.strip_parts_of(&other, skip);
                prop_assert_eq!(strips, skip < parts.len(), "a part has to be left");
                let expected = if strips { &rest[..] } else { &parts[..] };
                prop_assert_eq!(wire(&stripped), wire(&expected.iter().cloned().collect()));
            }
            if let Some(last) = skip.checked_sub(1).filter(|_| skip < parts.len()) {
                let mut others = parts.clone();
                others[last] = [&others[last][..], b"x"].concat().into();
                for other in shapes(&others) {
                    let mut stripped = message.clone();
                    prop_assert!(!stripped.strip_parts_of(&other, skip));
                    prop_assert_eq!(wire(&stripped), wire(&message));
                }
            }
        }
    }
}
