//! The bytes of ZMTP 3.1 that a peer cannot do without.

use std::io::{self, Read, Write};

use crate::Stream;

pub const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    greeting[0] = 0xFF;
    greeting[8] = 1;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    greeting[11] = 1;
    let mechanism = *b"NULL";
    let mut i = 0;
    while i < 4 {
        greeting[12 + i] = mechanism[i];
        i += 1;
    }
    greeting
};

/// READY of a socket of this type.
pub fn ready(socket_type: &str, identity: &[u8]) -> Vec<u8> {
    let mut body = b"\x05READY\x0BSocket-Type".to_vec();
    body.extend((socket_type.len() as u32).to_be_bytes());
    body.extend(socket_type.as_bytes());
    body.extend(b"\x08Identity");
    body.extend((identity.len() as u32).to_be_bytes());
    body.extend(identity);
    let mut frame = vec![4, body.len() as u8];
    frame.extend(body);
    frame
}

/// A frame with its header.
pub fn frame(body: &[u8], more: bool, out: &mut Vec<u8>) {
    match u8::try_from(body.len()) {
        Ok(len) => out.extend([u8::from(more), len]),
        Err(_) => {
            out.push(u8::from(more) | 2);
            out.extend((body.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}

/// Flags, where the body begins and where it ends, of the frame at the front, if it is whole.
pub fn split_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let flags = *bytes.first()?;
    let (head, len) = if flags & 2 == 0 {
        (2, usize::from(*bytes.get(1)?))
    } else {
        (9, u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?) as usize)
    };
    Some((flags, head, head + len)).filter(|&(_, _, end)| bytes.len() >= end)
}

/// Says hello and waits for the other side's.
pub fn shake_hands(stream: &Stream, socket_type: &str, identity: &[u8]) -> io::Result<()> {
    write_all(stream, &GREETING)?;
    write_all(stream, &ready(socket_type, identity))?;
    read_exact(stream, &mut [0; 64])?;
    let mut head = [0; 2];
    read_exact(stream, &mut head)?;
    read_exact(stream, &mut vec![0; usize::from(head[1])])
}

/// Reads from a stream that does not block, by trying again.
fn read_exact(mut stream: &Stream, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match stream.read(buf) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buf = &mut buf[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write_all(mut stream: &Stream, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match stream.write(buf) {
            Ok(count) => buf = &buf[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
