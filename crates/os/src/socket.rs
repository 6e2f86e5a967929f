//! Sockets, as far as the standard library does not ask.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::BorrowedFd,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

use crate::OsError;

/// The most descriptors that go with one message: the kernel's own limit is 253.
pub const MOST_DESCRIPTORS: usize = 64;

/// Sends bytes, and duplicates of open descriptors with the first of them, to the process at the other end of a local
/// socket. What is locked through such a descriptor stays locked until that process has closed its duplicate too.
///
/// # Errors
/// When the other end is gone, or there are more than [`MOST_DESCRIPTORS`].
pub fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), OsError> {
    let failed = |error: io::Error| OsError::call("send to a local socket", error);
    if descriptors.len() > MOST_DESCRIPTORS {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message")));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut sent = 0;
    while sent < bytes.len() {
        let mut with = SendAncillaryBuffer::new(&mut space);
        if sent == 0 && !descriptors.is_empty() && !with.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        match sendmsg(socket, &[IoSlice::new(&bytes[sent..])], &mut with, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    Ok(())
}

/// Whether the other end of a local socket is closed. Reads nothing, and waits for nothing.
///
/// Where the kernel does not say, it counts as open.
pub fn has_hung_up(socket: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::{
            fd::{AsFd, AsRawFd},
            unix::net::UnixStream,
        },
    };

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    #[test]
    fn sees_the_other_end_go_before_everything_is_read() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(b"a last word").expect("it is taken");
        assert!(!has_hung_up(ours.as_fd()));
        drop(theirs);
        assert!(has_hung_up(ours.as_fd()));
    }

    #[test]
    fn a_descriptor_that_is_sent_keeps_open_what_ours_no_longer_does() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let (mut read, write) = std::io::pipe().expect("a pipe");
        send_with(ours.as_fd(), b"a word", &[write.as_fd()]).expect("it is sent");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut with = RecvAncillaryBuffer::new(&mut space);
        let mut word = [0; 16];
        let parts = &mut [io::IoSliceMut::new(&mut word)];
        let received = recvmsg(&theirs, parts, &mut with, RecvFlags::CMSG_CLOEXEC).expect("it arrives");
        let mut sent = Vec::new();
        for message in with.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                sent.extend(descriptors);
            }
        }
        assert_eq!((received.bytes, &word[..6], sent.len()), (6, &b"a word"[..], 1));
        assert_ne!(sent[0].as_raw_fd(), write.as_raw_fd());
        drop(write);
        std::fs::File::from(sent.remove(0)).write_all(b"still open").expect("it is");
        let mut text = String::new();
        read.read_to_string(&mut text).expect("the end comes, for nobody has it any more");
        assert_eq!(text, "still open");
        let many = vec![ours.as_fd(); MOST_DESCRIPTORS + 1];
        assert!(send_with(ours.as_fd(), b"x", &many).is_err());
    }
}
