//! The service behind the socket: sessions that answer fixed statements, and a record of what was asked.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema},
};
use dbmux_engine::{
    Answer, CatalogSql, ColumnType, ErrorCode, HelloReply, HelloRequest, IngestRows, IngestSql, LeaseAsks, LeaseEvent,
    LeaseEvents, Peer, PreparedId, PreparedStatement, ResultShape, Service, ServiceError, Session, SessionId,
    SqlFeatures, StatementEvent, StatementKind, StatementRequest, StatsReply, StatusReply, TypeKind,
};
use dbmux_proto::LeaseState;
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::data;

/// Opens sessions, and remembers who did.
pub(crate) struct TestService {
    me: Weak<Self>,
    sessions: Mutex<HashMap<SessionId, Arc<TestSession>>>,
    numbers: AtomicU64,
    pub(crate) opened: Mutex<Vec<(HelloRequest, Peer)>>,
    pub(crate) closed: Mutex<Vec<SessionId>>,
    pub(crate) stopped: Mutex<Option<Duration>>,
    /// Every statement that was run, in order: its text, and its parameters' rows.
    pub(crate) ran: Mutex<Vec<String>>,
    /// Statements that run or are being read now.
    pub(crate) running: Arc<AtomicUsize>,
    /// Lets statements called `wait` go on.
    pub(crate) go: CancellationToken,
}

impl TestService {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            sessions: Mutex::default(),
            numbers: AtomicU64::new(1),
            opened: Mutex::default(),
            closed: Mutex::default(),
            stopped: Mutex::default(),
            ran: Mutex::default(),
            running: Arc::default(),
            go: CancellationToken::new(),
        })
    }

    pub(crate) fn open_sessions(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Ends all sessions, as a broker does that leaves.
    pub(crate) fn lose_sessions(&self) {
        self.sessions.lock().clear();
    }

    pub(crate) fn ran(&self) -> Vec<String> {
        self.ran.lock().clone()
    }
}

#[async_trait::async_trait]
impl Service for TestService {
    async fn open_session(
        &self,
        hello: HelloRequest,
        peer: Peer,
    ) -> Result<(HelloReply, Arc<dyn Session>), ServiceError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let id = SessionId(u128::from(number).to_be_bytes());
        let session = Arc::new(TestSession {
            id,
            service: self.me.upgrade().unwrap(),
            cancel: Mutex::default(),
            prepared: Mutex::default(),
            numbers: AtomicU64::new(1),
        });
        self.sessions.lock().insert(id, Arc::clone(&session));
        self.opened.lock().push((hello, peer));
        let reply = HelloReply { session: id.0.to_vec(), catalog: "sales".to_owned(), ..HelloReply::default() };
        Ok((reply, session))
    }

    fn session(&self, id: SessionId) -> Option<Arc<dyn Session>> {
        Some(self.sessions.lock().get(&id)?.clone())
    }

    async fn close_session(&self, id: SessionId) {
        self.sessions.lock().remove(&id);
        self.closed.lock().push(id);
    }

    async fn status(&self) -> StatusReply {
        StatusReply { catalog: "sales".to_owned(), engine: "test".to_owned(), ..StatusReply::default() }
    }

    async fn stats(&self) -> StatsReply {
        StatsReply { statements: self.ran.lock().len() as u64, ..StatsReply::default() }
    }

    fn lease(&self, asks: LeaseAsks, _: Peer) -> LeaseEvents {
        // It answers each word with what it heard.
        let answered = asks.map(|ask| {
            let mut event = LeaseEvent { ahead: u32::from(ask.in_line), as_of: ask.command, ..LeaseEvent::default() };
            event.set_state(if ask.in_line { LeaseState::Released } else { LeaseState::Ready });
            Ok(event)
        });
        answered.boxed()
    }

    async fn stop(&self, drain: Duration) {
        *self.stopped.lock() = Some(drain);
    }
}

pub(crate) struct TestSession {
    id: SessionId,
    service: Arc<TestService>,
    cancel: Mutex<HashMap<u64, CancellationToken>>,
    prepared: Mutex<HashMap<PreparedId, String>>,
    numbers: AtomicU64,
}

/// Counts a statement as running.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

const TYPES: &[ColumnType] = &[
    ColumnType::of_any_length("VARCHAR", TypeKind::Varchar),
    ColumnType::new("UUID", TypeKind::Varchar, 36),
    ColumnType::new("TIMESTAMP", TypeKind::Timestamp, 26),
];

#[async_trait::async_trait]
impl Session for TestSession {
    fn id(&self) -> SessionId {
        self.id
    }

    fn catalog_sql(&self) -> CatalogSql {
        CatalogSql {
            current: "current",
            databases: "databases",
            schemas: "schemas",
            tables: "tables",
            definitions: "definitions",
            primary_keys: "primary_keys",
            foreign_keys: "foreign_keys",
            features: SqlFeatures { types: TYPES, tables: true, schemas: false, isolation: None, savepoints: true },
        }
    }

    fn ingest_sql(&self) -> IngestSql {
        IngestSql { column_type, schema: "main", temporary: "temp.main", replaces: true, rows: IngestRows::AsList }
    }

    async fn prepare(&self, sql: &str) -> Result<PreparedStatement, ServiceError> {
        let id = PreparedId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let (kind, shape, batches) = data::answer(sql, None)?;
        self.prepared.lock().insert(id, sql.to_owned());
        let count = sql.matches('?').count();
        let parameters: Vec<_> = (1..=count).map(|n| Field::new(n.to_string(), DataType::Null, true)).collect();
        let (schema, from_snapshot) = (data::schema(&batches), sql == "snapshot");
        let parameters = Schema::new(parameters);
        Ok(PreparedStatement { id, kind, shape, schema, parameters, from_snapshot, foretold: true })
    }

    async fn forget(&self, prepared: PreparedId) {
        self.prepared.lock().remove(&prepared);
        self.service.ran.lock().push(format!("forget {}", prepared.0));
    }

    async fn run(&self, request: StatementRequest) -> Result<Answer, ServiceError> {
        let running = Running::new(&self.service.running);
        let sql = match request.prepared {
            Some(id) => self.prepared.lock().get(&id).cloned(),
            None => Some(request.sql.clone()),
        };
        let sql = sql.ok_or_else(|| ServiceError::new(ErrorCode::Sql, "no such prepared statement"))?;
        let said = request.parameters.as_ref().map(|row| format!(" {}", data::text(row))).unwrap_or_default();
        self.service.ran.lock().push(format!("{sql}{said}"));
        if sql == "wait" {
            let cancel = CancellationToken::new();
            self.cancel.lock().insert(request.statement_id, cancel.clone());
            tokio::select! {
                () = cancel.cancelled() => return Err(ServiceError::new(ErrorCode::Cancelled, "cancelled")),
                () = self.service.go.cancelled() => {}
            }
        }
        let (kind, shape, batches) = data::answer(&sql, request.parameters.as_ref())?;
        let schema = data::schema(&batches);
        let fails = sql.starts_with("fail midway");
        let endless = sql == "endless";
        let rows: Vec<RecordBatch> = batches;
        let end = fails.then(|| Err(ServiceError::new(ErrorCode::OutOfMemory, "no memory left")));
        let stream = if endless {
            futures::stream::iter(rows.into_iter().cycle().map(Ok)).boxed()
        } else {
            futures::stream::iter(rows.into_iter().map(Ok).chain(end)).boxed()
        };
        let batches = stream
            .map(move |batch| {
                let _ = &running;
                batch
            })
            .boxed();
        let as_of = (sql == "snapshot").then(|| "2026-01-02T03:04:05Z".to_owned());
        Ok(Answer { kind, shape, schema, batches, as_of, notices: vec!["told".to_owned()] })
    }

    fn cancel(&self, statement_id: u64) -> bool {
        let cancel = self.cancel.lock();
        let found: Vec<_> = cancel.iter().filter(|(id, _)| statement_id == 0 || **id == statement_id).collect();
        found.iter().for_each(|(_, token)| token.cancel());
        !found.is_empty()
    }

    fn watch(&self, statement_id: u64) -> Pin<Box<dyn Stream<Item = StatementEvent> + Send>> {
        let events = (0..3).map(move |ahead| StatementEvent { ahead, elapsed_ms: statement_id, ..Default::default() });
        Box::pin(futures::stream::iter(events))
    }
}

/// The types of the fixtures' columns.
fn column_type(kind: &DataType) -> Option<String> {
    let name = match kind {
        DataType::Int64 => "BIGINT",
        DataType::Int32 => "INTEGER",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 => "VARCHAR",
        _ => return None,
    };
    Some(name.to_owned())
}

/// What a row-count answer says.
pub(crate) fn kind_of(sql: &str) -> (StatementKind, ResultShape) {
    let first = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    match first.as_str() {
        "INSERT" | "UPDATE" | "DELETE" => (StatementKind::Write, ResultShape::RowsChanged),
        "CREATE" | "DROP" | "BEGIN" | "COMMIT" | "ROLLBACK" | "SET" | "RESET" | "USE" => {
            (StatementKind::Write, ResultShape::Nothing)
        }
        _ => (StatementKind::Read, ResultShape::Rows),
    }
}
