//! One call: its time, its place in the line, and the statements that it runs.

use arrow::array::{ArrayRef, RecordBatch};
use dbmux_client::{Session, Statement, Value};

use crate::{
    MemoryError,
    line::{Deadline, Place},
    retry::Tries,
    rows::Rows,
    store::Shared,
};

/// A statement that may have to be sent more than once.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    sql: String,
    values: Vec<Value>,
    rows: Option<RecordBatch>,
    reads: bool,
    repeatable: bool,
}

impl Ask {
    /// It only reads.
    pub(crate) fn read(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new(), rows: None, reads: true, repeatable: true }
    }

    /// It writes. `repeatable`: doing it twice is the same as doing it once.
    pub(crate) fn write(sql: impl Into<String>, repeatable: bool) -> Self {
        Self { sql: sql.into(), values: Vec::new(), rows: None, reads: false, repeatable }
    }

    /// Gives the next `?` its value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Gives the next ones theirs.
    pub(crate) fn bind_all(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }

    /// Runs it for each of these rows, for all or for none.
    pub(crate) fn rows(mut self, rows: RecordBatch) -> Self {
        self.rows = Some(rows);
        self
    }

    fn statement(&self, deadline: Deadline) -> Statement {
        let mut statement = Statement::new(self.sql.as_str()).wait(deadline.left()).read_only(self.reads);
        for value in &self.values {
            statement = statement.bind(value.clone());
        }
        match &self.rows {
            Some(rows) => statement.rows(rows.clone()),
            None => statement,
        }
    }
}

/// A call that is under way.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) deadline: Deadline,
    _place: Place<'a>,
}

impl<'a> Call<'a> {
    pub(crate) fn begin(shared: &'a Shared, deadline: Deadline) -> Result<Self, MemoryError> {
        Ok(Self { shared, deadline, _place: shared.line.enter()? })
    }

    /// Runs a statement, again where that may be and can help.
    pub(crate) async fn run(&self, ask: &Ask) -> Result<Rows, MemoryError> {
        let mut tries = Tries::new(&self.shared.retry, self.deadline, ask.repeatable);
        let mut made_anew = false;
        loop {
            let error = match self.once(ask).await {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            // Somebody has put another file in its place.
            if error.said().contains("no such table: memor") && !std::mem::replace(&mut made_anew, true) {
                self.shared.schema.forget();
                continue;
            }
            let Some(wait) = tries.after(&error) else { return Err(error) };
            tracing::debug!(?wait, %error, "a statement is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, ask: &Ask) -> Result<Rows, MemoryError> {
        let _turn = self.shared.line.turn(self.deadline).await?;
        let session = self.session().await?;
        self.shared.schema.ensure(&self.shared.client, &session, !ask.reads, self.deadline).await?;
        let answer = session.run(ask.statement(self.deadline)).await?;
        let as_of = answer.as_of().map(str::to_owned);
        Ok(Rows::new(answer.collect().await?, as_of))
    }

    async fn session(&self) -> Result<Session, MemoryError> {
        let opening = self.shared.client.session();
        Ok(self.deadline.wait("while the broker was being reached", opening).await??)
    }
}

/// Runs a statement of the schema's, without the line and without another try.
pub(crate) async fn run_plain(session: &Session, ask: &Ask, deadline: Deadline) -> Result<Rows, MemoryError> {
    let answer = session.run(ask.statement(deadline)).await?;
    Ok(Rows::new(answer.collect().await?, None))
}

/// Rows for `?`, `?`, …
pub(crate) fn rows_of(columns: impl IntoIterator<Item = ArrayRef>) -> Result<RecordBatch, MemoryError> {
    let numbered = columns.into_iter().enumerate().map(|(index, column)| ((index + 1).to_string(), column, true));
    RecordBatch::try_from_iter_with_nullable(numbered).map_err(|error| MemoryError::InvalidArgument(error.to_string()))
}
