//! From the command line to an operation, as LanceDB's engine reads it.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::{
    args::vectors::{CreateIndexArgs, CreateTableArgs, MergeInsertArgs, Operation, SearchArgs, UpdateArgs},
    failure::Failure,
};

/// An operation's JSON.
pub(super) fn of(operation: &Operation) -> Result<Value, Failure> {
    let table = |table: &str| json!({ "table": table });
    Ok(match operation {
        Operation::Tables => json!({ "tables": {} }),
        Operation::Schema(args) => json!({ "schema": table(&args.table) }),
        Operation::Versions(args) => json!({ "versions": table(&args.table) }),
        Operation::Indices(args) => json!({ "indices": table(&args.table) }),
        Operation::Count(args) => {
            json!({ "count": given([("table", json!(args.table)), ("where", json!(args.filter))]) })
        }
        Operation::Search(args) => json!({ "search": search(args)? }),
        Operation::Add(args) => json!({ "add": table(&args.table) }),
        Operation::MergeInsert(args) => json!({ "merge_insert": merge_insert(args) }),
        Operation::Update(args) => json!({ "update": update(args)? }),
        Operation::Delete(args) => json!({ "delete": { "table": args.table, "where": args.filter } }),
        Operation::CreateTable(args) => json!({ "create_table": create_table(args)? }),
        Operation::DropTable(args) => json!({ "drop_table": { "table": args.table, "if_exists": args.if_exists } }),
        Operation::CreateIndex(args) => json!({ "create_index": create_index(args) }),
        Operation::DropIndex(args) => json!({ "drop_index": { "table": args.table, "name": args.name } }),
        Operation::Optimize(args) => {
            let seconds = args.older_than.map(|age| age.as_secs() + u64::from(age.subsec_nanos() > 0));
            json!({ "optimize": given([("table", json!(args.table)), ("older_than_seconds", json!(seconds))]) })
        }
        Operation::Run(args) => serde_json::from_str(&args.operation)
            .map_err(|error| Failure::usage(format!("the operation is not JSON: {error}")))?,
    })
}

/// What has to come before it in the same session: a version to read.
pub(super) fn before(operation: &Operation) -> Option<Value> {
    let (table, version) = match operation {
        Operation::Count(args) => (&args.table, args.version?),
        Operation::Search(args) => (&args.table, args.version?),
        _ => return None,
    };
    Some(json!({ "checkout": { "table": table, "version": version } }))
}

/// Without what was not said.
fn given<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    let said = fields.into_iter().filter(|(_, value)| !value.is_null());
    said.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A word of the command line, as operations have it: `ivf-pq` is `ivf_pq`.
fn word(value: Option<impl ValueEnum>) -> Option<String> {
    Some(value?.to_possible_value()?.get_name().replace('-', "_"))
}

fn search(args: &SearchArgs) -> Result<Map<String, Value>, Failure> {
    let flag = |flag: bool| flag.then_some(true);
    Ok(given([
        ("table", json!(args.table)),
        ("vector", args.vector.as_deref().map(vector).transpose()?.unwrap_or_default()),
        ("text", json!(args.text)),
        ("where", json!(args.filter)),
        ("select", if args.select.is_empty() { Value::Null } else { json!(args.select) }),
        ("limit", json!(args.limit)),
        ("offset", json!(args.offset)),
        ("column", json!(args.column)),
        ("metric", json!(word(args.metric))),
        ("nprobes", json!(args.nprobes)),
        ("refine", json!(args.refine)),
        ("exact", json!(flag(args.exact))),
    ]))
}

fn vector(text: &str) -> Result<Value, Failure> {
    let read = match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("{file}: {error}")))?,
        None => text.to_owned(),
    };
    match serde_json::from_str(&read) {
        Ok(Value::Array(numbers)) if numbers.iter().all(Value::is_number) => Ok(Value::Array(numbers)),
        _ => Err(Failure::usage("--vector is a JSON array of numbers, or @FILE with one")),
    }
}

fn merge_insert(args: &MergeInsertArgs) -> Value {
    let mut operation = json!({ "table": args.rows.table, "on": args.on });
    // `null` is a word here: nothing is done with such rows.
    if args.insert_only {
        operation["when_matched"] = Value::Null;
    }
    if args.update_only {
        operation["when_not_matched"] = Value::Null;
    }
    operation
}

fn update(args: &UpdateArgs) -> Result<Map<String, Value>, Failure> {
    let mut set = Map::new();
    for assignment in &args.set {
        let wrong = || Failure::usage(format!("--set {assignment}: it is COLUMN=VALUE"));
        let (column, value) = assignment.split_once('=').ok_or_else(wrong)?;
        set.insert(column.trim().to_owned(), json!(value.trim()));
    }
    Ok(given([("table", json!(args.table)), ("set", Value::Object(set)), ("where", json!(args.filter))]))
}

fn create_table(args: &CreateTableArgs) -> Result<Map<String, Value>, Failure> {
    let columns: Vec<_> = args.column.iter().map(|text| column(text)).collect::<Result<_, _>>()?;
    let schema = if columns.is_empty() { Value::Null } else { json!(columns) };
    Ok(given([("table", json!(args.table)), ("schema", schema), ("if_exists", json!(word(args.if_exists)))]))
}

fn column(text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::usage(format!("--column {text}: it is NAME:TYPE, as id:int64"));
    let (name, kind) =
        text.split_once(':').filter(|(name, kind)| !name.is_empty() && !kind.is_empty()).ok_or_else(wrong)?;
    Ok(match kind.strip_suffix('!') {
        Some(kind) => json!({ "name": name, "type": kind, "nullable": false }),
        None => json!({ "name": name, "type": kind }),
    })
}

fn create_index(args: &CreateIndexArgs) -> Map<String, Value> {
    given([
        ("table", json!(args.table)),
        ("column", json!(args.column)),
        ("type", json!(word(args.kind))),
        ("name", json!(args.name)),
        ("metric", json!(word(args.metric))),
        ("num_partitions", json!(args.num_partitions)),
        ("num_sub_vectors", json!(args.num_sub_vectors)),
        ("language", json!(args.language)),
        ("tokenizer", json!(args.tokenizer)),
    ])
}
