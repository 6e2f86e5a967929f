//! A fair, crash-safe lock between unrelated processes, with no daemon.
//!
//! Readers share it, writers have it alone; first come, first served within three priorities, with bounded overtaking;
//! every waiter sleeps in the kernel and is woken by it; whoever waits can see for whom; a process that dies gives
//! everything back. It is the ticket queue of the etcd and ZooKeeper recipes with byte-range locks in the place of
//! ephemeral nodes. How it works, and why it holds, is in `docs/design/lock.md`.
//!
//! ```
//! use std::time::Duration;
//! use dbmux_lock::{Lock, LockError, LockName, Mode, Request, Wait};
//!
//! # fn main() -> Result<(), LockError> {
//! # let directory = tempfile::tempdir().expect("a directory");
//! # let path = directory.path().join("report.lock");
//! let lock = Lock::open(&path, LockName::Plain)?;
//! let guard = lock.acquire(&Request::new(Mode::Exclusive))?;
//! println!("mine, with fencing token {}", guard.fence());
//!
//! // Anybody else, in this or another process, waits; or is told for whom.
//! let hurried = Request::new(Mode::Shared).wait(Wait::For(Duration::from_millis(10)));
//! match lock.acquire(&hurried) {
//!     Err(LockError::TimedOut { holder: Some(holder), .. }) => assert_eq!(holder.process.pid, std::process::id()),
//!     other => panic!("{other:?}"),
//! }
//!
//! drop(guard);
//! lock.acquire(&hurried)?;
//! # Ok(())
//! # }
//! ```

mod attempt;
mod book;
mod error;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
mod grant;
mod ground;
mod guard;
mod lock;
mod names;
mod pool;
mod request;
mod sidecar;
mod snapshot;
mod stats;
mod table;

pub use attempt::WaitState;
pub use dbmux_os::{process::ProcessId, range_lock::CancelFlag};
pub use error::LockError;
pub use grant::{CREDIT, Mode, Priority, State};
pub use guard::{FenceToken, Guard};
pub use lock::Lock;
pub use names::{LockName, Scope, named_path, sidecar_path};
pub use request::{Request, Wait};
pub use snapshot::{Snapshot, TicketInfo, TicketNumber};
pub use stats::Statistics;
