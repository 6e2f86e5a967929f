//! `export`: rows to a file, however many. Nothing of it is there before all of it is.

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::writer::StreamWriter};
use dbmux_client::{Answer, Statement};
use dbmux_report::{
    person,
    rows::{csv, json},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arguments::{bound, given, waiting};
use crate::{
    call::Call,
    databases::Databases,
    failure::Failure,
    reply::Reply,
    server::Shared,
    statement::{self, Waited},
};

/// What to write where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// One SQL statement that reads.
    sql: String,
    /// Values for `?`, or for `$1`, `$2`, … in the statement.
    #[serde(default, deserialize_with = "given")]
    parameters: Vec<Value>,
    /// The file, in the exports' folder: a relative path.
    file: PathBuf,
    /// What is written. Left out: what the file's name ends with.
    format: Option<Format>,
    /// Replace the file, where there is one.
    #[serde(default, deserialize_with = "given")]
    overwrite: bool,
    /// The database, by its name as list_databases tells it, or by its path. Not needed where there is only one.
    database: Option<String>,
    /// Seconds to wait for others who have the file. 0 never waits.
    wait: Option<f64>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// An Arrow IPC stream: every type keeps every bit.
    Arrow,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exported {
    database: String,
    file: String,
    format: Format,
    rows: u64,
    bytes: u64,
    /// Set where a snapshot answered: the time as of which the rows are true.
    as_of: Option<String>,
    /// Set where somebody was waited for.
    waited: Option<Waited>,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Export, call: Call) -> Result<Reply<Exported>, Failure> {
    let folder = shared.options.exports.as_deref().ok_or_else(|| Failure::usage("there is no exports' folder", ""))?;
    let file = inside(folder, &asked.file)?;
    check_no_database(&file, &shared)?;
    let format = asked.format.map_or_else(|| by_name(&file), Ok)?;
    let statement = waiting(bound(Statement::new(asked.sql).read_only(true), asked.parameters)?, asked.wait)?;
    let database = shared.databases.find(asked.database.as_deref())?;
    if file.exists() && !asked.overwrite {
        return Err(Failure::usage(
            format!("{} is there already", file.display()),
            "choose another name, or overwrite it",
        ));
    }
    let client = shared.databases.client(database, call.caller().as_deref())?;
    let session = statement::session(&call, &client).await?;
    let (answer, waited) = statement::run(&call, &session, statement).await?;
    let as_of = answer.as_of().map(str::to_owned);
    let (rows, bytes) = call.unless_cancelled(write(answer, &file, format, asked.overwrite)).await?;
    let from = as_of.as_ref().map_or(String::new(), |as_of| format!(", from a snapshot as of {as_of}"));
    let text = format!("{}: {}, {}{from}", file.display(), person::rows(rows), person::bytes(bytes));
    let database = database.name.clone();
    Ok(Reply::new(text, Exported { database, file: file.display().to_string(), format, rows, bytes, as_of, waited }))
}

/// Where a file of the exports' folder is; nothing outside of it is, by `..` or by a link.
fn inside(folder: &Path, file: &Path) -> Result<PathBuf, Failure> {
    let outside =
        || Failure::usage(format!("{} is not inside of {}", file.display(), folder.display()), "give a name only");
    let plain = file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let name = file.file_name().filter(|_| plain).ok_or_else(outside)?;
    let folder = folder.canonicalize().map_err(|error| Failure::system(&folder.display().to_string(), &error))?;
    let parent = folder.join(file).parent().map_or_else(|| folder.clone(), Path::to_owned);
    let parent = parent.canonicalize().map_err(|error| Failure::system(&parent.display().to_string(), &error))?;
    let file = parent.join(name);
    let link = fs::symlink_metadata(&file).is_ok_and(|found| !found.is_file());
    if parent.starts_with(&folder) && !link { Ok(file) } else { Err(outside()) }
}

/// Nothing is put in a database's place, nor beside it under a name that its engine goes by: a log, a lock, a copy.
fn check_no_database(file: &Path, shared: &Shared) -> Result<(), Failure> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for database in shared.databases.seen() {
        let path = Databases::onlooker(&database)?.database().to_owned();
        let beside = file.parent() == path.parent() && name(file).starts_with(&name(&path));
        if beside || file.starts_with(&path) {
            let what = format!("{} belongs to the database {}", file.display(), database.name);
            return Err(Failure::usage(what, "choose another name"));
        }
    }
    Ok(())
}

fn by_name(file: &Path) -> Result<Format, Failure> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("arrow" | "arrows") => Ok(Format::Arrow),
        _ => Err(Failure::usage("the file's name does not tell its format", "give \"format\": csv, jsonl or arrow")),
    }
}

async fn write(mut answer: Answer, file: &Path, format: Format, overwrite: bool) -> Result<(u64, u64), Failure> {
    let failed = |error: io::Error| Failure::system(&file.display().to_string(), &error);
    let folder = file.parent().unwrap_or(Path::new("."));
    // As any new file: who may read it is the umask's to say.
    let permissions = fs::Permissions::from_mode(0o666);
    let temporary = tempfile::Builder::new().permissions(permissions).tempfile_in(folder).map_err(failed)?;
    let mut writer = Writer::new(BufWriter::new(temporary), format, &answer.schema())?;
    let mut rows = 0;
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows() as u64;
        writer.batch(&batch)?;
    }
    let temporary = writer.end()?.into_inner().map_err(|error| failed(error.into_error()))?;
    let bytes = temporary.as_file().metadata().map_err(failed)?.len();
    temporary.as_file().sync_all().map_err(failed)?;
    let kept = if overwrite { temporary.persist(file) } else { temporary.persist_noclobber(file) };
    kept.map_err(|error| failed(error.error))?;
    Ok((rows, bytes))
}

enum Writer<W: Write> {
    Csv { output: W, header: bool },
    Jsonl { output: W },
    Arrow(Box<StreamWriter<W>>),
}

impl<W: Write> Writer<W> {
    fn new(output: W, format: Format, schema: &SchemaRef) -> Result<Self, Failure> {
        Ok(match format {
            Format::Csv => {
                let mut writer = Self::Csv { output, header: true };
                writer.batch(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
                writer
            }
            Format::Jsonl => Self::Jsonl { output },
            Format::Arrow => Self::Arrow(Box::new(StreamWriter::try_new(output, schema)?)),
        })
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            Self::Csv { output, header } => Ok(csv::write(batch, std::mem::take(header), output)?),
            Self::Jsonl { output } => Ok(json::write_lines(batch, output)?),
            Self::Arrow(writer) => Ok(writer.write(batch)?),
        }
    }

    fn end(self) -> Result<W, Failure> {
        Ok(match self {
            Self::Csv { output, .. } | Self::Jsonl { output } => output,
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let exports = root.join("exports");
        fs::create_dir_all(exports.join("a")).unwrap();
        fs::write(root.join("secret"), "").unwrap();
        std::os::unix::fs::symlink(&root, exports.join("out")).unwrap();
        std::os::unix::fs::symlink(root.join("secret"), exports.join("link.csv")).unwrap();
        for good in ["x.csv", "./x.csv", "a/x.csv"] {
            assert!(inside(&exports, Path::new(good)).unwrap().starts_with(&exports), "{good}");
        }
        for bad in ["../x.csv", "/x.csv", "a/../../x.csv", "out/x.csv", "link.csv", "", ".", "missing/x.csv", "a"] {
            assert!(inside(&exports, Path::new(bad)).is_err(), "{bad}");
        }
    }
}
