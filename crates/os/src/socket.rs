//! Sockets, as far as the standard library does not ask.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
