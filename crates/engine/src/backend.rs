//! What a backend implements. Everything here blocks: the broker calls it on threads of its own.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};

use crate::{CatalogSql, EngineError, IngestSql, InsertShape, Seats, StatementKind};

/// How a file is, or shall be, attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The file is made where there is none.
    ReadWrite,
    /// Beside foreign readers.
    ReadOnly,
}

/// A file that is attached now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// As attached.
    pub access: Access,
    /// Device number of the file.
    pub device: u64,
    /// Inode number of the file.
    pub inode: u64,
}

/// One database file of one engine. Released when it is made.
///
/// The file is opened by [`Engine::attach`] and by nothing else; every other call leaves it alone.
pub trait Engine: Send + Sync + 'static {
    /// `duckdb`, `sqlite`, `lance`.
    fn name(&self) -> &'static str;

    /// The engine's own version.
    fn version(&self) -> String;

    /// The database file, canonical.
    fn path(&self) -> &Path;

    /// The name of the database in SQL, whether attached or not.
    fn catalog(&self) -> &str;

    /// How to ask what there is.
    fn catalog_sql(&self) -> CatalogSql;

    /// How to put rows into a table.
    fn ingest_sql(&self) -> IngestSql;

    /// What a person should be told once: an unusual catalog name, for example.
    fn notices(&self) -> Vec<String>;

    /// Opens the file for all sessions.
    ///
    /// # Errors
    /// [`EngineError::Locked`] when another process has it; it may be tried again.
    fn attach(&self, access: Access) -> Result<Attachment, EngineError>;

    /// Checkpoints where that is cheap, and closes the file. Sessions live on. Somebody may wait for the file: whatever
    /// nobody waits for is done in [`Engine::tidy`]. The caller sees to it that no session has a transaction open or a result unread.
    ///
    /// # Errors
    /// When the engine cannot let go; the file is then still attached.
    fn release(&self) -> Result<(), EngineError>;

    /// Brings everything that is committed into the file itself: a copy of the file alone is the whole database then.
    ///
    /// Reads may run beside it. The caller sees to it that nobody writes, from before it until the copy is made.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] while transactions that began before the last change still read: to be tried again. Others
    /// when the engine cannot. Nothing has changed then.
    fn settle(&self) -> Result<(), EngineError>;

    /// Lets a copy of the attached file answer in its stead, under its name, to read, until [`Engine::attach`] or
    /// [`Engine::release`]. No statement waits for that, or fails: those that have begun go on with the file, which is
    /// closed when the last of their transactions has ended (see [`Engine::has_file_open`]).
    ///
    /// `copy` need not have a name, and may be closed afterwards. `as_of` is told with every answer from it.
    ///
    /// # Errors
    /// When the copy cannot be read, or no file is attached; the file answers as before.
    fn stand_in(&self, copy: File, as_of: SystemTime) -> Result<(), EngineError>;

    /// It makes copies in a way of its own ([`Engine::stand_in_by_itself`]), whoever writes meanwhile. Where it is false, the
    /// file is copied by a process, after [`Engine::settle`].
    fn copies_by_itself(&self) -> bool {
        false
    }

    /// The same as [`Engine::stand_in`], with a copy that the engine makes. Answers with as of when the copy is true. The
    /// caller sees to it that nobody writes here until this returns.
    ///
    /// # Errors
    /// When there can be no copy; the file answers as before.
    fn stand_in_by_itself(&self) -> Result<SystemTime, EngineError> {
        let what = "a copy of its own".to_owned();
        Err(EngineError::Unsupported { what, why: "this engine's file is copied by a process".to_owned() })
    }

    /// One session writes at a time: who begins to write waits for the transaction of whoever does. Where it is false, the
    /// engine lets transactions write beside each other.
    fn has_one_writer(&self) -> bool {
        false
    }

    /// The columns that are told when a statement is prepared are those that it will answer with. Where it is false, their
    /// types depend on the values.
    fn foretells_columns(&self) -> bool {
        true
    }

    /// As of when the copy is true that answers in the file's stead now; `None`: none does.
    fn snapshot(&self) -> Option<SystemTime>;

    /// Whether this process has the file open: after [`Engine::stand_in`], until all that had begun before has ended.
    fn has_file_open(&self) -> bool;

    /// Gives freed memory back to the system, after a release. Another attach may begin meanwhile.
    fn tidy(&self);

    /// Does what makes the database quicker and can be left: called now and then while the file is attached and nothing
    /// runs; the file lock is ours meanwhile. It may take long: statements run beside it, and [`Engine::release`] and
    /// [`Engine::stand_in_by_itself`] end it.
    fn idle_work(&self) {}

    /// The present attachment of the file itself.
    fn attachment(&self) -> Option<Attachment>;

    /// Whether the path still names the attached file (one `stat`), and, with `thorough`, whether the kernel still shows
    /// our lock on it.
    ///
    /// # Errors
    /// [`EngineError::FileLost`] with what was found instead.
    fn verify(&self, thorough: bool) -> Result<(), EngineError>;

    /// Opens a session. Possible while released.
    ///
    /// # Errors
    /// When the engine has no room for one more.
    fn open_session(&self, options: &SessionOptions) -> Result<Box<dyn EngineSession>, EngineError>;

    /// The shape of a statement that may be committed together with others, as far as its text tells: a single-row
    /// `INSERT … VALUES` of constants or parameters, or an operation whose rows are its parameters, and nothing else. `None`
    /// whenever in doubt.
    fn insert_shape(&self, sql: &str) -> Option<InsertShape>;

    /// The global settings that everybody should know of: those that clients changed since the engine started, and those
    /// by which it may surprise.
    fn settings(&self) -> Vec<(String, String)>;
}

/// Who opens a session, and how.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Where the client is: the meaning of relative paths. `None`: relative paths are refused.
    pub working_directory: Option<PathBuf>,
    /// Refuses whatever writes.
    pub read_only: bool,
    /// A process of the same user on this machine: it may change global settings.
    pub local: bool,
}

/// What a session has that would be lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionState {
    /// A transaction is open.
    pub in_transaction: bool,
    /// The open transaction was broken by an error, and can only be rolled back.
    pub transaction_failed: bool,
    /// There are temporary objects, variables, or local settings that differ from the default.
    pub has_state: bool,
    /// The open transaction is in the file itself, or may come to be, whatever it began on. Told where a copy has stood in;
    /// elsewhere nobody asks.
    pub in_file: bool,
}

/// Names a prepared statement of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PreparedId(pub u64);

/// What becomes known of a statement when it is prepared.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Its name in the session.
    pub id: PreparedId,
    /// What it may do.
    pub kind: StatementKind,
    /// What it answers.
    pub shape: ResultShape,
    /// The columns it answers with; for [`ResultShape::RowsChanged`] one `BIGINT`; for [`ResultShape::Nothing`] none.
    pub schema: SchemaRef,
    /// Its parameters, by name or number (`1`, `2`, …), with `Null` as the type of one that is not known.
    pub parameters: Schema,
    /// It changes a database, whichever; where it is false the statement changes the session, the instance, or files beside
    /// it, or the engine knows better when it runs.
    pub modifies: bool,
    /// Where it writes, of an engine in which one session writes at a time.
    pub seats: Seats,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`: passes every queue.
    pub transaction_control: bool,
}

/// What a statement answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultShape {
    /// Rows.
    Rows,
    /// The number of rows changed, as one row with one `BIGINT`.
    RowsChanged,
    /// Nothing but its success.
    Nothing,
}

/// Values for a statement's parameters: a batch of one row, matched by position when its columns are called `1`, `2`, …
/// or `$1`, … or are unnamed, else by name. Where a statement takes rows, as an operation of LanceDB does: those rows, any
/// number of them.
pub type Parameters = RecordBatch;

/// One conversation with the engine. One statement runs at a time.
pub trait EngineSession: Send {
    /// Splits text into statements, by the engine's own grammar.
    ///
    /// # Errors
    /// [`EngineError::Sql`] when it cannot be parsed.
    fn split(&mut self, sql: &str) -> Result<Vec<String>, EngineError>;

    /// Prepares one statement, and refuses by name whatever would harm the file or the shared instance.
    ///
    /// The file must be attached, unless the statement is one of `transaction_control`.
    ///
    /// # Errors
    /// [`EngineError::Sql`], [`EngineError::Refused`], …
    fn prepare(&mut self, sql: &str) -> Result<Prepared, EngineError>;

    /// Runs a prepared statement. `read_only` refuses whatever writes, whatever the session allows.
    ///
    /// Rows arrive as they are made; nothing is held back but one batch. For anything but rows the statement has ended,
    /// and is synced where it committed, when this returns.
    ///
    /// # Errors
    /// Whatever the statement's execution ends with.
    fn execute<'a>(
        &'a mut self,
        prepared: PreparedId,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Box<dyn Rows + 'a>, EngineError>;

    /// Runs many statements of one shape as one, in one transaction. `rows` are their texts with their parameters. All
    /// succeed and are synced, or none has happened and the error is the first one's. Answers with how many rows each has
    /// changed, as it would have answered alone.
    ///
    /// # Errors
    /// Whatever the batch ends with; nothing of it has happened.
    fn insert_many(
        &mut self,
        shape: &InsertShape,
        rows: &[(&str, Option<&Parameters>)],
    ) -> Result<Vec<i64>, EngineError>;

    /// Drops a prepared statement. Unknown ones are ignored.
    fn forget(&mut self, prepared: PreparedId);

    /// What would be lost with the session.
    fn state(&self) -> SessionState;

    /// Ends the open transaction, if there is one, by rolling it back.
    ///
    /// # Errors
    /// When the engine cannot.
    fn roll_back(&mut self) -> Result<(), EngineError>;

    /// A handle that interrupts the running statement from another thread.
    fn interrupter(&self) -> Arc<dyn Interrupter>;
}

/// A statement's rows.
pub trait Rows: Send {
    /// Their columns.
    fn schema(&self) -> SchemaRef;

    /// As of when the copy is true that these rows are from; `None`: they are from the file, or from neither.
    fn as_of(&self) -> Option<SystemTime> {
        None
    }

    /// The next batch; `None` at the end, by when the statement has ended and its autocommit transaction is closed.
    ///
    /// # Errors
    /// Whatever the execution ends with; the result is over then.
    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError>;
}

/// How far a running statement is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// 0 to 100; negative: unknown.
    pub percent: f64,
    /// Rows worked through.
    pub rows_done: u64,
    /// Rows to work through, estimated.
    pub rows_total: u64,
}

/// Reaches a session's running statement from any thread.
pub trait Interrupter: Send + Sync {
    /// Interrupts it; without one, does nothing.
    fn interrupt(&self);

    /// How far it is.
    fn progress(&self) -> Progress;
}
