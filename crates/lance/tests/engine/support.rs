//! A database in a folder of its own, and rows to put into it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, StringArray},
    datatypes::{Float32Type, SchemaRef},
};
use dbmux_engine::{Access, Engine, EngineError, EngineSession, SessionOptions};
use dbmux_lance::{LanceEngine, LanceOptions};

/// Operations on the table `chunks`.
pub(crate) const ADD: &str = r#"{"add": {"table": "chunks"}}"#;
pub(crate) const COUNT: &str = r#"{"count": {"table": "chunks"}}"#;
pub(crate) const MERGE: &str = r#"{"merge_insert": {"table": "chunks", "on": ["id"]}}"#;
/// Numbers in a vector.
pub(crate) const DIMENSIONS: usize = 8;

pub(crate) struct Database {
    pub(crate) engine: LanceEngine,
    pub(crate) path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    /// A new one, attached.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("test.lancedb");
        let database = Self { _folder: Some(folder), ..Self::at(&path) };
        database.engine.attach(Access::ReadWrite).unwrap();
        database
    }

    /// Of this path, released.
    pub(crate) fn at(path: &Path) -> Self {
        let engine = LanceEngine::new(path, LanceOptions::default()).unwrap();
        Self { engine, path: path.to_owned(), _folder: None }
    }

    pub(crate) fn session(&self) -> Box<dyn EngineSession> {
        self.engine.open_session(&SessionOptions { local: true, ..SessionOptions::default() }).unwrap()
    }

    /// With a table `chunks` of this many rows.
    pub(crate) fn with_chunks(rows: i64) -> Self {
        let database = Self::new();
        let mut session = database.session();
        let create = r#"{"create_table": {"table": "chunks"}}"#;
        assert_eq!(changed(session.as_mut(), create, Some(&chunks(0..rows))), rows);
        database
    }
}

/// Rows of `chunks`: the vector of each begins with its id.
pub(crate) fn chunks(ids: std::ops::Range<i64>) -> RecordBatch {
    chunks_of(ids, "seed")
}

pub(crate) fn chunks_of(ids: std::ops::Range<i64>, provider: &str) -> RecordBatch {
    let ids: Vec<i64> = ids.collect();
    let text = ids.iter().map(|id| format!("chunk number {id} {}", if id % 2 == 0 { "even" } else { "odd" }));
    let vectors = ids.iter().map(|id| {
        let mut vector = vec![Some(0.5); DIMENSIONS];
        vector[0] = Some(*id as f32);
        Some(vector)
    });
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, DIMENSIONS as i32);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("provider", Arc::new(StringArray::from(vec![provider; ids.len()]))),
        ("text", Arc::new(StringArray::from_iter_values(text))),
        ("embedding", Arc::new(vectors)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A vector as JSON that is nearest to the row of this id.
pub(crate) fn near(id: i64) -> String {
    let mut vector = vec!["0.5".to_owned(); DIMENSIONS];
    vector[0] = format!("{id}.1");
    format!("[{}]", vector.join(","))
}

/// Runs a statement, and checks that it answers with the columns that it was prepared with.
pub(crate) fn run(
    session: &mut dyn EngineSession,
    text: &str,
    rows: Option<&RecordBatch>,
) -> Result<(SchemaRef, Vec<RecordBatch>), EngineError> {
    let prepared = session.prepare(text)?;
    let outcome = (|| {
        let mut answer = session.execute(prepared.id, rows, false)?;
        let schema = answer.schema();
        assert_eq!(schema, prepared.schema, "{text}");
        let mut batches = Vec::new();
        while let Some(batch) = answer.next()? {
            assert_eq!(batch.schema(), schema, "{text}");
            batches.push(batch);
        }
        Ok((schema, batches))
    })();
    session.forget(prepared.id);
    outcome
}

/// The number of rows that a statement changed.
pub(crate) fn changed(session: &mut dyn EngineSession, text: &str, rows: Option<&RecordBatch>) -> i64 {
    numbers(session, text, rows)[0]
}

/// The first column of an answer.
pub(crate) fn numbers(session: &mut dyn EngineSession, text: &str, rows: Option<&RecordBatch>) -> Vec<i64> {
    let (_, batches) = run(session, text, rows).unwrap_or_else(|error| panic!("{text}: {error}"));
    batches.iter().flat_map(|batch| column::<Int64Array>(batch, 0).values().to_vec()).collect()
}

/// The first column of an answer.
pub(crate) fn texts(session: &mut dyn EngineSession, text: &str) -> Vec<String> {
    let (_, batches) = run(session, text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
    let words =
        |batch: &RecordBatch| column::<StringArray>(batch, 0).iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    batches.iter().flat_map(words).collect()
}

pub(crate) fn column<A: Array + 'static>(batch: &RecordBatch, place: usize) -> &A {
    batch.column(place).as_any().downcast_ref().expect("a column of this type")
}

/// What a statement fails with.
pub(crate) fn fails(session: &mut dyn EngineSession, text: &str, rows: Option<&RecordBatch>) -> EngineError {
    run(session, text, rows).expect_err(text)
}

/// LanceDB's own Python, made by `testkit/lance/venv.sh`.
pub(crate) fn python() -> PathBuf {
    if let Ok(python) = std::env::var("DBMUX_TEST_LANCE_PYTHON") {
        return python.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testkit/lance/venv.sh");
    let made = Command::new("sh").arg(script).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().into()
}

/// Runs a program of Python's, and returns what it printed.
pub(crate) fn python_runs(program: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(python()).arg("-c").arg(program).args(arguments).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}
