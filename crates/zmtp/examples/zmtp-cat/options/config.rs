//! [`ConfigOptions`]: one option for each field of [`Config`].

use bytes::Bytes;
use clap::{Args, ValueEnum};
use zmtp::{Config, DuplicateIdentity, Heartbeat, Keepalive, OnFull};

use super::values::{Span, parse_bytes, parse_keepalive, parse_octal, parse_property};

#[derive(Args, Debug)]
#[command(next_help_heading = "Config")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(crate) struct ConfigOptions {
    /// The name to announce. [libzmq: ZMQ_ROUTING_ID]
    #[arg(long, value_name = "IDENTITY", value_parser = parse_bytes)]
    identity: Option<Bytes>,
    /// Something else to say in the handshake; may be given more than once. [libzmq: ZMQ_METADATA]
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_property)]
    property: Vec<(String, Bytes)>,
    /// Messages queued for one peer. [libzmq: ZMQ_SNDHWM]
    #[arg(long, value_name = "N", default_value_t = Config::default().send_hwm)]
    send_hwm: usize,
    /// Bytes queued for one peer.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().send_hwm_bytes)]
    send_hwm_bytes: usize,
    /// Messages received from one peer ahead. [libzmq: ZMQ_RCVHWM]
    #[arg(long, value_name = "N", default_value_t = Config::default().recv_hwm)]
    recv_hwm: usize,
    /// Bytes received from one peer ahead.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().recv_hwm_bytes)]
    recv_hwm_bytes: usize,
    /// What to do with a message for which there is no room. Unless given, a req and a dealer wait, a
    /// router fails, and a rep drops.
    #[arg(long, value_name = "WHAT")]
    on_full: Option<Full>,
    /// What to do when two peers of a router announce the same identity. [libzmq:
    /// ZMQ_ROUTER_HANDOVER]
    #[arg(long, value_name = "WHAT", default_value = "reject")]
    duplicate_identity: Duplicate,
    /// A req and a dealer send over connections only. [libzmq: ZMQ_IMMEDIATE]
    #[arg(long)]
    immediate: bool,
    /// Begins each connection with an empty message. [libzmq: ZMQ_PROBE_ROUTER]
    #[arg(long)]
    probe: bool,
    /// A req numbers its requests. [libzmq: ZMQ_REQ_CORRELATE]
    #[arg(long)]
    correlate: bool,
    /// A req sends the next request without waiting for the reply to the one before. [libzmq:
    /// ZMQ_REQ_RELAXED]
    #[arg(long)]
    relaxed: bool,
    /// How long what was sent may take to leave at the end. [libzmq: ZMQ_LINGER]
    #[arg(long, value_name = "DURATION", default_value_t = Config::default().linger.into())]
    linger: Span,
    /// Pause before the first attempt to connect again. [libzmq: ZMQ_RECONNECT_IVL]
    #[arg(long, value_name = "DURATION", default_value_t = Config::default().reconnect_min.into())]
    reconnect_min: Span,
    /// The longest pause between attempts. [libzmq: ZMQ_RECONNECT_IVL_MAX]
    #[arg(long, value_name = "DURATION", default_value_t = Config::default().reconnect_max.into())]
    reconnect_max: Span,
    /// Does not connect again. [libzmq: -1 for ZMQ_RECONNECT_IVL]
    #[arg(long)]
    no_reconnect: bool,
    /// Time between two PINGs; none are sent unless given. [libzmq: ZMQ_HEARTBEAT_IVL]
    #[arg(long, value_name = "DURATION")]
    heartbeat: Option<Span>,
    /// How long a peer may be silent after a PING; as --heartbeat unless given. [libzmq:
    /// ZMQ_HEARTBEAT_TIMEOUT]
    #[arg(long, value_name = "DURATION", requires = "heartbeat")]
    heartbeat_timeout: Option<Span>,
    /// After how long a silence of ours the peer is to give up. [libzmq: ZMQ_HEARTBEAT_TTL]
    #[arg(long, value_name = "DURATION", requires = "heartbeat")]
    heartbeat_ttl: Option<Span>,
    /// How long a peer may take none of the bytes written to it.
    #[arg(long, value_name = "DURATION", default_value_t = Config::default().write_timeout.into())]
    write_timeout: Span,

    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    transport: TransportOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
struct LimitOptions {
    /// Connections at a time.
    #[arg(long, value_name = "N", default_value_t = Config::default().max_connections)]
    max_connections: usize,
    /// Connections at a time that have not finished their handshake.
    #[arg(long, value_name = "N", default_value_t = Config::default().max_pending_handshakes)]
    max_pending_handshakes: usize,
    /// Bytes held for all peers together.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_total_bytes)]
    max_total_bytes: usize,
    /// How long a handshake may take. [libzmq: ZMQ_HANDSHAKE_IVL]
    #[arg(long, value_name = "DURATION",
          default_value_t = Config::default().limits.handshake_timeout.into())]
    handshake_timeout: Span,
    /// Bytes in a command.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().limits.max_command_size)]
    max_command_size: usize,
    /// Bytes in a frame. [libzmq: ZMQ_MAXMSGSIZE]
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().limits.max_frame_size)]
    max_frame_size: usize,
    /// Bytes in a message, where each frame counts for 64 more than it has.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().limits.max_message_size)]
    max_message_size: usize,
    /// Frames in a message.
    #[arg(long, value_name = "N", default_value_t = Config::default().limits.max_frames)]
    max_frames: usize,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Transport")]
struct TransportOptions {
    /// Whether small TCP segments leave at once.
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set,
          default_value_t = Config::default().transport.nodelay)]
    nodelay: bool,
    /// Probes on a silent TCP connection, such as 60s,5s,3; what is left out, as in `60s,,` or `,,`,
    /// is as the system has it. [libzmq: ZMQ_TCP_KEEPALIVE and _IDLE, _INTVL, _CNT]
    #[arg(long, value_name = "IDLE,INTERVAL,COUNT", value_parser = parse_keepalive)]
    keepalive: Option<Keepalive>,
    /// Bytes the system holds that are to be sent. [libzmq: ZMQ_SNDBUF]
    #[arg(long, value_name = "BYTES")]
    send_buffer: Option<usize>,
    /// Bytes the system holds that have been received. [libzmq: ZMQ_RCVBUF]
    #[arg(long, value_name = "BYTES")]
    recv_buffer: Option<usize>,
    /// Connections that wait to be accepted. [libzmq: ZMQ_BACKLOG]
    #[arg(long, value_name = "N", default_value_t = Config::default().transport.backlog)]
    backlog: u32,
    /// How long one attempt to connect may take. [libzmq: ZMQ_CONNECT_TIMEOUT]
    #[arg(long, value_name = "DURATION",
          default_value_t = Config::default().transport.connect_timeout.into())]
    connect_timeout: Span,
    /// Permissions of socket files; as the umask has it unless given.
    #[arg(long, value_name = "OCTAL", value_parser = parse_octal)]
    ipc_mode: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Full {
    Wait,
    Fail,
    Drop,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Duplicate {
    Reject,
    Handover,
    Allow,
}

impl ConfigOptions {
    /// Whether a req sends without waiting for a reply.
    pub(crate) fn relaxed(&self) -> bool {
        self.relaxed
    }

    pub(crate) fn to_config(&self) -> Config {
        let mut config = Config::default();
        config.identity = self.identity.clone().unwrap_or_default();
        config.properties.clone_from(&self.property);
        config.send_hwm = self.send_hwm;
        config.send_hwm_bytes = self.send_hwm_bytes;
        config.recv_hwm = self.recv_hwm;
        config.recv_hwm_bytes = self.recv_hwm_bytes;
        config.on_full = self.on_full.map(|on_full| match on_full {
            Full::Wait => OnFull::Wait,
            Full::Fail => OnFull::Fail,
            Full::Drop => OnFull::Drop,
        });
        config.duplicate_identity = match self.duplicate_identity {
            Duplicate::Reject => DuplicateIdentity::Reject,
            Duplicate::Handover => DuplicateIdentity::Handover,
            Duplicate::Allow => DuplicateIdentity::Allow,
        };
        config.immediate = self.immediate;
        config.probe = self.probe;
        config.correlate = self.correlate;
        config.relaxed = self.relaxed;
        config.linger = self.linger.duration();
        config.reconnect = !self.no_reconnect;
        config.reconnect_min = self.reconnect_min.duration();
        config.reconnect_max = self.reconnect_max.duration();
        config.heartbeat = self.to_heartbeat();
        config.write_timeout = self.write_timeout.duration();
        self.limits.apply(&mut config);
        self.transport.apply(&mut config);
        config
    }

    fn to_heartbeat(&self) -> Option<Heartbeat> {
        let mut heartbeat = Heartbeat::every(self.heartbeat?.duration());
        if let Some(timeout) = self.heartbeat_timeout {
            heartbeat.timeout = timeout.duration();
        }
        if let Some(ttl) = self.heartbeat_ttl {
            heartbeat.ttl = ttl.duration();
        }
        Some(heartbeat)
    }
}

impl LimitOptions {
    fn apply(&self, config: &mut Config) {
        config.max_connections = self.max_connections;
        config.max_pending_handshakes = self.max_pending_handshakes;
        config.max_total_bytes = self.max_total_bytes;
        config.limits.handshake_timeout = self.handshake_timeout.duration();
        config.limits.max_command_size = self.max_command_size;
        config.limits.max_frame_size = self.max_frame_size;
        config.limits.max_message_size = self.max_message_size;
        config.limits.max_frames = self.max_frames;
    }
}

impl TransportOptions {
    fn apply(&self, config: &mut Config) {
        config.transport.nodelay = self.nodelay;
        config.transport.keepalive = self.keepalive;
        config.transport.send_buffer = self.send_buffer;
        config.transport.recv_buffer = self.recv_buffer;
        config.transport.backlog = self.backlog;
        config.transport.connect_timeout = self.connect_timeout.duration();
        config.transport.ipc_mode = self.ipc_mode;
    }
}
