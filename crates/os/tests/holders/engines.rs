//! The engines' own ways to lock.

use std::path::PathBuf;

use dbmux_os::holders::{Access, Layout, Part, SqliteLock, Who, holders_of};

use crate::foreign::{Foreign, held_by, of_part};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn sqlite(path: &std::path::Path) -> Foreign {
    let mut process = Foreign::start(path);
    process.does("import sqlite3; db = sqlite3.connect(path, isolation_level=None, timeout=0.2)");
    process.does("db.execute('create table if not exists t(a)')");
    process
}

/// What one of several has.
fn lock_of(path: &std::path::Path, part: Part, process: &Foreign) -> Option<SqliteLock> {
    let found = of_part(path, part);
    let his = |who: &Who| matches!(who, Who::Process(who) if who.id.pid == process.pid());
    found.into_iter().find(|holder| his(&holder.who)).and_then(|holder| holder.sqlite)
}

#[test]
fn sqlite_that_waits_for_nothing_holds_nothing() {
    let place = Place::new();
    let path = place.file("a.sqlite");
    let _idle = sqlite(&path);
    assert!(holders_of(&path).expect("a look").is_empty());
    assert!(holders_of(&place.file("nowhere")).expect("a look").is_empty());
}

#[test]
fn sqlite_reads() {
    let place = Place::new();
    let path = place.file("a.sqlite");
    let mut reader = sqlite(&path);
    reader.does("db.execute('insert into t values (1), (2)')");
    reader.does("rows = db.execute('select a from t'); rows.fetchone()");
    let holder = held_by(&path, Part::Database, &reader);
    assert_eq!((holder.access, holder.layout), (Access::Read, Layout::Sqlite));
    assert_eq!(holder.sqlite, Some(SqliteLock::Shared));
    reader.does("rows.close()");
    assert!(holders_of(&path).expect("a look").is_empty(), "it has let go");
}

#[test]
fn sqlite_reserves_waits_and_has_it_alone() {
    let place = Place::new();
    let path = place.file("a.sqlite");
    let (mut writer, mut reader) = (sqlite(&path), sqlite(&path));
    writer.does("db.execute('begin immediate')");
    let reserved = held_by(&path, Part::Database, &writer);
    assert_eq!((reserved.access, reserved.layout), (Access::Write, Layout::Sqlite));
    assert_eq!(reserved.sqlite, Some(SqliteLock::Reserved));

    // A commit that a reader keeps waiting holds PENDING, beside the reader.
    reader.does("db.execute('begin'); db.execute('select * from t').fetchall()");
    writer.does("db.execute('insert into t values (1)')");
    writer
        .does(r#"exec("try:\n db.execute('commit')\n done = True\nexcept sqlite3.OperationalError:\n done = False")"#);
    writer.does("assert not done");
    let both = of_part(&path, Part::Database);
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both.iter().all(|holder| holder.layout == Layout::Sqlite), "{both:?}");
    let writes = both.iter().filter(|holder| holder.access == Access::Write).count();
    assert_eq!(writes, 1, "{both:?}");
    assert_eq!(lock_of(&path, Part::Database, &writer), Some(SqliteLock::Pending));
    assert_eq!(lock_of(&path, Part::Database, &reader), Some(SqliteLock::Shared));
    reader.does("db.execute('rollback')");
    writer.does("db.execute('commit')");

    writer.does("db.execute('begin exclusive')");
    let alone = held_by(&path, Part::Database, &writer);
    assert_eq!((alone.access, alone.layout), (Access::Write, Layout::Sqlite));
    assert_eq!(alone.sqlite, Some(SqliteLock::Exclusive));
}

#[test]
fn sqlite_reads_with_a_write_ahead_log() {
    let place = Place::new();
    let path = place.file("a.sqlite");
    let mut reader = sqlite(&path);
    reader.does("db.execute('pragma journal_mode=wal'); db.execute('insert into t values (1)')");
    reader.does("db.execute('begin'); db.execute('select * from t').fetchall()");
    let memory = held_by(&path, Part::SharedMemory, &reader);
    assert_eq!(memory.layout, Layout::Sqlite);
    let main = held_by(&path, Part::Database, &reader);
    assert_eq!((main.access, main.layout), (Access::Read, Layout::Sqlite));
    assert_eq!((memory.sqlite, main.sqlite), (Some(SqliteLock::LogReader), Some(SqliteLock::Shared)));
    let mut writer = sqlite(&path);
    writer.does("db.execute('begin immediate')");
    assert_eq!(lock_of(&path, Part::SharedMemory, &writer), Some(SqliteLock::LogWriter));
    writer.does("db.execute('rollback')");
    reader.does("db.execute('rollback')");
    assert_eq!(lock_of(&path, Part::SharedMemory, &reader), Some(SqliteLock::Open));
}

#[test]
fn duckdb_writes_and_reads() {
    let place = Place::new();
    let path = place.file("a.duckdb");
    let mut writer = Foreign::start(&path);
    writer.does("import duckdb; db = duckdb.connect(path)");
    let holder = held_by(&path, Part::Database, &writer);
    assert_eq!((holder.access, holder.layout), (Access::Write, Layout::DuckDb));
    writer.does("db.execute('create table t as select 1 a'); db.close()");
    assert!(holders_of(&path).expect("a look").is_empty(), "it has let go");

    let mut readers = [Foreign::start(&path), Foreign::start(&path)];
    for reader in &mut readers {
        reader.does("import duckdb; db = duckdb.connect(path, read_only=True)");
    }
    let found = of_part(&path, Part::Database);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|holder| (holder.access, holder.layout) == (Access::Read, Layout::DuckDb)), "{found:?}");
    readers[0].kill();
    held_by(&path, Part::Database, &readers[1]);
}
