//! Flight SQL's transactions, as `BEGIN`, `COMMIT` and `ROLLBACK` of the session.
//!
//! `BEGIN` is sent with a transaction's first statement, not when the client announces it: clients without autocommit
//! (Python's DB-API is one) open the next transaction as soon as the last one has ended, and would keep the database
//! from everybody else while they do nothing.

use std::sync::Arc;

use arrow_flight::sql::EndTransaction;
use bytes::Bytes;
use dbmux_engine::{ErrorCode, ServiceError, StatementRequest};
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    connection::Caller,
    memory::Transaction,
    status::{internal, invalid, status},
};

/// Announces a transaction, and gives its name.
pub(super) async fn begin(caller: &Caller) -> Result<Bytes, Status> {
    let mut transaction = caller.memory.transaction.lock().await;
    if matches!(*transaction, Transaction::Announced(_) | Transaction::Open(_)) {
        let mut error = ServiceError::new(ErrorCode::Sql, "this session has a transaction already");
        error.0.sqlstate = "25001".to_owned();
        return Err(status(error.suggest("end it first, or use another connection")));
    }
    let name = Bytes::from(caller.memory.number().to_be_bytes().to_vec());
    *transaction = Transaction::Announced(name.clone());
    Ok(name)
}

/// Sees to it that a statement runs in its transaction.
///
/// One that names none runs in the session's, if there is one: a session has one conversation with the engine, and a
/// client that announced a transaction means it for all that it does (ADBC names none when it ingests).
pub(super) async fn enter(caller: &Caller, name: Option<&Bytes>) -> Result<(), Status> {
    let mut transaction = caller.memory.transaction.lock().await;
    let name = name.filter(|name| !name.is_empty());
    match (&*transaction, name) {
        (Transaction::Announced(present), name) if name.is_none_or(|name| present == name) => {
            let present = present.clone();
            execute(caller, "BEGIN").await?;
            *transaction = Transaction::Open(present);
            Ok(())
        }
        (Transaction::Open(present), Some(name)) if present == name => Ok(()),
        (_, None) => Ok(()),
        _ => Err(unknown()),
    }
}

/// Waits until nothing is in the midst of [`together`].
pub(super) async fn settled(caller: &Caller) {
    drop(caller.memory.transaction.lock().await);
}

/// Ends a transaction.
pub(super) async fn end(caller: &Caller, name: &Bytes, how: i32) -> Result<(), Status> {
    let how = EndTransaction::try_from(how).unwrap_or(EndTransaction::Unspecified);
    let sql = match how {
        EndTransaction::Commit => "COMMIT",
        EndTransaction::Rollback => "ROLLBACK",
        EndTransaction::Unspecified => return Err(invalid("a transaction ends by COMMIT or by ROLLBACK")),
    };
    let mut transaction = caller.memory.transaction.lock().await;
    match &*transaction {
        Transaction::Announced(present) if present == name => {
            *transaction = Transaction::None;
            Ok(())
        }
        Transaction::Failed(present) if present == name && how == EndTransaction::Rollback => {
            *transaction = Transaction::None;
            Ok(())
        }
        Transaction::Open(present) if present == name => {
            let ended = execute(caller, sql).await;
            *transaction = Transaction::None;
            if ended.is_err() && how == EndTransaction::Commit {
                *transaction = Transaction::Failed(name.clone());
                // Usually it is gone already, and this says so.
                if let Err(error) = execute(caller, "ROLLBACK").await {
                    tracing::debug!(%error, "nothing to roll back after a failed COMMIT");
                }
            }
            ended
        }
        _ => Err(unknown()),
    }
}

/// Does several things as one: all of them, or nothing. In an open transaction they are part of that.
///
/// The work is a task of its own, which a client that goes away stops but does not leave half done: the session must not
/// stay in a transaction that nobody knows of.
pub(super) async fn together<T: Send + 'static>(
    caller: &Caller,
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let transaction = Arc::clone(&caller.memory.transaction).lock_owned().await;
    let gone = CancellationToken::new();
    let _tells = gone.clone().drop_guard();
    let caller = caller.clone();
    let task = tokio::spawn(async move {
        let ours = !matches!(*transaction, Transaction::Open(_)) && begin_own(&caller).await?;
        // A panic would leave the transaction open.
        let work = std::panic::AssertUnwindSafe(work).catch_unwind();
        let outcome = tokio::select! {
            outcome = work => outcome.unwrap_or_else(|_| Err(internal("the work failed unexpectedly; see the log"))),
            () = gone.cancelled() => Err(status(ServiceError::new(ErrorCode::Cancelled, "the client went away"))),
        };
        if ours {
            let ended = execute(&caller, if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
            return outcome.and_then(|outcome| ended.map(|()| outcome));
        }
        outcome
    });
    task.await.unwrap_or_else(|error| Err(internal(format!("the work ended early: {error}"))))
}

/// Begins a transaction, unless one is open that was begun by SQL.
async fn begin_own(caller: &Caller) -> Result<bool, Status> {
    let request = StatementRequest { sql: "BEGIN".to_owned(), ..StatementRequest::default() };
    match caller.session.run(request).await {
        Ok(mut answer) => {
            while let Some(batch) = answer.batches.next().await {
                batch.map_err(status)?;
            }
            Ok(true)
        }
        Err(error) if error.code() == ErrorCode::Sql => Ok(false),
        Err(error) => Err(status(error)),
    }
}

/// Runs a statement that answers nothing.
pub(super) async fn execute(caller: &Caller, sql: &str) -> Result<(), Status> {
    let request = StatementRequest { sql: sql.to_owned(), ..StatementRequest::default() };
    let mut answer = caller.session.run(request).await.map_err(status)?;
    while let Some(batch) = answer.batches.next().await {
        batch.map_err(status)?;
    }
    Ok(())
}

fn unknown() -> Status {
    invalid("there is no transaction with this id: it has ended, or was never begun")
}
