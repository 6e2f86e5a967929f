//! Copies of a database, as it is at one moment, whoever writes to it meanwhile.

use std::path::Path;

use dbmux_engine::EngineError;
use rusqlite::{
    OpenFlags,
    backup::{Backup, StepResult},
};

use crate::{Synchronous, errors};

/// How long a foreign program may keep the file to itself meanwhile.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Copies a database into a file that is not there yet.
///
/// For a process that has no other connection to the file.
///
/// # Errors
/// [`EngineError::Locked`] while a foreign program has the file to itself; whatever reading or writing ends with.
pub fn back_up(source: &Path, target: &Path) -> Result<(), EngineError> {
    let done = (|| {
        let from = rusqlite::Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        from.busy_timeout(PATIENCE)?;
        // A transaction: the copy is of one moment, however long it takes.
        from.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
        // It is for keeping.
        write(&from, target, Synchronous::Full)
    })();
    match done.map_err(|error| errors::of(&error.into(), source))? {
        StepResult::Done => Ok(()),
        _ => Err(EngineError::Locked { path: source.to_owned(), message: "it cannot be read now".to_owned() }),
    }
}

/// Writes what the connection's transaction sees into a file that is not there yet, and that is whole by itself: it has no
/// log beside it.
pub(crate) fn write(
    source: &rusqlite::Connection,
    target: &Path,
    synchronous: Synchronous,
) -> rusqlite::Result<StepResult> {
    let mut target = rusqlite::Connection::open(target)?;
    target.pragma_update(None, "synchronous", synchronous.word())?;
    let done = Backup::new(source, &mut target)?.step(-1)?;
    target.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(done)
}
