//! Reading without writing: a read that also updates the file's access time costs more than the read.

use std::{fs::File, os::fd::AsFd};

/// Leaves the access time alone when this open file is read, where the system lets us: on Linux, for the file's owner.
pub fn leave_alone(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        // Refused to others than the owner: they pay for it.
        let _ = fcntl_getfl(file.as_fd()).and_then(|flags| fcntl_setfl(file.as_fd(), flags | OFlags::NOATIME));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file.as_fd();
}
