//! What stands behind an option.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use zmtp::{Endpoint, Keepalive};

use crate::frames;

/// A duration as it is written: a whole number with a unit, or `forever`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(Duration);

impl Span {
    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not a duration such as 200ms, 5s, 2m, 1h or forever";
        if text == "forever" {
            return Ok(Self(Duration::MAX));
        }
        let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or(WRONG)?;
        let (number, unit) = text.split_at(unit);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(WRONG),
        };
        let number: u64 = number.parse().map_err(|_| WRONG)?;
        number.checked_mul(milliseconds).map(|all| Self(Duration::from_millis(all))).ok_or(WRONG)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Duration::MAX { f.write_str("forever") } else { write!(f, "{:?}", self.0) }
    }
}

/// A frame as it is written in standard input.
pub(super) fn parse_bytes(text: &str) -> Result<Bytes, &'static str> {
    frames::parse(text.as_bytes()).map(Bytes::from)
}

pub(super) fn parse_named_endpoint(text: &str) -> Result<(Bytes, Endpoint), String> {
    let (name, endpoint) = text.split_once('=').ok_or("not NAME=ENDPOINT")?;
    let endpoint = endpoint.parse::<Endpoint>().map_err(|error| error.to_string())?;
    Ok((parse_bytes(name)?, endpoint))
}

pub(super) fn parse_property(text: &str) -> Result<(String, Bytes), &'static str> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), parse_bytes(value)?))
}

/// Up to three values, each of which may be left out.
pub(super) fn parse_keepalive(text: &str) -> Result<Keepalive, &'static str> {
    let values: Vec<_> =
        text.split(',').map(|value| Some(value).filter(|v| !v.is_empty())).collect();
    if values.len() > 3 {
        return Err("not IDLE,INTERVAL,COUNT");
    }
    let value = |i: usize| values.get(i).copied().flatten();
    let span = |i| value(i).map(|text| text.parse().map(Span::duration)).transpose();
    let count = value(2).map(str::parse).transpose().map_err(|_| "COUNT is not a number")?;
    Ok(Keepalive { idle: span(0)?, interval: span(1)?, count })
}

pub(super) fn parse_octal(text: &str) -> Result<u32, &'static str> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777);
    mode.ok_or("not permissions such as 660")
}
