//! Making and removing tables.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dbmux_engine::EngineError;
use lancedb::{
    arrow::arrow_schema::{DataType, Field, Schema, TimeUnit},
    database::CreateTableMode,
    table::WriteOptions,
};

use crate::{
    errors,
    ffi::{TheirBatch, TheirSchema},
    opened::Opened,
    operations::{Column, CreateTable, DropTable, IfExists},
    wait::{Running, Work},
};

/// Behind a database's name: what is being removed.
const SCRATCH: &str = ".tmp";
/// In it: ours.
const OWN: &str = "dbmux";

/// Numbers what is being removed.
static REMOVED: AtomicU64 = AtomicU64::new(0);

/// Makes a table, with rows where there are some. Answers with how many.
pub(crate) async fn create(
    opened: &Opened,
    running: &Running,
    create: &CreateTable,
    rows: Option<TheirBatch>,
) -> Result<u64, EngineError> {
    let name = create.table.as_str();
    let schema = match (&create.schema, &rows) {
        (Some(columns), None) => schema_of(columns)?,
        (None, Some(rows)) => rows.schema(),
        (Some(_), Some(_)) => {
            return Err(errors::sql("42601", "a table is made of a \"schema\" or of rows, not of both"));
        }
        (None, None) => {
            return Err(errors::sql("42601", "a table is made of a \"schema\" or of rows; there is neither"));
        }
    };
    let _alone = running.lightly(async { Ok(opened.catalog.lock().await) }).await?;
    let exists = match opened.table(name).await {
        Ok(_) => true,
        Err(EngineError::Sql { sqlstate: "42P01", .. }) => false,
        Err(error) => return Err(error),
    };
    let mode = match create.if_exists {
        IfExists::Keep if exists => return Ok(0),
        IfExists::Overwrite if exists => CreateTableMode::Overwrite,
        _ => CreateTableMode::Create,
    };
    let (committer, params) = opened.creation(name);
    let options = WriteOptions { lance_write_params: Some(params) };
    let count = rows.as_ref().map_or(0, |rows| rows.num_rows() as u64);
    let connection = opened.connection();
    let builder = match rows.filter(|_| count > 0) {
        Some(rows) => connection.create_table(name, rows),
        None => connection.create_empty_table(name, schema),
    };
    let work = async { builder.mode(mode).write_options(options).execute().await.map_err(|error| opened.error(error)) };
    running.committing(&committer, Work::Detached, work).await?;
    opened.forget(name);
    Ok(count)
}

/// Removes a table: in one step for all who look, then its files.
pub(crate) async fn drop_table(opened: &Opened, running: &Running, drop: &DropTable) -> Result<(), EngineError> {
    let _alone = running.lightly(async { Ok(opened.catalog.lock().await) }).await?;
    let writable = match opened.table(&drop.table).await {
        Ok(writable) => writable,
        Err(EngineError::Sql { sqlstate: "42P01", .. }) if drop.if_exists => return Ok(()),
        Err(error) => return Err(error),
    };
    let _turn = running.lightly(async { Ok(writable.turn.lock().await) }).await?;
    let directory = opened.directory(&drop.table);
    let scratch = scratch(&opened.path);
    let number = REMOVED.fetch_add(1, Ordering::Relaxed);
    let gone = scratch.join(format!("removed-{}-{number}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|error| errors::io(&error, &scratch))?;
    let _still = writable.committer.stands_still().await;
    match fs::rename(&directory, &gone) {
        Ok(()) => {
            opened.forget_all(&drop.table);
            let synced = fs::File::open(&opened.path).and_then(|folder| folder.sync_all());
            synced.map_err(|error| errors::unsynced(&error))?;
            if let Err(error) = fs::remove_dir_all(&gone) {
                tracing::warn!(%error, path = %gone.display(), "a dropped table's files could not be removed yet");
            }
        }
        // The scratch folder is on another file system.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let dropped = opened.connection().drop_table(&drop.table, &[]).await;
            dropped.map_err(|error| opened.error(error))?;
            opened.forget_all(&drop.table);
        }
        Err(error) => return Err(errors::io(&error, &directory)),
    }
    remove_if_empty(&opened.path);
    Ok(())
}

/// Removes what whoever made an index has put where a table was that is dropped by now: a folder with nothing else in it.
pub(crate) async fn remove_remains(opened: &Opened, name: &str) {
    let _alone = opened.catalog.lock().await;
    let directory = opened.directory(name);
    if ["data", "_versions"].iter().any(|part| directory.join(part).exists()) {
        return;
    }
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %directory.display(), "what an index has left could not be removed");
        }
        _ => {}
    }
}

/// Where a database's removed tables are until their files are gone.
fn scratch(path: &Path) -> PathBuf {
    folder(path).join(OWN)
}

fn folder(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SCRATCH);
    PathBuf::from(name)
}

/// Removes what an owner that was killed left.
pub(crate) fn sweep(path: &Path) {
    let scratch = scratch(path);
    match fs::remove_dir_all(&scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, scratch = %scratch.display(), "what a former owner left could not be removed");
        }
        _ => {}
    }
    remove_if_empty(path);
}

/// The folders are there only while something is in them.
fn remove_if_empty(path: &Path) {
    // Somebody else's, and not empty: theirs to remove.
    let _ = fs::remove_dir(scratch(path));
    let _ = fs::remove_dir(folder(path));
}

/// The columns of a new table.
pub(crate) fn schema_of(columns: &[Column]) -> Result<TheirSchema, EngineError> {
    if columns.is_empty() {
        return Err(errors::sql("42601", "a table has columns, and \"schema\" names none"));
    }
    let fields: Result<Vec<_>, _> = columns
        .iter()
        .map(|column| match data_type(&column.kind) {
            Some(kind) => Ok(Field::new(&column.name, kind, column.nullable)),
            None => Err(errors::sql("42704", format!("\"{}\" is no type of a column: {KNOWN}", column.kind))),
        })
        .collect();
    Ok(Arc::new(Schema::new(fields?)))
}

const KNOWN: &str = "they are bool, int8 to int64, uint8 to uint64, float16, float32, float64, string, large_string, binary, \
                     large_binary, date32, date64, timestamp, timestamp[s|ms|us|ns], timestamp[us, UTC], \
                     decimal128(precision, scale), vector(length), list(type), or any of Arrow's as Arrow's Rust writes them";

/// A type by its name in pyarrow, or as Arrow's Rust writes it.
fn data_type(name: &str) -> Option<DataType> {
    let name = name.trim();
    let inside = |start: &str, end: char| name.strip_prefix(start)?.strip_suffix(end);
    if let Some(length) = inside("vector(", ')') {
        let item = Field::new("item", DataType::Float32, true);
        return Some(DataType::FixedSizeList(Arc::new(item), length.trim().parse().ok().filter(|length| *length > 0)?));
    }
    if let Some(item) = inside("list(", ')') {
        return Some(DataType::List(Arc::new(Field::new("item", data_type(item)?, true))));
    }
    if let Some(unit) = inside("timestamp[", ']') {
        let (unit, zone) = unit.split_once(',').map_or((unit, None), |(unit, zone)| (unit, Some(zone.trim().into())));
        return Some(DataType::Timestamp(time_unit(unit.trim())?, zone));
    }
    if let Some((precision, scale)) = inside("decimal128(", ')').and_then(|inside| inside.split_once(',')) {
        return Some(DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?));
    }
    Some(match name {
        "bool" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float16" => DataType::Float16,
        "float32" | "float" => DataType::Float32,
        "float64" | "double" => DataType::Float64,
        "string" | "utf8" => DataType::Utf8,
        "large_string" | "large_utf8" => DataType::LargeUtf8,
        "binary" => DataType::Binary,
        "large_binary" => DataType::LargeBinary,
        "date32" | "date" => DataType::Date32,
        "date64" => DataType::Date64,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => return name.parse().ok(),
    })
}

fn time_unit(name: &str) -> Option<TimeUnit> {
    Some(match name {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use dbmux_engine::{Access, Attachment};

    use super::*;
    use crate::{commit::Ledger, ffi::batch_to_theirs, options::LanceOptions};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dropped_table_stays_dropped_whoever_still_commits_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let attachment = Attachment { access: Access::ReadWrite, device: 0, inode: 0 };
        let opening = Opened::open(folder.path(), attachment, LanceOptions::default(), Arc::<Ledger>::default());
        let (opened, running) = (opening.await.unwrap(), Running::default());
        let create_table: CreateTable =
            serde_json::from_str(r#"{"table": "t", "schema": [{"name": "id", "type": "int64"}]}"#).unwrap();
        create(&opened, &running, &create_table, None).await.unwrap();
        let table = opened.own_table("t").await.unwrap();
        // It was begun before, and knows the table's files.
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let rows = RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap();
        let rows = batch_to_theirs(&rows).unwrap();
        table.table.add(rows.clone()).execute().await.unwrap();
        drop_table(&opened, &running, &DropTable { table: "t".to_owned(), if_exists: false }).await.unwrap();
        table.table.add(rows).execute().await.unwrap_err();
        assert!(!opened.directory("t").join("_versions").exists());
        // What it may have left there is removed; a table of that name is not.
        fs::create_dir_all(opened.directory("t").join("_indices")).unwrap();
        remove_remains(&opened, "t").await;
        assert!(!opened.directory("t").exists());
        create(&opened, &running, &create_table, None).await.unwrap();
        remove_remains(&opened, "t").await;
        assert_eq!(opened.names().await.unwrap(), ["t"]);
    }

    #[test]
    fn types_are_known_by_name() {
        let kinds = ["int64", "vector(3)", "list(string)", "timestamp[us, UTC]", "decimal128(10, 2)", "Utf8", "Int32"];
        for name in kinds {
            assert!(data_type(name).is_some(), "{name}");
        }
        for name in ["vector(0)", "vector", "integer", "timestamp[h]"] {
            assert!(data_type(name).is_none(), "{name}");
        }
    }
}
