//! `zmtp-cat` from the outside: its format, its four sockets, how it ends.

use std::fmt::Write;

use rustix::process::Signal;

use crate::ANYWHERE;
use crate::support::{Program, cat};

/// Messages as they are printed: each byte, empty frames, many frames, long ones.
fn all_sorts() -> String {
    let mut input =
        String::from("one frame\n\ntwo\nframes\n\n0x\n\n0x\n0x\ntext after empty ones\n\n");
    for byte in 0..=u8::MAX {
        match char::from(byte) {
            plain if plain == ' ' || plain.is_ascii_graphic() => writeln!(input, "{plain}"),
            _ => writeln!(input, "0x{byte:02x}"),
        }
        .unwrap();
    }
    input += "\n0x3078\n0x30786162\n 0x\n0X\n\n";
    input += "grüße\n日本語\n0xc3\n0xe697\n0xc285\n0x61090a62\n\n";
    writeln!(input, "{}\n0x{}\n", "long".repeat(20_000), "00fe".repeat(30_000)).unwrap();
    input += &"many\n".repeat(500);
    input + "\n"
}

#[test]
fn a_rep_that_echoes_gives_a_req_back_what_it_sent() {
    let input = all_sorts();
    let (rep, endpoint) = Program::bound_cat(&["rep", "--bind", ANYWHERE, "--echo"]);
    let req = cat(&["req", "--connect", &endpoint], &input);
    assert_eq!((req.code, &*req.errors), (Some(0), ""));
    assert_eq!(req.output, input);
    let rep = rep.end_by(Signal::TERM);
    assert_eq!((rep.code, rep.output), (Some(0), input));
}

#[test]
fn a_dealer_hands_to_another_what_it_reads() {
    let input = all_sorts();
    let count = input.split("\n\n").count() - 1;
    let (to, endpoint) =
        Program::bound_cat(&["dealer", "--bind", ANYWHERE, "--count", &count.to_string()]);
    let from = ["dealer", "--connect", &endpoint, "--count", "0", "--linger", "1m"];
    let from = cat(&from, &input);
    assert_eq!((from.code, &*from.output, &*from.errors), (Some(0), "", ""));
    let to = to.end();
    assert_eq!((to.code, to.output), (Some(0), input));
}

#[test]
fn a_router_that_echoes_gives_dealers_back_what_they_sent() {
    let (router, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE, "--echo"]);
    for identity in ["A", "0x42ff"] {
        let dealer = ["dealer", "--connect", &endpoint, "--identity", identity, "--count", "2"];
        let dealer = cat(&dealer, "x\n\ny\nz");
        assert_eq!((dealer.code, &*dealer.output), (Some(0), "x\n\ny\nz\n\n"));
        assert_eq!(router.message(), [identity, "x"]);
        assert_eq!(router.message(), [identity, "y", "z"]);
    }
}

#[test]
fn lines_that_are_not_as_they_would_be_printed_stand_for_the_same_frames() {
    let (_rep, endpoint) = Program::bound_cat(&["rep", "--bind", ANYWHERE, "--echo"]);
    let req = cat(&["req", "--connect", &endpoint], "\n\n0x68656C6c6f\na\tb\n\n\n\nthe end");
    assert_eq!((req.code, &*req.output), (Some(0), "hello\n0x610962\n\nthe end\n\n"));
}

#[test]
fn a_rep_replies_with_its_input() {
    let (rep, endpoint) = Program::bound_cat(&["rep", "--bind", ANYWHERE]);
    let req = Program::cat(&["req", "--connect", &endpoint]);
    req.say(&["question"]);
    assert_eq!(rep.message(), ["question"]);
    rep.say(&["an", "answer"]);
    assert_eq!(req.message(), ["an", "answer"]);
    req.say(&["another"]);
    let rep = rep.end();
    assert_eq!((rep.code, &*rep.output), (Some(1), "another\n\n"));
    assert_eq!(rep.errors, "zmtp-cat: standard input has no reply to the last request\n");
}

#[test]
fn a_router_sends_to_the_peer_that_the_first_frame_names() {
    let (router, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE, "--events"]);
    let named = Program::cat(&["dealer", "--connect", &endpoint, "--identity", "NAMED"]);
    let joined = router.error_with("joined tcp://127.0.0.1:");
    assert!(joined.ends_with(" DEALER NAMED"), "{joined}");
    let anonymous = Program::cat(&["dealer", "--connect", &endpoint]);
    anonymous.say(&["who", "am I"]);
    let message = router.message();
    assert!(message[0].starts_with("0x00") && message[0].len() == 12, "{message:?}");
    assert_eq!(message[1..], ["who", "am I"]);
    router.say(&[&message[0], "nobody"]);
    router.say(&["NAMED", "somebody"]);
    assert_eq!(anonymous.message(), ["nobody"]);
    assert_eq!(named.message(), ["somebody"]);
    assert_eq!(named.end_by(Signal::INT).code, Some(0));
    router.error_with(" NAMED: closed by the peer");
    router.say(&["NAMED", "too late"]);
    router.error_with("zmtp-cat: a message was not sent: no such peer");
    assert_eq!(router.end_by(Signal::TERM).code, Some(1));
}

#[test]
fn a_router_shows_under_its_name_what_a_peer_sent_before_it_left() {
    let (router, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE]);
    for name in ["A", "B", "C"] {
        let dealer = ["dealer", "--connect", &endpoint, "--identity", name];
        let dealer = [&dealer[..], &["--count", "0", "--linger", "1m"]].concat();
        assert_eq!(cat(&dealer, "one\n\ntwo\n").code, Some(0));
    }
    for _ in 0..3 {
        let (one, two) = (router.message(), router.message());
        assert_eq!((&*one[1], &one[0], &*two[1]), ("one", &two[0], "two"));
    }
}

#[test]
fn a_router_names_the_peers_that_it_connects_to() {
    let (a, to_a) = Program::bound_cat(&["dealer", "--bind", ANYWHERE, "--count", "1"]);
    let (b, to_b) = Program::bound_cat(&["dealer", "--bind", ANYWHERE, "--count", "1"]);
    let (to_a, to_b) = (format!("A={to_a}"), format!("0xffff={to_b}"));
    let router = ["router", "--connect-as", &to_a, "--connect-as", &to_b];
    let router = [&router[..], &["--count", "0", "--linger", "1m"]].concat();
    let router = cat(&router, "A\nfor A\n\n0xffff\nfor B\n");
    assert_eq!((router.code, &*router.errors), (Some(0), ""));
    assert_eq!((a.end().output, b.end().output), ("for A\n\n".into(), "for B\n\n".into()));
}

#[test]
fn a_dealer_sends_and_receives_from_several_endpoints() {
    let (a, to_a) = Program::bound_cat(&["rep", "--bind", ANYWHERE, "--echo"]);
    let (b, to_b) = Program::bound_cat(&["rep", "--bind", ANYWHERE, "--echo"]);
    let dealer = ["dealer", "--connect", &to_a, "--connect", &to_b, "--count", "2"];
    let dealer = cat(&dealer, "0x\nfirst\n\n0x\nsecond\n");
    assert_eq!(dealer.code, Some(0), "{dealer:?}");
    let replies = ["0x\nfirst\n\n0x\nsecond\n\n", "0x\nsecond\n\n0x\nfirst\n\n"];
    assert!(replies.contains(&&*dealer.output), "{dealer:?}");
    assert_eq!((a.message(), b.message()), (vec!["first".into()], vec!["second".into()]));
}

#[test]
fn silence_ends_it_and_is_a_failure_only_if_something_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("ipc://{}/nobody", directory.path().display());
    let rep = cat(&["rep", "--bind", ANYWHERE, "--timeout", "100ms"], "");
    assert_eq!(rep.code, Some(0), "{rep:?}");
    for (count, missing) in [("1", "0 of 1 message"), ("2", "0 of 2 messages")] {
        let dealer = ["dealer", "--bind", ANYWHERE, "--timeout", "100ms", "--count", count];
        let dealer = cat(&dealer, "");
        assert_eq!(dealer.code, Some(1));
        let told = format!("zmtp-cat: nothing for 100ms, after {missing}\n");
        assert!(dealer.errors.ends_with(&told), "{dealer:?}");
    }
    let req = ["req", "--connect", &nobody, "--timeout", "100ms", "--linger", "0ms"];
    let req = cat(&req, "a request");
    assert_eq!(req.code, Some(1));
    assert!(req.errors.contains("zmtp-cat: nothing for 100ms, and a reply is due\n"), "{req:?}");
}

#[test]
fn what_could_not_be_delivered_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("ipc://{}/nobody", directory.path().display());
    let dealer = ["dealer", "--connect", &nobody, "--count", "0", "--linger", "10ms"];
    let dealer = cat(&dealer, "one\n\ntwo\n");
    assert_eq!(dealer.code, Some(1));
    assert_eq!(dealer.errors, format!("zmtp-cat: not delivered to {nobody}: 2 messages\n"));

    let dealer = cat(&["dealer", "--bind", ANYWHERE, "--timeout", "100ms"], "for nobody");
    assert_eq!(dealer.code, Some(1));
    let told = "zmtp-cat: a message was not sent: it waited for a peer with room for it\n";
    assert!(dealer.errors.ends_with(told), "{dealer:?}");

    let drop = ["dealer", "--bind", ANYWHERE, "--on-full", "drop", "--count", "0"];
    let drop = cat(&drop, "for nobody");
    assert_eq!(drop.code, Some(1));
    assert!(drop.errors.ends_with("zmtp-cat: dropped: 1 message\n"), "{drop:?}");
}

#[test]
fn a_signal_cuts_the_end_short() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = |name| format!("ipc://{}/{name}", directory.path().display());
    let (nobody, open) = (endpoint("nobody"), endpoint("open"));
    let endpoints = ["dealer", "--connect", &nobody, "--bind", &open];
    let options = ["--count", "0", "--linger", "forever", "--monitor"];
    let mut dealer = Program::cat(&[endpoints, options].concat());
    dealer.write("for nobody");
    dealer.end_input();
    dealer.error_with(&format!("monitor closed {open}"));
    let dealer = dealer.end_by(Signal::INT);
    assert_eq!(dealer.code, Some(1), "{dealer:?}");
    let told = "zmtp-cat: a signal ended it before all was delivered and printed\n";
    assert!(dealer.errors.ends_with(told), "{dealer:?}");
}

#[test]
fn it_ends_when_nobody_reads_what_it_prints() {
    let (mut to, endpoint) = Program::bound_cat(&["dealer", "--bind", ANYWHERE]);
    to.close_output();
    let from = Program::cat(&["dealer", "--connect", &endpoint]);
    from.write(&"text\n\n".repeat(1000));
    let to = to.end();
    assert_eq!((to.code, &*to.errors), (Some(0), ""));
}

#[test]
fn input_that_makes_no_sense_is_named() {
    let (_rep, endpoint) = Program::bound_cat(&["rep", "--bind", ANYWHERE, "--echo"]);
    for (input, told) in [
        ("x\n\n0xabc\n", "line 3: a frame in hex has two digits for each byte"),
        ("x\n\ny\n0xgg\n", "line 4: what follows 0x is not hex"),
        ("x\n\n0x+1\n", "line 3: what follows 0x is not hex"),
    ] {
        let req = cat(&["req", "--connect", &endpoint], input);
        assert_eq!((req.code, &*req.output), (Some(1), "x\n\n"), "{req:?}");
        assert_eq!(req.errors, format!("zmtp-cat: standard input: {told}\n"));
    }
}
