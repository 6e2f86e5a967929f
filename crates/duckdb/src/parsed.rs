//! The last text of a session, parsed.
//!
//! A text is parsed once, however many steps look at it, and not again when it comes again: on a small read the parser
//! takes an eighth of the broker's time. What the parser makes of a text depends on settings and on loaded extensions, so
//! what was parsed before any session changed those is not used after it.

use dbmux_engine::EngineError;

use crate::{
    errors,
    ffi::{Connection, Failure, Statement},
    shared::Shared,
};

/// A statement that nobody is using at the moment.
struct Kept {
    text: String,
    statement: Statement,
    /// [`Shared::parser_epoch`] when it was parsed.
    epoch: u64,
}

/// At most one statement, the last.
#[derive(Default)]
pub(crate) struct Parsed {
    kept: Option<Kept>,
}

impl Parsed {
    /// The texts of a text's statements.
    pub(crate) fn split(
        &mut self,
        connection: &Connection,
        shared: &Shared,
        sql: &str,
    ) -> Result<Vec<String>, EngineError> {
        let epoch = shared.parser_epoch();
        if self.kept.as_ref().is_some_and(|kept| kept.text == sql && kept.epoch == epoch) {
            return Ok(vec![sql.to_owned()]);
        }
        self.kept = None;
        let mut statements = parse(connection, sql)?;
        if statements.len() > 1 {
            return Ok(statements.iter().map(Statement::text).collect());
        }
        let Some(statement) = statements.pop() else { return Ok(Vec::new()) };
        self.kept = Some(Kept { text: sql.to_owned(), statement, epoch });
        Ok(vec![sql.to_owned()])
    }

    /// The one statement of a text. It belongs to the caller, who may give it back.
    pub(crate) fn take(
        &mut self,
        connection: &Connection,
        shared: &Shared,
        sql: &str,
    ) -> Result<Statement, EngineError> {
        let epoch = shared.parser_epoch();
        match self.kept.take() {
            Some(kept) if kept.text == sql && kept.epoch == epoch => Ok(kept.statement),
            _ => one(parse(connection, sql)?),
        }
    }

    /// Keeps a statement that has run and is as it was when it was taken.
    pub(crate) fn give_back(&mut self, text: String, statement: Statement, epoch: u64) {
        self.kept = Some(Kept { text, statement, epoch });
    }
}

fn parse(connection: &Connection, sql: &str) -> Result<Vec<Statement>, EngineError> {
    connection.parse(sql).map_err(|failure: Failure| errors::statement(&failure))
}

fn one(mut statements: Vec<Statement>) -> Result<Statement, EngineError> {
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(EngineError::Sql { message: "there is no statement".to_owned(), sqlstate: "42601" }),
        (_, more) => Err(EngineError::Sql {
            message: format!("one statement at a time is prepared; there are {}", more + 1),
            sqlstate: "42601",
        }),
    }
}
