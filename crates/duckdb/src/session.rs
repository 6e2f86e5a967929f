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
    ffi::{Connection, Failure, ResultKind, Signature, Statement, Value},
    interrupt::ConnectionInterrupter,
    parameters,
    rows::{MadeRows, StreamedRows, count_schema},
};

/// Rows of a batch of results at most; narrow rows make batches of about a mebibyte.
const BATCH_ROWS: u64 = 32_768;

/// A session: a connection, and the statements that it has prepared.
pub(crate) struct DuckDbSession {
    connection: Arc<Connection>,
    _shared: Arc<Shared>,
    read_only: bool,
    prepared: HashMap<PreparedId, Ready>,
    next: u64,
    has_state: bool,
}

/// A statement that has been looked at.
struct Ready {
    statement: Statement,
    kind: StatementKind,
    shape: ResultShape,
    parameters: Vec<String>,
    control: bool,
    read: bool,
}

impl DuckDbSession {
    pub(crate) fn open(shared: &Arc<Shared>, options: &SessionOptions) -> Result<Self, EngineError> {
        let internal = |failure: Failure| errors::internal(&failure);
        let connection = shared.instance.connect().map_err(internal)?;
        connection.set_default(&shared.catalog).map_err(internal)?;
        Ok(Self {
            connection: Arc::new(connection),
            _shared: Arc::clone(shared),
            read_only: options.read_only,
            prepared: HashMap::new(),
            next: 1,
            has_state: false,
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

    /// What binding tells; transaction control needs none.
    fn signature(&self, statement: &Statement, control: bool) -> Result<Signature, EngineError> {
        if control {
            return Ok(Signature {
                returns: Some(ResultKind::Nothing),
                columns: Schema::empty(),
                parameters: Schema::empty(),
                modifies: false,
            });
        }
        self.connection.signature(statement).map_err(|failure| errors::statement(&failure))
    }

    /// Runs a statement of our own.
    fn run(&self, sql: &str) -> Result<(), EngineError> {
        self.connection.run(sql).map_err(|failure| errors::statement(&failure))
    }

    /// Refuses what writes, and begins a transaction around what does not.
    fn begin_read_only(&self, ready: &Ready) -> Result<Option<Closing>, EngineError> {
        if ready.control {
            return Ok(None);
        }
        if ready.kind != StatementKind::Read || !ready.read {
            return Err(EngineError::ReadOnly {
                message: "the statement writes, and only reading is allowed here".to_owned(),
            });
        }
        if self.state().in_transaction {
            return Ok(None);
        }
        self.run("BEGIN TRANSACTION READ ONLY")?;
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
        let control = classify::controls_transaction(statement.kind());
        let signature = self.signature(&statement, control)?;
        let kind = classify::kind(statement.kind(), &signature);
        let (shape, schema): (_, SchemaRef) = match signature.returns {
            Some(ResultKind::Changed) => (ResultShape::RowsChanged, count_schema()),
            Some(ResultKind::Nothing) => (ResultShape::Nothing, Arc::new(Schema::empty())),
            Some(ResultKind::Rows) | None => (ResultShape::Rows, Arc::new(signature.columns)),
        };
        let id = PreparedId(self.next);
        self.next += 1;
        let ready = Ready {
            kind,
            shape,
            parameters: statement.parameter_names(),
            control,
            read: classify::reads_only(statement.kind()),
            statement,
        };
        self.prepared.insert(id, ready);
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
        self.has_state |= !ready.read && !ready.control && ready.shape == ResultShape::Nothing;
        let closing = if read_only || self.read_only { self.begin_read_only(ready)? } else { None };
        let values = parameters::bind(&self.connection, &ready.parameters, parameters)?;
        let arguments: Vec<(&str, &Value)> = values.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let result = ready.statement.execute(&self.connection, &arguments, BATCH_ROWS).map_err(failed)?;
        match result.kind().map_err(failed)? {
            Some(ResultKind::Changed) => Ok(Box::new(MadeRows::changed(result.drain().map_err(failed)?)?)),
            Some(ResultKind::Nothing) => {
                result.drain().map_err(failed)?;
                Ok(Box::new(MadeRows::nothing()))
            }
            Some(ResultKind::Rows) | None => {
                let schema = result.schema().map_err(failed)?.unwrap_or_else(|| Arc::new(Schema::empty()));
                Ok(Box::new(StreamedRows::new(result, schema, closing)))
            }
        }
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
            has_state: self.has_state,
        }
    }

    fn roll_back(&mut self) -> Result<(), EngineError> {
        if self.state().in_transaction { self.run("ROLLBACK") } else { Ok(()) }
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::new(ConnectionInterrupter(Arc::clone(&self.connection)))
    }
}
