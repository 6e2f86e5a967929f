//! A connection of a session: opened on whatever answers now, watched by the authorizer, with its prepared statements.

use std::{collections::VecDeque, fmt::Write, path::Path, sync::Arc};

use dbmux_engine::{Access, EngineError};
use rusqlite::{InterruptHandle, OpenFlags, config::DbConfig};

use crate::{
    errors,
    ffi::{Failure, Handle, Statement},
    functions,
    options::SqliteOptions,
    parameters::Bind,
    place::{Counted, Place},
    policy::Watch,
};

/// Statements that a connection keeps prepared.
const KEPT: usize = 64;
/// Batches whose rows run one by one, after one that had to be done again because not all rows were made.
const APART: u8 = 16;

/// An open connection.
pub(crate) struct Connection {
    kept: VecDeque<(Arc<str>, Statement)>,
    pub(crate) handle: Arc<Handle>,
    pub(crate) place: Arc<Place>,
    pub(crate) watch: Watch,
    /// How many more batches are taken row by row.
    apart: u8,
    /// Dropped after the connection is closed.
    _counted: Option<Counted>,
}

impl Connection {
    /// Opens a connection. `make`: the file too, where there is none. `counted` since before it was asked what answers now:
    /// whoever lets something else answer, and finds none counted, knows that none will be opened any more.
    pub(crate) fn open(
        place: &Arc<Place>,
        options: &SqliteOptions,
        counted: Counted,
        read_only: bool,
        make: bool,
    ) -> Result<Self, Failure> {
        let flags = match (read_only || place.access == Access::ReadOnly, make) {
            (true, _) => OpenFlags::SQLITE_OPEN_READ_ONLY,
            (false, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            (false, false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let counted = place.as_of.is_none().then_some(counted);
        let handle = match place.as_of {
            None => Handle::open(&place.path, flags)?,
            // Nobody writes to a copy: no lock is needed, and no log.
            Some(_) => Handle::open(Path::new(&immutable(&place.path)), flags | OpenFlags::SQLITE_OPEN_URI)?,
        };
        handle.with(|connection| set_up(connection, options, read_only))?;
        Ok(Self {
            kept: VecDeque::new(),
            handle: Arc::new(handle),
            place: Arc::clone(place),
            watch: Watch::default(),
            apart: 0,
            _counted: counted,
        })
    }

    /// From here on every statement is watched: the client's begin.
    pub(crate) fn guard(&self) -> Result<(), Failure> {
        let watch = self.watch.clone();
        self.handle.with(|connection| {
            connection.authorizer(Some(move |asked: rusqlite::hooks::AuthContext<'_>| watch.authorize(asked)))
        })?;
        Ok(())
    }

    /// A statement, prepared; from those that were kept, where it is there.
    pub(crate) fn statement(&mut self, sql: &str) -> Result<Statement, EngineError> {
        if let Some(index) = self.kept.iter().position(|(text, _)| &**text == sql)
            && let Some((_, statement)) = self.kept.remove(index)
        {
            self.watch.clear(false);
            return Ok(statement);
        }
        self.prepare(sql)
    }

    /// Prepares one statement to look at it, and notes what it does. `None`: it is a setting, which SQLite would change by
    /// that.
    pub(crate) fn look(&mut self, sql: &str) -> Result<Option<Statement>, EngineError> {
        self.watch.look();
        let prepared = self.prepare_watched(sql);
        let acts = self.watch.noted().acts_at_once;
        match prepared {
            Err(error @ EngineError::Refused { .. }) if !acts || self.watch.noted().refused.is_some() => Err(error),
            Err(EngineError::Refused { .. }) => Ok(None),
            prepared => prepared.map(Some),
        }
    }

    /// Prepares one statement anew, and notes what it does.
    pub(crate) fn prepare(&mut self, sql: &str) -> Result<Statement, EngineError> {
        self.watch.clear(false);
        self.prepare_watched(sql)
    }

    fn prepare_watched(&self, sql: &str) -> Result<Statement, EngineError> {
        let (statement, end) = Statement::prepare(&self.handle, sql).map_err(|failure| self.error(&failure))?;
        let rest = sql.get(end..).unwrap_or_default();
        match statement {
            Some(statement) if crate::split::is_blank(rest) => Ok(statement),
            Some(_) => Err(errors::sql("there is more than one statement in this text", "42601")),
            None => Err(errors::sql("there is no statement in this text", "42601")),
        }
    }

    /// Keeps a statement for the next time.
    pub(crate) fn keep(&mut self, sql: &Arc<str>, mut statement: Statement) {
        statement.reset();
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((Arc::clone(sql), statement));
    }

    /// Runs our own statements: no client's.
    pub(crate) fn run(&self, sql: &str) -> Result<(), Failure> {
        let mut rest = sql;
        loop {
            let (statement, end) = Statement::prepare(&self.handle, rest)?;
            let Some(mut statement) = statement else { return Ok(()) };
            while statement.step()? {}
            rest = rest.get(end..).unwrap_or_default();
        }
    }

    /// What a failure means; what the authorizer refused, in its words.
    pub(crate) fn error(&self, failure: &Failure) -> EngineError {
        // SQLite has several codes, and words of its own, for that.
        self.watch.noted().refused.unwrap_or_else(|| errors::of(failure, &self.place.path))
    }

    /// What it means that parameters could not be given.
    pub(crate) fn bind_error(&self, error: Bind) -> EngineError {
        match error {
            Bind::Engine(error) => error,
            Bind::Failed(failure) => self.error(&failure),
        }
    }

    /// Whether the next batch's rows are to run one by one; asked once for each batch.
    pub(crate) fn takes_rows_apart(&mut self) -> bool {
        let apart = self.apart > 0;
        self.apart = self.apart.saturating_sub(1);
        apart
    }

    /// The rows of a batch could not go together: neither can those of the next ones, likely.
    pub(crate) fn take_rows_apart(&mut self) {
        self.apart = APART;
    }

    /// Whether `PRAGMA foreign_keys` is on.
    pub(crate) fn checks_foreign_keys(&self) -> Result<bool, EngineError> {
        let asked = self.handle.with(|connection| connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY));
        asked.map_err(|error| self.error(&error.into()))
    }

    pub(crate) fn interrupt_handle(&self) -> InterruptHandle {
        self.handle.with(|connection| connection.get_interrupt_handle())
    }
}

fn set_up(connection: &rusqlite::Connection, options: &SqliteOptions, read_only: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(options.busy_timeout)?;
    // The build that comes with rusqlite has them on; SQLite's own default, and every other program's, is off.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    functions::register(connection)?;
    connection.pragma_update(None, "synchronous", options.synchronous.word())?;
    if let Some(size) = options.cache_size {
        connection.pragma_update(None, "cache_size", size)?;
    }
    // Of the session, not of the file: in its temporary tables a session may write beside a copy, too.
    if read_only {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(())
}

/// The address of a file that nobody changes.
fn immutable(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            address.push(char::from(*byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address + "?immutable=1"
}
