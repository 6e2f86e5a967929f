//! What the tests share: a database in a folder of its own, and foreign processes.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's own tools: each test file uses a part of them, and they end by panicking"
)]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use dbmux_duckdb::{DuckDbEngine, DuckDbOptions};
use dbmux_engine::{Access, Engine, EngineError, EngineSession, Parameters, SessionOptions, StatementKind};

/// A database that is attached, in a folder that goes with it.
pub struct Database {
    pub path: PathBuf,
    pub engine: Arc<DuckDbEngine>,
    /// Last: what the engine still has open is not removed.
    pub folder: tempfile::TempDir,
}

impl Database {
    pub fn new(name: &str) -> Self {
        Self::with(name, DuckDbOptions::default())
    }

    pub fn with(name: &str, options: DuckDbOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join(name);
        let engine = Arc::new(DuckDbEngine::new(&path, options).unwrap());
        engine.attach(Access::ReadWrite).unwrap();
        Self { folder, path, engine }
    }

    pub fn session(&self) -> Session {
        self.session_with(SessionOptions {
            working_directory: Some(self.path.parent().unwrap().to_owned()),
            read_only: false,
            local: true,
        })
    }

    pub fn session_with(&self, options: SessionOptions) -> Session {
        Session(self.engine.open_session(&options).unwrap())
    }
}

/// A session whose answers are text.
pub struct Session(pub Box<dyn EngineSession>);

impl Session {
    /// Rows as text, a `Vec` of columns each; a count of rows changed is one row of one column.
    pub fn try_run(&mut self, sql: &str) -> Result<Vec<Vec<String>>, EngineError> {
        self.try_run_with(sql, None, false)
    }

    pub fn try_run_with(
        &mut self,
        sql: &str,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Vec<Vec<String>>, EngineError> {
        let prepared = self.0.prepare(sql)?;
        let answer = {
            let mut rows = self.0.execute(prepared.id, parameters, read_only)?;
            let mut answer = Vec::new();
            while let Some(batch) = rows.next()? {
                answer.extend(text(&batch));
            }
            answer
        };
        self.0.forget(prepared.id);
        Ok(answer)
    }

    pub fn run(&mut self, sql: &str) -> Vec<Vec<String>> {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The one value that a statement answers.
    pub fn one(&mut self, sql: &str) -> String {
        let rows = self.run(sql);
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}: {rows:?}");
        rows[0][0].clone()
    }

    pub fn kind(&mut self, sql: &str) -> StatementKind {
        self.0.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}")).kind
    }

    /// Asserts that a statement is refused by name, at its preparation or its execution.
    pub fn refused(&mut self, sql: &str) -> (String, String) {
        match self.try_run(sql) {
            Err(EngineError::Refused { what, why }) => (what, why),
            other => panic!("{sql}: not refused: {other:?}"),
        }
    }
}

/// A batch's rows as text.
pub fn text(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// A plain DuckDB of another process, by Python: the version before ours.
pub struct Foreign {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const FOREIGN: &str = r#"
import duckdb, json, sys
connection = None
for line in sys.stdin:
    verb, text = json.loads(line)
    try:
        if verb == "open":
            connection = None
            connection = duckdb.connect(text)
            answer = None
        elif verb == "read":
            connection = None
            connection = duckdb.connect(text, read_only=True)
            answer = None
        elif verb == "close":
            connection.close(); connection = None
            answer = None
        else:
            answer = [[str(value) for value in row] for row in connection.execute(text).fetchall()]
        print(json.dumps(["ok", answer]), flush=True)
    except Exception as error:
        connection = connection if verb == "sql" else None
        print(json.dumps(["error", str(error)]), flush=True)
"#;

impl Foreign {
    pub fn start() -> Self {
        let mut child = Command::new(python())
            .args(["-c", FOREIGN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests' Python; testkit/venv.sh makes it");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `open`, `read` (read-only), `close`, or `sql`.
    pub fn ask(&mut self, verb: &str, text: &str) -> Result<String, String> {
        let line = format!("[{}, {}]\n", quote(verb), quote(text));
        self.input.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        match answer.trim().strip_prefix("[\"ok\", ") {
            Some(rest) => Ok(rest.strip_suffix(']').unwrap().to_owned()),
            None => Err(answer),
        }
    }

    /// Asserts that the database cannot be opened, neither to write nor to read.
    pub fn kept_out(&mut self, path: &Path, after: &str) {
        for verb in ["open", "read"] {
            let answer = self.ask(verb, path.to_str().unwrap());
            let error = answer.expect_err(&format!("a foreign process was let in ({verb}) after {after}"));
            assert!(error.contains("Could not set lock"), "{after}: {error}");
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// The interpreter with the pinned packages: `$DBMUX_TEST_PYTHON`, else where `testkit/venv.sh` puts it.
pub fn python() -> PathBuf {
    if let Some(path) = std::env::var_os("DBMUX_TEST_PYTHON") {
        return path.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    cache.join("dbmux/venv/bin/python")
}

/// The files in a folder, and below, that this process has open; those that have no name any more, too.
pub(crate) fn open_files(folder: &Path) -> Vec<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    paths.filter(|path| path.starts_with(folder)).collect()
}
