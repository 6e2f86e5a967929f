//! Real processes on one lock: killed and stopped at failpoints, with time-outs, modes and priorities mixed.
//!
//! A test starts this very program again for each worker (`worker::run` tells them apart). A seed decides what the workers
//! do; it is printed, and `DBMUX_LOCK_SEED` replays it (as far as the scheduler lets it).
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's own way to fail and to tell")]

mod fork;
mod harm;
mod history;
mod storm;
mod worker;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// Numbers that a seed decides.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Ends its process when it is dropped, whatever the test came to.
pub(crate) struct Worker(pub(crate) Child);

impl Worker {
    pub(crate) fn start(job: &str, directory: &Path, seed: u64) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker::run", "--nocapture", "--test-threads=1"])
            .env("DBMUX_LOCK_JOB", job)
            .env("DBMUX_LOCK_DIRECTORY", directory)
            .env("DBMUX_LOCK_WORKER_SEED", seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
