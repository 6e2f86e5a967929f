//! A statement between its preparation and its execution.

use std::{path::Path, sync::Arc};

use arrow::datatypes::{Schema, SchemaRef};
use dbmux_engine::{EngineError, Prepared, PreparedId, ResultShape, Seats, StatementKind, count_schema};

use crate::errors;
use crate::{
    attached::Attach,
    classify,
    facts::{self, Fact, Scope},
    ffi::{Connection, Failure, ResultKind, Signature, Statement, StatementType},
    policy::{self, Client},
};

/// What will be done.
pub(crate) enum Work {
    /// DuckDB runs it.
    Run(Statement),
    /// We attach a copy.
    Attach(Attach),
    /// We detach what this session attached.
    Detach(String),
}

/// A statement that has been looked at, and may run.
pub(crate) struct Ready {
    pub(crate) work: Work,
    pub(crate) facts: Vec<Fact>,
    pub(crate) kind: StatementKind,
    /// The names of its parameters, in binding order.
    pub(crate) parameters: Vec<String>,
    /// `BEGIN`, `COMMIT`, `ROLLBACK`.
    pub(crate) control: bool,
}

/// What there is to know of the session while its statement is looked at.
pub(crate) struct Looker<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) client: Client<'a>,
    pub(crate) directory: Option<&'a Path>,
}

impl Looker<'_> {
    /// Looks at a statement: refuses what would harm the others, and binds the rest.
    pub(crate) fn look(&self, statement: Statement, id: PreparedId) -> Result<(Ready, Prepared), EngineError> {
        let facts = self.check(&statement)?;
        match statement.kind() {
            StatementType::DUCKDB_V2_STATEMENT_TYPE_ATTACH => {
                let attach = Attach::of(&facts, self.directory)?;
                let Some(attach) = attach else {
                    return Err(refused("this ATTACH", "it says nothing that is known here"));
                };
                Ok(by_ourselves(Work::Attach(attach), facts, id))
            }
            StatementType::DUCKDB_V2_STATEMENT_TYPE_DETACH => {
                let name = facts.iter().find_map(|fact| match fact {
                    Fact::Detach { name } => Some(name.clone()),
                    _ => None,
                });
                Ok(by_ourselves(Work::Detach(name.unwrap_or_default()), facts, id))
            }
            _ if facts.iter().any(|fact| matches!(fact, Fact::Attach { .. } | Fact::Detach { .. })) => {
                Err(refused("ATTACH or DETACH inside another statement", "run it by itself"))
            }
            _ => self.bind(statement, facts, id),
        }
    }

    /// What the statement says, once it is known to harm nobody; a setting that says nothing of its scope becomes the
    /// session's own.
    fn check(&self, statement: &Statement) -> Result<Vec<Fact>, EngineError> {
        let failed = |failure: Failure| errors::statement(&failure);
        let mut facts = facts::of(self.connection, statement).map_err(failed)?;
        for fact in &mut facts {
            if let Fact::Set { name, scope, .. } | Fact::Reset { name, scope } = fact
                && *scope == Scope::Automatic
            {
                *scope = if self.connection.is_global_setting(name) { Scope::Global } else { Scope::Session };
            }
        }
        policy::check(&facts, &self.client)?;
        self.connection.prefer_session_scope(statement).map_err(failed)?;
        Ok(facts)
    }

    fn bind(&self, statement: Statement, facts: Vec<Fact>, id: PreparedId) -> Result<(Ready, Prepared), EngineError> {
        let control = classify::controls_transaction(statement.kind());
        let signature = if control {
            Signature::of_control(statement.kind())
        } else {
            self.connection.signature(&statement).map_err(|failure| errors::statement(&failure))?
        };
        policy::check_calls(signature.calls())?;
        let kind = classify::kind(&facts, &signature);
        let (shape, schema): (_, SchemaRef) = match signature.returns {
            Some(ResultKind::Changed) => (ResultShape::RowsChanged, count_schema()),
            Some(ResultKind::Nothing) => (ResultShape::Nothing, Arc::new(Schema::empty())),
            Some(ResultKind::Rows) | None => (ResultShape::Rows, Arc::new(signature.columns)),
        };
        let parameters = statement.parameter_names();
        let modifies = signature.modifies || kind == StatementKind::Exclusive;
        let ready = Ready { work: Work::Run(statement), facts, kind, parameters, control };
        let prepared = Prepared {
            id,
            kind,
            shape,
            schema,
            parameters: signature.parameters,
            modifies,
            seats: Seats::Writer,
            transaction_control: control,
        };
        Ok((ready, prepared))
    }
}

/// A statement that DuckDB does not get to see.
fn by_ourselves(work: Work, facts: Vec<Fact>, id: PreparedId) -> (Ready, Prepared) {
    let kind = StatementKind::Write;
    let prepared = Prepared {
        id,
        kind,
        shape: ResultShape::Nothing,
        schema: Arc::new(Schema::empty()),
        parameters: Schema::empty(),
        modifies: false,
        seats: Seats::Writer,
        transaction_control: false,
    };
    (Ready { work, facts, kind, parameters: Vec::new(), control: false }, prepared)
}

fn refused(what: &str, why: &str) -> EngineError {
    EngineError::Refused { what: what.to_owned(), why: why.to_owned() }
}
