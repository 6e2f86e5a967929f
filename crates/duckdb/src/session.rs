//! One client's conversation with DuckDB.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use arrow::datatypes::Schema;
use dbmux_engine::{
    EngineError, EngineSession, InsertShape, Interrupter, Parameters, Prepared, PreparedId, Rows, SessionOptions,
    SessionState,
};

use crate::{
    classify,
    engine::Shared,
    errors,
    facts::{Fact, Known, Scope},
    ffi::{Cell, Connection, Failure, ResultKind, Statement, Value},
    insert::{self, Item},
    interrupt::ConnectionInterrupter,
    options, parameters, policy,
    ready::{Looker, Ready, Work},
    rows::{MadeRows, StreamedRows},
    state::Traces,
};

/// Rows of a batch of results at most.
const BATCH_ROWS: u64 = 32_768;

/// Shapes of inserts whose statements are kept parsed.
const KEPT_INSERTS: usize = 64;

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
    prepared: HashMap<PreparedId, Ready>,
    next: u64,
    /// The parsed statements of inserts that were merged.
    inserts: HashMap<InsertShape, Statement>,
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
            prepared: HashMap::new(),
            next: 1,
            inserts: HashMap::new(),
            traces: Traces::default(),
        })
    }

    /// Refuses what writes, and begins a transaction around what does not.
    fn begin_read_only(&self, ready: &Ready) -> Result<Option<Closing>, EngineError> {
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
        self.connection.run("BEGIN TRANSACTION READ ONLY").map_err(|failure| errors::statement(&failure))?;
        Ok(Some(Closing { connection: Some(Arc::clone(&self.connection)) }))
    }
}

/// Ends the read-only transaction around a statement: dropped, it rolls back.
pub(crate) struct Closing {
    connection: Option<Arc<Connection>>,
}

impl Closing {
    pub(crate) fn commit(mut self) -> Result<(), EngineError> {
        let done = self.connection.take().map_or(Ok(()), |connection| connection.run("COMMIT"));
        done.map_err(|failure| errors::statement(&failure))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        // A failure cannot be told here; the transaction was read-only.
        if let Some(Err(failure)) = self.connection.take().map(|connection| connection.run("ROLLBACK")) {
            tracing::warn!(error = failure.message, "rolling back a read-only transaction failed");
        }
    }
}

impl EngineSession for DuckDbSession {
    fn split(&mut self, sql: &str) -> Result<Vec<String>, EngineError> {
        let statements = self.connection.parse(sql).map_err(|failure| errors::statement(&failure))?;
        Ok(statements.iter().map(Statement::text).collect())
    }

    fn prepare(&mut self, sql: &str) -> Result<Prepared, EngineError> {
        let id = PreparedId(self.next);
        let client = policy::Client { catalog: &self.shared.catalog, local: self.local, attached: &self.attached };
        let looker = Looker { connection: &self.connection, client, directory: self.directory.as_deref() };
        let (ready, prepared) = looker.look(sql, id)?;
        self.next += 1;
        self.prepared.insert(id, ready);
        Ok(prepared)
    }

    fn execute<'a>(
        &'a mut self,
        prepared: PreparedId,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Box<dyn Rows + 'a>, EngineError> {
        let Some(ready) = self.prepared.get(&prepared) else {
            let message = "there is no such prepared statement in this session".to_owned();
            return Err(EngineError::Sql { message, sqlstate: "26000" });
        };
        let closing = if read_only || self.read_only { self.begin_read_only(ready)? } else { None };
        let answer: Box<dyn Rows + 'a> = match &ready.work {
            Work::Run(statement) => {
                let values = parameters::bind(&self.connection, &ready.parameters, parameters)?;
                run(&self.connection, statement, &values, closing)?
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
        self.traces.learn(&ready.facts, ready.kind);
        self.shared.note_settings(&ready.facts);
        Ok(answer)
    }

    fn insert_many(&mut self, shape: &InsertShape, rows: &[(&str, Option<&Parameters>)]) -> Result<(), EngineError> {
        let failed = |failure: Failure| errors::statement(&failure);
        let declined = || EngineError::Unsupported {
            what: "inserting these rows at once".to_owned(),
            why: "insert them one by one".to_owned(),
        };
        let inserts: Option<Vec<_>> = rows.iter().map(|(sql, _)| insert::recognise(sql)).collect();
        let inserts = inserts.filter(|inserts| inserts.iter().all(|insert| insert.shape == *shape));
        let inserts = inserts.ok_or_else(declined)?;
        if self.state().in_transaction {
            return Err(declined());
        }
        let items =
            || inserts.iter().enumerate().flat_map(|(row, insert)| insert.values.iter().map(move |item| (row, *item)));
        let wishes: Vec<_> = items()
            .filter_map(|(row, item)| match item {
                Item::Parameter(number) => Some((row, number)),
                Item::Literal(_) => None,
            })
            .collect();
        let parameters: Vec<_> = rows.iter().map(|(_, parameters)| *parameters).collect();
        let values = parameters::gather(&self.connection, &parameters, &wishes)?.ok_or_else(declined)?;
        let mut given = values.iter();
        let cells: Vec<Cell<'_>> = items()
            .map(|(_, item)| match item {
                Item::Literal(text) => insert::cell(text),
                Item::Parameter(_) => given.next().map_or(Cell::Null, Cell::Value),
            })
            .collect();
        if !self.inserts.contains_key(shape) {
            let mut parsed = self.connection.parse(&insert::statement(shape)).map_err(failed)?;
            let statement = parsed.pop().filter(|_| parsed.is_empty()).ok_or_else(declined)?;
            if self.inserts.len() >= KEPT_INSERTS {
                self.inserts.clear();
            }
            self.inserts.insert(shape.clone(), statement);
        }
        let statement = self.inserts.get(shape).ok_or_else(declined)?;
        let done = self.connection.insert_rows(statement, &shape.table, &cells, shape.width).map_err(failed)?;
        if done { Ok(()) } else { Err(declined()) }
    }

    fn forget(&mut self, prepared: PreparedId) {
        self.prepared.remove(&prepared);
    }

    fn state(&self) -> SessionState {
        let facts = self.connection.facts().unwrap_or_default();
        SessionState {
            in_transaction: facts.in_transaction,
            transaction_failed: facts.transaction_failed,
            has_state: self.traces.any(),
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
    statement: &Statement,
    values: &[(String, Value)],
    closing: Option<Closing>,
) -> Result<Box<dyn Rows + 'a>, EngineError> {
    let failed = |failure: Failure| errors::statement(&failure);
    let arguments: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut result = statement.execute(connection, &arguments, BATCH_ROWS).map_err(failed)?;
    match result.kind().map_err(failed)? {
        Some(ResultKind::Changed) => Ok(Box::new(MadeRows::changed(result.drain().map_err(failed)?)?)),
        Some(ResultKind::Nothing) => {
            result.drain().map_err(failed)?;
            Ok(Box::new(MadeRows::nothing()))
        }
        answers => {
            // One that expands into several tells its columns only when it has run as far as its first rows.
            let first = if answers.is_none() { result.first().map_err(failed)? } else { None };
            let schema = result.schema().map_err(failed)?.unwrap_or_else(|| Arc::new(Schema::empty()));
            Ok(Box::new(StreamedRows::new(result, schema, first, closing)))
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

impl Shared {
    /// Notes the global settings that a statement changed.
    fn note_settings(&self, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::Set { name, scope: Scope::Global, value } => {
                    let (Known::Text(value) | Known::Expression(value)) = value;
                    self.settings.lock().insert(name.clone(), value.clone());
                }
                Fact::Reset { name, scope: Scope::Global } => {
                    self.settings.lock().remove(name);
                }
                _ => {}
            }
        }
    }
}
