//! Passing bytes and descriptors to another process, over a Unix socket.
//!
//! A part is its size in 8 bytes, with which the descriptor travels, and so many bytes.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

const HEAD: usize = 8;

/// Passes a part on.
pub(crate) fn send(
    mut stream: &UnixStream,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let head = (bytes.len() as u64).to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.map(|descriptor| [descriptor]);
    if let Some(descriptors) = &descriptors {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let slices = [IoSlice::new(&head)];
    let sent = retry_on_intr(|| sendmsg(stream, &slices, &mut ancillary, SendFlags::NOSIGNAL))?;
    stream.write_all(head.get(sent..).unwrap_or_default())?;
    stream.write_all(bytes)
}

/// The next part; none at the end.
pub(crate) fn receive(mut stream: &UnixStream) -> io::Result<Option<(Bytes, Option<OwnedFd>)>> {
    let mut head = [0; HEAD];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = {
        let mut slices = [IoSliceMut::new(&mut head)];
        retry_on_intr(|| recvmsg(stream, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC))?
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptor = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.last().or(descriptor);
        }
    }
    stream.read_exact(head.get_mut(received.bytes..).unwrap_or_default())?;
    let mut bytes = Vec::new();
    let size = u64::from_le_bytes(head);
    stream.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((bytes.into(), descriptor)))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn parts_arrive_with_their_descriptors_and_a_cut_off_one_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut far, near) = UnixStream::pair().unwrap();
        let large = vec![7; 300_000];
        let sender = std::thread::spawn(move || {
            send(&ours, b"", None).unwrap();
            send(&ours, b"socket", Some(near.as_fd())).unwrap();
            send(&ours, &large, None).unwrap();
            (&ours).write_all(&[9, 0, 0]).unwrap();
        });
        assert!(matches!(receive(&theirs).unwrap(), Some((bytes, None)) if bytes.is_empty()));
        let (bytes, socket) = receive(&theirs).unwrap().unwrap();
        assert_eq!(bytes, "socket");
        UnixStream::from(socket.unwrap()).write_all(b"!").unwrap();
        far.read_exact(&mut [0]).unwrap();
        assert_eq!(receive(&theirs).unwrap().unwrap().0.len(), 300_000);
        sender.join().unwrap();
        assert!(receive(&theirs).is_err());
    }
}
