//! What peers are called, as text. A name may be any bytes; those that are not plain characters are escaped.

use bytes::Bytes;

/// As the log and the page have it.
pub(crate) fn show(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

/// The name that is shown so, if there is one.
pub(crate) fn parse(text: &str) -> Option<Bytes> {
    let mut name = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        if byte != b'\\' {
            name.push(byte);
            rest = behind;
            continue;
        }
        let (&escaped, behind) = behind.split_first()?;
        rest = behind;
        name.push(match escaped {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            b'\\' | b'\'' | b'"' => escaped,
            b'x' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                let digits = std::str::from_utf8(digits).ok()?;
                let is_number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                u8::from_str_radix(digits, 16).ok().filter(|_| is_number)?
            }
            _ => return None,
        });
    }
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_what_is_shown_of_it() {
        let all: Vec<u8> = (0..=255).collect();
        for name in [&b""[..], b"PROCESSOR-1", b"\0\x80A\x16-", &all] {
            assert_eq!(parse(&show(name)).unwrap(), name);
        }
        assert_eq!(parse("gr\u{fc}n").unwrap(), "gr\u{fc}n".as_bytes());
        for wrong in ["\\", "\\x", "\\x0", "\\xzz", "\\x+f", "\\q"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
