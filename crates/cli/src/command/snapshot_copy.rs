//! The process that copies a database file for its broker, which must not open it: closing it would cost the lock.
//!
//! Standard output is the copy, a file; standard error says why there is none; standard input is a pipe that is open for
//! as long as somebody wants the copy.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use dbmux_os::file_copy::{self, CopyError};

use crate::{args::CopyArgs, exit::Exit, failure::Failure};

pub(crate) fn run(args: &CopyArgs) -> Result<Exit, Failure> {
    match copy(args) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            let why = match error {
                CopyError::TooLarge { size, limit } => format!(
                    "the file has {}, this file system shares no blocks, and a copy may have {} (--snapshot-limit)",
                    shown(size),
                    shown(limit)
                ),
                CopyError::GivenUp => "nobody wants the copy any more".to_owned(),
                CopyError::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                    "the disk is too full for a copy of the file".to_owned()
                }
                CopyError::Io(error) => format!("the file could not be copied: {error}"),
            };
            // Whoever started this may be gone.
            let _ = io::stderr().write_all(why.as_bytes());
            Ok(Exit::Failed)
        }
    }
}

fn copy(args: &CopyArgs) -> Result<(), CopyError> {
    let source = File::open(&args.source)?;
    let target = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let leash = io::stdin();
    file_copy::copy(&source, &target, args.limit, |_, _| !file_copy::is_hung_up(&leash).unwrap_or(true)).map(drop)
}

/// As people say it.
fn shown(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
