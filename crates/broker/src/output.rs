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
