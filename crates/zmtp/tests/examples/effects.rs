//! The options of `zmtp-cat`: all are taken, those whose effect shows have it, and those that make no
//! sense are named.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use tokio::time::timeout;
use zmtp::proto::{GREETING, SocketType, encode_ready};
use zmtp::{Config, PeerEvent, Router};

use crate::ANYWHERE;
use crate::support::{PATIENCE, Program, cat};

/// Each option that lets an ordinary exchange pass.
const ALL: &str = "--property X-Name=value --property X-Hex=0x00ff --send-hwm 10 --recv-hwm 10 \
    --send-hwm-bytes 100000 --recv-hwm-bytes 100000 --on-full wait --duplicate-identity handover \
    --immediate --probe --correlate --relaxed --linger 1m --reconnect-min 50ms --reconnect-max 1m \
    --handshake-timeout 1h --max-message-size 100000 --max-frame-size 90000 \
    --max-command-size 5000 --max-frames 10 --heartbeat 5s --heartbeat-timeout 1m \
    --heartbeat-ttl 1m --nodelay false --keepalive 60s,5s,3 --send-buffer 50000 \
    --recv-buffer 50000 --backlog 5 --connect-timeout 1m --ipc-mode 600 --max-connections 5 \
    --max-pending-handshakes 5 --max-total-bytes 10000000 --write-timeout forever --timeout 1m \
    --events --monitor";

#[test]
fn all_options_are_taken_by_all_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("ipc://{}/all", directory.path().display());
    for endpoint in [ANYWHERE, &file] {
        for (server, client) in [("rep", "req"), ("router", "req"), ("router", "dealer")] {
            let all: Vec<_> = ALL.split_whitespace().collect();
            let server = [&[server, "--bind", endpoint, "--echo", "--identity", "S"], &all[..]];
            let (server, endpoint) = Program::bound_cat(&server.concat());
            let client = [client, "--connect", &endpoint, "--identity", "C", "--count", "1"];
            let client = cat(&[&client[..], &all[..]].concat(), "x");
            assert_eq!(client.code, Some(0), "{client:?}");
            let server = server.end_by(Signal::TERM);
            assert!(server.output.contains("x\n"), "{server:?}");
        }
    }
}

#[tokio::test]
async fn identity_and_properties_are_announced() {
    let mut router = Router::new(Config::default()).unwrap();
    let endpoint = router.bind(&ANYWHERE.parse().unwrap()).await.unwrap().to_string();
    let dealer = ["dealer", "--connect", &endpoint, "--identity", "0x4e414d45"];
    let properties = ["--property", "X-Text=a=b", "--property", "X-Hex=0x00ff"];
    let _dealer = Program::cat(&[&dealer[..], &properties].concat());
    let event = timeout(PATIENCE, router.recv_event()).await.unwrap();
    let Some(PeerEvent::Joined(peer)) = event else { panic!("nobody joined") };
    assert_eq!(peer.info.identity, "NAME");
    assert_eq!(peer.info.property("X-Text"), Some(&b"a=b"[..]));
    assert_eq!(peer.info.property("X-Hex"), Some(&b"\x00\xff"[..]));
}

#[test]
fn marks_and_what_happens_beyond_them() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("ipc://{}/nobody", directory.path().display());
    let connected = ["dealer", "--connect", &nobody, "--count", "0", "--linger", "0ms"];
    let bound = ["dealer", "--bind", ANYWHERE, "--count", "0"];
    let full = "a message was not sent: the peer's queue is full";
    let absent = "a message was not sent: no such peer";
    for (endpoint, options, told) in [
        (&connected[..], &["--send-hwm", "2", "--on-full", "fail"][..], full),
        (&connected, &["--send-hwm-bytes", "10", "--on-full", "fail"], full),
        (&connected, &["--immediate", "--on-full", "fail"], absent),
        (&bound, &["--on-full", "fail"], absent),
        (&bound, &["--on-full", "drop"], "dropped: 3 messages"),
    ] {
        let dealer = cat(&[endpoint, options].concat(), "one\n\ntwo\n\nthree");
        assert_eq!(dealer.code, Some(1), "{dealer:?}");
        assert!(dealer.errors.contains(&format!("zmtp-cat: {told}\n")), "{options:?} {dealer:?}");
    }
}

#[test]
fn two_peers_with_one_identity() {
    let both = |duplicate| {
        let router = ["router", "--bind", ANYWHERE, "--events", "--duplicate-identity", duplicate];
        let (router, endpoint) = Program::bound_cat(&[&router[..], &["--monitor"]].concat());
        let dealer = ["dealer", "--connect", &endpoint, "--identity", "SAME", "--no-reconnect"];
        let first = Program::cat(&dealer);
        router.error_with(" DEALER SAME");
        (router, first, Program::cat(&dealer))
    };
    let (router, _first, _second) = both("reject");
    router.error_with("its identity is taken");
    let (router, _first, _second) = both("handover");
    router.error_with("another connection took its identity over");
    let (router, _first, _second) = both("allow");
    router.error_with(" DEALER SAME");
}

#[test]
fn a_probe_is_an_empty_message() {
    let (router, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE]);
    let _dealer = Program::cat(&["dealer", "--connect", &endpoint, "--identity", "D", "--probe"]);
    assert_eq!(router.message(), ["D", "0x"]);
}

#[test]
fn a_req_that_correlates_and_relaxes() {
    let (router, endpoint) = Program::bound_cat(&["router", "--bind", ANYWHERE]);
    let req = ["req", "--connect", &endpoint, "--identity", "R", "--correlate", "--relaxed"];
    let req = Program::cat(&req);
    req.say(&["first"]);
    let first = router.message();
    assert_eq!(
        (first.len(), &*first[0], &first[2..]),
        (4, "R", &["0x".into(), "first".into()][..])
    );
    req.say(&["second"]);
    let second = router.message();
    assert_eq!(second[2..], ["0x", "second"]);
    assert_ne!(first[1], second[1]);
    router.say(&["R", &first[1], "0x", "late"]);
    router.say(&["R", &second[1], "0x", "in time"]);
    assert_eq!(req.message(), ["in time"]);
}

#[test]
fn who_goes_beyond_a_limit_is_disconnected() {
    for (option, frames, told) in [
        (["--max-frames", "2"], &["1", "2", "3"][..], "message exceeds the limit of 2 frames"),
        (["--max-frame-size", "10"], &["eleven byte"], "frame of 11 bytes exceeds the limit of 10"),
        (["--max-message-size", "100"], &["1", "2"], "message exceeds the limit of 100 bytes"),
        (["--max-command-size", "10"], &["x"], "exceeds the limit of 10"),
    ] {
        let router = [&["router", "--bind", ANYWHERE, "--monitor"], &option[..]].concat();
        let (router, endpoint) = Program::bound_cat(&router);
        let dealer = Program::cat(&["dealer", "--connect", &endpoint, "--no-reconnect"]);
        dealer.say(frames);
        router.error_with(told);
    }
}

#[test]
fn connections_have_a_limit() {
    let router = ["router", "--bind", ANYWHERE, "--monitor", "--max-connections", "1"];
    let (router, endpoint) = Program::bound_cat(&router);
    let _first = Program::cat(&["dealer", "--connect", &endpoint]);
    router.error_with("monitor handshake-succeeded ");
    let _second = Program::cat(&["dealer", "--connect", &endpoint, "--no-reconnect"]);
    router.error_with("monitor refused tcp://127.0.0.1:");
}

#[test]
fn silent_peers_are_given_up() {
    let router = ["router", "--bind", ANYWHERE, "--monitor", "--handshake-timeout", "20ms"];
    let (router, endpoint) = Program::bound_cat(&router);
    let _silent = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    router.error_with("handshake was not over in time");

    let router = ["router", "--bind", ANYWHERE, "--monitor", "--heartbeat", "20ms"];
    let timeout = ["--heartbeat-timeout", "30ms", "--heartbeat-ttl", "1s"];
    let (router, endpoint) = Program::bound_cat(&[&router[..], &timeout].concat());
    let mut silent = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    let mut handshake = GREETING.to_vec();
    encode_ready(SocketType::Dealer, b"", &[], &mut handshake);
    silent.write_all(&handshake).unwrap();
    router.error_with("monitor handshake-succeeded ");
    router.error_with("no sign of life in time");
}

#[test]
fn connecting_again_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("ipc://{}/nobody", directory.path().display());
    let dealer = ["dealer", "--connect", &nobody, "--monitor"];
    let pauses = ["--reconnect-min", "10ms", "--reconnect-max", "10ms"];
    let again = Program::cat(&[&dealer[..], &pauses].concat());
    for _ in 0..3 {
        again.error_with(&format!("monitor connect-failed {nobody}: "));
        again.error_with(&format!("monitor connect-retried {nobody}: after "));
    }
    let once = Program::cat(&[&dealer[..], &["--no-reconnect", "--linger", "0ms"]].concat());
    once.error_with("monitor connect-failed ");
    let once = once.end_by(Signal::TERM);
    assert_eq!((once.code, &*once.errors), (Some(0), ""));
}

#[test]
fn a_socket_file_has_the_permissions_that_were_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let endpoint = format!("ipc://{}", path.display());
    let (_rep, _) = Program::bound_cat(&["rep", "--bind", &endpoint, "--ipc-mode", "640"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn each_option_of_the_help_is_in_the_readme_and_tried_here() {
    let help = cat(&["--help"], "");
    assert_eq!((help.code, &*help.errors), (Some(0), ""));
    let named =
        |line: &str| Some(line.split_whitespace().find(|word| word.starts_with("--"))?.to_owned());
    let options: Vec<_> =
        help.output.lines().filter(|line| line.starts_with("      --")).filter_map(named).collect();
    assert!(options.len() > 40, "{options:?}");
    let readme = include_str!("../../examples/README.md");
    let tests = [include_str!("effects.rs"), include_str!("cat.rs")].concat();
    for option in options {
        assert!(readme.contains(&format!("`{option}")), "{option}");
        assert!(tests.contains(&option), "{option}");
    }
}

#[test]
fn options_that_make_no_sense_are_named_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}/x", directory.path().display());
    for (options, named) in [
        ("", "<TYPE>"),
        ("req", "--connect <ENDPOINT>"),
        ("pub --bind ENDPOINT", "'pub'"),
        ("req --connect 127.0.0.1:5555", "127.0.0.1:5555"),
        ("req --connect tcp://*:5555", "--connect"),
        ("req --connect ENDPOINT --nonsense", "--nonsense"),
        ("req --connect ENDPOINT --echo", "--echo"),
        ("dealer --connect-as A=ENDPOINT", "--connect-as"),
        ("router --connect-as A", "--connect-as"),
        ("router --connect-as A=nowhere", "nowhere"),
        ("router --connect-as 0x00=ENDPOINT", "--connect-as"),
        ("router --connect-as A=ENDPOINT --connect-as A=ENDPOINT", "--connect-as"),
        ("router --connect ENDPOINT --count few", "--count"),
        ("router --connect ENDPOINT --timeout 5", "--timeout"),
        ("req --connect ENDPOINT --identity 0x0", "--identity"),
        ("req --connect ENDPOINT --identity 0x00", "--identity"),
        ("req --connect ENDPOINT --property name", "--property"),
        ("req --connect ENDPOINT --property Identity=x", "--property"),
        ("req --connect ENDPOINT --send-hwm 0", "--send-hwm"),
        ("req --connect ENDPOINT --recv-hwm 0", "--recv-hwm"),
        ("req --connect ENDPOINT --send-hwm -1", "--send-hwm"),
        ("req --connect ENDPOINT --recv-hwm-bytes 1K", "--recv-hwm-bytes"),
        ("req --connect ENDPOINT --on-full maybe", "--on-full"),
        ("req --connect ENDPOINT --duplicate-identity no", "--duplicate-identity"),
        ("req --connect ENDPOINT --linger -1", "--linger"),
        ("req --connect ENDPOINT --linger soon", "--linger"),
        ("req --connect ENDPOINT --linger 99999999999999999999h", "--linger"),
        ("req --connect ENDPOINT --reconnect-min 0s", "--reconnect-min"),
        ("req --connect ENDPOINT --reconnect-min 1m", "--reconnect-min"),
        ("req --connect ENDPOINT --heartbeat 0ms", "--heartbeat"),
        ("req --connect ENDPOINT --heartbeat-ttl 1s", "--heartbeat"),
        ("req --connect ENDPOINT --max-frames 0", "--max-frames"),
        ("req --connect ENDPOINT --nodelay maybe", "--nodelay"),
        ("req --connect ENDPOINT --keepalive 1s,1s,x", "--keepalive"),
        ("req --connect ENDPOINT --keepalive 1s,1s,1,1", "--keepalive"),
        ("rep --bind ENDPOINT --ipc-mode 888", "--ipc-mode"),
    ] {
        let options = options.replace("ENDPOINT", &endpoint);
        let ended = cat(&options.split_whitespace().collect::<Vec<_>>(), "");
        assert_eq!((ended.code, &*ended.output), (Some(2), ""), "{options}: {ended:?}");
        assert_eq!(ended.errors.lines().count(), 1, "{options}: {ended:?}");
        let sound = ended.errors.starts_with("zmtp-cat: ") && ended.errors.contains(named);
        assert!(sound, "{options}: {ended:?}");
    }
    let (_rep, taken) = Program::bound_cat(&["rep", "--bind", ANYWHERE]);
    let ended = cat(&["rep", "--bind", &taken], "");
    assert_eq!(ended.code, Some(1));
    let told =
        format!("zmtp-cat: cannot bind {taken}: it is in use by another process or socket\n");
    assert_eq!(ended.errors, told);
}
