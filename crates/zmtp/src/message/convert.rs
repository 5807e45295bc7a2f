//! Making messages of parts, and parts of messages.

use bytes::Bytes;

use super::short::Short;
use super::{Frames, Message, Parts};

/// Few enough parts to be gathered without a list.
const FEW: usize = 4;

impl<T: Into<Bytes>> FromIterator<T> for Message {
    fn from_iter<I: IntoIterator<Item = T>>(parts: I) -> Self {
        let mut parts = parts.into_iter().map(Into::into).fuse();
        let mut few: [Bytes; FEW] = Default::default();
        let mut count = 0;
        for (place, part) in few.iter_mut().zip(parts.by_ref()) {
            *place = part;
            count += 1;
        }
        match parts.next() {
            None => Self::from_parts(few.get(..count).unwrap_or_default()),
            Some(next) => {
                let all: Vec<Bytes> = few.into_iter().chain([next]).chain(parts).collect();
                Self::from_parts(&all)
            }
        }
    }
}

impl Extend<Bytes> for Message {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, parts: I) {
        *self = std::mem::take(self).into_iter().chain(parts).collect();
    }
}

impl IntoIterator for Message {
    type Item = Bytes;
    type IntoIter = IntoParts;

    fn into_iter(self) -> IntoParts {
        IntoParts(self)
    }
}

impl<'a> IntoIterator for &'a Message {
    type Item = &'a [u8];
    type IntoIter = Parts<'a>;

    fn into_iter(self) -> Parts<'a> {
        self.parts()
    }
}

/// The parts of a message, by value. They share its buffer.
#[derive(Debug)]
pub struct IntoParts(Message);

impl Iterator for IntoParts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for IntoParts {}

impl<T: Into<Bytes>, const N: usize> From<[T; N]> for Message {
    fn from(parts: [T; N]) -> Self {
        Self::from_parts(&parts.map(Into::into))
    }
}

impl From<Vec<Bytes>> for Message {
    fn from(parts: Vec<Bytes>) -> Self {
        Self::from_parts(&parts)
    }
}

impl From<Vec<Vec<u8>>> for Message {
    fn from(parts: Vec<Vec<u8>>) -> Self {
        parts.into_iter().collect()
    }
}

impl From<Vec<&str>> for Message {
    fn from(parts: Vec<&str>) -> Self {
        Self::copy_from(&parts)
    }
}

impl From<Vec<String>> for Message {
    fn from(parts: Vec<String>) -> Self {
        Self::copy_from(&parts)
    }
}

impl From<Message> for Vec<Bytes> {
    fn from(message: Message) -> Self {
        message.into_iter().collect()
    }
}

impl From<Message> for Vec<Vec<u8>> {
    fn from(message: Message) -> Self {
        message.parts().map(<[u8]>::to_vec).collect()
    }
}

/// One part.
impl From<Vec<u8>> for Message {
    fn from(part: Vec<u8>) -> Self {
        Self::from(Bytes::from(part))
    }
}

/// One part.
impl<const N: usize> From<&[u8; N]> for Message {
    fn from(part: &[u8; N]) -> Self {
        Self::copy_of_part(part.as_ref())
    }
}

/// One part.
impl From<Bytes> for Message {
    fn from(part: Bytes) -> Self {
        Self::from(&part)
    }
}

/// One part, which is shared unless the message is so short that it holds it itself.
impl From<&Bytes> for Message {
    fn from(part: &Bytes) -> Self {
        match Short::part(part) {
            Some(short) => Self { frames: Frames::Short(short) },
            None => Self::from_parts(std::slice::from_ref(part)),
        }
    }
}

/// One part.
impl From<&str> for Message {
    fn from(part: &str) -> Self {
        Self::copy_of_part(part.as_ref())
    }
}

/// One part.
impl From<&[u8]> for Message {
    fn from(part: &[u8]) -> Self {
        Self::copy_of_part(part)
    }
}

/// One part.
impl From<String> for Message {
    fn from(part: String) -> Self {
        Self::from(Bytes::from(part))
    }
}
