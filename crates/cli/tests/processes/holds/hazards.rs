//! No statement of a client, and no command of ours, makes the attached file lose its lock, or replaces, truncates,
//! removes or writes it, its log or its sidecar. After each a foreign process is still kept out; at the end all rows are
//! in the file.

use std::{os::unix::fs::MetadataExt, path::PathBuf};

use dbmux_client::{ClientError, ClientOptions, ErrorCode, Session};
use dbmux_testkit::{Foreign, Hazards, Place};

const DATABASE: &str = "sales.duckdb";

/// A database that a broker has attached, and will not release by itself.
struct Attached {
    place: Place,
    hazards: Hazards,
    foreign: Foreign,
    /// Each file's inode and beginning.
    files: Vec<(PathBuf, u64, Vec<u8>)>,
}

impl Attached {
    fn new() -> Self {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_RELEASE_AFTER", "1h");
        place.make(DATABASE, "create table orders (id integer); insert into orders values (1), (2), (3)");
        let hazards = Hazards::around(&place.path(DATABASE));
        let paths = ["sales.duckdb", "sales.duckdb.wal", "sales.duckdb.dbmux"].map(|name| place.path(name));
        let files = paths.map(|path| (path.clone(), inode(&path), beginning(&path))).to_vec();
        Self { place, hazards, foreign: Foreign::start(), files }
    }

    /// All is as it was.
    #[track_caller]
    fn unharmed(&mut self, after: &str) {
        for read_only in [false, true] {
            let answer = self.foreign.open(&self.place.path(DATABASE), read_only);
            assert!(answer.starts_with("error IOException") && answer.contains("lock"), "after {after}: {answer}");
        }
        for (path, was, began) in &self.files {
            assert_eq!(inode(path), *was, "after {after}: {} was replaced", path.display());
            assert_eq!(beginning(path), *began, "after {after}: {} was written over", path.display());
        }
    }

    /// Every row that was acknowledged is in the file, for whoever opens it.
    fn all_is_there(mut self, rows: usize) {
        let stopped = self.place.run(["stop", DATABASE]);
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        let answer = self.foreign.open(&self.place.path(DATABASE), false);
        assert!(answer.starts_with("ok"), "{answer}");
        assert_eq!(self.foreign.sql("select count(*) from orders"), format!("ok [({rows},)]"));
    }
}

fn inode(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).expect("it is there").ino()
}

/// What no appending changes. The test may read it: the lock is the broker's.
fn beginning(path: &std::path::Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).expect("it is there");
    bytes.truncate(8);
    bytes
}

async fn refused(session: &Session, sql: &str) -> Result<ErrorCode, ClientError> {
    match session.execute(sql).await {
        Ok(_) => Ok(ErrorCode::Unspecified),
        Err(ClientError::Broker(detail)) => Ok(detail.code()),
        Err(other) => Err(other),
    }
}

/// Counts the rows and adds one: the broker still serves, and acknowledges.
async fn add_one(session: &Session) -> Result<(), ClientError> {
    assert_eq!(session.execute("insert into orders values (0)").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_read_them_are_refused() -> Result<(), ClientError> {
    let mut attached = Attached::new();
    let client = attached.place.client(DATABASE, ClientOptions::default());
    let session = client.session().await?;
    let mut rows = 3;
    for name in attached.hazards.names() {
        for sql in Hazards::reads(&name) {
            assert_eq!(refused(&session, &sql).await?, ErrorCode::Refused, "{sql}");
        }
        attached.unharmed(&format!("reading {name}"));
        add_one(&session).await?;
        rows += 1;
    }
    for glob in Hazards::GLOBS {
        let sql = format!("SELECT content FROM read_text('{glob}')");
        assert_eq!(refused(&session, &sql).await?, ErrorCode::Refused, "{sql}");
        attached.unharmed(&sql);
    }
    assert_eq!(session.query("select a from 'other.csv'").await?.collect().await?[0].num_rows(), 1);
    attached.all_is_there(rows);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_write_them_are_refused() -> Result<(), ClientError> {
    let mut attached = Attached::new();
    let client = attached.place.client(DATABASE, ClientOptions::default());
    let session = client.session().await?;
    let mut rows = 3;
    let writes = attached.hazards.names().into_iter().map(|name| Hazards::writes(&name));
    let overwrites = attached.hazards.folders().map(|folder| vec![Hazards::overwrites(&folder)]);
    for statements in writes.chain(overwrites) {
        for sql in &statements {
            assert_eq!(refused(&session, sql).await?, ErrorCode::Refused, "{sql}");
        }
        attached.unharmed(&statements[0]);
        add_one(&session).await?;
        rows += 1;
    }
    attached.all_is_there(rows);
    Ok(())
}

/// What one broker has attached, the statements of another one cannot write either.
#[tokio::test(flavor = "multi_thread")]
async fn statements_of_another_broker_that_write_them_are_refused() -> Result<(), ClientError> {
    let mut attached = Attached::new();
    let ours = attached.place.client(DATABASE, ClientOptions::default());
    let ours = ours.session().await?;
    let theirs = attached.place.client("other.duckdb", ClientOptions::default());
    let session = theirs.session().await?;
    session.execute("create table t as select 1 as i").await?;
    let mut rows = 3;
    let writes = attached.hazards.names().into_iter().map(|name| Hazards::writes(&name));
    let overwrites = attached.hazards.folders().map(|folder| vec![Hazards::overwrites(&folder)]);
    let more =
        ["sales.duckdb.tmp", "sales.duckdb.tmp/dbmux/new", "sales.duckdb.wal.checkpoint", "sales.duckdb.wal.recovery"];
    let run = attached.place.path("run").display().to_string();
    let sockets = std::fs::read_dir(&run).expect("a directory").filter_map(Result::ok);
    let runtime = sockets.map(|entry| entry.path().display().to_string()).chain([format!("{run}/new.csv")]);
    let more: Vec<_> = more.map(str::to_owned).into_iter().chain(runtime).map(|name| Hazards::writes(&name)).collect();
    for statements in writes.chain(overwrites).chain(more) {
        for sql in &statements {
            assert_eq!(refused(&session, sql).await?, ErrorCode::Refused, "{sql}");
        }
        attached.unharmed(&statements[0]);
        add_one(&ours).await?;
        rows += 1;
    }
    // A profile is written by DuckDB itself, not as the statement's own file.
    let at = |name: &str| attached.place.path(name);
    std::os::unix::fs::symlink(at(DATABASE), at("db.json")).expect("a link");
    std::os::unix::fs::symlink(at("sales.duckdb.wal"), at("wal.json")).expect("a link");
    std::fs::hard_link(at("sales.duckdb.wal"), at("linked.json")).expect("a link");
    for name in ["db.json", "wal.json", "linked.json", "free.json"] {
        session.execute("set enable_profiling = 'json'").await?;
        session.execute(format!("set profiling_output = '{name}'").as_str()).await?;
        // Whether the profile's failure is the statement's, is DuckDB's to say.
        let _ = session.execute("select 42").await;
        session.execute("reset profiling_output").await?;
        session.execute("pragma disable_profiling").await?;
        attached.unharmed(name);
    }
    let profile = std::fs::read_to_string(attached.place.path("free.json")).expect("where it may be written, it is");
    assert!(profile.contains("{"), "{profile}");
    // The words say what, why, and what to do.
    let told = session.execute("copy (select 1) to 'sales.duckdb'").await.expect_err("it is refused");
    let detail = told.detail().expect("the broker's word");
    assert!(detail.message.contains("sales.duckdb"), "{detail:?}");
    assert!(
        detail.suggestion.contains("a database that dbmux keeps") && detail.suggestion.contains("another name"),
        "{detail:?}"
    );
    // Other files are written as ever, a database's name that nobody has taken among them.
    let free = ["new.csv", "other.csv", "fresh.duckdb", "fresh.wal", "sub/new.tmp"];
    for sql in
        free.map(|name| format!("copy (select 1) to '{name}'")).into_iter().chain(["export database 'out'".to_owned()])
    {
        assert_eq!(refused(&session, &sql).await?, ErrorCode::Unspecified, "{sql}");
    }
    drop((ours, session));
    attached.hazards.remove_hard_links();
    attached.all_is_there(rows);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ways_round_are_closed() -> Result<(), ClientError> {
    let mut attached = Attached::new();
    let client = attached.place.client(DATABASE, ClientOptions::default());
    let session = client.session().await?;
    let mut rows = 3;
    for sql in attached.hazards.ways_round() {
        assert_eq!(refused(&session, &sql).await?, ErrorCode::Refused, "{sql}");
        attached.unharmed(&sql);
        add_one(&session).await?;
        rows += 1;
    }
    for (sql, words) in attached.hazards.closed_by_duckdb() {
        let error = session.execute(sql.as_str()).await.expect_err(&sql);
        assert!(error.to_string().contains(words), "{sql}: {error}");
        attached.unharmed(&sql);
    }
    attached.all_is_there(rows);
    Ok(())
}

#[test]
fn our_own_commands_leave_them_alone() {
    let mut attached = Attached::new();
    let script = attached.place.path("script.sql");
    std::fs::write(&script, "insert into orders values (4);").expect("a script");
    // With their exit codes: `dbmux lock` takes a lock that is neither the owner's nor the file's.
    let commands: [(i32, &[&str]); 13] = [
        (0, &["who", DATABASE]),
        (0, &["who", "db_symlink", "--json"]),
        (0, &["who", "db_hardlink"]),
        (0, &["status", DATABASE]),
        (0, &["status"]),
        (0, &["stats", DATABASE]),
        (0, &["sql", "db_symlink", "from orders"]),
        (0, &["sql", DATABASE, "-f", "script.sql"]),
        (0, &["sql", DATABASE, "from orders", "--read-only", "--format", "arrow"]),
        (0, &["lock", DATABASE, "--wait", "0", "--", "true"]),
        (0, &["lock", "./db_symlink", "--shared", "--wait", "0", "--", "true"]),
        (1, &["sql", "db_hardlink", "from orders", "--wait", "300ms"]),
        (1, &["sql", "sales.duckdb.wal", "from orders", "--wait", "300ms"]),
    ];
    for (code, command) in commands {
        let output = attached.place.run(command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "dbmux {command:?}: {text}");
        attached.unharmed(&format!("dbmux {command:?}"));
    }
    let rows = attached.place.sql(DATABASE, "select count(*) from orders");
    assert_eq!(rows, "4");
    attached.all_is_there(4);
}
