//! A statement's rows, as they are made.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
};
use dbmux_engine::{EngineError, Rows};

use crate::{
    columns::{self, Column, Misfit, Stored},
    connection::Connection,
    errors,
    ffi::{Failure, Statement},
    shared::{Shared, internal},
    slot::Slot,
    types::Shape,
};

/// Rows that are looked at before the columns' types are told, at most.
const FIRST_ROWS: usize = 1024;
/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;
/// Bytes of a batch at most, about: one value may be larger.
const BATCH_BYTES: usize = 4 << 20;

/// A statement that runs, with its connection: both go back to their session when it has ended.
pub(crate) struct Running {
    statement: Option<Statement>,
    connection: Option<Connection>,
    sql: Arc<str>,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
    /// Nothing may be written meanwhile, though the session may.
    query_only: bool,
    /// The statement may run again as it is.
    keeps: bool,
}

impl Running {
    pub(crate) fn new(
        statement: Statement,
        connection: Connection,
        sql: &Arc<str>,
        slot: &Arc<Slot>,
        shared: &Arc<Shared>,
        (query_only, keeps): (bool, bool),
    ) -> Self {
        let (sql, slot, shared) = (Arc::clone(sql), Arc::clone(slot), Arc::clone(shared));
        Self { statement: Some(statement), connection: Some(connection), sql, slot, shared, query_only, keeps }
    }

    /// Goes on to the next row; `false`: there is none.
    pub(crate) fn step(&mut self) -> Result<bool, EngineError> {
        let (Some(statement), Some(connection)) = (self.statement.as_mut(), self.connection.as_ref()) else {
            return Ok(false);
        };
        statement.step().map_err(|failure| connection.error(&failure))
    }

    pub(crate) fn statement(&mut self) -> Option<&mut Statement> {
        self.statement.as_mut()
    }

    pub(crate) fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Whether nothing may be written meanwhile, though the session may.
    pub(crate) fn is_query_only(&self) -> bool {
        self.query_only
    }

    /// Rows that the statement has changed, when it has ended.
    pub(crate) fn changes(&self) -> i64 {
        self.connection.as_ref().map_or(0, |connection| connection.handle.changes())
    }

    /// What a failure means.
    pub(crate) fn error(&self, failure: &Failure) -> EngineError {
        let unknown = || errors::of(failure, &self.shared.path);
        self.connection.as_ref().map_or_else(unknown, |connection| connection.error(failure))
    }

    fn as_of(&self) -> Option<SystemTime> {
        self.connection.as_ref().and_then(|connection| connection.place.as_of)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if let Some(statement) = self.statement.take()
            && self.keeps
        {
            connection.keep(&self.sql, statement);
        }
        if self.query_only
            && let Err(failure) = query_only(&connection, false)
        {
            // It would refuse the next write.
            tracing::warn!(error = failure.message, "a connection stays read-only");
        }
        self.slot.put(&self.shared, connection);
    }
}

/// Forbids writing on a connection, or allows it.
pub(crate) fn query_only(connection: &Connection, yes: bool) -> Result<(), Failure> {
    connection.watch.own(true);
    let done = connection.run(if yes { "PRAGMA query_only = 1" } else { "PRAGMA query_only = 0" });
    connection.watch.own(false);
    done
}

/// Rows of a running statement.
pub(crate) struct StreamedRows {
    running: Option<Running>,
    schema: SchemaRef,
    columns: Vec<Column>,
    ready: VecDeque<RecordBatch>,
    as_of: Option<SystemTime>,
    rows: usize,
}

impl StreamedRows {
    /// Looks at the first rows. `whole`: runs the statement to its end before it answers.
    pub(crate) fn begin(mut running: Running, whole: bool) -> Result<Self, EngineError> {
        let as_of = running.as_of();
        let mut first = First::default();
        let all = loop {
            if !running.step()? {
                break true;
            }
            let statement = running.statement().ok_or_else(ended)?;
            first.push(statement);
            if !whole && (first.rows.len() >= FIRST_ROWS || first.bytes >= BATCH_BYTES) {
                break false;
            }
        };
        let learned = running.shared.learned.of(&running.sql);
        let (shapes, names) = first.shapes(running.statement().ok_or_else(ended)?, all, &learned);
        let fields: Vec<_> = shapes.iter().zip(names).map(|(shape, name)| shape.field(&name)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut columns: Vec<_> = shapes.into_iter().map(Column::new).collect();
        let ready = first.batches(&schema, &mut columns)?;
        let rows = ready.iter().map(RecordBatch::num_rows).sum();
        Ok(Self { running: (!all).then_some(running), schema, columns, ready, as_of, rows })
    }

    fn fill(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let Some(running) = self.running.as_mut() else {
            return Ok(None);
        };
        let (mut rows, mut bytes, mut more) = (0, 0, true);
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            more = running.step()?;
            if !more {
                break;
            }
            rows += 1;
            let statement = running.statement.as_ref().ok_or_else(ended)?;
            for (index, column) in self.columns.iter_mut().enumerate() {
                match column.push(statement.value(index)) {
                    Ok(size) => bytes += size,
                    Err(misfit) => {
                        running.shared.learned.is_mixed(&running.sql, index);
                        return Err(late(misfit, self.schema.field(index), self.rows + rows));
                    }
                }
            }
        }
        if !more {
            self.running = None;
        }
        self.rows += rows;
        if rows == 0 {
            return Ok(None);
        }
        batch(&self.schema, &mut self.columns, rows).map(Some)
    }
}

impl Rows for StreamedRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn as_of(&self) -> Option<SystemTime> {
        self.as_of
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        if let Some(ready) = self.ready.pop_front() {
            return Ok(Some(ready));
        }
        let filled = self.fill();
        if filled.is_err() {
            self.running = None;
        }
        filled
    }
}

/// The first rows, before it is known what their columns are.
#[derive(Default)]
struct First {
    rows: Vec<Vec<Stored>>,
    bytes: usize,
}

impl First {
    fn push(&mut self, statement: &Statement) {
        let row = (0..statement.column_count()).map(|column| {
            let value = statement.value(column);
            self.bytes += columns::size(value);
            Stored::of(value)
        });
        let row = row.collect();
        self.rows.push(row);
    }

    fn shapes(&self, statement: &Statement, all: bool, learned: &[usize]) -> (Vec<Shape>, Vec<String>) {
        let shape = |column: usize| {
            if learned.contains(&column) {
                return Shape::Mixed;
            }
            let declared = Shape::declared(statement.column_decltype(column).as_deref());
            let classes: Vec<_> = self.rows.iter().filter_map(|row| row.get(column)).map(Stored::class).collect();
            Shape::of(declared, &classes, all)
        };
        let columns = 0..statement.column_count();
        (columns.clone().map(shape).collect(), columns.map(|column| statement.column_name(column)).collect())
    }
}

impl First {
    /// What has been looked at, in batches.
    fn batches(self, schema: &SchemaRef, columns: &mut [Column]) -> Result<VecDeque<RecordBatch>, EngineError> {
        let mut batches = VecDeque::new();
        let (mut rows, mut bytes) = (0, 0);
        for row in self.rows {
            for (column, value) in columns.iter_mut().zip(&row) {
                bytes +=
                    column.push(value.get()).map_err(|_| internal("a value does not fit the type it was given"))?;
            }
            rows += 1;
            if rows >= BATCH_ROWS || bytes >= BATCH_BYTES {
                batches.push_back(batch(schema, columns, rows)?);
                (rows, bytes) = (0, 0);
            }
        }
        if rows > 0 {
            batches.push_back(batch(schema, columns, rows)?);
        }
        Ok(batches)
    }
}

fn batch(schema: &SchemaRef, columns: &mut [Column], rows: usize) -> Result<RecordBatch, EngineError> {
    columns::batch(schema, columns, rows).map_err(|error| internal(error.to_string()))
}

/// A value came that the column's type has no room for, after that type was told.
fn late(misfit: Misfit, field: &Field, row: usize) -> EngineError {
    let (name, kind, class) = (field.name(), field.data_type(), misfit.0.name());
    let message = format!(
        "row {row}, column \"{name}\": a value is {class}, and all before were {kind}; run the statement again: the column \
         comes as a union now, or cast it"
    );
    errors::sql(message, "42804")
}

fn ended() -> EngineError {
    internal("the statement has ended")
}
