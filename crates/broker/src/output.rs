//! What is printed. That nobody reads it is no reason to end.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

use crate::log;

/// A line of what the command is for.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// What the command is for, as it is.
pub(crate) fn say_all(text: &[u8]) {
    let _ = stdout().write_all(text);
}

/// A line about what goes on.
pub(crate) fn note(text: impl Display) {
    if log::has_started() {
        tracing::info!("{text}");
    } else {
        let _ = writeln!(stderr(), "broker: {text}");
    }
}

/// A line about what should not be so.
pub(crate) fn warn(text: impl Display) {
    if log::has_started() {
        tracing::warn!("{text}");
    } else {
        note(text);
    }
}

/// Why the program ends.
pub(crate) fn fail(error: impl Display) {
    if log::has_started() {
        tracing::error!("{error}");
    } else {
        note(error);
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
