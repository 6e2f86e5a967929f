//! One client's conversation with SQLite.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use dbmux_engine::{
    EngineError, EngineSession, InsertShape, Interrupter, MadeRows, Parameters, Prepared, PreparedId, Progress,
    ResultShape, Rows, Seats, SessionOptions, SessionState, StatementKind, count_schema,
};

use crate::{
    classify::{self, Control, Looked},
    connection::Connection,
    errors, luggage, merged,
    parameters::{self, Bind},
    rows::{Running, StreamedRows, query_only},
    shared::Shared,
    slot::Slot,
    split,
    types::Shape,
};

/// A prepared statement, and what was found when it was looked at.
struct Bound {
    text: Arc<str>,
    looked: Looked,
    shape: ResultShape,
}

/// A session: a connection, where it has one at the moment, and the statements that it has prepared.
pub(crate) struct SqliteSession {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    prepared: HashMap<PreparedId, Bound>,
    next: u64,
    /// A transaction that was begun while no file was attached: it begins with its first statement.
    pending: Option<Arc<str>>,
    /// The client has a transaction open, as far as it knows.
    in_transaction: bool,
}

impl SqliteSession {
    pub(crate) fn open(shared: &Arc<Shared>, options: &SessionOptions) -> Self {
        let slot = Slot::new(options.read_only);
        shared.enter(&slot);
        Self {
            shared: Arc::clone(shared),
            slot,
            prepared: HashMap::new(),
            next: 1,
            pending: None,
            in_transaction: false,
        }
    }

    /// Whether there is no file to ask: nothing is attached, and no transaction goes on.
    fn is_released(&self) -> bool {
        self.shared.place().is_none() && !self.slot.in_transaction()
    }

    /// The transaction that the client has open was rolled back by SQLite.
    fn is_broken(&self) -> bool {
        self.in_transaction && self.pending.is_none() && !self.slot.in_transaction()
    }

    /// Runs with the session's connection, and gives it back.
    fn with_connection<T>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut connection = self.slot.take(&self.shared)?;
        let done = run(&mut connection);
        self.slot.put(&self.shared, connection);
        done
    }

    /// `BEGIN`, `COMMIT` and `ROLLBACK` where no file is attached, or no transaction is left. `None`: not so.
    fn control_without_file(&mut self, control: Control, text: &Arc<str>) -> Option<Result<(), EngineError>> {
        if self.is_broken() {
            return match control {
                Control::Commit | Control::Rollback => {
                    self.in_transaction = false;
                    Some(if control == Control::Rollback { Ok(()) } else { Err(broken()) })
                }
                _ => Some(Err(broken())),
            };
        }
        if self.pending.is_some() && matches!(control, Control::Commit | Control::Rollback) {
            (self.pending, self.in_transaction) = (None, false);
            return Some(Ok(()));
        }
        if self.pending.is_none() && control == Control::Begin && self.is_released() {
            (self.pending, self.in_transaction) = (Some(Arc::clone(text)), true);
            return Some(Ok(()));
        }
        None
    }

    /// The session's connection, in the transaction that the client began.
    fn take(&mut self) -> Result<Connection, EngineError> {
        let connection = self.slot.take(&self.shared)?;
        if let Some(begin) = &self.pending {
            if let Err(failure) = connection.run(begin) {
                let error = connection.error(&failure);
                self.slot.put(&self.shared, connection);
                return Err(error);
            }
            self.pending = None;
        }
        Ok(connection)
    }

    /// The same for this statement: one that asks what the last write was is only answered in a transaction.
    fn take_for(&mut self, looked: &Looked) -> Result<Connection, EngineError> {
        let connection = self.take()?;
        if looked.noted.asks_last && connection.handle.is_autocommit() {
            self.slot.put(&self.shared, connection);
            return Err(classify::asks_last());
        }
        Ok(connection)
    }

    /// Runs a statement that changes rows once for each row of parameters: for all of them, or for none.
    fn run_each(&mut self, text: &Arc<str>, looked: &Looked, rows: &Parameters) -> Result<i64, EngineError> {
        let mut connection = self.take_for(looked)?;
        connection.watch.clear(looked.copies);
        let done = merged::each(&mut connection, text, rows);
        self.slot.put(&self.shared, connection);
        done
    }

    /// What a statement that has succeeded leaves in the session.
    fn learn(&self, looked: &Looked, text: &str) {
        if let Some(setting) = &looked.noted.sets
            && self.outlives_its_transaction(setting)
        {
            self.slot.set(setting.clone(), text.to_owned());
        }
    }

    /// Whether a setting was changed, and stays so: one is of the transaction, and one is not changed in any.
    fn outlives_its_transaction(&self, setting: &str) -> bool {
        match setting {
            "defer_foreign_keys" => false,
            "foreign_keys" => !self.slot.in_transaction(),
            _ => true,
        }
    }

    /// Whether anything is left of what the session made, after some of it was removed.
    fn look_for_state(&self) {
        let any = self
            .with_connection(|connection| luggage::has_any(connection).map_err(|failure| connection.error(&failure)));
        self.slot.carries(any.unwrap_or(true));
    }
}

impl EngineSession for SqliteSession {
    fn split(&mut self, sql: &str) -> Result<Vec<String>, EngineError> {
        split::split(sql)
    }

    fn prepare(&mut self, sql: &str) -> Result<Prepared, EngineError> {
        let (id, text) = (PreparedId(self.next), Arc::from(sql));
        let control = classify::control(sql);
        let (looked, described) = if control.is_some() && (self.is_released() || self.is_broken()) {
            (classify::look_without_file(sql)?, Described::default())
        } else {
            self.with_connection(|connection| {
                let Some(statement) = connection.look(sql)? else {
                    return Ok((classify::look_at_setting(connection.watch.noted()), Described::default()));
                };
                let looked = classify::look(sql, &statement, connection.watch.noted());
                let described = Described::of(&statement);
                connection.keep(&text, statement);
                Ok((looked, described))
            })?
        };
        let shape = classify::shape(sql, !described.schema.fields().is_empty());
        let schema = match shape {
            ResultShape::Rows => described.schema,
            ResultShape::RowsChanged => count_schema(),
            ResultShape::Nothing => Arc::new(Schema::empty()),
        };
        let prepared = Prepared {
            id,
            kind: looked.kind,
            shape,
            schema,
            parameters: described.parameters,
            modifies: looked.modifies,
            seats: Seats::Writer,
            transaction_control: looked.control.is_some(),
        };
        self.next += 1;
        self.prepared.insert(id, Bound { text, looked, shape });
        Ok(prepared)
    }

    fn execute<'a>(
        &'a mut self,
        prepared: PreparedId,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Box<dyn Rows + 'a>, EngineError> {
        let Some(Bound { text, looked, shape }) = self.prepared.get(&prepared) else {
            return Err(errors::sql("there is no such prepared statement in this session", "26000"));
        };
        let (text, looked, shape) = (Arc::clone(text), looked.clone(), *shape);
        if let Some(control) = looked.control
            && let Some(done) = self.control_without_file(control, &text)
        {
            return done.map(|()| Box::new(MadeRows::nothing()) as Box<dyn Rows>);
        }
        if self.is_broken() {
            return Err(broken());
        }
        if (read_only || self.slot.read_only) && !looked.may_run_read_only {
            let message = "the statement writes, and only reading is allowed here".to_owned();
            return Err(EngineError::ReadOnly { message });
        }
        if let Some(rows) = many(parameters)
            && shape == ResultShape::RowsChanged
        {
            return Ok(Box::new(MadeRows::changed(self.run_each(&text, &looked, rows)?)?));
        }
        let query_only = read_only && !self.slot.read_only && looked.control.is_none();
        let connection = self.take_for(&looked)?;
        if looked.noted.makes_state {
            // Before the connection is given back: it may be closed at once then, and what it has in memory is taken along.
            self.slot.carries(true);
        }
        let rows = self.run(connection, &text, &looked, (shape, parameters, query_only));
        if looked.control.is_some() {
            self.in_transaction = self.slot.in_transaction();
        }
        if looked.noted.drops_state || (looked.noted.makes_state && rows.is_err()) {
            self.look_for_state();
        }
        let rows = rows?;
        self.learn(&looked, &text);
        Ok(rows)
    }

    fn insert_many(
        &mut self,
        shape: &InsertShape,
        rows: &[(&str, Option<&Parameters>)],
    ) -> Result<Vec<i64>, EngineError> {
        if self.state().in_transaction || self.slot.read_only {
            return Err(merged::declined());
        }
        self.with_connection(|connection| merged::insert(connection, shape, rows))
    }

    fn forget(&mut self, prepared: PreparedId) {
        self.prepared.remove(&prepared);
    }

    fn state(&self) -> SessionState {
        SessionState {
            in_transaction: self.in_transaction || self.slot.in_transaction(),
            transaction_failed: self.is_broken(),
            has_state: self.slot.has_state(),
            in_file: self.slot.in_transaction_on_file(),
        }
    }

    fn roll_back(&mut self) -> Result<(), EngineError> {
        (self.pending, self.in_transaction) = (None, false);
        if !self.slot.in_transaction() {
            return Ok(());
        }
        self.with_connection(|connection| connection.run("ROLLBACK").map_err(|failure| connection.error(&failure)))
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::new(SlotInterrupter(Arc::clone(&self.slot)))
    }
}

impl SqliteSession {
    /// Runs a statement: its rows as they are made, or its whole answer where it has none, or has changed something.
    fn run(
        &self,
        mut connection: Connection,
        text: &Arc<str>,
        looked: &Looked,
        (shape, parameters, read): (ResultShape, Option<&Parameters>, bool),
    ) -> Result<Box<dyn Rows + 'static>, EngineError> {
        let statement = match connection.statement(text) {
            Ok(statement) => statement,
            Err(error) => {
                self.slot.put(&self.shared, connection);
                return Err(error);
            }
        };
        // Settings are changed when they are prepared, and only then.
        let keeps = !looked.noted.acts_at_once;
        let mut running = Running::new(statement, connection, text, &self.slot, &self.shared, (read, keeps));
        running.prepare(parameters, looked.copies)?;
        match shape {
            ResultShape::Rows => {
                // What has changed something is done, and committed, when this returns.
                let whole = looked.kind != StatementKind::Read;
                Ok(Box::new(StreamedRows::begin(running, whole)?))
            }
            shape => {
                while running.step()? {}
                let changed = running.changes();
                match shape {
                    ResultShape::RowsChanged => Ok(Box::new(MadeRows::changed(changed)?)),
                    _ => Ok(Box::new(MadeRows::nothing())),
                }
            }
        }
    }
}

/// Parameters that are not of one row, for a statement that runs for each.
fn many(parameters: Option<&Parameters>) -> Option<&Parameters> {
    parameters.filter(|rows| rows.num_columns() > 0 && rows.num_rows() != 1)
}

impl Running {
    /// Gives the statement its parameters, and the connection what it may do.
    fn prepare(&mut self, parameters: Option<&Parameters>, copies: bool) -> Result<(), EngineError> {
        if self.is_query_only()
            && let Some(connection) = self.connection()
        {
            query_only(connection, true).map_err(|failure| connection.error(&failure))?;
        }
        if let Some(connection) = self.connection() {
            connection.watch.clear(copies);
        }
        let Some(statement) = self.statement() else { return Ok(()) };
        match parameters::bind(statement, parameters) {
            Ok(()) => Ok(()),
            Err(Bind::Engine(error)) => Err(error),
            Err(Bind::Failed(failure)) => Err(self.error(&failure)),
        }
    }
}

/// What a statement takes and gives.
struct Described {
    schema: SchemaRef,
    parameters: Schema,
}

impl Default for Described {
    fn default() -> Self {
        Self { schema: Arc::new(Schema::empty()), parameters: Schema::empty() }
    }
}

impl Described {
    /// The columns are foretold by what their tables declare: their values have not been seen.
    fn of(statement: &crate::ffi::Statement) -> Self {
        let field = |column: usize| {
            let declared = Shape::declared(statement.column_decltype(column).as_deref());
            Shape::of(declared, &[], true).field(&statement.column_name(column))
        };
        let fields: Vec<Field> = (0..statement.column_count()).map(field).collect();
        let names = parameters::names(statement);
        let parameters: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Null, true)).collect();
        Self { schema: Arc::new(Schema::new(fields)), parameters: Schema::new(parameters) }
    }
}

/// Interrupts whatever runs in a session.
struct SlotInterrupter(Arc<Slot>);

impl Interrupter for SlotInterrupter {
    fn interrupt(&self) {
        self.0.interrupt();
    }

    fn progress(&self) -> Progress {
        Progress { percent: -1.0, ..Progress::default() }
    }
}

fn broken() -> EngineError {
    errors::sql("the transaction was rolled back when a statement in it failed: ROLLBACK, and begin again", "25P02")
}
