//! `describe_table`.

use std::sync::Arc;

use dbmux_client::{Session, Statement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    arguments::waiting,
    rows::{self, Rows},
    tables::{self, Listed, quoted},
};
use crate::{call::Call, failure::Failure, reply::Reply, server::Shared, statement};

/// Rows of a sample, where the caller does not say.
const SAMPLE: usize = 5;
/// Tables that are named where the one that was asked for is not there.
const NAMED: usize = 20;
/// Rows of a sample, at most.
const LARGEST_SAMPLE: usize = 100;

/// Which table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Describe {
    /// The table or view: `orders`, or with its schema `main.orders`.
    table: String,
    /// The database, by its name as list_databases tells it, or by its path. Not needed where there is only one.
    database: Option<String>,
    /// Rows to show of it: 5 where it is left out, 100 at most.
    sample: Option<usize>,
    /// Seconds to wait for others who have the file. 0 never waits.
    wait: Option<f64>,
}

/// A table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Described {
    schema: String,
    name: String,
    row_count: i64,
    /// How it was made; empty where the engine does not tell.
    definition: String,
    /// Its columns, and some of its rows.
    sample: Rows,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Describe, call: Call) -> Result<Reply<Described>, Failure> {
    let database = shared.databases.find(asked.database.as_deref())?;
    let (session, questions) = tables::open(&shared, &call, database).await?;
    let (known, _) = tables::tables(&call, &session, &questions, asked.wait).await?;
    let table = find(known, &asked.table)?;
    let name = match table.schema.as_str() {
        "" => quoted(&table.name),
        schema => format!("{}.{}", quoted(schema), quoted(&table.name)),
    };
    let definition = tables::made(&call, &session, &questions, (Some(&table), asked.wait)).await?;
    let definition = definition.into_iter().next().map(|[_, _, sql]| sql).unwrap_or_default();
    let rows = asked.sample.unwrap_or(SAMPLE).min(LARGEST_SAMPLE);
    let read = async |sql: String| page(&shared, &call, &session, (&database.name, asked.wait), sql).await;
    let sample = read(format!("SELECT * FROM {name} LIMIT {rows}")).await?;
    let count = read(format!("SELECT count(*) FROM {name}")).await?;
    let row_count = count.first_integer().unwrap_or_default();
    let text = format!("{definition}\n{row_count} rows; some of them:\n{}", sample.text());
    Ok(Reply::new(
        text.trim_start().to_owned(),
        Described { schema: table.schema, name: table.name, row_count, definition, sample },
    ))
}

async fn page(
    shared: &Shared,
    call: &Call,
    session: &Session,
    (database, wait): (&str, Option<f64>),
    sql: String,
) -> Result<Rows, Failure> {
    let statement = waiting(Statement::new(sql).read_only(true), wait)?;
    let (answer, waited) = statement::run(call, session, statement).await?;
    let found = Arc::new(call.unless_cancelled(rows::read(database, answer)).await?);
    rows::page(&shared.cursors, &found, (0, found.rows()), None, waited)
}

/// By its name as it is, else without regard to case; with its schema, where it has one. Of several schemas that have it
/// the usual one counts.
fn find(known: Vec<Listed>, asked: &str) -> Result<Listed, Failure> {
    let is = |table: &Listed, same: fn(&str, &str) -> bool| {
        same(&table.name, asked) || same(&format!("{}.{}", table.schema, table.name), asked)
    };
    let hint = known.iter().map(|table| table.name.as_str()).take(NAMED).collect::<Vec<_>>().join(", ");
    let exact: Vec<_> = known.iter().filter(|table| is(table, |one, other| one == other)).collect();
    let alike = || known.iter().filter(|table| is(table, |one, other| one.eq_ignore_ascii_case(other))).collect();
    let found: Vec<&Listed> = if exact.is_empty() { alike() } else { exact };
    let usual = found.iter().position(|table| matches!(table.schema.as_str(), "" | "main"));
    match (found.as_slice(), usual) {
        ([only], _) => Ok((*only).clone()),
        ([], _) => Err(Failure::usage(format!("there is no table \"{asked}\""), format!("there are: {hint}"))),
        (several, Some(usual)) => Ok(several[usual].clone()),
        (several, None) => {
            let names: Vec<_> = several.iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
            Err(Failure::usage(format!("\"{asked}\" may be one of several"), format!("name one: {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_what_is_clear() {
        let known =
            |names: &[(&str, &str)]| names.iter().map(|(schema, name)| Listed::table(schema, name)).collect::<Vec<_>>();
        let find = |names, asked| find(known(names), asked).map(|table| table.schema + "." + &table.name).ok();
        assert_eq!(find(&[("archive", "orders"), ("main", "orders")], "ORDERS").as_deref(), Some("main.orders"));
        assert_eq!(
            find(&[("archive", "orders"), ("main", "orders")], "archive.orders").as_deref(),
            Some("archive.orders")
        );
        assert_eq!(find(&[("main", "a"), ("main", "A")], "A").as_deref(), Some("main.A"));
        assert_eq!(find(&[("x", "orders"), ("y", "orders")], "orders"), None);
        assert_eq!(find(&[("", "orders")], "order"), None);
    }
}
