//! One client's conversation with DuckDB.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use arrow::datatypes::Schema;
use dbmux_engine::{
    EngineError, EngineSession, InsertShape, Interrupter, MadeRows, Parameters, Prepared, PreparedId, Rows,
    SessionOptions, SessionState, StatementKind,
};

use crate::{
    classify, errors,
    ffi::{Connection, Failure, ResultKind, Statement, Value},
    interrupt::ConnectionInterrupter,
    merged::{self, MergedInserts},
    options, parameters,
    parsed::Parsed,
    policy,
    read_only::ReadOnlyTransaction,
    ready::{Looker, Ready, Work},
    rows::StreamedRows,
    shared::Shared,
    state::Traces,
};

/// Rows of a batch of results at most.
const BATCH_ROWS: u64 = 32_768;

/// A prepared statement, and what it was parsed from.
struct Bound {
    text: String,
    /// [`Shared::parser_epoch`] before it was parsed.
    epoch: u64,
    ready: Ready,
}

/// A session: a connection, and the statements that it has prepared.
pub(crate) struct DuckDbSession {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    read_only: bool,
    local: bool,
    /// Where the client is.
    directory: Option<PathBuf>,
    /// The names of what this session attached.
    attached: Vec<String>,
    parsed: Parsed,
    prepared: HashMap<PreparedId, Bound>,
    next: u64,
    merged: MergedInserts,
    traces: Traces,
}

impl DuckDbSession {
    pub(crate) fn open(shared: &Arc<Shared>, options: &SessionOptions) -> Result<Self, EngineError> {
        let internal = |failure: Failure| errors::internal(&failure);
        let directory = match &options.working_directory {
            Some(directory) => Some(directory.to_str().ok_or_else(|| EngineError::Unsupported {
                what: format!("the working directory {}", directory.display()),
                why: "DuckDB takes UTF-8 only".to_owned(),
            })?),
            None => None,
        };
        let connection = shared.instance.connect().map_err(internal)?;
        connection.mark_client(directory).map_err(internal)?;
        connection.set_default(&shared.catalog).map_err(internal)?;
        Ok(Self {
            connection: Arc::new(connection),
            shared: Arc::clone(shared),
            read_only: options.read_only,
            local: options.local,
            directory: options.working_directory.clone(),
            attached: Vec::new(),
            parsed: Parsed::default(),
            prepared: HashMap::new(),
            next: 1,
            merged: MergedInserts::default(),
            traces: Traces::default(),
        })
    }

    /// Refuses what writes, and begins a transaction around what does not.
    fn begin_read_only(&self, ready: &Ready) -> Result<Option<ReadOnlyTransaction>, EngineError> {
        if ready.control {
            return Ok(None);
        }
        if !classify::may_run_read_only(&ready.facts, ready.kind) {
            return Err(EngineError::ReadOnly {
                message: "the statement writes, and only reading is allowed here".to_owned(),
            });
        }
        if self.state().in_transaction {
            return Ok(None);
        }
        ReadOnlyTransaction::begin(&self.connection).map(Some)
    }
}

impl EngineSession for DuckDbSession {
    fn split(&mut self, sql: &str) -> Result<Vec<String>, EngineError> {
        self.parsed.split(&self.connection, &self.shared, sql)
    }

    fn prepare(&mut self, sql: &str) -> Result<Prepared, EngineError> {
        let id = PreparedId(self.next);
        let client = policy::Client { catalog: &self.shared.catalog, local: self.local, attached: &self.attached };
        let looker = Looker { connection: &self.connection, client, directory: self.directory.as_deref() };
        let epoch = self.shared.parser_epoch();
        let statement = self.parsed.take(&self.connection, &self.shared, sql)?;
        let (ready, prepared) = looker.look(statement, id)?;
        self.next += 1;
        self.prepared.insert(id, Bound { text: sql.to_owned(), epoch, ready });
        Ok(prepared)
    }

    fn execute<'a>(
        &'a mut self,
        prepared: PreparedId,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Box<dyn Rows + 'a>, EngineError> {
        let Some(Bound { ready, .. }) = self.prepared.get(&prepared) else {
            let message = "there is no such prepared statement in this session".to_owned();
            return Err(EngineError::Sql { message, sqlstate: "26000" });
        };
        let closing = if read_only || self.read_only { self.begin_read_only(ready)? } else { None };
        let answer: Box<dyn Rows + 'a> = match &ready.work {
            Work::Run(statement) => {
                let values = parameters::bind(&self.connection, &ready.parameters, parameters)?;
                let answer = run(&self.connection, &self.shared, statement, &values, closing);
                if ready.control { answer.map_err(errors::commit)? } else { answer? }
            }
            Work::Attach(attach) => {
                let scratch = options::scratch(&self.shared.path);
                let _one_at_a_time = self.shared.attaching.lock();
                if attach.execute(&self.connection, &self.attached, &scratch)? {
                    self.attached.retain(|name| !name.eq_ignore_ascii_case(attach.name()));
                    self.attached.push(attach.name().to_owned());
                }
                Box::new(MadeRows::nothing())
            }
            Work::Detach(name) => {
                self.connection.detach_own(Some(name)).map_err(|failure| errors::statement(&failure))?;
                self.attached.retain(|attached| !attached.eq_ignore_ascii_case(name));
                Box::new(MadeRows::nothing())
            }
        };
        if ready.control && self.shared.snapshots.as_of().is_some() {
            // What has begun on a copy means that one to its end. Where that fails, it counts as in the file.
            if let Err(failure) = self.connection.stay(&self.shared.catalog) {
                tracing::warn!(error = failure.message, "a transaction does not stay with the copy that it began on");
            }
        }
        self.traces.learn(&ready.facts, ready.kind);
        self.shared.note_settings(&ready.facts);
        Ok(answer)
    }

    fn insert_many(
        &mut self,
        shape: &InsertShape,
        rows: &[(&str, Option<&Parameters>)],
    ) -> Result<Vec<i64>, EngineError> {
        if self.state().in_transaction {
            return Err(merged::declined());
        }
        self.merged.insert(&self.connection, shape, rows)
    }

    fn forget(&mut self, prepared: PreparedId) {
        let Some(Bound { text, epoch, ready }) = self.prepared.remove(&prepared) else { return };
        if let (StatementKind::Read, Work::Run(statement)) = (ready.kind, ready.work) {
            self.parsed.give_back(text, statement, epoch);
        }
    }

    fn state(&self) -> SessionState {
        let facts = self.connection.facts().unwrap_or_default();
        SessionState {
            in_transaction: facts.in_transaction,
            transaction_failed: facts.transaction_failed,
            has_state: self.traces.any(),
            in_file: facts.in_transaction
                && self.shared.snapshots.any()
                && self.connection.is_in_file(&self.shared.catalog),
        }
    }

    fn roll_back(&mut self) -> Result<(), EngineError> {
        if !self.state().in_transaction {
            return Ok(());
        }
        self.connection.run("ROLLBACK").map_err(|failure| errors::statement(&failure))
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::new(ConnectionInterrupter(Arc::clone(&self.connection)))
    }
}

/// Runs a statement: its rows as they are made, or its whole answer where it has none.
fn run<'a>(
    connection: &Connection,
    shared: &Shared,
    statement: &Statement,
    values: &[(String, Value)],
    closing: Option<ReadOnlyTransaction>,
) -> Result<Box<dyn Rows + 'a>, EngineError> {
    let failed = |failure: Failure| errors::statement(&failure);
    let arguments: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut result = statement.execute(connection, &arguments, BATCH_ROWS).map_err(failed)?;
    match result.kind().map_err(failed)? {
        Some(ResultKind::Changed) => {
            Ok(Box::new(MadeRows::changed(i64::try_from(result.drain().map_err(failed)?).unwrap_or(i64::MAX))?))
        }
        Some(ResultKind::Nothing) => {
            result.drain().map_err(failed)?;
            Ok(Box::new(MadeRows::nothing()))
        }
        answers => {
            // One that expands into several tells its columns only when it has run as far as its first rows.
            let first = if answers.is_none() { result.first().map_err(failed)? } else { None };
            let schema = result.schema().map_err(failed)?.unwrap_or_else(|| Arc::new(Schema::empty()));
            // It has been bound: its transaction knows by now what it reads.
            let as_of = shared.snapshots.read_by(connection, &shared.catalog);
            Ok(Box::new(StreamedRows::new(result, schema, first, closing, as_of)))
        }
    }
}

impl Drop for DuckDbSession {
    fn drop(&mut self) {
        // What it attached goes before the connection does.
        if let Err(failure) = self.connection.detach_own(None) {
            tracing::warn!(error = failure.message, "detaching a session's own databases failed");
        }
    }
}
