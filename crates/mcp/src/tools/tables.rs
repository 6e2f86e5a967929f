//! `list_tables`, and what there is in a database.

use std::sync::Arc;

use dbmux_client::{
    Session, Statement,
    arrow::{
        array::{Array, AsArray, RecordBatch},
        compute::cast,
        datatypes::DataType,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    arguments::waiting,
    page::{Page, Part},
};
use crate::{
    call::Call, databases::Database, failure::Failure, options::CatalogQuestions, reply::Reply, server::Shared,
    statement,
};

/// Of which database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTables {
    /// The database, by its name as list_databases tells it, or by its path. Not needed where there is only one.
    database: Option<String>,
    /// Only those with this text in the name.
    name: Option<String>,
    /// How many to tell: 200 where it is left out, from 1 to 2,000.
    limit: Option<usize>,
    /// How many to leave out first: next_offset of the answer before.
    offset: Option<usize>,
    /// Seconds to wait for others who have the file. 0 never waits.
    wait: Option<f64>,
}

/// Tables and views.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tables {
    database: String,
    tables: Vec<Listed>,
    /// How many there are in all.
    total: usize,
    /// The offset of the next ones; absent at the end.
    next_offset: Option<usize>,
    /// Set where a snapshot answered: the time as of which it is true.
    as_of: Option<String>,
}

/// A table or a view.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Listed {
    /// Empty where the engine has no schemas.
    pub(crate) schema: String,
    pub(crate) name: String,
    /// `table` or `view`.
    kind: &'static str,
}

#[cfg(test)]
impl Listed {
    pub(super) fn table(schema: &str, name: &str) -> Self {
        Self { schema: schema.to_owned(), name: name.to_owned(), kind: "table" }
    }
}

pub(super) async fn run(shared: Arc<Shared>, asked: ListTables, call: Call) -> Result<Reply<Tables>, Failure> {
    let page = Page::of(asked.limit, asked.offset)?;
    let database = shared.databases.find(asked.database.as_deref())?;
    let (session, questions) = open(&shared, &call, database).await?;
    let (mut tables, as_of) = tables(&call, &session, &questions, asked.wait).await?;
    let such = if asked.name.is_some() { "such " } else { "" };
    if let Some(part) = asked.name.map(|name| name.to_lowercase()) {
        tables.retain(|table| table.name.to_lowercase().contains(&part));
    }
    let part = page.cut(tables);
    let shown = |table: &Listed| match table.schema.as_str() {
        "" | "main" => format!("{} ({})\n", table.name, table.kind),
        schema => format!("{schema}.{} ({})\n", table.name, table.kind),
    };
    let text = match part.total {
        0 => format!("{} has no {such}tables", database.name),
        _ => part.entries.iter().map(shown).collect::<String>() + &part.rest(),
    };
    let Part { entries: tables, total, next: next_offset } = part;
    Ok(Reply::new(text, Tables { database: database.name.clone(), tables, total, next_offset, as_of }))
}

/// A session, and how its engine is asked what there is.
pub(super) async fn open(
    shared: &Shared,
    call: &Call,
    database: &Database,
) -> Result<(Session, CatalogQuestions), Failure> {
    let client = shared.databases.client(database, call.caller().as_deref())?;
    let session = statement::session(call, &client).await?;
    let engine = session.hello().engine.clone();
    let questions = (shared.options.catalog)(&engine);
    let missing =
        || Failure::usage(format!("this dbmux does not know {engine}"), "ask the database's own catalog by SQL");
    Ok((session, questions.ok_or_else(missing)?))
}

/// All tables and views of the session's database.
pub(super) async fn tables(
    call: &Call,
    session: &Session,
    questions: &CatalogQuestions,
    wait: Option<f64>,
) -> Result<(Vec<Listed>, Option<String>), Failure> {
    let sql = format!(
        "SELECT schema, name, kind FROM ({}) AS found WHERE database = {} ORDER BY 1, 2",
        questions.tables,
        literal(&session.hello().catalog)
    );
    let (found, as_of) = texts(call, session, waiting(Statement::new(sql).read_only(true), wait)?).await?;
    let listed = found.into_iter().filter_map(|row| match <[String; 3]>::try_from(row) {
        Ok([schema, name, kind]) => Some(Listed { schema, name, kind: if kind == "VIEW" { "view" } else { "table" } }),
        Err(_) => None,
    });
    Ok((listed.collect(), as_of))
}

/// How tables and views were made: schema, name, SQL.
pub(crate) async fn definitions(
    shared: &Shared,
    call: &Call,
    database: &Database,
) -> Result<Vec<[String; 3]>, Failure> {
    let (session, questions) = open(shared, call, database).await?;
    made(call, &session, &questions, (None, None)).await
}

/// The same; of one table, where it is named.
pub(super) async fn made(
    call: &Call,
    session: &Session,
    questions: &CatalogQuestions,
    (table, wait): (Option<&Listed>, Option<f64>),
) -> Result<Vec<[String; 3]>, Failure> {
    let only = table.map_or(String::new(), |table| {
        format!(" AND schema = {} AND name = {}", literal(&table.schema), literal(&table.name))
    });
    let sql = format!(
        "SELECT schema, name, sql FROM ({}) AS found WHERE database = {}{only} ORDER BY 1, 2",
        questions.definitions,
        literal(&session.hello().catalog)
    );
    let (found, _) = texts(call, session, waiting(Statement::new(sql).read_only(true), wait)?).await?;
    Ok(found.into_iter().filter_map(|row| row.try_into().ok()).collect())
}

/// A statement's rows as texts, where NULL is an empty one, and as of when a snapshot says so.
async fn texts(
    call: &Call,
    session: &Session,
    statement: Statement,
) -> Result<(Vec<Vec<String>>, Option<String>), Failure> {
    let (answer, _) = statement::run(call, session, statement).await?;
    let as_of = answer.as_of().map(str::to_owned);
    let batches = call.unless_cancelled(async { Ok(answer.collect().await?) }).await?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(rows_of(batch)?);
    }
    Ok((rows, as_of))
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<String>>, Failure> {
    let columns: Vec<_> =
        batch.columns().iter().map(|column| cast(column, &DataType::Utf8)).collect::<Result<_, _>>()?;
    let value = |column: &dyn Array, row| match column.is_null(row) {
        true => String::new(),
        false => column.as_string::<i32>().value(row).to_owned(),
    };
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| value(column, row)).collect()).collect())
}

/// A text as SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
