//! [`Endpoint`]: where a socket binds or connects.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest path or abstract name: what `sockaddr_un` holds, less a final zero byte.
const MAX_PATH_SIZE: usize = 107;

/// An address in ZeroMQ's notation.
///
/// | notation | bind | connect |
/// |---|---|---|
/// | `tcp://192.0.2.1:5555`, `tcp://[2001:db8::1]:5555` | that address | that address |
/// | `tcp://example.org:5555` | the first of its addresses that works | likewise, at each attempt |
/// | `tcp://*:5555` | all IPv4 addresses | refused |
/// | `tcp://127.0.0.1:0`, `tcp://127.0.0.1:*` | a free port | refused |
/// | `tcp://192.0.2.7:0;example.org:5555` | refused | from that address, and port unless 0 |
/// | `ipc://name.ipc`, `ipc:///run/name.ipc` | a socket file, relative or absolute | likewise |
/// | `ipc://*` | a socket file in a new directory of this user's own | refused |
/// | `ipc://@name` | a name in Linux' abstract namespace | likewise |
///
/// A path or an abstract name takes at most 107 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Kind);

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// `host` is `*`, a name, or an address without brackets.
    Tcp {
        host: Box<str>,
        port: u16,
        /// Where to connect from.
        source: Option<SocketAddr>,
    },
    Path(PathBuf),
    /// A path that is to be chosen.
    AnyPath,
    /// The name without its `@`.
    Abstract(Box<str>),
}

impl Endpoint {
    #[cfg(feature = "tokio")]
    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn from_path(path: PathBuf) -> Self {
        Self(Kind::Path(path))
    }

    /// Where a Unix socket is bound, if it has a name that can be written down.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_unix(address: &socket2::SockAddr) -> Option<Self> {
        if let Some(path) = address.as_pathname() {
            return Some(Self::from_path(path.to_owned()));
        }
        let name = std::str::from_utf8(address.as_abstract_namespace()?).ok()?;
        Some(Self(Kind::Abstract(name.into())))
    }

    /// Whether a socket can connect here, which it cannot to a wildcard.
    #[cfg(feature = "tokio")]
    pub(crate) fn check_connect(&self) -> Result<(), EndpointError> {
        let reason = match &self.0 {
            Kind::Tcp { port: 0, .. } => "nobody listens on port 0",
            Kind::Tcp { host, .. } if **host == *"*" => {
                "* stands for all addresses and cannot be called"
            }
            Kind::AnyPath => "* is for binding",
            _ => return Ok(()),
        };
        Err(EndpointError::new(self, EndpointErrorKind::NotConnectable, reason))
    }

    /// Whether other machines can reach a socket that binds here: anything on TCP that is not a
    /// loopback address or `localhost`.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        let Kind::Tcp { host, .. } = &self.0 else { return false };
        match host.parse::<std::net::IpAddr>() {
            Ok(address) => !address.is_loopback(),
            Err(_) => !host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// The socket file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The TCP port, if it is one. 0 stands for one that the system is to choose.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.0 {
            Kind::Tcp { port, .. } => Some(port),
            _ => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let host = address.ip().to_string().into();
        Self(Kind::Tcp { host, port: address.port(), source: None })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp { host, port, source } => {
                f.write_str("tcp://")?;
                if let Some(source) = source {
                    write!(f, "{source};")?;
                }
                if host.contains(':') {
                    write!(f, "[{host}]:{port}")
                } else {
                    write!(f, "{host}:{port}")
                }
            }
            Kind::AnyPath => f.write_str("ipc://*"),
            Kind::Path(path) => write!(f, "ipc://{}", path.display()),
            Kind::Abstract(name) => write!(f, "ipc://@{name}"),
        }
    }
}

/// An endpoint that cannot be understood. It names the text and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    endpoint: Box<str>,
    kind: EndpointErrorKind,
    reason: &'static str,
}

/// What an endpoint cannot be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndpointErrorKind {
    /// It is not in ZeroMQ's notation.
    Malformed,
    /// It cannot be connected to, as a wildcard cannot.
    NotConnectable,
    /// The name for its peer is none, or somebody has it.
    BadName,
    /// It is not bound, or not connected, where it is to be given up.
    NotOpen,
}

impl EndpointError {
    #[cfg(feature = "tokio")]
    pub(crate) fn new(endpoint: &Endpoint, kind: EndpointErrorKind, reason: &'static str) -> Self {
        Self { endpoint: endpoint.to_string().into(), kind, reason }
    }

    /// What it cannot be used for.
    #[must_use]
    pub fn kind(&self) -> EndpointErrorKind {
        self.kind
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unusable endpoint {:?}: {}", self.endpoint, self.reason)
    }
}

impl std::error::Error for EndpointError {}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let kind = if let Some(rest) = text.strip_prefix("tcp://") {
            parse_tcp(rest)
        } else if let Some(rest) = text.strip_prefix("ipc://") {
            parse_ipc(rest)
        } else {
            Err("it must start with tcp:// or ipc://")
        };
        let malformed = EndpointErrorKind::Malformed;
        let error = |reason| EndpointError { endpoint: text.into(), kind: malformed, reason };
        kind.map(Self).map_err(error)
    }
}

fn parse_tcp(text: &str) -> Result<Kind, &'static str> {
    let (source, text) = match text.split_once(';') {
        Some((source, target)) => (Some(parse_source(source)?), target),
        None => (None, text),
    };
    let (host, port) = text.rsplit_once(':').ok_or("a port is missing")?;
    let port = match port {
        "*" => 0,
        // `parse` alone would take "+1".
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| "the port must be a number from 0 to 65535, or *")?
        }
        _ => return Err("the port must be a number from 0 to 65535, or *"),
    };
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']').ok_or("a ] is missing")?;
            check_ipv6(address)?;
            address
        }
        None if host.contains(':') => return Err("an IPv6 address must stand in [ ]"),
        None if host.is_empty() => return Err("a host is missing"),
        None if host == "*" || host.bytes().all(is_host_byte) => host,
        None => return Err("the host has a character that no name or address has"),
    };
    Ok(Kind::Tcp { host: host.into(), port, source })
}

/// An address and a port; either may be `*` for any.
fn parse_source(text: &str) -> Result<SocketAddr, &'static str> {
    const WRONG: &str = "the source before the ; must be an address and a port";
    let (host, port) = text.rsplit_once(':').ok_or(WRONG)?;
    let host = if host == "*" { "0.0.0.0" } else { host };
    let port = if port == "*" { "0" } else { port };
    format!("{host}:{port}").parse().map_err(|_| WRONG)
}

/// An IPv6 address, with or without a zone such as `%eth0`.
fn check_ipv6(text: &str) -> Result<(), &'static str> {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let zone_is_sound = !zone.is_empty() && zone.bytes().all(is_host_byte);
    match address.parse::<Ipv6Addr>() {
        Ok(_) if zone_is_sound => Ok(()),
        _ => Err("the [ ] do not hold an IPv6 address"),
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}

fn parse_ipc(text: &str) -> Result<Kind, &'static str> {
    if text.len() > MAX_PATH_SIZE {
        return Err("a path takes at most 107 bytes");
    }
    if text.contains('\0') {
        return Err("a path has no zero byte");
    }
    match text.strip_prefix('@') {
        Some("") => Err("a name must follow the @"),
        Some(name) => Ok(Kind::Abstract(name.into())),
        None if text.is_empty() => Err("a path is missing"),
        None if text == "*" => Ok(Kind::AnyPath),
        None => Ok(Kind::Path(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_endpoints_print_as_they_were_written() {
        for text in [
            "tcp://127.0.0.1:5555",
            "tcp://*:0",
            "tcp://[::1]:65535",
            "tcp://[fe80::1%eth0]:1",
            "tcp://a-host.example_1.org:80",
            "tcp://192.0.2.1:0;h:1",
            "tcp://[::1]:5;[::1]:6",
            "ipc://*",
            "ipc://frontend.ipc",
            "ipc:///run/with space/x.sock",
            "ipc://@abstract",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("tcp://h:*".parse::<Endpoint>().unwrap().port(), Some(0));
    }

    #[test]
    fn malformed_endpoints_are_refused_with_the_text_and_the_reason() {
        for (text, reason) in [
            ("", "it must start with"),
            ("inproc://x", "it must start with"),
            ("TCP://h:1", "it must start with"),
            ("tcp://", "a port is missing"),
            ("tcp://host", "a port is missing"),
            ("tcp://:1", "a host is missing"),
            ("tcp://host:", "the port must be"),
            ("tcp://host:567bad", "the port must be"),
            ("tcp://host:+1", "the port must be"),
            ("tcp://host:70000", "the port must be"),
            ("tcp://ho st:1", "the host has a character"),
            ("tcp://::1:5555", "an IPv6 address must stand in"),
            ("tcp://[::1:5555", "a ] is missing"),
            ("tcp://[]:1", "the [ ] do not hold"),
            ("tcp://[::1%]:1", "the [ ] do not hold"),
            ("tcp://[127.0.0.1]:1", "the [ ] do not hold"),
            ("ipc://", "a path is missing"),
            ("ipc://@", "a name must follow"),
            ("tcp://eth0:1;h:1", "the source before the ;"),
            ("tcp://127.0.0.1;h:1", "the source before the ;"),
            ("ipc://a\0b", "a path has no zero byte"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn a_path_takes_107_bytes_and_not_108() {
        let path = |size| format!("ipc://{}", "x".repeat(size));
        assert!(path(107).parse::<Endpoint>().is_ok());
        assert!(path(108).parse::<Endpoint>().is_err());
    }

    #[test]
    fn only_tcp_beyond_loopback_is_remote() {
        let remote = |text: &str| text.parse::<Endpoint>().unwrap().is_remote();
        assert!(remote("tcp://*:1") && remote("tcp://0.0.0.0:1") && remote("tcp://[::]:1"));
        assert!(remote("tcp://192.0.2.1:1") && remote("tcp://example.org:1"));
        assert!(!remote("tcp://127.0.0.2:1") && !remote("tcp://[::1]:1"));
        assert!(!remote("tcp://localhost:1") && !remote("ipc://x"));
    }
}
