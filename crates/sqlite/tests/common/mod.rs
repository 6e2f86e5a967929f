//! What the tests of this crate have in common: a database in a folder of its own, and short ways to ask it.
#![expect(dead_code, reason = "each test crate uses a part of it")]

use std::path::PathBuf;

use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use dbmux_engine::{Access, Engine, EngineError, EngineSession, Parameters, SessionOptions};
use dbmux_sqlite::{SqliteEngine, SqliteOptions};

/// A database, attached.
pub(crate) struct Place {
    pub(crate) engine: SqliteEngine,
    pub(crate) path: PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// A new one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("the folder").join("a.sqlite");
        let engine = SqliteEngine::new(&path, SqliteOptions::default());
        engine.attach(Access::ReadWrite).expect("it attaches");
        Self { engine, path, folder }
    }

    pub(crate) fn session(&self) -> Session {
        Session(self.engine.open_session(&SessionOptions::default()).expect("a session"))
    }

    pub(crate) fn reader(&self) -> Session {
        let options = SessionOptions { read_only: true, ..SessionOptions::default() };
        Session(self.engine.open_session(&options).expect("a session"))
    }

    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }
}

/// A session.
pub(crate) struct Session(pub(crate) Box<dyn EngineSession>);

impl Session {
    /// Runs a text's statements; answers with the last one's batches.
    pub(crate) fn batches(&mut self, sql: &str) -> Result<Vec<RecordBatch>, EngineError> {
        let mut batches = Vec::new();
        for statement in self.0.split(sql)? {
            batches = self.one(&statement, None, false)?;
        }
        Ok(batches)
    }

    /// Runs one statement.
    pub(crate) fn one(
        &mut self,
        sql: &str,
        parameters: Option<&Parameters>,
        read_only: bool,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let prepared = self.0.prepare(sql)?;
        let id = prepared.id;
        let all = (|| {
            let mut rows = self.0.execute(id, parameters, read_only)?;
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

    /// Runs statements that have to succeed.
    pub(crate) fn run(&mut self, sql: &str) {
        self.batches(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The last statement's rows, as text: values by `|`, rows by a new line.
    pub(crate) fn text(&mut self, sql: &str) -> String {
        text(&self.batches(sql).unwrap_or_else(|error| panic!("{sql}: {error}")))
    }

    /// What the statements fail with.
    pub(crate) fn error(&mut self, sql: &str) -> EngineError {
        match self.batches(sql) {
            Ok(batches) => panic!("{sql} did not fail: {}", text(&batches)),
            Err(error) => error,
        }
    }
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
