//! Read-only SQL over the tables, by DataFusion.
//!
//! A statement sees one version of each table that it names. It is planned in a context of its own, in which there is
//! nothing but those tables: no file, no catalog that another could have changed.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema};
use dbmux_engine::{EngineError, Parameters};
use futures::StreamExt;
use lancedb::{
    datafusion::{
        common::{DataFusionError, ParamValues, ScalarValue, TableReference, metadata::ScalarAndMetadata},
        config::Dialect,
        logical_expr::LogicalPlan,
        prelude::{SQLOptions, SessionConfig, SessionContext},
        sql::{
            parser::{DFParser, Statement as Parsed},
            sqlparser::ast::Statement as Ast,
        },
    },
    table::datafusion::BaseTableAdapter,
};

use crate::{
    errors,
    ffi::{self, TheirSchema},
    listing, merged,
    opened::{At, Source},
    rows::Found,
};

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;

/// Splits text into statements.
pub(crate) fn split(text: &str) -> Result<Vec<String>, EngineError> {
    let statements = DFParser::parse_sql(text).map_err(|error| errors::of(&error, "".as_ref()))?;
    // One is left as it is written.
    if statements.len() == 1 {
        return Ok(vec![text.trim().trim_end_matches(';').to_owned()]);
    }
    Ok(statements.iter().map(ToString::to_string).collect())
}

/// A statement's plan, on the tables as they are now.
pub(crate) struct Planned {
    context: SessionContext,
    plan: LogicalPlan,
}

impl Planned {
    /// Plans a statement; `at` tells which version of a table is read.
    pub(crate) async fn of(source: &Source, text: &str, at: impl Fn(&str) -> At) -> Result<Self, EngineError> {
        let failed = |error: DataFusionError| errors::of(&error, source.path());
        let config = SessionConfig::new()
            .with_batch_size(BATCH_ROWS)
            .with_default_catalog_and_schema(listing::NAME, listing::NAME);
        let context = SessionContext::new_with_config_rt(config, source.memory());
        let state = context.state();
        let statement = state.sql_to_statement(text, &Dialect::Generic).map_err(failed)?;
        check(&statement)?;
        for reference in state.resolve_table_references(&statement).map_err(failed)? {
            let name = plain_name(&reference)?;
            if state.table_functions().contains_key(name) {
                continue;
            }
            if name == listing::TABLES {
                let tables = Arc::new(listing::tables(source).await?);
                context.register_table(TableReference::bare(name), tables).map_err(failed)?;
                continue;
            }
            let table = source.table(name, at(name)).await?;
            let adapter = BaseTableAdapter::try_new(Arc::clone(table.base_table())).await;
            let adapter = adapter.map_err(|error| errors::of(&error, source.path()))?;
            context.register_table(TableReference::bare(name), Arc::new(adapter)).map_err(failed)?;
        }
        let plan = context.state().statement_to_plan(statement).await.map_err(failed)?;
        let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        reading.verify_plan(&plan).map_err(|_| writes())?;
        Ok(Self { context, plan })
    }

    /// The columns that it answers with.
    pub(crate) fn schema(&self) -> TheirSchema {
        Arc::clone(self.plan.schema().inner())
    }

    /// The statement's parameters, in order.
    pub(crate) fn parameters(&self, source: &Source) -> Result<Schema, EngineError> {
        let kinds = self.plan.get_parameter_types().map_err(|error| errors::of(&error, source.path()))?;
        let mut fields = Vec::new();
        for (name, kind) in kinds {
            let name = name.trim_start_matches('$').to_owned();
            let kind = match kind {
                Some(kind) => {
                    let field = lancedb::arrow::arrow_schema::Field::new(&name, kind, true);
                    let schema = lancedb::arrow::arrow_schema::Schema::new(vec![field]);
                    ffi::schema_to_ours(&schema)?.field(0).data_type().clone()
                }
                None => DataType::Null,
            };
            fields.push(Field::new(name, kind, true));
        }
        fields.sort_by_key(|field| (field.name().parse::<u32>().unwrap_or(u32::MAX), field.name().clone()));
        Ok(Schema::new(fields))
    }

    /// Begins it; its rows come as they are made.
    pub(crate) async fn begin(self, source: &Source, given: Option<&Parameters>) -> Result<Found, EngineError> {
        let failed = |error: DataFusionError| errors::of(&error, source.path());
        let mut frame = self.context.execute_logical_plan(self.plan).await.map_err(failed)?;
        if let Some(given) = merged::if_any(given) {
            frame = frame.with_param_values(values(given, source)?).map_err(failed)?;
        }
        let stream = frame.execute_stream().await.map_err(failed)?;
        let schema = ffi::schema_to_ours(&stream.schema())?;
        let path = source.path().to_owned();
        let batches = stream.map(move |batch| batch.map_err(|error| errors::of(&error, &path)));
        Ok(Found::Stream { schema, batches: Box::pin(batches) })
    }
}

/// The values of a statement's parameters: by position where they are called `1`, `2`, … or nothing, else by name.
fn values(given: &Parameters, source: &Source) -> Result<ParamValues, EngineError> {
    if given.num_rows() != 1 {
        let message = format!("parameters are one row; there are {}", given.num_rows());
        return Err(errors::sql("07001", message));
    }
    let theirs = ffi::batch_to_theirs(given)?;
    let mut values: HashMap<String, ScalarAndMetadata> = HashMap::new();
    for (place, (field, column)) in theirs.schema().fields().iter().zip(theirs.columns()).enumerate() {
        let value = ScalarValue::try_from_array(column, 0).map_err(|error| errors::of(&error, source.path()))?;
        let name = field.name().trim_start_matches(['$', ':', '@']);
        let name = if name.is_empty() { (place + 1).to_string() } else { name.to_owned() };
        values.insert(name, value.into());
    }
    Ok(ParamValues::Map(values))
}

/// Refuses by name what is not for here; what is left is looked at again when it is planned.
fn check(statement: &Parsed) -> Result<(), EngineError> {
    match statement {
        Parsed::Statement(inner) => match inner.as_ref() {
            Ast::StartTransaction { .. } => Err(no_transactions("BEGIN")),
            Ast::Commit { .. } => Err(no_transactions("COMMIT")),
            Ast::Rollback { .. } => Err(no_transactions("ROLLBACK")),
            Ast::Query(_) | Ast::Explain { .. } | Ast::ExplainTable { .. } => Ok(()),
            _ => Err(writes()),
        },
        Parsed::Explain(explain) => check(&explain.statement),
        _ => Err(writes()),
    }
}

fn no_transactions(what: &str) -> EngineError {
    EngineError::Unsupported {
        what: what.to_owned(),
        why: "LanceDB has no transactions: every operation commits by itself".to_owned(),
    }
}

fn writes() -> EngineError {
    EngineError::Unsupported {
        what: "any SQL but SELECT and EXPLAIN".to_owned(),
        why: "SQL only reads LanceDB's tables: change them by operations, such as {\"add\": {\"table\": …}}".to_owned(),
    }
}

/// A table's name, without that of a catalog.
fn plain_name(reference: &TableReference) -> Result<&str, EngineError> {
    match reference {
        TableReference::Bare { table } => Ok(table),
        // Without a schema: the first part is the database.
        TableReference::Partial { schema, table } if schema.as_ref() == listing::NAME => Ok(table),
        other => Err(errors::sql("42P01", format!("there is no table {other}: tables here have plain names"))),
    }
}
