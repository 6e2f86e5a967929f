//! SIGKILL in the middle of grouped appends: what was acknowledged is there, once, and the table is whole.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use dbmux_engine::{Access, Engine};

use crate::support::{ADD, Database, changed, chunks, numbers, python_runs, run};

/// Rows of a group.
const GROUP: i64 = 10;
/// Where the one that is killed finds its database.
const VARIABLE: &str = "DBMUX_TEST_LANCE_APPENDS_TO";

/// Not a test: the process that is killed. It appends groups, and says of each when it is acknowledged.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn appends_until_it_is_killed() {
    let Ok(path) = std::env::var(VARIABLE) else { return };
    let database = Database::at(path.as_ref());
    database.engine.attach(Access::ReadWrite).unwrap();
    let mut session = database.session();
    let shape = database.engine.insert_shape(ADD).unwrap();
    let mut next = numbers(session.as_mut(), "SELECT coalesce(max(id), -1) FROM chunks", None)[0] + 1;
    loop {
        let batches: Vec<_> = (next..next + GROUP).map(|id| chunks(id..id + 1)).collect();
        let rows: Vec<_> = batches.iter().map(|batch| (ADD, Some(batch))).collect();
        session.insert_many(&shape, &rows).unwrap();
        next += GROUP;
        println!("acknowledged {next}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn acknowledged_rows_survive_a_kill() {
    let database = Database::with_chunks(0);
    database.engine.release().unwrap();
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::appends_until_it_is_killed", "--ignored", "--nocapture"])
            .env(VARIABLE, &database.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut acknowledged = 0;
        let mut groups = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            // The harness prints on the same line, once.
            let Some((_, number)) = line.split_once("acknowledged ") else { continue };
            acknowledged = number.trim().parse::<i64>().unwrap();
            groups += 1;
            if groups == 3 {
                // Somewhere in the next groups' writing.
                std::thread::sleep(std::time::Duration::from_millis(round * 3));
                child.kill().unwrap();
                break;
            }
        }
        // What it had said by then counts too.
        for line in lines.map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("acknowledged ") {
                acknowledged = number.trim().parse().unwrap();
            }
        }
        assert_eq!(child.wait().unwrap().signal(), Some(9));

        database.engine.attach(Access::ReadWrite).unwrap();
        let mut session = database.session();
        let count = numbers(session.as_mut(), r#"{"count": {"table": "chunks"}}"#, None)[0];
        let (distinct, highest) = (
            numbers(session.as_mut(), "SELECT count(DISTINCT id) FROM chunks", None)[0],
            numbers(session.as_mut(), "SELECT max(id) FROM chunks", None)[0],
        );
        println!("round {round}: {acknowledged} acknowledged, {count} there");
        assert!(count >= acknowledged, "{acknowledged} acknowledged, {count} there");
        // A group is there whole, or not at all.
        assert_eq!((count % GROUP, distinct, highest + 1), (0, count, count));
        // Every version that is there can be read.
        for version in numbers(session.as_mut(), r#"{"versions": {"table": "chunks"}}"#, None) {
            let checkout = format!(r#"{{"checkout": {{"table": "chunks", "version": {version}}}}}"#);
            numbers(session.as_mut(), &checkout, None);
            run(session.as_mut(), "SELECT sum(id) FROM chunks", None).unwrap();
        }
        numbers(session.as_mut(), r#"{"checkout": {"table": "chunks", "version": null}}"#, None);
        run(session.as_mut(), r#"{"optimize": {"table": "chunks"}}"#, None).unwrap();
        assert_eq!(numbers(session.as_mut(), r#"{"count": {"table": "chunks"}}"#, None), [count]);
        assert_eq!(changed(session.as_mut(), r#"{"delete": {"table": "chunks", "where": "id < 0"}}"#, None), 0);
        database.engine.release().unwrap();
    }
    let whole = "import sys, lancedb\nprint(lancedb.connect(sys.argv[1]).open_table('chunks').to_arrow().num_rows > 0)";
    assert_eq!(python_runs(whole, &[database.path.to_str().unwrap()]), "True");
}
