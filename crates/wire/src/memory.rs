//! What Flight SQL remembers of a session between calls: prepared statements with the parameters bound to them, the
//! transaction, and tickets that may be used once. It ends with the connection.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::array::RecordBatch;
use bytes::Bytes;
use dbmux_engine::PreparedStatement;
use parking_lot::Mutex;
use tonic::Status;

use crate::status::invalid;

/// Numbers of statements that we chose begin here; clients count theirs from 1, and the broker its own downwards.
const FIRST_NUMBER: u64 = 1 << 62;

/// Tickets that may be unused at once; the oldest are forgotten.
const UNUSED: usize = 4096;

/// What is remembered of one session.
pub(crate) struct Memory {
    pub(crate) transaction: Arc<tokio::sync::Mutex<Transaction>>,
    prepared: Mutex<HashMap<Bytes, Prepared>>,
    /// Tickets of statements that write and have not run.
    unused: Mutex<BTreeSet<u64>>,
    numbers: AtomicU64,
}

/// A prepared statement.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) statement: PreparedStatement,
    pub(crate) sql: Arc<str>,
    /// Bound by the client; empty: none.
    pub(crate) rows: Arc<[RecordBatch]>,
}

/// The transaction of a session. There is one at a time.
#[derive(Default)]
pub(crate) enum Transaction {
    #[default]
    None,
    /// Nothing was done in it.
    Announced(Bytes),
    Open(Bytes),
    /// It could not be committed and is over; its client may still roll it back.
    Failed(Bytes),
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            transaction: Arc::default(),
            prepared: Mutex::default(),
            unused: Mutex::default(),
            numbers: AtomicU64::new(FIRST_NUMBER),
        }
    }
}

impl Memory {
    /// A number that names one statement, transaction or ticket of the session.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a prepared statement, and gives its handle.
    pub(crate) fn keep(&self, sql: &str, statement: PreparedStatement) -> Bytes {
        let handle = Bytes::from(statement.id.0.to_be_bytes().to_vec());
        let prepared = Prepared { statement, sql: sql.into(), rows: Arc::from([]) };
        self.prepared.lock().insert(handle.clone(), prepared);
        handle
    }

    /// The prepared statement of a handle.
    pub(crate) fn prepared(&self, handle: &Bytes) -> Result<Prepared, Status> {
        let prepared = self.prepared.lock().get(handle).cloned();
        prepared.ok_or_else(|| invalid("there is no prepared statement with this handle: it was closed, or never made"))
    }

    /// Binds rows of parameters to a prepared statement.
    pub(crate) fn bind(&self, handle: &Bytes, rows: Vec<RecordBatch>) {
        if let Some(prepared) = self.prepared.lock().get_mut(handle) {
            prepared.rows = rows.into();
        }
    }

    /// Forgets a prepared statement.
    pub(crate) fn forget(&self, handle: &Bytes) -> Option<Prepared> {
        self.prepared.lock().remove(handle)
    }

    /// Lets the ticket of a statement that writes be used once.
    pub(crate) fn issue(&self, number: u64) {
        let mut unused = self.unused.lock();
        unused.insert(number);
        if unused.len() > UNUSED {
            unused.pop_first();
        }
    }

    /// Uses such a ticket.
    pub(crate) fn redeem(&self, number: u64) -> Result<(), Status> {
        if self.unused.lock().remove(&number) {
            return Ok(());
        }
        Err(invalid("this ticket is of a statement that writes, and was used already; ask again with GetFlightInfo"))
    }
}
