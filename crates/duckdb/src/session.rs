//! One client's conversation with DuckDB.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use dbmux_engine::{
    EngineError, EngineSession, InsertShape, Interrupter, Parameters, Prepared, PreparedId, ResultShape, Rows,
    SessionOptions, SessionState, StatementKind,
};

use crate::{
    classify,
    engine::Shared,
    errors,
    facts::{self, Fact, Known, Scope},
    ffi::{Connection, Failure, ResultKind, Signature, Statement, Value},
    interrupt::ConnectionInterrupter,
    parameters, policy,
    rows::{MadeRows, StreamedRows, count_schema},
    state::Traces,
};

/// Rows of a batch of results at most.
const BATCH_ROWS: u64 = 32_768;

/// A session: a connection, and the statements that it has prepared.
pub(crate) struct DuckDbSession {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    read_only: bool,
    local: bool,
    prepared: HashMap<PreparedId, Ready>,
    next: u64,
    traces: Traces,
}

/// A statement that has been looked at.
struct Ready {
    statement: Statement,
    facts: Vec<Fact>,
    kind: StatementKind,
    parameters: Vec<String>,
    control: bool,
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
            prepared: HashMap::new(),
            next: 1,
            traces: Traces::default(),
        })
    }

    /// The one statement of a text.
    fn parse_one(&self, sql: &str) -> Result<Statement, EngineError> {
        let mut statements = self.connection.parse(sql).map_err(|failure| errors::statement(&failure))?;
        match (statements.pop(), statements.len()) {
            (Some(statement), 0) => Ok(statement),
            (_, 0) => Err(EngineError::Sql { message: "there is no statement".to_owned(), sqlstate: "42601" }),
            (_, more) => Err(EngineError::Sql {
                message: format!("one statement at a time is prepared; there are {}", more + 1),
                sqlstate: "42601",
            }),
        }
    }

    /// Refuses what would harm the others; what a setting means to this session alone is left to it alone.
    fn check(&self, statement: &Statement) -> Result<Vec<Fact>, EngineError> {
        let failed = |failure: Failure| errors::statement(&failure);
        let facts = facts::of(&self.connection, statement).map_err(failed)?;
        let client = policy::Client { catalog: &self.shared.catalog, local: self.local, attached: &[] };
        let is_global = |name: &str, scope: Scope| match scope {
            Scope::Global => true,
            Scope::Automatic => self.connection.is_global_setting(name),
            Scope::Session | Scope::Variable => false,
        };
        policy::check(&facts, &client, is_global)?;
        self.connection.prefer_session_scope(statement).map_err(failed)?;
        Ok(facts)
    }

    /// Refuses what writes, and begins a transaction around what does not.
    fn begin_read_only(&self, ready: &Ready) -> Result<Option<Closing>, EngineError> {
        if ready.control {
            return Ok(None);
        }
        if ready.kind != StatementKind::Read {
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
        let statement = self.parse_one(sql)?;
        let facts = self.check(&statement)?;
        let control = classify::controls_transaction(statement.kind());
        let signature = if control {
            Signature::of_control(statement.kind())
        } else {
            self.connection.signature(&statement).map_err(|failure| errors::statement(&failure))?
        };
        policy::check_calls(signature.calls())?;
        let kind = classify::kind(&facts, &signature);
        let (shape, schema): (_, SchemaRef) = match signature.returns {
            Some(ResultKind::Changed) => (ResultShape::RowsChanged, count_schema()),
            Some(ResultKind::Nothing) => (ResultShape::Nothing, Arc::new(Schema::empty())),
            Some(ResultKind::Rows) | None => (ResultShape::Rows, Arc::new(signature.columns)),
        };
        let id = PreparedId(self.next);
        self.next += 1;
        let parameters = statement.parameter_names();
        self.prepared.insert(id, Ready { statement, facts, kind, parameters, control });
        Ok(Prepared { id, kind, shape, schema, parameters: signature.parameters, transaction_control: control })
    }

    fn execute<'a>(
        &'a mut self,
        prepared: PreparedId,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Box<dyn Rows + 'a>, EngineError> {
        let failed = |failure: Failure| errors::statement(&failure);
        let Some(ready) = self.prepared.get(&prepared) else {
            let message = "there is no such prepared statement in this session".to_owned();
            return Err(EngineError::Sql { message, sqlstate: "26000" });
        };
        let closing = if read_only || self.read_only { self.begin_read_only(ready)? } else { None };
        let values = parameters::bind(&self.connection, &ready.parameters, parameters)?;
        let arguments: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let mut result = ready.statement.execute(&self.connection, &arguments, BATCH_ROWS).map_err(failed)?;
        let answer: Box<dyn Rows + 'a> = match result.kind().map_err(failed)? {
            Some(ResultKind::Changed) => Box::new(MadeRows::changed(result.drain().map_err(failed)?)?),
            Some(ResultKind::Nothing) => {
                result.drain().map_err(failed)?;
                Box::new(MadeRows::nothing())
            }
            Some(ResultKind::Rows) => {
                let schema = result.schema().map_err(failed)?.unwrap_or_else(|| Arc::new(Schema::empty()));
                Box::new(StreamedRows::new(result, schema, None, closing))
            }
            None => {
                // It expands into several, and tells its columns only when it has run as far as its first rows.
                let first = result.first().map_err(failed)?;
                let schema = result.schema().map_err(failed)?.unwrap_or_else(|| Arc::new(Schema::empty()));
                Box::new(StreamedRows::new(result, schema, first, closing))
            }
        };
        self.traces.learn(&ready.facts, ready.kind);
        self.shared.note_settings(&ready.facts);
        Ok(answer)
    }

    fn insert_many(&mut self, _shape: &InsertShape, _rows: &[(&str, Option<&Parameters>)]) -> Result<(), EngineError> {
        Err(EngineError::Unsupported { what: "inserting many at once".to_owned(), why: "insert one by one".to_owned() })
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

impl Shared {
    /// Notes the global settings that a statement changed.
    fn note_settings(&self, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::Set { name, scope: Scope::Global | Scope::Automatic, value } => {
                    let (Known::Text(value) | Known::Expression(value)) = value;
                    self.settings.lock().insert(name.clone(), value.clone());
                }
                Fact::Reset { name, scope: Scope::Global | Scope::Automatic } => {
                    self.settings.lock().remove(name);
                }
                _ => {}
            }
        }
    }
}
