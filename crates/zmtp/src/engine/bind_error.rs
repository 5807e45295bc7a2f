//! [`BindError`]: why nobody listens.

use std::fmt;
use std::io;

use crate::endpoint::Endpoint;

/// An endpoint that could not be bound, and why.
#[derive(Debug)]
pub struct BindError {
    endpoint: Endpoint,
    kind: BindErrorKind,
}

/// Why an endpoint could not be bound.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindErrorKind {
    /// Somebody else listens there.
    InUse,
    /// There is a file that is not a socket. It was left alone.
    NotASocket,
    /// The system refused for another reason.
    Io(io::Error),
}

impl BindError {
    pub(super) fn new(endpoint: Endpoint, kind: BindErrorKind) -> Self {
        Self { endpoint, kind }
    }

    /// The endpoint that could not be bound.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Why it could not be bound.
    #[must_use]
    pub fn kind(&self) -> &BindErrorKind {
        &self.kind
    }
}

impl From<io::Error> for BindErrorKind {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::AddrInUse { Self::InUse } else { Self::Io(error) }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot bind {}: {}", self.endpoint, self.kind)
    }
}

impl fmt::Display for BindErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("it is in use by another process or socket"),
            Self::NotASocket => {
                f.write_str("there is a file that is not a socket, move it away first")
            }
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            BindErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}
