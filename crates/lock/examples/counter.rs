//! Two shells, one number: run this in several shells at once, and no increment is lost.
//!
//! `cargo run -p dbmux-lock --example counter -- /tmp/number`
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::{fs, path::PathBuf, time::Duration};

use dbmux_lock::{Lock, LockName, Mode, Request, Wait};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = PathBuf::from(std::env::args().nth(1).ok_or("which file?")?);
    let lock = Lock::open(&number.with_extension("lock"), LockName::Plain)?;
    for _ in 0..100 {
        let request = Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(10)));
        let guard = lock.acquire_observed(&request, &mut |state| {
            if let Some(holder) = &state.holder {
                eprintln!("waiting for {} (pid {})", holder.command, holder.process.pid);
            }
        })?;
        let value: u64 = fs::read_to_string(&number).unwrap_or_default().trim().parse().unwrap_or_default();
        fs::write(&number, (value + 1).to_string())?;
        drop(guard);
    }
    println!("{} after {} grants", fs::read_to_string(&number)?, lock.snapshot()?.statistics.acquisitions);
    Ok(())
}
