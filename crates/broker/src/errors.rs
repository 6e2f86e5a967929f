//! The errors that the broker itself gives, each with what helps to decide what to do next.

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use dbmux_engine::{EngineError, ErrorCode, Holder, ServiceError};

use crate::deadline::Deadline;

/// What the broker knows about a wait that came to nothing.
pub(crate) struct Waited<'a> {
    pub(crate) database: &'a Path,
    pub(crate) deadline: Deadline,
}

impl Waited<'_> {
    /// Somebody outside has the file.
    pub(crate) fn locked(&self, ahead: usize, holder: Option<Holder>) -> ServiceError {
        let name = self.database.file_name().unwrap_or(self.database.as_os_str()).to_string_lossy();
        let mut error = ServiceError::new(ErrorCode::DatabaseLocked, format!("{name} is in use")).held_by(holder);
        error.0.ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.complete(error).suggest("wait longer, or end the process that has the file")
    }

    /// Too many others were ahead.
    pub(crate) fn out_of_time(&self, ahead: usize, holder: Option<Holder>) -> ServiceError {
        let text = match ahead {
            0 => "out of time while waiting for other statements".to_owned(),
            ahead => format!("out of time with {ahead} ahead"),
        };
        let mut error = ServiceError::new(ErrorCode::DeadlineExceeded, text).held_by(holder);
        error.0.ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.complete(error).suggest("wait longer, or look at `dbmux status` for what is running")
    }

    fn complete(&self, mut error: ServiceError) -> ServiceError {
        error.0.db_path = self.database.display().to_string();
        error.0.waited_ms = millis(self.deadline.waited());
        error
    }
}

pub(crate) fn queue_full(database: &Path, depth: usize) -> ServiceError {
    let mut error = ServiceError::new(ErrorCode::QueueFull, format!("the queue is full: {depth} statements wait"))
        .suggest("try again later, or give the broker a longer --queue");
    error.0.depth = u32::try_from(depth).unwrap_or(u32::MAX);
    error.0.db_path = database.display().to_string();
    error
}

pub(crate) fn too_many_in_flight(limit: usize) -> ServiceError {
    ServiceError::new(ErrorCode::QueueFull, format!("this session has {limit} statements in flight already"))
        .suggest("wait for their answers, or open more sessions")
}

pub(crate) fn number_taken(number: u64) -> ServiceError {
    let text = format!("statement {number} of this session is on its way already");
    ServiceError::new(ErrorCode::InvalidArgument, text).suggest("give each statement a number of its own, or 0")
}

pub(crate) fn session_busy() -> ServiceError {
    ServiceError::new(ErrorCode::SessionBusy, "an earlier result of this session is only half read")
        .suggest("read or close that result first, or use another session: waiting does not help")
}

pub(crate) fn reconnect() -> ServiceError {
    ServiceError::new(ErrorCode::Reconnect, "this broker is leaving").suggest("connect again")
}

pub(crate) fn session_lost() -> ServiceError {
    ServiceError::new(ErrorCode::SessionLost, "the session is gone, with its temporary tables and settings")
        .suggest("open a new session")
}

pub(crate) fn cancelled() -> ServiceError {
    let mut error = ServiceError::new(ErrorCode::Cancelled, "cancelled");
    error.0.sqlstate = "57014".to_owned();
    error
}

pub(crate) fn idle_transaction(limit: Duration) -> ServiceError {
    let text = format!("the transaction was rolled back: it was idle for {} s while others waited", limit.as_secs());
    let mut error = ServiceError::new(ErrorCode::IdleTimeout, text).suggest("roll back, and begin it again");
    error.0.sqlstate = "25P03".to_owned();
    error
}

pub(crate) fn unread_result(limit: Duration) -> ServiceError {
    let text = format!("the result was closed: it was not read for {} s while others waited", limit.as_secs());
    ServiceError::new(ErrorCode::IdleTimeout, text).suggest("run the statement again, and read its result at once")
}

/// What is ended because somebody outside has waited for the file for as long as he must.
pub(crate) fn overdue(what: &str, limit: Duration) -> ServiceError {
    let text =
        format!("the {what} was ended and rolled back: another process has waited {} s for the file", limit.as_secs());
    let mut error = ServiceError::new(ErrorCode::DeadlineExceeded, text)
        .suggest("try again: it runs when the other process is done; DBMUX_DRAIN gives statements longer");
    error.0.sqlstate = "57014".to_owned();
    error
}

/// A statement that would wait for the process that waits for it.
pub(crate) fn inside_lease(database: &Path, holder: Option<Holder>) -> ServiceError {
    let name = database.file_name().unwrap_or(database.as_os_str()).to_string_lossy();
    let text = format!("{name} is handed over to a command that this one runs inside of: waiting cannot help");
    let mut error = ServiceError::new(ErrorCode::SessionBusy, text)
        .held_by(holder)
        .suggest("use that command's own connection to the file, or do this after that command");
    error.0.db_path = database.display().to_string();
    error
}

/// A write in a transaction that began while the file could only be read.
pub(crate) fn read_only_transaction() -> ServiceError {
    let text = "the transaction began while another process allowed only reading";
    let mut error = ServiceError::new(ErrorCode::TransactionConflict, text).suggest("roll back, and begin again");
    error.0.sqlstate = "40001".to_owned();
    error
}

pub(crate) fn engine(error: EngineError, database: &Path) -> ServiceError {
    let mut error = ServiceError::from(error);
    error.0.db_path = database.display().to_string();
    error
}

pub(crate) fn internal(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorCode::Internal, message)
}

/// Says since when a holder has what others wait for.
pub(crate) fn set_since(holder: &mut Holder, since: Instant) {
    let held = since.elapsed();
    holder.held_ms = millis(held);
    holder.since = SystemTime::now().checked_sub(held).map(rfc3339).unwrap_or_default();
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
