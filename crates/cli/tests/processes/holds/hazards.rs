//! No statement of a client, and no command of ours, makes the attached file lose its lock, or replaces, truncates,
//! removes or writes it, its log or its sidecar. After each a foreign process is still kept out; at the end all rows are
//! in the file.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{os::unix::fs::MetadataExt, path::PathBuf};

use dbmux_client::{ClientError, ClientOptions, ErrorCode, Session};
use dbmux_testkit::{Foreign, Hazards, Place};

const DATABASE: &str = "sales.duckdb";

/// A database that a broker has attached, and will not release by itself.
struct Attached {
    place: Place,
    hazards: Hazards,
    foreign: Foreign,
    inodes: Vec<(PathBuf, u64)>,
}

impl Attached {
    fn new() -> Self {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_RELEASE_AFTER", "1h");
        place.make(DATABASE, "create table orders (id integer); insert into orders values (1), (2), (3)");
        let hazards = Hazards::around(&place.path(DATABASE));
        let paths = ["sales.duckdb", "sales.duckdb.wal", "sales.duckdb.dbmux"].map(|name| place.path(name));
        let inodes = paths.map(|path| (path.clone(), inode(&path))).to_vec();
        Self { place, hazards, foreign: Foreign::start(), inodes }
    }

    /// All is as it was.
    #[track_caller]
    fn unharmed(&mut self, after: &str) {
        for read_only in [false, true] {
            let answer = self.foreign.open(&self.place.path(DATABASE), read_only);
            assert!(answer.starts_with("error IOException") && answer.contains("lock"), "after {after}: {answer}");
        }
        for (path, was) in &self.inodes {
            assert_eq!(inode(path), *was, "after {after}: {} was replaced", path.display());
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
            assert_ne!(refused(&session, sql).await?, ErrorCode::Unspecified, "{sql}");
        }
        attached.unharmed(&statements[0]);
        add_one(&session).await?;
        rows += 1;
    }
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
        assert_ne!(refused(&session, &sql).await?, ErrorCode::Unspecified, "{sql}");
        attached.unharmed(&sql);
        add_one(&session).await?;
        rows += 1;
    }
    attached.all_is_there(rows);
    Ok(())
}

#[test]
fn our_own_commands_leave_them_alone() {
    let mut attached = Attached::new();
    let script = attached.place.path("script.sql");
    std::fs::write(&script, "insert into orders values (4);").expect("a script");
    let commands: [&[&str]; 13] = [
        &["who", DATABASE],
        &["who", "db_symlink", "--json"],
        &["who", "db_hardlink"],
        &["status", DATABASE],
        &["status"],
        &["stats", DATABASE],
        &["sql", "db_symlink", "from orders"],
        &["sql", DATABASE, "-f", "script.sql"],
        &["sql", DATABASE, "from orders", "--read-only", "--format", "arrow"],
        &["lock", DATABASE, "--wait", "0", "--", "true"],
        &["lock", "./db_symlink", "--shared", "--wait", "0", "--", "true"],
        &["sql", "db_hardlink", "from orders", "--wait", "300ms"],
        &["sql", "sales.duckdb.wal", "from orders", "--wait", "300ms"],
    ];
    for command in commands {
        let output = attached.place.run(command);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{command:?}: {:?} {}", output.status.code(), text.lines().next().unwrap_or_default());
        attached.unharmed(&format!("dbmux {command:?}"));
    }
    let rows = attached.place.sql(DATABASE, "select count(*) from orders");
    assert_eq!(rows, "4");
    attached.all_is_there(4);
}
