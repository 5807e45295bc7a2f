//! [`StartError`]: why a broker did not start.

use std::fmt;
use std::io;

use zmtp::{BindError, ConfigError};

use crate::queue::Side;

/// Why a broker did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A value of the configuration makes no sense.
    Config(ConfigError),
    /// An endpoint could not be bound.
    Bind(BindError),
    /// A socket that was to listen already is not one that can be used.
    Listener(Side, io::Error),
    /// What another broker has left cannot be gone on with.
    Handover(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Handover(error) => {
                write!(f, "cannot go on with another broker's sockets: {error}")
            }
            Self::Listener(side, error) => {
                write!(f, "cannot use the socket to which a {side} is to connect: {error}")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => error.source(),
            Self::Bind(error) => error.source(),
            Self::Listener(_, error) | Self::Handover(error) => Some(error),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}
