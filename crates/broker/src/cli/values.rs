//! Values of options.

use std::net::SocketAddr;
use std::time::Duration;

const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "not an address and a port such as 127.0.0.1:5580")
}

/// An address, or the URL of it.
pub(super) fn parse_http(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    match text.strip_prefix("localhost:") {
        Some(port) => parse_address(&format!("127.0.0.1:{port}")),
        None => parse_address(text),
    }
}

pub(super) fn parse_size(text: &str) -> Result<usize, &'static str> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K') => (text.trim_end_matches('K'), 10),
        Some(b'M') => (text.trim_end_matches('M'), 20),
        Some(b'G') => (text.trim_end_matches('G'), 30),
        _ => (text, 0),
    };
    let size: usize = digits.parse().map_err(|_| "not a number of bytes such as 65536 or 64M")?;
    match size.checked_mul(1 << shift) {
        Some(0) => Err("it must be at least 1"),
        Some(size) if isize::try_from(size).is_ok() => Ok(size),
        _ => Err("more than this machine can address"),
    }
}

/// As `chmod` takes them; not without the 0, for a number of a TOML file in another base would be taken for another.
pub(super) fn parse_mode(text: &str) -> Result<u32, &'static str> {
    let is_octal =
        text.starts_with('0') && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| is_octal && mode <= 0o777);
    mode.ok_or("not permissions such as \"0660\"")
}

/// More than nothing.
pub(super) fn parse_period(text: &str) -> Result<Duration, &'static str> {
    let period = parse_seconds(text)?;
    if period.is_zero() { Err("it must be more than 0") } else { Ok(period) }
}

pub(super) fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().map_err(|_| "not a number of seconds such as 2 or 0.5")?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| "not a length of time")?;
    if time > LONGEST { Err("longer than a hundred years") } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_suffixes() {
        assert_eq!(parse_size("1"), Ok(1));
        assert_eq!(parse_size("4K"), Ok(4096));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        for wrong in ["", "M", "0", "0K", "-1", "1.5M", "1KB", "99999999999G"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn permissions_are_octal() {
        assert_eq!((parse_mode("0660"), parse_mode("0777")), (Ok(0o660), Ok(0o777)));
        for wrong in ["", "660", "0680", "0o660", "+0660", "01777", "rw-rw----"] {
            assert!(parse_mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_but_no_sign() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "x", "-1", "inf", "NaN", "1e10"] {
            assert!(parse_seconds(wrong).is_err(), "{wrong}");
        }
        assert!(parse_period("0").is_err());
    }
}
