//! Inserts that are committed together: all or none, as each would be alone, and there once they are acknowledged.
#![expect(clippy::expect_used, clippy::panic, reason = "a test's own way to fail")]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use arrow::array::{ArrayRef, Int64Array, NullArray, RecordBatch, StringArray};
use common::{Place, Session, text};
use dbmux_engine::{Access, Engine, EngineError, SessionOptions};
use dbmux_sqlite::{SqliteEngine, SqliteOptions};
use proptest::prelude::*;
use rand::RngExt;

fn many(place: &Place, session: &mut Session, rows: &[&str]) -> Result<Vec<i64>, EngineError> {
    let shape = place.engine.insert_shape(rows[0]).expect("a plain insert");
    let rows: Vec<_> = rows.iter().map(|sql| (*sql, None)).collect();
    session.0.insert_many(&shape, &rows)
}

#[test]
fn all_or_none_and_the_first_ones_error() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)");
    many(&place, &mut session, &["INSERT INTO t VALUES (1, 'it''s')", "INSERT INTO t VALUES (2, 'two');"])
        .expect("done");
    let error = many(
        &place,
        &mut session,
        &["INSERT INTO t VALUES (3, 'x')", "INSERT INTO t VALUES (4, NULL)", "INSERT INTO t VALUES (1, 'y')"],
    );
    assert_eq!(error.expect_err("two are wrong").sqlstate(), "23502");
    assert!(!session.0.state().in_transaction);
    assert_eq!(session.text("SELECT * FROM t"), "1|it's\n2|two");
    // Parameters, bound each time anew.
    let sql = "INSERT INTO t VALUES (?, ?)";
    let shape = place.engine.insert_shape(sql).expect("a plain insert");
    let batches: Vec<_> = (10..20)
        .map(|number| {
            let columns: [ArrayRef; 2] =
                [Arc::new(Int64Array::from(vec![number])), Arc::new(StringArray::from(vec![format!("n{number}")]))];
            RecordBatch::try_from_iter(["1", "2"].into_iter().zip(columns)).expect("a batch")
        })
        .collect();
    let rows: Vec<_> = batches.iter().map(|batch| (sql, Some(batch))).collect();
    session.0.insert_many(&shape, &rows).expect("done");
    assert_eq!(session.text("SELECT count(*), min(b), max(b) FROM t WHERE a >= 10"), "10|n10|n19");
    assert_eq!(session.0.insert_many(&shape, &[(sql, None)]).expect_err("none were given").sqlstate(), "07001");
}

#[test]
fn each_answers_with_what_it_has_changed_and_what_is_no_plain_row_is_declined() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT IGNORE); INSERT INTO t VALUES (1)");
    session.run("CREATE VIEW v AS SELECT a FROM t; CREATE TABLE log (a)");
    session.run("CREATE TRIGGER r INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.a); END");
    session.run("CREATE TRIGGER s AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.a), (new.a); END");
    let rows = ["INSERT INTO t VALUES (2)", "INSERT INTO log VALUES (2)"];
    let error = many(&place, &mut session, &rows).expect_err("two shapes");
    assert!(matches!(error, EngineError::Unsupported { .. }), "{error:?}");
    assert_eq!(session.text("SELECT a FROM t"), "1");
    // The table ignores what is there; what a view's trigger does is not counted, as it is not alone.
    let rows = ["INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"];
    assert_eq!(many(&place, &mut session, &rows).expect("done"), [1, 0, 0]);
    assert_eq!(many(&place, &mut session, &["INSERT INTO v VALUES (3)"]).expect("done"), [0]);
    assert_eq!(session.text("SELECT count(*), max(a) FROM t"), "3|3");
    session.run("DELETE FROM log");
    // A trigger is part of each.
    many(&place, &mut session, &["INSERT INTO t VALUES (5)", "INSERT INTO t VALUES (6)"]).expect("done");
    assert_eq!(session.text("SELECT count(*) FROM log"), "4");
    for sql in [
        "INSERT INTO t VALUES (random())",
        "INSERT INTO t VALUES (datetime('now'))",
        "INSERT INTO t VALUES (CURRENT_TIMESTAMP)",
        "INSERT INTO t VALUES (1) RETURNING a",
        "INSERT OR REPLACE INTO t VALUES (1)",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES ((SELECT 1))",
        "INSERT INTO t VALUES (1), (2)",
        "REPLACE INTO t VALUES (1)",
    ] {
        assert_eq!(place.engine.insert_shape(sql), None, "{sql}");
    }
}

/// A row of texts and numbers for `?`, `?`, …
fn row(values: &[&str]) -> RecordBatch {
    let columns = values.iter().enumerate().map(|(index, value)| {
        let column: ArrayRef = match value.parse::<i64>() {
            Ok(number) => Arc::new(Int64Array::from(vec![number])),
            Err(_) if *value == "NULL" => Arc::new(NullArray::new(1)),
            Err(_) => Arc::new(StringArray::from(vec![*value])),
        };
        ((index + 1).to_string(), column)
    });
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("a row")
}

#[test]
fn a_full_text_index_writes_what_is_committed_together_as_one_segment() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)");
    session.run("CREATE VIRTUAL TABLE words USING fts5 (body, content = 'notes', content_rowid = 'id')");
    session.run("INSERT INTO words (words, rank) VALUES ('automerge', 0), ('crisismerge', 1000)");
    session.run(
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN INSERT INTO words (rowid, body) VALUES (new.id, new.body); END",
    );
    let segments = "SELECT count(DISTINCT segid) FROM words_idx";
    let sql = "INSERT INTO notes VALUES (?, ?)";
    let shape = place.engine.insert_shape(sql).expect("a plain insert");
    let notes = |ids: std::ops::Range<i64>| -> Vec<_> {
        ids.map(|id| row(&[&id.to_string(), &format!("number{id} of them")])).collect()
    };
    let given = notes(0..16);
    let rows: Vec<_> = given.iter().map(|row| (sql, Some(row))).collect();
    assert_eq!(session.0.insert_many(&shape, &rows).expect("done"), [1; 16]);
    assert_eq!(session.text(segments), "1");
    // Literals, and what a statement is given.
    let literals: Vec<_> =
        (16..24).map(|id| format!("INSERT INTO notes VALUES ({id}, 'number{id} of them')")).collect();
    many(&place, &mut session, &literals.iter().map(String::as_str).collect::<Vec<_>>()).expect("done");
    assert_eq!(session.text(segments), "2");
    let given = notes(24..40);
    let given = arrow::compute::concat_batches(&given[0].schema(), &given).expect("rows");
    session.one(sql, Some(&given), false).expect("done");
    assert_eq!(session.text(segments), "3");
    assert_eq!(session.text("SELECT count(*) FROM words WHERE words MATCH 'them'"), "40");
    assert_eq!(session.text("SELECT rowid FROM words WHERE words MATCH 'number31'"), "31");
}

#[test]
fn what_a_trigger_asks_is_answered_as_it_is_alone() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (a); CREATE TABLE seen (a, changed)");
    session.run("CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO seen VALUES (new.a, total_changes()); END");
    let asked = "SELECT group_concat(changed - (SELECT min(changed) FROM seen), ' ') FROM seen";
    for a in 0..4 {
        session.run(&format!("INSERT INTO t VALUES ({a})"));
    }
    let alone = session.text(asked);
    session.run("DELETE FROM t; DELETE FROM seen");
    let rows: Vec<_> = (0..4).map(|a| format!("INSERT INTO t VALUES ({a})")).collect();
    many(&place, &mut session, &rows.iter().map(String::as_str).collect::<Vec<_>>()).expect("done");
    assert_eq!(session.text(asked), alone);
}

#[test]
fn a_row_that_refers_to_a_later_one_fails_as_it_does_alone() {
    let place = Place::new();
    let mut session = place.session();
    session.run("CREATE TABLE t (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t (id)); PRAGMA foreign_keys = on");
    let given = [row(&["1", "2"]), row(&["2", "1"])];
    let given = arrow::compute::concat_batches(&given[0].schema(), &given).expect("rows");
    let error = session.one("INSERT INTO t VALUES (?, ?)", Some(&given), false).expect_err("it is not there yet");
    assert_eq!(error.sqlstate(), "23503");
    assert_eq!(session.text("SELECT count(*) FROM t"), "0");
}

/// What a row of the table below is, and how it is written.
#[derive(Debug, Clone)]
struct Given {
    id: String,
    name: String,
    literal: bool,
}

impl Given {
    fn any() -> impl Strategy<Value = Self> {
        let id = prop_oneof![(0..40_i64).prop_map(|id| id.to_string()), Just("NULL".to_owned())];
        let name = prop_oneof![
            4 => "[a-z]{1,3}", 1 => Just("ignored".to_owned()), 1 => Just("NULL".to_owned()), 1 => Just("it''s".to_owned()),
        ];
        (id, name, any::<bool>()).prop_map(|(id, name, literal)| Self { id, name, literal })
    }

    fn sql(&self) -> String {
        let name = if self.name == "NULL" { "NULL".to_owned() } else { format!("'{}'", self.name) };
        if self.literal { format!("INSERT INTO t VALUES ({}, {name})", self.id) } else { PARAMETERS.to_owned() }
    }

    fn parameters(&self) -> Option<RecordBatch> {
        (!self.literal).then(|| row(&[&self.id, &self.name.replace("''", "'")]))
    }
}

const PARAMETERS: &str = "INSERT INTO t VALUES (?, ?)";

/// A table whose rows may fail, be left out, take another one's place, and are noted by a trigger.
const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL ON CONFLICT IGNORE, \
     CHECK (name <> 'bad'), UNIQUE (name) ON CONFLICT REPLACE); \
     CREATE TABLE log (number INTEGER PRIMARY KEY, id, name, count); \
     CREATE TRIGGER left_out BEFORE INSERT ON t WHEN new.name = 'ignored' BEGIN SELECT RAISE(IGNORE); END; \
     CREATE TRIGGER noted AFTER INSERT ON t BEGIN \
       INSERT INTO log (id, name, count) VALUES (new.id, new.name, (SELECT count(*) FROM t)); END; \
     CREATE VIRTUAL TABLE words USING fts5 (name); \
     CREATE TRIGGER indexed AFTER INSERT ON t BEGIN INSERT INTO words (rowid, name) VALUES (new.id, new.name); END";

const ALL: [&str; 4] = [
    "SELECT * FROM t ORDER BY id",
    "SELECT * FROM log ORDER BY number",
    "SELECT rowid, name FROM words WHERE words MATCH 'a*' ORDER BY rowid",
    "SELECT * FROM sqlite_sequence",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_together_come_to_what_they_come_to_one_by_one(
        batches in proptest::collection::vec(proptest::collection::vec(Given::any(), 1..40), 1..6),
    ) {
        let (together, alone) = (Place::new(), Place::new());
        let (mut at_once, mut one_by_one) = (together.session(), alone.session());
        for session in [&mut at_once, &mut one_by_one] {
            session.run(TABLE);
        }
        let shape = together.engine.insert_shape(PARAMETERS).expect("a plain insert");
        for batch in batches {
            let given: Vec<_> = batch.iter().map(|given| (given.sql(), given.parameters())).collect();
            let rows: Vec<_> = given.iter().map(|(sql, parameters)| (sql.as_str(), parameters.as_ref())).collect();
            let done = at_once.0.insert_many(&shape, &rows);
            one_by_one.run("BEGIN");
            let counts: Result<Vec<_>, _> = rows.iter().map(|(sql, parameters)| {
                one_by_one.one(sql, *parameters, false).map(|count| text(&count).parse::<i64>().expect("a number"))
            }).collect();
            one_by_one.run(if counts.is_ok() { "COMMIT" } else { "ROLLBACK" });
            match (&done, &counts) {
                (Ok(done), Ok(counts)) => prop_assert_eq!(done, counts),
                (Err(done), Err(alone)) => prop_assert_eq!(done.to_string(), alone.to_string()),
                _ => prop_assert!(false, "{:?} together, {:?} one by one", done, counts),
            }
            for sql in ALL {
                prop_assert_eq!(at_once.text(sql), one_by_one.text(sql), "{}", sql);
            }
        }
    }
}

/// What the child below runs on.
const DATABASE: &str = "DBMUX_TEST_CHILD_DATABASE";

/// Not a test: the process that is killed. Commits batches, and says so, until then.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let Some(path) = std::env::var_os(DATABASE) else { return };
    let engine = SqliteEngine::new(Path::new(&path), SqliteOptions::default());
    engine.attach(Access::ReadWrite).expect("attached");
    let mut session = Session(engine.open_session(&SessionOptions::default()).expect("a session"));
    session.run("CREATE TABLE IF NOT EXISTS t (a INTEGER)");
    let mut next: i64 = session.text("SELECT coalesce(max(a), 0) FROM t").parse().expect("a number");
    let shape = engine.insert_shape("INSERT INTO t VALUES (1)").expect("a plain insert");
    let mut out = std::io::stdout();
    writeln!(out, "\nfrom {next}").expect("its output");
    loop {
        let rows: Vec<_> = (1..=20).map(|row| format!("INSERT INTO t VALUES ({})", next + row)).collect();
        let rows: Vec<_> = rows.iter().map(|sql| (sql.as_str(), None)).collect();
        session.0.insert_many(&shape, &rows).expect("committed");
        next += 20;
        writeln!(out, "acknowledged {next}").expect("its output");
        out.flush().expect("its output");
    }
}

#[test]
fn what_was_acknowledged_is_there_once_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("it").join("k.sqlite");
    let seed: u64 = rand::rng().random();
    eprintln!("seed {seed}");
    let mut random = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    for _ in 0..6 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(DATABASE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let number = |line: &str, word: &str| line.strip_prefix(word).and_then(|rest| rest.trim().parse::<i64>().ok());
        let (wanted, mut seen, mut last) = (random.random_range(1..30), 0, 0);
        while seen < wanted {
            let line = lines.next().expect("it goes on");
            last = number(&line, "from").or_else(|| number(&line, "acknowledged")).unwrap_or(last);
            seen += usize::from(line.starts_with("acknowledged"));
        }
        std::thread::sleep(std::time::Duration::from_micros(random.random_range(0..3000)));
        child.kill().expect("killed");
        child.wait().expect("gone");
        // What it still said before it died counts too.
        last = lines.filter_map(|line| number(&line, "acknowledged")).last().unwrap_or(last);
        let engine = SqliteEngine::new(&path, SqliteOptions::default());
        engine.attach(Access::ReadWrite).expect("attached");
        let mut session = Session(engine.open_session(&SessionOptions::default()).expect("a session"));
        let found = session.text("SELECT count(*), count(DISTINCT a), max(a) FROM t; ");
        let [rows, distinct, largest]: [i64; 3] =
            found.split('|').map(|part| part.parse().expect("a number")).collect::<Vec<_>>().try_into().expect("three");
        assert!(rows == distinct && rows == largest, "each once, without a gap: {found}");
        assert!(largest >= last && largest <= last + 20 && largest % 20 == 0, "{largest} after {last}");
        assert_eq!(session.text("PRAGMA integrity_check"), "ok");
        engine.release().expect("released");
    }
}
