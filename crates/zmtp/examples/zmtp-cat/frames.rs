//! A frame as a line of text, and back.

use std::fmt::Write;

use zmtp::Message;

const PREFIX: &str = "0x";

/// What a line stands for: the bytes in hex after `0x`, or the line itself.
pub(crate) fn parse(line: &[u8]) -> Result<Vec<u8>, &'static str> {
    let Some(digits) = line.strip_prefix(PREFIX.as_bytes()) else { return Ok(line.to_vec()) };
    let (pairs, odd) = digits.as_chunks();
    if !odd.is_empty() {
        return Err("a frame in hex has two digits for each byte");
    }
    let value = |&[high, low]: &[u8; 2]| Some(nibble(high)? << 4 | nibble(low)?);
    let bytes: Option<Vec<_>> = pairs.iter().map(value).collect();
    bytes.ok_or("what follows 0x is not hex")
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// The line that stands for a frame.
pub(crate) fn show(frame: &[u8]) -> String {
    match std::str::from_utf8(frame) {
        Ok(text) if is_plain(text) => text.to_owned(),
        _ => frame.iter().fold(PREFIX.to_owned(), |mut line, byte| {
            // A string takes whatever is written.
            let _ = write!(line, "{byte:02x}");
            line
        }),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(PREFIX) && !text.contains(char::is_control)
}

/// The lines that stand for a message, the empty one at its end included.
pub(crate) fn show_message(message: &Message) -> String {
    let mut lines: Vec<_> = message.parts().map(show).collect();
    lines.push("\n".to_owned());
    lines.join("\n")
}
