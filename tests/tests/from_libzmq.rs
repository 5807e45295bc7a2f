//! `docs/from-libzmq.md` leaves nothing of libzmq out and names only what exists.

use std::path::{Path, PathBuf};

/// The options of sockets in `zmq.h`, those of 4.3.5 and the drafts included, without `ZMQ_`.
const OPTIONS: &str = "
    AFFINITY ROUTING_ID SUBSCRIBE UNSUBSCRIBE RATE RECOVERY_IVL SNDBUF RCVBUF RCVMORE FD EVENTS TYPE
    LINGER RECONNECT_IVL BACKLOG RECONNECT_IVL_MAX MAXMSGSIZE SNDHWM RCVHWM MULTICAST_HOPS RCVTIMEO
    SNDTIMEO LAST_ENDPOINT ROUTER_MANDATORY TCP_KEEPALIVE TCP_KEEPALIVE_CNT TCP_KEEPALIVE_IDLE
    TCP_KEEPALIVE_INTVL IMMEDIATE XPUB_VERBOSE ROUTER_RAW IPV6 MECHANISM PLAIN_SERVER PLAIN_USERNAME
    PLAIN_PASSWORD CURVE_SERVER CURVE_PUBLICKEY CURVE_SECRETKEY CURVE_SERVERKEY PROBE_ROUTER
    REQ_CORRELATE REQ_RELAXED CONFLATE ZAP_DOMAIN ROUTER_HANDOVER TOS CONNECT_ROUTING_ID GSSAPI_SERVER
    GSSAPI_PRINCIPAL GSSAPI_SERVICE_PRINCIPAL GSSAPI_PLAINTEXT HANDSHAKE_IVL SOCKS_PROXY XPUB_NODROP
    XPUB_MANUAL XPUB_WELCOME_MSG STREAM_NOTIFY INVERT_MATCHING HEARTBEAT_IVL HEARTBEAT_TTL
    HEARTBEAT_TIMEOUT XPUB_VERBOSER CONNECT_TIMEOUT TCP_MAXRT THREAD_SAFE MULTICAST_MAXTPDU
    VMCI_BUFFER_SIZE VMCI_BUFFER_MIN_SIZE VMCI_BUFFER_MAX_SIZE VMCI_CONNECT_TIMEOUT USE_FD
    GSSAPI_PRINCIPAL_NAMETYPE GSSAPI_SERVICE_PRINCIPAL_NAMETYPE BINDTODEVICE ZAP_ENFORCE_DOMAIN
    LOOPBACK_FASTPATH METADATA MULTICAST_LOOP ROUTER_NOTIFY XPUB_MANUAL_LAST_VALUE SOCKS_USERNAME
    SOCKS_PASSWORD IN_BATCH_SIZE OUT_BATCH_SIZE WSS_KEY_PEM WSS_CERT_PEM WSS_TRUST_PEM WSS_HOSTNAME
    WSS_TRUST_SYSTEM ONLY_FIRST_SUBSCRIBE RECONNECT_STOP HELLO_MSG DISCONNECT_MSG PRIORITY BUSY_POLL
    HICCUP_MSG XSUB_VERBOSE_UNSUBSCRIBE TOPICS_COUNT NORM_MODE NORM_UNICAST_NACK NORM_BUFFER_SIZE
    NORM_SEGMENT_SIZE NORM_BLOCK_SIZE NORM_NUM_PARITY NORM_NUM_AUTOPARITY NORM_PUSH
    IDENTITY CONNECT_RID TCP_ACCEPT_FILTER IPC_FILTER_PID IPC_FILTER_UID IPC_FILTER_GID IPV4ONLY
    DELAY_ATTACH_ON_CONNECT FAIL_UNROUTABLE ROUTER_BEHAVIOR";

/// Those of contexts, of messages and of calls, likewise.
const OTHER_OPTIONS: &str = "
    IO_THREADS MAX_SOCKETS SOCKET_LIMIT THREAD_PRIORITY THREAD_SCHED_POLICY MAX_MSGSZ MSG_T_SIZE
    THREAD_AFFINITY_CPU_ADD THREAD_AFFINITY_CPU_REMOVE THREAD_NAME_PREFIX BLOCKY ZERO_COPY_RECV
    MORE SHARED SRCFD DONTWAIT NOBLOCK SNDMORE";

/// The events of monitors, without `ZMQ_EVENT_`.
const EVENTS: &str = "
    CONNECTED CONNECT_DELAYED CONNECT_RETRIED LISTENING BIND_FAILED ACCEPTED ACCEPT_FAILED CLOSED
    CLOSE_FAILED DISCONNECTED MONITOR_STOPPED ALL HANDSHAKE_FAILED_NO_DETAIL HANDSHAKE_SUCCEEDED
    HANDSHAKE_FAILED_PROTOCOL HANDSHAKE_FAILED_AUTH PIPES_STATS";

/// The calls in `zmq.h`, without `zmq_`.
const CALLS: &str = "
    errno strerror version init term ctx_new ctx_term ctx_shutdown ctx_destroy ctx_set ctx_get
    ctx_set_ext ctx_get_ext msg_init msg_init_size msg_init_data msg_init_buffer msg_send msg_recv
    msg_close msg_move msg_copy msg_data msg_size msg_more msg_get msg_set msg_gets msg_set_routing_id
    msg_routing_id msg_set_group msg_group socket close setsockopt getsockopt bind connect
    connect_peer unbind disconnect send send_const recv sendmsg recvmsg sendiov recviov join leave
    socket_monitor socket_monitor_versioned socket_monitor_pipes_stats socket_get_peer_state poll
    ppoll poller_new poller_destroy poller_size poller_add poller_modify poller_remove poller_wait
    poller_wait_all poller_fd poller_add_fd poller_modify_fd poller_remove_fd proxy proxy_steerable
    device has z85_encode z85_decode curve_keypair curve_public atomic_counter_new
    atomic_counter_set atomic_counter_inc atomic_counter_dec atomic_counter_value
    atomic_counter_destroy timers_new timers_destroy timers_add timers_cancel timers_set_interval
    timers_reset timers_timeout timers_execute stopwatch_start stopwatch_intermediate stopwatch_stop
    sleep threadstart threadclose";

/// Where the types that the document names are defined, below `crates/zmtp/src`.
const FILES: [(&str, &str); 34] = [
    ("BindErrorKind", "engine/bind_error.rs"),
    ("Blocking", "blocking.rs"),
    ("Config", "config.rs"),
    ("ConfigError", "config.rs"),
    ("Dealer", "socket/dealer.rs"),
    ("DealerSender", "socket/dealer.rs"),
    ("DuplicateIdentity", "config/choices.rs"),
    ("EndpointError", "endpoint.rs"),
    ("EndpointErrorKind", "endpoint.rs"),
    ("Heartbeat", "proto/heartbeat.rs"),
    ("Keepalive", "config/transport.rs"),
    ("LeaveReason", "socket/peer.rs"),
    ("Limits", "limits.rs"),
    ("Message", "message.rs"),
    ("Monitor", "socket/monitor.rs"),
    ("MonitorEvent", "socket/monitor.rs"),
    ("OnFull", "config/choices.rs"),
    ("Peer", "socket/peer.rs"),
    ("PeerEvent", "socket/event.rs"),
    ("PeerId", "socket/peer.rs"),
    ("PeerInfo", "proto/command.rs"),
    ("ProtocolError", "error.rs"),
    ("RecvError", "socket/recv_error.rs"),
    ("Release", "config/choices.rs"),
    ("Rep", "socket/rep.rs"),
    ("Req", "socket/req.rs"),
    ("ReqError", "socket/req.rs"),
    ("Router", "socket/router.rs"),
    ("RouterSender", "socket/router.rs"),
    ("SendErrorKind", "error.rs"),
    ("Socket", "socket/base.rs"),
    ("StartError", "blocking.rs"),
    ("TransportOptions", "config/transport.rs"),
    ("Unsent", "socket/outlet.rs"),
];

/// Types of other crates.
const FOREIGN: [&str; 2] = ["Bytes", "Duration"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn document() -> String {
    read("docs/from-libzmq.md")
}

/// Everything between backticks in the document's tables and text, its code aside.
fn quoted() -> Vec<String> {
    let document = document();
    let prose = document.split("\n```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// A type and a name of it, if that is what is quoted.
fn path(quoted: &str) -> Option<(&str, &str)> {
    let (of, name) = quoted.split_once("::")?;
    of.starts_with(char::is_uppercase).then_some((of, name))
}

/// Whether a source has a public function, a public field or a variant of this name.
fn defines(source: &str, name: &str) -> bool {
    let is_variant = name.starts_with(char::is_uppercase);
    source.lines().map(str::trim_start).any(|line| {
        let (before, after, marks): (_, _, &[char]) = match line.split_once(name) {
            Some((before, after)) if is_variant => (before, after, &['(', ',', ' ']),
            Some((before, after)) if before.contains("fn ") => (before, after, &['(', '<']),
            Some((before, after)) => (before, after, &[':']),
            None => return false,
        };
        let before_it: &[&str] = match (is_variant, name) {
            (true, _) => &[""],
            // The one function of a trait that is named.
            (_, "from") => &["fn "],
            _ => &["pub ", "pub fn ", "pub async fn "],
        };
        before_it.contains(&before) && after.starts_with(marks)
    })
}

#[test]
fn every_option_call_and_event_of_libzmq_is_mentioned() {
    let quoted = quoted();
    let names = |prefix: &'static str, list: &'static str| {
        list.split_whitespace().map(move |name| format!("{prefix}{name}"))
    };
    let all = names("ZMQ_", OPTIONS)
        .chain(names("ZMQ_", OTHER_OPTIONS))
        .chain(names("ZMQ_EVENT_", EVENTS))
        .chain(names("zmq_", CALLS));
    let missing: Vec<_> = all.filter(|name| !quoted.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_name_of_ours_exists_in_the_source_of_its_type() {
    let quoted = quoted();
    let paths: Vec<_> = quoted.iter().filter_map(|quoted| path(quoted)).collect();
    assert!(paths.len() > 100, "{}", paths.len());
    for (of, name) in paths {
        if FOREIGN.contains(&of) {
            continue;
        }
        let file = FILES.iter().find(|(known, _)| *known == of);
        let (_, file) = file.unwrap_or_else(|| panic!("{of} is of no known file"));
        let path = Path::new("crates/zmtp/src").join(file);
        let mut source = read(&path);
        if of == "Message" {
            source += &read(path.with_extension("").join("convert.rs"));
        }
        assert!(defines(&source, name), "{file} has no {of}::{name}");
    }
}

#[test]
fn every_type_that_is_named_alone_is_exported() {
    let exports = read("crates/zmtp/src/lib.rs");
    let exported = |name: &str| {
        exports.split(|c: char| !c.is_alphanumeric()).any(|word| word == name)
            || read("crates/zmtp/src/blocking.rs").contains(&format!("pub struct {name}"))
            || read("crates/zmtp/src/blocking.rs").contains(&format!("pub enum {name}"))
            || read("crates/zmtp/src/proto/mod.rs").contains(name)
    };
    for (of, _) in FILES {
        assert!(exported(of), "{of}");
    }
    for name in quoted() {
        let is_type = name.len() > 1
            && name.starts_with(char::is_uppercase)
            && name.chars().all(char::is_alphanumeric)
            && name.chars().any(char::is_lowercase);
        assert!(!is_type || name == "None" || exported(&name), "{name}");
    }
}

#[test]
fn its_proxy_is_the_one_that_is_tested() {
    let document = document();
    let code = document.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(read("tests/tests/relay.rs").contains(code));
}
