//! `query_database`: SQL with `ref()` and `source()`, which dbt resolves.

use std::sync::Arc;

use dbmux_client::Statement;
use dbmux_dbt::manifest::Manifest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::arguments::project;
use crate::{
    call::Call,
    dbt::{Dbt, Locked},
    failure::Failure,
    reply::Reply,
    server::Shared,
    tools::{
        arguments::{wait, waiting},
        query::{goes_on, reads},
        rows::{MOST_ROWS, ROWS, Rows},
    },
};

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One SQL statement that reads, in which {{ ref('model') }} and {{ source('source', 'table') }} may stand. Left out
    /// with a cursor.
    #[serde(alias = "query")]
    sql: Option<String>,
    /// Rows to answer with: 100 where it is left out, from 1 to 10,000.
    limit: Option<usize>,
    /// Where the last answer went on: its next_cursor.
    cursor: Option<String>,
    /// Seconds to wait for others who run dbt, or have the database. 0 never waits.
    wait: Option<f64>,
}

/// Rows, and the statement that they are of.
#[derive(Debug, serde::Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// The statement as dbt resolved it; absent with a cursor.
    sql: Option<String>,
    #[serde(flatten)]
    rows: Rows,
    /// Set where dbt had to resolve something.
    lock: Option<Locked>,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Query, call: Call) -> Result<Reply<Answer>, Failure> {
    let most = asked.limit.unwrap_or(ROWS).clamp(1, MOST_ROWS);
    let asked_sql = match (asked.sql, asked.cursor) {
        (None, Some(cursor)) => {
            let rows = goes_on(&shared, &cursor, most)?;
            return Ok(Reply::new(rows.text(), Answer { sql: None, rows, lock: None }));
        }
        (Some(sql), None) => sql,
        _ => return Err(Failure::usage("give either \"sql\" or \"cursor\"", "")),
    };
    let dbt = project(&shared)?;
    let profile = dbt.profile(&call).await?;
    let Some(path) = &profile.database else {
        let hint = "it can be asked of DuckDB files only: use a client of that database";
        let message = match profile.adapter.as_str() {
            "duckdb" => format!("the database of target {:?} is no file that is there", profile.target),
            other => format!("the project is one of {other}"),
        };
        return Err(Failure::usage(message, hint));
    };
    let (sql, lock) = resolved(&dbt, &call, asked_sql, asked.wait).await?;
    let statement = waiting(Statement::new(sql.clone()).read_only(true), asked.wait)?;
    let database = shared.databases.at(path);
    let rows = reads(&shared, &call, &database, statement, most).await?;
    let text = rows.text() + &lock.as_ref().map_or(String::new(), Locked::text);
    Ok(Reply::new(text, Answer { sql: Some(sql), rows, lock }))
}

/// The statement as dbt compiles it; as it is, where there is nothing to compile.
async fn resolved(
    dbt: &Arc<Dbt>,
    call: &Call,
    sql: String,
    seconds: Option<f64>,
) -> Result<(String, Option<Locked>), Failure> {
    if !["{{", "{%", "{#"].iter().any(|jinja| sql.contains(jinja)) {
        return Ok((sql, None));
    }
    only_references(&sql)?;
    if dbt.read_only {
        // Compiling runs the project's own macros, which may do anything.
        let (manifest, lock) = dbt.manifest(call, wait(seconds)?).await?;
        return Ok((by_manifest(&manifest, &sql)?, lock));
    }
    let arguments = ["compile", "--quiet", "--output=json", "--log-format=text", "--no-populate-cache"];
    let arguments = arguments.map(str::to_owned);
    let arguments = arguments.into_iter().chain([format!("--inline={sql}")]).collect();
    let ran = dbt.run(call, arguments, wait(seconds)?).await?;
    if ran.code != 0 {
        return Err(Failure::dbt(&ran.log));
    }
    // Macros may have printed something before it.
    let mut begins = ran.output.match_indices('{').map(|(begin, _)| &ran.output[begin..]);
    let compiled = begins.find_map(|text| {
        let first = serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()?;
        Some(first.get("compiled")?.as_str()?.to_owned())
    });
    Ok((compiled.ok_or_else(|| Failure::dbt(&ran.log))?, Some(ran.locked)))
}

/// The statement with each reference as the manifest has it: dbt is not run.
fn by_manifest(manifest: &Manifest, sql: &str) -> Result<String, Failure> {
    let mut pieces = sql.split("{{");
    let mut resolved = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (inside, behind) = piece.split_once("}}").unwrap_or((piece, ""));
        let names = inside.split(['\'', '"']).skip(1).step_by(2).collect::<Vec<_>>();
        let resource = manifest.find(&names.join("."))?;
        let relation = resource.relation_name.as_deref().filter(|_| resource.materialized() != Some("ephemeral"));
        let relation = relation.ok_or_else(|| {
            let hint = "this server only reads: it resolves what is in the database without running dbt";
            Failure::usage(format!("{} is not in the database", resource.unique_id), hint)
        })?;
        resolved.push_str(relation);
        resolved.push_str(behind);
    }
    Ok(resolved)
}

/// Other Jinja may run statements while it is compiled: a macro of dbt's can do anything.
fn only_references(sql: &str) -> Result<(), Failure> {
    let refused = |what: &str| {
        let hint = "only {{ ref('…') }} and {{ source('…', '…') }} may stand in it; compile_models compiles the others";
        Failure::usage(format!("\"sql\" has other Jinja in it: {what}"), hint)
    };
    if let Some(other) = ["{%", "{#"].into_iter().find(|other| sql.contains(other)) {
        return Err(refused(other));
    }
    for piece in sql.split("{{").skip(1) {
        let (inside, _) = piece.split_once("}}").ok_or_else(|| refused("{{ without }}"))?;
        if !is_reference(inside) {
            return Err(refused(inside.trim()));
        }
    }
    Ok(())
}

/// `ref('orders')`, `ref("shop", "orders", v=2)`, `source('raw', 'orders')`: texts and numbers between the parentheses.
fn is_reference(inside: &str) -> bool {
    let inside = inside.trim_matches(|c: char| c.is_whitespace() || c == '-').trim();
    let called = ["ref", "source"].iter().find_map(|name| inside.strip_prefix(name));
    let Some(arguments) = called.map(str::trim).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')')) else {
        return false;
    };
    arguments.split(',').all(|argument| {
        let value = argument.rsplit_once('=').map_or(argument, |(name, value)| match name.trim() {
            "v" | "version" => value,
            _ => "",
        });
        is_constant(value.trim())
    })
}

fn is_constant(value: &str) -> bool {
    let quoted = ['\'', '"'].into_iter().any(|quote| {
        let inside = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains([quote, '\\', '{', '}']))
    });
    quoted || (!value.is_empty() && value.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_may_stand_in_a_query_and_nothing_else() {
        for good in [
            "select * from {{ ref('orders') }}",
            "select * from {{ref(\"shop\", \"orders\", v=2)}} o, {{- source('raw', 'orders') -}}",
            "select 1",
        ] {
            assert!(only_references(good).is_ok(), "{good}");
        }
        for bad in [
            "select {{ run_query('drop table x') }}",
            "{% do run_query('drop table x') %} select 1",
            "{# harmless #} select 1",
            "select {{ ref('a') ~ run_query('drop table x') }}",
            "select {{ ref(run_query('drop table x')) }}",
            "select {{ ref('a', run_query('x')) }}",
            "select {{ ref('a' ~ x) }}",
            "select {{ ref('a').render() }}",
            "select {{ referee('a') }}",
            "select {{ ref() }}",
            "select {{ ref('a', v=run_query('x')) }}",
            "select {{ ref('a\\', x('b') }}",
            "select {{ ref('a'",
            "select {{ var('x') }}",
        ] {
            assert!(only_references(bad).is_err(), "{bad}");
        }
    }
}
