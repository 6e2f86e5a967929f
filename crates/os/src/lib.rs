//! Processes, holders of a file, byte-range locks, private directories: what dbmux asks of the kernel.
//!
//! The only room with `unsafe` and with a `cfg` for an operating system. Each difference between systems is a whole file
//! behind one interface (`sys`); what a system does not offer is [`OsError::Unsupported`], never a silent success.
//!
//! Nothing here ever opens a database file in the calling process: opening and closing it once would drop the locks that
//! an embedded database holds there.

mod error;
pub mod file;
pub mod fork;
pub mod holders;
pub mod process;
pub mod range_lock;
pub mod runtime;
pub mod spawn;

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod sys;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "unix_other.rs"]
mod sys;
#[cfg(windows)]
#[path = "windows.rs"]
mod sys;

pub use error::OsError;
