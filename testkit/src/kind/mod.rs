//! The engines as a test sees them: what one suite must say differently to each, and nothing else.
//!
//! A test that holds for several engines takes a [`Kind`], names its database with [`Kind::file`], and writes rows of whole
//! numbers by [`Kind::insert`]. Where an engine cannot do a thing at all, the test is not run for it, and says why.

mod lance;

use std::{path::PathBuf, process::Output};

use dbmux_client::{ClientOptions, Statement};

pub(crate) use lance::as_json;

use crate::{Foreign, Place};

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// DuckDB: one process has the file, or many read it.
    DuckDb,
    /// SQLite: many processes have the file, and one at a time writes.
    Sqlite,
    /// LanceDB: a directory of tables, whoever writes to it; statements are operations, and rows their parameters.
    Lance,
}

/// A table of whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
}

/// The table that most tests write to: one column, `id`.
pub const T: Table = Table { name: "t", columns: &["id"] };

impl Kind {
    /// Its name, as `--engine` and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Sqlite => "sqlite",
            Self::Lance => "lance",
        }
    }

    /// The database of a test: its name says the engine.
    pub fn file(self) -> &'static str {
        match self {
            Self::DuckDb => "a.duckdb",
            Self::Sqlite => "a.sqlite",
            Self::Lance => "a.lance",
        }
    }

    /// A database of this engine, by another name than [`Kind::file`].
    pub fn named(self, stem: &str) -> String {
        format!("{stem}.{}", self.name())
    }

    /// The Python that has this engine's own module.
    pub fn python(self) -> PathBuf {
        match self {
            Self::DuckDb | Self::Sqlite => crate::python(),
            Self::Lance => {
                crate::foreign::interpreter("DBMUX_TEST_LANCE_PYTHON", "lance-venv", "testkit/lance/venv.sh")
            }
        }
    }

    /// That module.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::DuckDb => "duckdb",
            Self::Sqlite => "sqlite3",
            Self::Lance => "lancedb",
        }
    }

    /// Whether several statements can be one: `BEGIN`, `COMMIT`, and what a session has for itself.
    pub fn has_transactions(self) -> bool {
        matches!(self, Self::DuckDb | Self::Sqlite)
    }

    /// The files beside the database that are its log.
    pub fn logs(self) -> &'static [&'static str] {
        match self {
            Self::DuckDb => &[".wal"],
            Self::Sqlite => &["-wal", "-shm"],
            Self::Lance => &[],
        }
    }

    /// The statement that makes a table.
    pub fn create(self, table: Table) -> String {
        if self == Self::Lance {
            return lance::create(table);
        }
        let columns = table.columns.iter().map(|column| format!("{column} bigint")).collect::<Vec<_>>().join(", ");
        format!("create table {} ({columns})", table.name)
    }

    /// The statement that inserts these rows, all of them or none.
    pub fn insert(self, table: Table, rows: &[&[i64]]) -> Statement {
        match self {
            Self::DuckDb | Self::Sqlite => Statement::new(insert_values(table, rows)),
            Self::Lance => lance::add(table, rows),
        }
    }

    /// The statements that insert these rows so that they are seen together, or not at all.
    pub fn together(self, table: Table, rows: &[&[i64]]) -> Vec<Statement> {
        if !self.has_transactions() {
            return vec![self.insert(table, rows)];
        }
        let rows = rows.iter().map(|row| self.insert(table, &[row]));
        std::iter::once("begin".into()).chain(rows).chain(["commit".into()]).collect()
    }

    /// The same of one row, in words that the broker does not commit together with others'.
    pub fn insert_alone(self, table: Table, row: &[i64]) -> Statement {
        match self {
            Self::DuckDb | Self::Sqlite => Statement::new(format!("insert into {} select {}", table.name, listed(row))),
            Self::Lance => lance::merge(table, row),
        }
    }

    /// Inserts one row so many times.
    pub fn insert_often(self, table: Table, row: i64, times: u64) -> Statement {
        Statement::new(match self {
            Self::Lance => return lance::add_often(table, row, times),
            Self::DuckDb => format!("insert into {} select {row} from range({times})", table.name),
            Self::Sqlite => format!(
                "insert into {} with recursive r(i) as (select 0 union all select i + 1 from r limit {times}) \
                 select {row} from r",
                table.name
            ),
        })
    }

    /// The statement that deletes all rows.
    pub fn delete_all(self, table: Table) -> String {
        match self {
            Self::DuckDb | Self::Sqlite => format!("delete from {}", table.name),
            Self::Lance => lance::delete_all(table),
        }
    }

    /// Inserts rows until it is interrupted.
    ///
    /// # Panics
    ///
    /// Where rows are given, and cannot be made.
    pub fn endless_insert(self, table: Table) -> String {
        match self {
            Self::Lance => panic!("its rows are parameters"),
            Self::DuckDb => {
                format!("insert into {} select a.i + b.i from range(1000000) a(i), range(1000000) b(i)", table.name)
            }
            Self::Sqlite => format!(
                "insert into {} with recursive r(i) as (select 0 union all select i + 1 from r) select i from r",
                table.name
            ),
        }
    }

    /// The same of one row, by parameters.
    pub fn insert_parameters(self, table: Table, row: &[i64]) -> Statement {
        if self == Self::Lance {
            return lance::merge_new(table, row);
        }
        let places = vec!["?"; row.len()].join(", ");
        let statement = Statement::new(format!("insert into {} values ({places})", table.name));
        row.iter().fold(statement, |statement, value| statement.bind(*value))
    }

    /// Inserts these rows by a process of their own.
    pub fn insert_by_process(self, place: &Place, table: Table, rows: &[&[i64]]) -> Output {
        match self {
            Self::DuckDb | Self::Sqlite => place.run(["sql", self.file(), &insert_values(table, rows)]),
            Self::Lance => lance::add_by_process(place, self.file(), table, rows),
        }
    }

    /// A statement that runs until it is interrupted.
    pub fn endless(self) -> &'static str {
        match self {
            Self::DuckDb => "select count(*) from range(10000000) a, range(10000000) b",
            Self::Sqlite => {
                "with recursive r(i) as (select 0 union all select i + 1 from r) select count(*) from r where i < 0"
            }
            Self::Lance => {
                "select sum(a.value * b.value) from generate_series(1, 10000000) a, generate_series(1, 10000000) b"
            }
        }
    }

    /// So many rows of a number `i`, from 0, and a text `x` of this length.
    pub fn rows(self, rows: u64, width: usize) -> String {
        match self {
            Self::DuckDb => format!("select i, repeat('x', {width}) as x from range({rows}) r(i)"),
            Self::Sqlite => format!(
                "with recursive r(i) as (select 0 union all select i + 1 from r limit {rows}) \
                 select i, printf('%.*c', {width}, 'x') as x from r"
            ),
            Self::Lance => format!(
                "select value as i, repeat('x', {width}) as x from generate_series(0, {})",
                rows.saturating_sub(1)
            ),
        }
    }

    /// More rows than anybody will read, and than all the buffers between a broker and a reader hold.
    pub fn large(self) -> String {
        self.rows(100_000_000, 100)
    }

    /// Stops the broker, and looks at what it leaves with this engine's own tool, which has each row read and finds nothing
    /// wrong.
    pub fn check(self, place: &Place) {
        let stopped = place.run(["stop", self.file()]);
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        for log in self.logs() {
            assert!(!place.path(&format!("{}{log}", self.file())).exists(), "everything is in the file");
        }
        let mut tool = Foreign::of(self);
        tool.opened(&place.path(self.file()));
        match self {
            Self::DuckDb => assert_eq!(tool.sql("select count(*) from (select count(distinct t) from t)"), "ok [(1,)]"),
            Self::Sqlite => assert_eq!(tool.sql("pragma integrity_check"), "ok [('ok',)]"),
            Self::Lance => lance::check(&mut tool),
        }
        tool.close();
    }

    /// Makes a database that this engine's own tool can open too, whatever version that is.
    pub fn make(self, place: &Place, statement: &str) {
        match self {
            Self::DuckDb => place.make(self.file(), statement),
            Self::Sqlite | Self::Lance => drop(place.sql(self.file(), statement)),
        }
    }

    /// The same, of a table with these rows.
    pub fn fill(self, place: &Place, table: Table, rows: &[&[i64]]) {
        self.make(place, &self.create(table));
        let client = place.blocking_client(self.file(), ClientOptions::default());
        let session = client.session().expect("a session");
        session.execute(self.insert(table, rows)).expect("rows");
    }
}

pub(crate) fn insert_values(table: Table, rows: &[&[i64]]) -> String {
    let rows = rows.iter().map(|row| format!("({})", listed(row))).collect::<Vec<_>>().join(", ");
    format!("insert into {} values {rows}", table.name)
}

fn listed(row: &[i64]) -> String {
    row.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
