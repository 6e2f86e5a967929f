//! What dbmux asks of the kernel: processes, who holds a file, byte-range locks, places at run time.
//!
//! The only room with a platform in it. Linux is served in full; elsewhere the same interface answers
//! [`OsError::Unsupported`] by name where nothing true can be said.

pub mod access_time;
pub mod child;
pub mod clock;
pub mod daemon;
mod error;
pub mod file_copy;
pub mod file_id;
pub mod file_kind;
pub mod fork;
pub mod fs_kind;
pub mod holders;
pub mod job;
pub mod memory;
pub mod new_file;
pub mod process;
pub mod range_lock;
pub mod runtime;
pub mod socket;
pub mod theirs;
pub mod view;

pub use error::OsError;
