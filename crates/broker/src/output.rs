//! What is printed. That nobody reads it is no reason to end.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use serde_json::json;

use crate::log;

/// A line of what the command is for.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// What the command is for, as it is.
pub(crate) fn say_all(text: &[u8]) {
    let _ = stdout().write_all(text);
}

/// What is wrong with how it was called, as it is.
pub(crate) fn complain_all(text: &[u8]) {
    let _ = stderr().write_all(text);
}

/// A line of many. Says whether anybody reads them.
pub(crate) fn say_next(text: impl Display) -> bool {
    writeln!(stdout(), "{text}").is_ok()
}

/// Whether what is said before there is a log is for programs.
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// The log is to be JSON, and so is what is said before it begins.
pub(crate) fn speak_json() {
    FOR_PROGRAMS.store(true, Ordering::Relaxed);
}

fn say_early(level: &str, text: impl Display) {
    let _ = if FOR_PROGRAMS.load(Ordering::Relaxed) {
        let timestamp = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let line = json!({ "timestamp": timestamp, "level": level, "message": text.to_string() });
        writeln!(stderr(), "{line}")
    } else {
        writeln!(stderr(), "broker: {text}")
    };
}

/// A line about what goes on.
pub(crate) fn note(text: impl Display) {
    if log::has_started() {
        tracing::info!("{text}");
    } else {
        say_early("INFO", text);
    }
}

/// A line about what should not be so.
pub(crate) fn warn(text: impl Display) {
    if log::has_started() {
        tracing::warn!("{text}");
    } else {
        say_early("WARN", text);
    }
}

/// Why the program ends.
pub(crate) fn fail(error: impl Display) {
    if log::has_started() {
        tracing::error!("{error}");
    } else {
        say_early("ERROR", error);
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A frame as a line of text: in hexadecimal, after `0x`, unless it is printable UTF-8.
pub(crate) fn line(frame: &[u8]) -> String {
    match std::str::from_utf8(frame) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(frame)),
    }
}

/// A frame that may be longer than what there is of it: as a line of text, with its size where that says more.
pub(crate) fn excerpt(start: &[u8], size: usize) -> String {
    if size == 0 {
        return "(empty)".to_owned();
    }
    if start.len() == size {
        return line(start);
    }
    // A character may be cut in two.
    let whole = match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_none() => start.get(..error.valid_up_to()),
        _ => None,
    };
    format!("{}... ({size} bytes)", line(whole.unwrap_or(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_shown_as_text_where_they_are_text() {
        assert_eq!(line(b"OK from PROCESSOR-0"), "OK from PROCESSOR-0");
        assert_eq!(line("grün".as_bytes()), "grün");
        assert_eq!(line(b""), "");
        assert_eq!(line(b"a\nb"), "0x610a62");
        assert_eq!(line(b"\xFF\x00"), "0xff00");
    }

    #[test]
    fn of_a_long_frame_the_beginning_is_shown_and_how_long_it_is() {
        assert_eq!(excerpt(b"", 0), "(empty)");
        assert_eq!(excerpt(b"whole", 5), "whole");
        assert_eq!(excerpt("gr\u{fc}n".as_bytes().get(..3).unwrap(), 5), "gr... (5 bytes)");
        assert_eq!(excerpt(b"\xFF\0", 100), "0xff00... (100 bytes)");
    }
}
