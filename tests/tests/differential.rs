//! The same bytes to libzmq's ROUTER and to ours: what each sends, delivers and does to the connection
//! is the same, except where we mean to differ.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use interop::{GREETING, PATIENCE, READY_REQ, socket};
use tokio::runtime::Runtime;
use zmtp::{Config, Limits, Router};

/// What is visible from the outside.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// All bytes that were sent to the peer.
    sent: Vec<u8>,
    /// The messages the application received, without the routing id.
    delivered: Vec<Vec<Vec<u8>>>,
    closed: bool,
}

/// Comes after each script, so that it is known when a socket has dealt with it: a message for the
/// application and a PING for the peer.
const END: &[u8] = b"\x00\x03end\x04\x0A\x04PING\0\0END";
const PONG: &[u8] = b"\x04\x08\x04PONGEND";

/// Bytes of a greeting and of READY of an anonymous ROUTER.
const HELLO_SIZE: usize = 64 + 43;

/// Sends a script and reads until the PONG to its end, or until the socket closes the connection.
/// What follows the greeting waits for the socket's own READY: libzmq cannot bear it sooner.
/// `answer` bytes of an answer to the script are waited for before its end.
fn converse(port: u16, script: &[u8], answer: usize) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (greeting, rest) = script.split_at(64);
    // It may be closed before all is sent.
    let _ = stream.write_all(greeting);
    let mut steps = vec![(HELLO_SIZE + answer, END), (HELLO_SIZE, rest)];
    let mut sent = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (sent, true),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return (sent, true);
            }
            read => sent.extend(&buffer[..read.unwrap()]),
        }
        while let Some((_, bytes)) = steps.pop_if(|(after, _)| sent.len() >= *after) {
            let _ = stream.write_all(bytes);
        }
        if sent.ends_with(PONG) {
            sent.truncate(sent.len() - PONG.len());
            return (sent, false);
        }
    }
}

fn libzmq(script: &[u8], answer: usize) -> Outcome {
    let context = zmq::Context::new();
    let router = socket(&context, zmq::ROUTER, "");
    router.set_maxmsgsize(1000).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let port = endpoint.rsplit(':').next().unwrap().parse().unwrap();
    let (sent, closed) = converse(port, script, answer);
    if closed {
        // What came before it was closed is there at once.
        router.set_rcvtimeo(200).unwrap();
    }
    let mut delivered = Vec::new();
    while let Ok(mut message) = router.recv_multipart(0) {
        message.remove(0);
        if message == [b"end"] {
            break;
        }
        delivered.push(message);
    }
    Outcome { sent, delivered, closed }
}

fn ours(script: &[u8], answer: usize) -> Outcome {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let limits = Limits::default().with_max_message_size(1000);
        let mut router = Router::new(Config::default().with_limits(limits)).unwrap();
        let endpoint = router.bind(&"tcp://127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (port, script) = (endpoint.port().unwrap(), script.to_vec());
        let (sent, closed) =
            tokio::task::spawn_blocking(move || converse(port, &script, answer)).await.unwrap();
        let patience = if closed { Duration::from_millis(200) } else { PATIENCE };
        let mut delivered = Vec::new();
        while let Ok(Some((_, message))) = tokio::time::timeout(patience, router.recv()).await {
            let message: Vec<_> = message.into_iter().map(|part| part.to_vec()).collect();
            if message == [b"end"] {
                break;
            }
            delivered.push(message);
        }
        Outcome { sent, delivered, closed }
    })
}

fn greeting(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut greeting = GREETING.to_vec();
    greeting[at..at + bytes.len()].copy_from_slice(bytes);
    greeting
}

fn after_handshake(bytes: &[u8]) -> Vec<u8> {
    [&GREETING[..], READY_REQ, bytes].concat()
}

fn ready(properties: &[u8]) -> Vec<u8> {
    let len = u8::try_from(6 + properties.len()).unwrap();
    [&GREETING[..], &[4, len], b"\x05READY", properties].concat()
}

#[test]
fn libzmq_and_we_do_the_same() {
    let long = |len: u64, body: &[u8]| [&[2][..], &len.to_be_bytes(), body].concat();
    for (name, script) in [
        ("a request", after_handshake(b"\x01\0\0\x05Hello")),
        ("empty frames", after_handshake(b"\0\0\x01\0\0\0")),
        ("three parts", after_handshake(b"\x01\x01a\x01\x01b\0\x01c")),
        ("a short body in long form", after_handshake(&long(5, b"Hello"))),
        ("a long body", after_handshake(&long(300, &[7; 300]))),
        ("the largest body", after_handshake(&long(1000, &[7; 1000]))),
        ("a larger body", after_handshake(&long(1001, &[7; 1001]))),
        (
            "a message and then a larger body",
            after_handshake(&[b"\0\x01a", &long(1001, b"")[..]].concat()),
        ),
        ("a PING", after_handshake(b"\x04\x07\x04PING\0\0")),
        ("a PING with a context", after_handshake(b"\x04\x0A\x04PING\0\x0ALOL")),
        (
            "a PING with a context of 17",
            after_handshake(b"\x04\x18\x04PING\0\x000123456789abcdefg"),
        ),
        ("a PING within a message", after_handshake(b"\x01\x01a\x04\x07\x04PING\0\0\0\x01b")),
        ("a PONG", after_handshake(b"\x04\x05\x04PONG")),
        ("an unknown command", after_handshake(b"\x04\x04\x03FOO")),
        ("a second READY", after_handshake(READY_REQ)),
        ("version 3.0", [&greeting(11, &[0])[..], READY_REQ].concat()),
        ("version 4.0", [&greeting(10, &[4, 0])[..], READY_REQ].concat()),
        ("padding", [&greeting(1, &[0xAA; 8])[..], READY_REQ].concat()),
        ("tenth byte 01", [&greeting(9, &[1])[..], READY_REQ].concat()),
        ("as-server", [&greeting(32, &[1])[..], READY_REQ].concat()),
        ("filler", [&greeting(33, &[0x55; 31])[..], READY_REQ].concat()),
        ("another property", ready(b"\x0BSocket-Type\0\0\0\x03REQ\x05X-Key\0\0\0\x01v")),
        ("an identity", ready(b"\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02ME")),
        ("PING before READY", [&GREETING[..], b"\x04\x07\x04PING\0\0"].concat()),
        ("HELLO before READY", [&GREETING[..], b"\x04\x06\x05HELLO"].concat()),
        ("ERROR", [&GREETING[..], b"\x04\x0A\x05ERROR\x03400"].concat()),
        ("a dangling byte in READY", ready(b"\x0BSocket-Type\0\0\0\x03REQx")),
        ("a message before READY", [&GREETING[..], b"\x01\0\0\x05Hello"].concat()),
    ] {
        // A PING is answered, but two that come together may be answered as one.
        let answer = if name.starts_with("a PING") { 7 } else { 0 };
        let (theirs, ours) = (libzmq(&script, answer), ours(&script, answer));
        assert_eq!(without_error(ours), theirs, "{name}");
    }
}

/// Before we close a connection in the handshake we may say why, which libzmq does not.
fn without_error(mut outcome: Outcome) -> Outcome {
    let error = outcome.sent.windows(6).position(|bytes| bytes == b"\x05ERROR");
    if let Some(at) = error.filter(|_| outcome.closed) {
        outcome.sent.truncate(at - 2);
    }
    outcome
}

/// What `docs/compliance.md` marks as "differs": we close, libzmq goes on.
#[test]
fn libzmq_goes_on_where_we_close() {
    for (name, script) in [
        ("reserved flag bits", after_handshake(b"\x08\x01a")),
        ("MORE on a command", after_handshake(b"\x05\x04\x03FOO")),
        ("a malformed command", after_handshake(b"\x04\x02\x05F")),
        ("ERROR after the handshake", after_handshake(b"\x04\x0A\x05ERROR\x03400")),
        ("no Socket-Type", ready(b"")),
        (
            "Identity twice",
            ready(b"\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x01a\x08Identity\0\0\0\x01b"),
        ),
        (
            "an identity that starts with zero",
            ready(b"\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x05\0abcd"),
        ),
        ("READY without the command bit", [&GREETING[..], b"\0", &READY_REQ[1..]].concat()),
    ] {
        assert!(ours(&script, 0).closed, "we close: {name}");
        assert!(!libzmq(&script, 0).closed, "libzmq goes on: {name}");
    }
}

/// Also marked as "differs": both go on, and see different things.
#[test]
fn libzmq_takes_names_of_properties_by_their_case_and_we_do_not() {
    let script = ready(b"\x0BSOCKET-TYPE\0\0\0\x03PUB");
    assert!(!libzmq(&script, 0).closed, "not a Socket-Type to libzmq");
    assert!(ours(&script, 0).closed, "a PUB to us");
}
