//! What the tests of this crate have in common: a database in a folder of its own, and short ways to ask it.
#![expect(dead_code, reason = "each test crate uses a part of it")]

use std::{path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch, StringArray},
    datatypes::Float32Type,
    util::display::{ArrayFormatter, FormatOptions},
};
use dbmux_engine::{Access, Engine, EngineError, EngineSession, Parameters, SessionOptions};
use dbmux_lance::{LanceEngine, LanceOptions};

/// A database, attached.
pub(crate) struct Place {
    pub(crate) engine: LanceEngine,
    pub(crate) path: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// A new one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("the folder").join("a.lancedb");
        let engine = LanceEngine::new(&path, LanceOptions::default()).expect("an engine");
        engine.attach(Access::ReadWrite).expect("it attaches");
        Self { engine, path, folder }
    }

    /// A new one with the table `chunks` of these rows.
    pub(crate) fn with_chunks(count: i64) -> (Self, Session) {
        let place = Self::new();
        let mut session = place.session();
        session.run(
            r#"{"create_table": {"table": "chunks", "schema": [{"name": "id", "type": "int64"},
                {"name": "text", "type": "string"}, {"name": "vector", "type": "vector(2)"}]}}"#,
        );
        if count > 0 {
            session.change(r#"{"add": {"table": "chunks"}}"#, &chunks(0..count, "first"));
        }
        (place, session)
    }

    /// Another owner's engine on the same directory.
    pub(crate) fn beside(&self) -> LanceEngine {
        let engine = LanceEngine::new(&self.path, LanceOptions::default()).expect("an engine");
        engine.attach(Access::ReadWrite).expect("it attaches");
        engine
    }

    pub(crate) fn session(&self) -> Session {
        Session::of(&self.engine, SessionOptions::default())
    }
}

/// A session.
pub(crate) struct Session(pub(crate) Box<dyn EngineSession>);

impl Session {
    pub(crate) fn of(engine: &LanceEngine, options: SessionOptions) -> Self {
        Self(engine.open_session(&options).expect("a session"))
    }

    /// Runs one statement.
    pub(crate) fn one(&mut self, text: &str, parameters: Option<&Parameters>) -> Result<Vec<RecordBatch>, EngineError> {
        let prepared = self.0.prepare(text)?;
        let (id, foretold) = (prepared.id, prepared.schema);
        let all = (|| {
            let mut rows = self.0.execute(id, parameters, false)?;
            assert_eq!(rows.schema().fields(), foretold.fields(), "as was foretold of {text}");
            let mut batches = Vec::new();
            while let Some(batch) = rows.next()? {
                assert_eq!(batch.schema(), rows.schema());
                batches.push(batch);
            }
            Ok(batches)
        })();
        self.0.forget(id);
        all
    }

    /// Runs a statement that has to succeed.
    pub(crate) fn run(&mut self, statement: &str) {
        self.one(statement, None).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Gives rows to an operation that has to succeed; how many it has changed.
    pub(crate) fn change(&mut self, operation: &str, rows: &RecordBatch) -> String {
        text(&self.one(operation, Some(rows)).unwrap_or_else(|error| panic!("{operation}: {error}")))
    }

    /// A statement's rows, as text: values by `|`, rows by a new line.
    pub(crate) fn text(&mut self, statement: &str) -> String {
        text(&self.one(statement, None).unwrap_or_else(|error| panic!("{statement}: {error}")))
    }

    /// What a statement fails with.
    pub(crate) fn error(&mut self, statement: &str, rows: Option<&RecordBatch>) -> EngineError {
        match self.one(statement, rows) {
            Ok(batches) => panic!("{statement} did not fail: {}", text(&batches)),
            Err(error) => error,
        }
    }
}

/// Rows of the table `chunks`: the vector of `id` is `[id, 1]`.
pub(crate) fn chunks(ids: impl IntoIterator<Item = i64>, text: &str) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let vectors = ids.iter().map(|id| Some([Some(*id as f32), Some(1.0)]));
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("text", Arc::new(StringArray::from(vec![text; ids.len()]))),
        ("vector", Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Batches as text.
pub(crate) fn text(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::new().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).expect("it can be shown"))
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines.join("\n")
}
