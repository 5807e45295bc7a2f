//! What is printed. That nobody reads it is no reason to end.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};

/// A line of what the command is for.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// A line about what goes on.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(stderr(), "broker: {text}");
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
