//! `dbmux snapshot`: a copy for keeping, and what a full disk does to the other kind.

use std::{
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
};

use dbmux_client::{ClientError, ClientOptions, ErrorCode};
use dbmux_testkit::{Foreign, Kind, Place};

use super::disk::{lines, on_a_small_disk};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

#[test]
fn a_copy_is_consistent_while_others_write() {
    let place = place();
    place.make("a.duckdb", "create table a as select 1000::bigint as x; create table b as select 0::bigint as x");
    place.make("a.duckdb", "create table large as select range as i, hash(range) as h from range(1000000)");
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let session = client.session().expect("a session");
            let mut moved = 0;
            while !over.load(Ordering::Relaxed) {
                let done: Result<(), ClientError> = session.transaction(|transaction| {
                    transaction.execute("update a set x = x - 1")?;
                    transaction.execute("update b set x = x + 1").map(drop)
                });
                match done {
                    Ok(()) => moved += 1,
                    // It began while the file was held still.
                    Err(error) => assert_eq!(error.code(), ErrorCode::TransactionConflict, "{error}"),
                }
            }
            moved
        });
        for turn in 0..4 {
            let target = format!("copy{turn}.duckdb");
            let output = place.run(["snapshot", "a.duckdb", &target, "--json"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an object");
            assert!(report["as_of"].as_str().is_some_and(|as_of| as_of.starts_with("20")), "{report}");
            // Plain DuckDB reads it, with nothing beside it.
            let mut foreign = Foreign::holding(&place.path(&target), true);
            assert_eq!(
                foreign.sql("select (select x from a) + (select x from b), (select count(*) from large)"),
                "ok [(1000, 1000000)]"
            );
            foreign.close();
            assert!(!place.path(&format!("{target}.wal")).exists());
        }
        over.store(true, Ordering::Relaxed);
        let moved: i64 = writer.join().expect("the writer");
        assert!(moved > 0);
        assert_eq!(place.sql("a.duckdb", "select x from b"), moved.to_string());
    });
}

#[test]
fn a_copy_replaces_nothing_that_it_must_not() {
    let place = place();
    place.make("a.duckdb", "create table t as select 1 as i");
    std::fs::set_permissions(place.path("a.duckdb"), PermissionsExt::from_mode(0o640)).expect("a mode");
    std::fs::write(place.path("there"), "text").expect("a file");
    let (code, error) = place.fails(&["snapshot", "a.duckdb", "there"]);
    assert_eq!(code, 2, "{error}");
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("--force")), "{error}");
    assert_eq!(std::fs::read_to_string(place.path("there")).expect("it is there"), "text");
    for (target, force) in [("new", false), ("there", true)] {
        let force = force.then_some("--force");
        let output = place.run(["snapshot", "a.duckdb", target].into_iter().chain(force));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mode = std::fs::metadata(place.path(target)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "the mode of the original");
    }
    // Not the database itself, not one that dbmux keeps, not one that is open elsewhere.
    place.make("kept.duckdb", "create table t as select 2 as i");
    let mut foreign = Foreign::holding(&place.path("there"), false);
    for target in ["a.duckdb", "kept.duckdb", "there"] {
        let (code, error) = place.fails(&["snapshot", "a.duckdb", target, "--force"]);
        assert_eq!(code, 2, "{target}: {error}");
    }
    assert_eq!(foreign.sql("select i from t"), "ok [(1,)]");
    foreign.kill();
    assert_eq!(place.sql("kept.duckdb", "select i from t"), "2");
    let (code, error) = place.fails(&["snapshot", "missing.duckdb", "other"]);
    assert_eq!((code, error["code"].as_str()), (1, Some("NO_SUCH_DATABASE")), "{error}");
    // Somebody else has it.
    place.run(["stop", "a.duckdb"]);
    let foreign = Foreign::holding(&place.path("a.duckdb"), false);
    let (code, error) = place.fails(&["snapshot", "a.duckdb", "other", "--wait", "300ms"]);
    assert_eq!((code, error["code"].as_str()), (75, Some("DATABASE_LOCKED")), "{error}");
    assert_eq!(error["holding_pid"].as_u64(), Some(u64::from(foreign.pid())), "{error}");
    assert!(!place.path("other").exists());
}

/// A log or locks of a database, and a log that would become the copy's.
#[test]
fn a_copy_is_nothing_that_stands_beside_a_database() {
    let place = place();
    place.make("a.duckdb", "create table t as select 1 as i");
    place.make("kept.duckdb", "create table t as select 2 as i");
    // Foreign, with what a killed process has left.
    for name in ["foreign.duckdb", "gone.duckdb.wal", "left.duckdb", "left.duckdb.wal"] {
        std::fs::write(place.path(name), "text").expect("a file");
    }
    let files = || {
        let names = ["foreign.duckdb", "gone.duckdb.wal", "left.duckdb", "left.duckdb.wal", "kept.duckdb.dbmux"];
        names.map(|name| std::fs::read(place.path(name)).expect("a file"))
    };
    let before = files();
    for (target, why, todo) in [
        ("a.duckdb.wal", "the name of a log", "another name"),
        ("kept.duckdb.wal", "the name of a log", "another name"),
        ("foreign.duckdb.wal", "the name of a log", "another name"),
        ("foreign.duckdb.wal.recovery", "the name of a log", "another name"),
        ("kept.duckdb.dbmux", "dbmux's locks", "another name"),
        ("new.dbmux", "dbmux's locks", "another name"),
        ("left.duckdb", "left.duckdb.wal is there", "remove it"),
        ("gone.duckdb", "gone.duckdb.wal is there", "remove it"),
    ] {
        for force in [None, Some("--force")] {
            let (code, error) =
                place.fails(&["snapshot", "a.duckdb", target].into_iter().chain(force).collect::<Vec<_>>());
            assert_eq!(code, 2, "{target}: {error}");
            let (message, hint) = (error["message"].as_str().unwrap_or_default(), error["suggestion"].as_str());
            if force.is_some() || target != "left.duckdb" {
                assert!(message.contains(why) && hint.is_some_and(|hint| hint.contains(todo)), "{target}: {error}");
            }
        }
    }
    assert!(files() == before && !place.path("gone.duckdb").exists(), "something was written");
    std::fs::remove_file(place.path("gone.duckdb.wal")).expect("it is there");
    assert!(place.run(["snapshot", "a.duckdb", "gone.duckdb"]).status.success(), "nothing of it is there any more");
}

#[test]
fn a_disk_that_is_too_full_for_the_copy_lets_reads_wait_and_says_so() {
    let place = place();
    let script = r#"
        sql "create table t as select range as i, hash(range) as h from range(900000)" >/dev/null
        "$DBMUX" stop "$DB" 2>/dev/null
        head -c 12000000 /dev/zero > "$DISK/ballast"
        sql "select 1 as i" >/dev/null
        "$DBMUX" run "$DB" -- sh -c 'sleep 1.5' &
        sleep 0.7
        "$DBMUX" sql "$DB" "select count(*) as n from t" --json --wait 200ms 2>&1 && exit 9
        wait
        sql "select count(*) as n from t"
        sql "insert into t values (1, 1)" >/dev/null
        ls "$DISK"
    "#;
    let lines = lines(&on_a_small_disk(Kind::DuckDb, &place, script));
    let text = lines.join("\n");
    assert!(text.contains("DATABASE_LOCKED") && text.contains("too full for a copy"), "{text}");
    assert!(text.contains("[{\"n\":900000}]"), "{text}");
    assert!(!text.contains("copy-"), "{text}");
}
