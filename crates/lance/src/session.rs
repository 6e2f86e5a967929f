//! One client's conversation: its prepared statements, and the versions that it has checked out.
//!
//! There are no transactions. All that a session has of its own is which version of a table it reads; writes go to the
//! newest one, and are refused while the session reads another, as with LanceDB itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use dbmux_engine::{
    EngineError, EngineSession, InsertShape, Interrupter, MadeRows, Parameters, Prepared, PreparedId, ResultShape,
    Rows, Seats, SessionOptions, SessionState, StatementKind, count_schema,
};

use crate::{
    catalog, errors, ffi, looks, maintain, merged,
    opened::{At, Source, read_only},
    operations::{Checkout, Operation},
    rows::{Found, StreamedRows},
    search,
    shared::Shared,
    sql::{self, Planned},
    wait::{Running, Stop},
    writes,
};

/// A statement, read.
enum Statement {
    Operation(Operation),
    Sql(String),
}

/// A session.
pub(crate) struct LanceSession {
    shared: Arc<Shared>,
    read_only: bool,
    prepared: HashMap<PreparedId, Arc<Statement>>,
    next: u64,
    /// The versions that it reads, by table.
    versions: BTreeMap<String, u64>,
    stop: Arc<Stop>,
}

/// Whether text is an operation, and not SQL.
pub(crate) fn is_operation(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

impl LanceSession {
    pub(crate) fn open(shared: &Arc<Shared>, options: &SessionOptions) -> Self {
        Self {
            shared: Arc::clone(shared),
            read_only: options.read_only,
            prepared: HashMap::new(),
            next: 1,
            versions: BTreeMap::new(),
            stop: Arc::default(),
        }
    }

    fn at(&self, table: &str) -> At {
        self.versions.get(table).map_or(At::Latest, |version| At::Version(*version))
    }

    /// What is known of an operation before it runs.
    async fn look(
        &self,
        source: &Source,
        operation: &Operation,
    ) -> Result<(ResultShape, SchemaRef, Schema), EngineError> {
        let none = Schema::empty();
        let rows = |schema| (ResultShape::Rows, schema, Schema::empty());
        Ok(match operation {
            Operation::Search(ask) => {
                let schema = search::schema(source, self.at(&ask.table), ask).await?;
                rows(ffi::schema_to_ours(&schema)?)
            }
            Operation::Tables(_) => rows(looks::tables_schema()),
            Operation::Count(_) => rows(looks::number_schema()),
            Operation::Schema(_) => rows(looks::columns_schema()),
            Operation::Versions(_) => rows(looks::versions_schema()),
            Operation::Indices(_) => rows(looks::indices_schema()),
            Operation::Checkout(_) => rows(looks::version_schema()),
            Operation::Optimize(_) => rows(maintain::optimized_schema()),
            Operation::Add(_) | Operation::MergeInsert(_) => {
                let table = source.table(operation.table().unwrap_or_default(), At::Latest).await?;
                let schema = table.schema().await.map_err(|error| errors::of(&error, source.path()))?;
                let given = ffi::schema_to_ours(&schema)?;
                (ResultShape::RowsChanged, count_schema(), given.as_ref().clone())
            }
            Operation::Update(_) | Operation::Delete(_) | Operation::CreateTable(_) => {
                (ResultShape::RowsChanged, count_schema(), none)
            }
            Operation::DropTable(_) | Operation::CreateIndex(_) | Operation::DropIndex(_) => {
                (ResultShape::Nothing, Arc::new(Schema::empty()), none)
            }
        })
    }

    /// Runs what only reads.
    async fn read(&self, source: &Source, operation: &Operation) -> Result<Found, EngineError> {
        let at = operation.table().map_or(At::Latest, |table| self.at(table));
        Ok(Found::Batch(match operation {
            Operation::Search(ask) => return search::begin(source, at, ask).await,
            Operation::Tables(_) => looks::tables(source).await?,
            Operation::Schema(ask) => looks::columns(source, at, &ask.table).await?,
            Operation::Versions(ask) => looks::versions(source, &ask.table).await?,
            Operation::Indices(ask) => looks::indices(source, at, &ask.table).await?,
            Operation::Count(ask) => looks::count(source, at, ask).await?,
            other => return Err(EngineError::Internal { message: format!("{other:?} is no reading") }),
        }))
    }

    /// Runs what writes. It sees to interrupts by itself.
    async fn write(
        &self,
        source: &Source,
        running: &Running,
        operation: &Operation,
        given: Option<&Parameters>,
    ) -> Result<MadeRows, EngineError> {
        let opened = source.writable()?.as_ref();
        match operation {
            Operation::Add(_) | Operation::MergeInsert(_) => {
                let rows = ffi::batch_to_theirs(merged::some_rows(given)?)?;
                changed(writes::with_rows(opened, running, operation, &[rows]).await?)
            }
            Operation::Update(ask) => changed(writes::update(opened, running, ask).await?),
            Operation::Delete(ask) => changed(writes::delete(opened, running, ask).await?),
            Operation::CreateTable(ask) => {
                let rows = merged::if_any(given).map(ffi::batch_to_theirs).transpose()?;
                changed(catalog::create(opened, running, ask, rows).await?)
            }
            Operation::DropTable(ask) => catalog::drop_table(opened, running, ask).await.map(|()| MadeRows::nothing()),
            Operation::CreateIndex(ask) => {
                maintain::create_index(opened, running, ask).await.map(|()| MadeRows::nothing())
            }
            Operation::DropIndex(ask) => maintain::drop_index(opened, running, ask).await.map(|()| MadeRows::nothing()),
            Operation::Optimize(ask) => Ok(MadeRows::of(maintain::optimize(opened, running, ask).await?, None)),
            other => Err(EngineError::Internal { message: format!("{other:?} is no writing") }),
        }
    }

    /// Reads a version of a table from now on; answers with its number.
    fn check_out(&mut self, source: &Source, running: &Running, ask: &Checkout) -> Result<RecordBatch, EngineError> {
        let at = ask.version.map_or(At::Latest, At::Version);
        let version = self.shared.threads.wait(running.lightly(async {
            let table = source.table(&ask.table, at).await?;
            table.version().await.map_err(|error| errors::of(&error, source.path()))
        }))?;
        match ask.version {
            Some(version) => self.versions.insert(ask.table.clone(), version),
            None => self.versions.remove(&ask.table),
        };
        looks::number(looks::version_schema(), version)
    }

    fn may_write(&self, operation: &Operation, only_reads: bool) -> Result<(), EngineError> {
        if only_reads || self.read_only {
            return Err(read_only("the operation writes, and only reading is allowed here"));
        }
        match operation.table().and_then(|table| Some((table, self.versions.get(table)?))) {
            Some((table, version)) => Err(EngineError::Refused {
                what: format!("writing to \"{table}\", of which this session reads version {version},"),
                why: format!("return to the latest by {{\"checkout\": {{\"table\": \"{table}\", \"version\": null}}}}"),
            }),
            None => Ok(()),
        }
    }

    fn stream<'a>(&self, found: Found, running: Arc<Running>, source: Source) -> Box<dyn Rows + 'a> {
        match found {
            Found::Batch(batch) => Box::new(MadeRows::of(batch, source.as_of())),
            Found::Stream { schema, batches } => Box::new(StreamedRows {
                threads: Arc::clone(&self.shared.threads),
                schema,
                batches: Some(batches),
                left: None,
                running,
                source,
            }),
        }
    }
}

impl EngineSession for LanceSession {
    fn split(&mut self, sql: &str) -> Result<Vec<String>, EngineError> {
        if is_operation(sql) { Ok(vec![sql.to_owned()]) } else { sql::split(sql) }
    }

    fn prepare(&mut self, sql: &str) -> Result<Prepared, EngineError> {
        let id = PreparedId(self.next);
        let running = self.stop.begin();
        let mut seats = Seats::Writer;
        let (statement, kind, (shape, schema, parameters)) = if is_operation(sql) {
            let operation = Operation::read(sql)?;
            let source = self.shared.source()?;
            let kind = operation.kind();
            seats = operation.seats();
            let known = self.shared.threads.wait(running.lightly(self.look(&source, &operation)))?;
            (Statement::Operation(operation), kind, known)
        } else {
            let source = self.shared.source()?;
            let planned = Planned::of(&source, sql, |table| self.at(table));
            let planned = self.shared.threads.wait(running.lightly(planned))?;
            let schema = ffi::schema_to_ours(&planned.schema())?;
            let known = (ResultShape::Rows, schema, planned.parameters(&source)?);
            (Statement::Sql(sql.to_owned()), StatementKind::Read, known)
        };
        self.next += 1;
        self.prepared.insert(id, Arc::new(statement));
        let modifies = kind != StatementKind::Read;
        Ok(Prepared { id, kind, shape, schema, parameters, modifies, seats, transaction_control: false })
    }

    fn execute<'a>(
        &'a mut self,
        prepared: PreparedId,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Box<dyn Rows + 'a>, EngineError> {
        let Some(statement) = self.prepared.get(&prepared).cloned() else {
            return Err(errors::sql("26000", "there is no such prepared statement in this session"));
        };
        let running = self.stop.begin();
        let source = self.shared.source()?;
        let operation = match statement.as_ref() {
            Statement::Operation(operation) => operation,
            Statement::Sql(text) => {
                let work = async {
                    let planned = Planned::of(&source, text, |table| self.at(table)).await?;
                    planned.begin(&source, parameters).await
                };
                let found = self.shared.threads.read(&running, work)?;
                return Ok(self.stream(found, running, source));
            }
        };
        if let Operation::Checkout(ask) = operation {
            return Ok(Box::new(MadeRows::of(self.check_out(&source, &running, ask)?, source.as_of())));
        }
        if operation.kind() == StatementKind::Read {
            let (threads, found) = (&self.shared.threads, self.read(&source, operation));
            let found = if operation.computes() {
                threads.read(&running, found)?
            } else {
                threads.wait(running.lightly(found))?
            };
            return Ok(self.stream(found, running, source));
        }
        self.may_write(operation, read_only)?;
        if operation.seats() != Seats::Writer {
            // It rearranges files too, and is not in anybody's way.
            self.shared.end_idle_work();
        }
        let work = self.write(&source, &running, operation, parameters);
        Ok(Box::new(if operation.seats() == Seats::Keeper {
            self.shared.threads.wait(work)?
        } else {
            self.shared.threads.write(work)?
        }))
    }

    fn insert_many(
        &mut self,
        shape: &InsertShape,
        rows: &[(&str, Option<&Parameters>)],
    ) -> Result<Vec<i64>, EngineError> {
        let count = |(_, rows): &(&str, Option<&Parameters>)| rows.map_or(0, Parameters::num_rows);
        let counts = rows.iter().map(|given| i64::try_from(count(given)).unwrap_or(i64::MAX)).collect();
        let rows = merged::rows(shape, rows)?;
        let operation = merged::operation(shape);
        self.may_write(&operation, false)?;
        let running = self.stop.begin();
        let source = self.shared.source()?;
        self.shared.threads.write(writes::with_rows(source.writable()?, &running, &operation, &rows))?;
        Ok(counts)
    }

    fn forget(&mut self, prepared: PreparedId) {
        self.prepared.remove(&prepared);
    }

    fn state(&self) -> SessionState {
        SessionState { has_state: !self.versions.is_empty(), ..SessionState::default() }
    }

    fn roll_back(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        Arc::clone(&self.stop) as Arc<dyn Interrupter>
    }
}

fn changed(count: u64) -> Result<MadeRows, EngineError> {
    MadeRows::changed(i64::try_from(count).unwrap_or(i64::MAX))
}
