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
    use std::{io::Write, os::fd::AsFd, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn sees_the_other_end_go_before_everything_is_read() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(b"a last word").expect("it is taken");
        assert!(!has_hung_up(ours.as_fd()));
        drop(theirs);
        assert!(has_hung_up(ours.as_fd()));
    }
}
