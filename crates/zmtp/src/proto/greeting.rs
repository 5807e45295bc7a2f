//! The 64-byte greeting that opens every connection (RFC 37, "Version negotiation").
//!
//! ```text
//! 0     1..9     9     10     11     12..32     32         33..64
//! FF    padding  7F    major  minor  mechanism  as-server  filler
//! ```

use crate::error::ProtocolError;

/// Bytes of a greeting.
pub const GREETING_SIZE: usize = 64;

/// The NULL mechanism, padded as it stands in a greeting.
const MECHANISM: [u8; 20] = *b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The greeting this implementation sends: ZMTP 3.1 with the NULL mechanism.
///
/// It leaves whole and unprompted: libzmq sends ten bytes and then waits for ten.
/// Padding is what libzmq sends for an anonymous peer; nobody may check it.
pub const GREETING: [u8; GREETING_SIZE] = {
    let mut greeting = [0; GREETING_SIZE];
    let (head, _) = greeting.split_at_mut(16);
    head.copy_from_slice(b"\xFF\0\0\0\0\0\0\0\x01\x7F\x03\x01NULL");
    greeting
};

/// A version of the protocol, as a peer's greeting states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Version {
    /// 3, or above for a later protocol that has to speak 3.1 to us.
    pub major: u8,
    /// 0 or 1 for the protocols that exist.
    pub minor: u8,
}

impl Version {
    /// What this implementation speaks.
    pub const V3_1: Self = Self { major: 3, minor: 1 };
}

/// Reads a greeting from the start of `bytes`, judging each field as soon as it is there.
///
/// Returns the peer's version, or `None` while the greeting is not complete but fine so far.
/// The padding, the as-server flag and the filler are not looked at.
///
/// # Errors
///
/// [`ProtocolError::NotZmtp`] when the signature is not one (a ZMTP 1.0 peer, an HTTP client),
/// [`ProtocolError::UnsupportedVersion`] below 3, and [`ProtocolError::MechanismMismatch`] for
/// anything but NULL.
pub fn decode_greeting(bytes: &[u8]) -> Result<Option<Version>, ProtocolError> {
    // libzmq tells ZMTP 1.0 from later by the first byte and the lowest bit of the tenth.
    if let Some(&first) = bytes.first()
        && first != 0xFF
    {
        return Err(ProtocolError::NotZmtp(first));
    }
    if let Some(&tenth) = bytes.get(9)
        && tenth & 1 == 0
    {
        return Err(ProtocolError::NotZmtp(tenth));
    }
    let Some(&major) = bytes.get(10) else { return Ok(None) };
    if major < 3 {
        return Err(ProtocolError::UnsupportedVersion(major));
    }
    let Some(greeting) = bytes.first_chunk::<GREETING_SIZE>() else { return Ok(None) };
    let mut mechanism = [0; 20];
    mechanism.copy_from_slice(&greeting[12..32]);
    if mechanism != MECHANISM {
        return Err(ProtocolError::MechanismMismatch(mechanism));
    }
    Ok(Some(Version { major, minor: greeting[11] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_libzmqs_greeting_for_an_anonymous_peer() {
        let mut expected = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1];
        expected.extend(b"NULL");
        expected.extend([0; 48]);
        assert_eq!(GREETING.as_slice(), expected);
    }

    #[test]
    fn every_prefix_is_incomplete_and_the_whole_is_the_version() {
        for end in 0..GREETING_SIZE {
            assert_eq!(decode_greeting(&GREETING[..end]), Ok(None));
        }
        assert_eq!(decode_greeting(&GREETING), Ok(Some(Version { major: 3, minor: 1 })));
    }

    #[test]
    fn padding_as_server_and_filler_are_arbitrary() {
        let mut greeting = GREETING;
        greeting[1..9].fill(0xAA);
        greeting[9] = 0x01;
        greeting[32..].fill(0x55);
        assert_eq!(decode_greeting(&greeting), Ok(Some(Version { major: 3, minor: 1 })));
    }

    #[test]
    fn version_3_0_and_later_majors_are_accepted_and_lower_ones_refused() {
        for major in 0..=u8::MAX {
            let mut greeting = GREETING;
            greeting[10..12].copy_from_slice(&[major, 0]);
            let expected = match major {
                0..3 => Err(ProtocolError::UnsupportedVersion(major)),
                _ => Ok(Some(Version { major, minor: 0 })),
            };
            assert_eq!(decode_greeting(&greeting), expected);
        }
    }

    #[test]
    fn an_old_peer_and_a_web_client_are_refused_at_the_first_telling_byte() {
        assert_eq!(decode_greeting(b"\x01"), Err(ProtocolError::NotZmtp(1)));
        assert_eq!(decode_greeting(b"G"), Err(ProtocolError::NotZmtp(b'G')));
        let short = b"\xFF\0\0\0\0\0\0\0\x01\x7E";
        assert_eq!(decode_greeting(short), Err(ProtocolError::NotZmtp(0x7E)));
    }

    #[test]
    fn another_mechanism_and_garbage_after_null_are_refused() {
        for name in [&b"PLAIN"[..], b"null", b"NULL\0x"] {
            let mut greeting = GREETING;
            greeting[12..32].fill(0);
            greeting[12..12 + name.len()].copy_from_slice(name);
            let outcome = decode_greeting(&greeting);
            assert!(matches!(outcome, Err(ProtocolError::MechanismMismatch(_))), "{outcome:?}");
        }
    }
}
