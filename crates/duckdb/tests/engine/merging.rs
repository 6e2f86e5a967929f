//! Any mix of statements, merged and one by one, gives the same tables, row counts and errors.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends by panicking"
)]

use std::{fmt::Write as _, sync::Arc, time::Instant};

use crate::support::{Database, Session};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use dbmux_engine::{Access, Engine, EngineError, Parameters};
use rand::{RngExt, SeedableRng, rngs::StdRng};

type Statement = (String, Option<Parameters>);

const SCHEMA: [&str; 5] = [
    "CREATE SEQUENCE numbers",
    "CREATE TABLE plain (a INTEGER, b VARCHAR, c DOUBLE)",
    "CREATE TABLE keyed (id INTEGER PRIMARY KEY, small TINYINT CHECK (small < 100), name VARCHAR NOT NULL)",
    "CREATE TABLE rich (n BIGINT DEFAULT nextval('numbers'), d DATE, m DECIMAL(6, 2), t TIMESTAMP, f BOOLEAN, \
     g INTEGER GENERATED ALWAYS AS (length(d::VARCHAR)))",
    "CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree (id))",
];

/// A statement that may be merged, or may not, and may fail.
fn statement(random: &mut StdRng) -> Statement {
    let number = |random: &mut StdRng| {
        let choices =
            ["1", "-7", "3.7", "1e3", "99", "127", "128", "300", "NULL", "'12'", "'x'", "TRUE", "99999999999"];
        if random.random_bool(0.6) {
            random.random_range(0..12).to_string()
        } else {
            choices[random.random_range(0..choices.len())].to_owned()
        }
    };
    let text = |random: &mut StdRng| {
        ["'a'", "'it''s'", "''", "NULL", "'2020-02-30'", "5", "'ünïcode'", "false", "1.50"][random.random_range(0..9)]
            .to_owned()
    };
    let date = |random: &mut StdRng| {
        ["'2020-01-02'", "'2020-13-01'", "NULL", "'infinity'", "5"][random.random_range(0..5)].to_owned()
    };
    let plain = |sql: String| (sql, None);
    match random.random_range(0..12) {
        0..=2 => plain(format!("INSERT INTO plain VALUES ({}, {}, {})", number(random), text(random), number(random))),
        3 => plain(format!("insert into plain (b, a) values ({}, {})", text(random), number(random))),
        4 | 5 => plain(format!("INSERT INTO keyed VALUES ({}, {}, {})", number(random), number(random), text(random))),
        6 => plain(format!(
            "INSERT INTO rich (d, m, t, f) VALUES ({}, {}, {}, {})",
            date(random),
            number(random),
            date(random),
            number(random)
        )),
        7 => plain(format!("INSERT INTO tree VALUES ({}, {})", number(random), number(random))),
        8 | 9 => with_parameters(random),
        10 => plain(format!("INSERT INTO keyed VALUES ({}, 1, 'x') ON CONFLICT DO NOTHING", number(random))),
        _ => plain(
            [
                "UPDATE plain SET c = coalesce(c, 0) + 1 WHERE a = 3",
                "DELETE FROM keyed WHERE id = 5",
                "INSERT INTO plain SELECT 1, 'selected', 2",
            ][random.random_range(0..3)]
            .to_owned(),
        ),
    }
}

fn with_parameters(random: &mut StdRng) -> Statement {
    let one: ArrayRef = match random.random_range(0..4) {
        0 => Arc::new(Int32Array::from(vec![random.random_range(0..20)])),
        1 => Arc::new(Int64Array::from(vec![Some(i64::from(random.random_range(0..20)))])),
        2 => Arc::new(StringArray::from(vec![["7", "no number"][random.random_range(0..2)]])),
        _ => Arc::new(Int32Array::from(vec![None])),
    };
    let two: ArrayRef = match random.random_range(0..3) {
        0 => Arc::new(StringArray::from(vec![["a", "it's", "2021-03-04"][random.random_range(0..3)]])),
        1 => Arc::new(BooleanArray::from(vec![true])),
        _ => Arc::new(TimestampMicrosecondArray::from(vec![1_600_000_000_000_000])),
    };
    let three: ArrayRef = Arc::new(Float64Array::from(vec![f64::from(random.random_range(0..300)) / 2.0]));
    match random.random_range(0..4) {
        0 => ("INSERT INTO plain VALUES (?, ?, ?)".into(), Some(batch([one, two, three]))),
        1 => ("INSERT INTO plain VALUES ($1, $2, 5)".into(), Some(batch([one, two]))),
        2 => ("INSERT INTO keyed VALUES ($1, $3, $2)".into(), Some(batch([one, two, three]))),
        // One value too few.
        _ => ("INSERT INTO keyed VALUES (?, 1, ?)".into(), Some(batch([one]))),
    }
}

fn batch<const N: usize>(columns: [ArrayRef; N]) -> Parameters {
    let named = columns.into_iter().enumerate().map(|(index, column)| ((index + 1).to_string(), column));
    RecordBatch::try_from_iter_with_nullable(named.map(|(name, column)| (name, column, true))).unwrap()
}

type Outcome = Result<Vec<Vec<String>>, String>;

fn alone(session: &mut Session, (sql, parameters): &Statement) -> Outcome {
    session.try_run_with(sql, parameters.as_ref(), false).map_err(|error| error.to_string())
}

/// As the broker does it: neighbours of one shape together, and by halves where that fails.
fn merged(session: &mut Session, database: &Database, statements: &[Statement], merges: &mut usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut rest = statements;
    while let Some(first) = rest.first() {
        let shape = database.engine.insert_shape(&first.0);
        let length =
            rest.iter().take_while(|next| shape.is_some() && database.engine.insert_shape(&next.0) == shape).count();
        let (group, others) = rest.split_at(length.max(1));
        outcomes.extend(together(session, database, group, merges));
        rest = others;
    }
    outcomes
}

fn together(session: &mut Session, database: &Database, group: &[Statement], merges: &mut usize) -> Vec<Outcome> {
    if let [one] = group {
        return vec![alone(session, one)];
    }
    let shape = database.engine.insert_shape(&group[0].0).unwrap();
    let rows: Vec<_> = group.iter().map(|(sql, parameters)| (sql.as_str(), parameters.as_ref())).collect();
    match session.0.insert_many(&shape, &rows) {
        Ok(counts) => {
            *merges += 1;
            assert_eq!(counts.len(), group.len());
            counts.iter().map(|count| Ok(vec![vec![count.to_string()]])).collect()
        }
        Err(_) => {
            let (left, right) = group.split_at(group.len() / 2);
            let mut outcomes = together(session, database, left, merges);
            outcomes.extend(together(session, database, right, merges));
            outcomes
        }
    }
}

fn tables(session: &mut Session) -> Vec<Vec<Vec<String>>> {
    ["plain", "keyed", "rich", "tree"].map(|table| session.run(&format!("SELECT * FROM {table}"))).into()
}

#[test]
fn merged_and_one_by_one_are_the_same() {
    let seed = std::env::var("DBMUX_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("DBMUX_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut merges = 0;
    for round in 0..6 {
        let statements: Vec<_> = {
            let mut statements = Vec::new();
            while statements.len() < 300 {
                let next = statement(&mut random);
                // Runs of alike statements are what is merged.
                let alike = if random.random_bool(0.5) { random.random_range(1..12) } else { 1 };
                for _ in 0..alike {
                    let mut other = statement(&mut random);
                    for _ in 0..50 {
                        if other.0.split('(').next() == next.0.split('(').next() {
                            break;
                        }
                        other = statement(&mut random);
                    }
                    statements.push(other);
                }
                statements.push(next);
            }
            statements
        };
        let [one, many] = ["one.db", "many.db"].map(Database::new);
        let (mut one_session, mut many_session) = (one.session(), many.session());
        for sql in SCHEMA {
            one_session.run(sql);
            many_session.run(sql);
        }
        let expected: Vec<_> = statements.iter().map(|statement| alone(&mut one_session, statement)).collect();
        let found = merged(&mut many_session, &many, &statements, &mut merges);
        for (index, statement) in statements.iter().enumerate() {
            assert_eq!(found[index], expected[index], "seed {seed}, round {round}, statement {index}: {statement:?}");
        }
        let failures = expected.iter().filter(|outcome| outcome.is_err()).count();
        assert!(failures > 20 && failures < 280, "{failures} failures make no good test");
        // Numbers of a sequence that a failed batch has drawn are gone, as those of a failed statement are.
        let rich = |tables: Vec<Vec<Vec<String>>>| {
            let mut tables = tables;
            for row in &mut tables[2] {
                row.remove(0);
            }
            tables
        };
        assert_eq!(rich(tables(&mut many_session)), rich(tables(&mut one_session)), "seed {seed}, round {round}");
        many.engine.release().unwrap();
        many.engine.attach(Access::ReadWrite).unwrap();
        assert_eq!(rich(tables(&mut many_session)), rich(tables(&mut one_session)), "seed {seed}, after the release");
    }
    assert!(merges > 20, "only {merges} batches went through");
}

#[test]
fn tables_that_would_notice_are_declined() {
    let database = Database::new("a.db");
    let mut session = database.session();
    for sql in [
        "CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree (id))",
        "CREATE TABLE watched (a INTEGER)",
        "CREATE TABLE log (a INTEGER)",
        "CREATE TRIGGER watch AFTER INSERT ON watched FOR EACH STATEMENT INSERT INTO log VALUES (1)",
        "CREATE VIEW view AS SELECT 1 AS a",
    ] {
        session.run(sql);
    }
    for sql in [
        "INSERT INTO tree VALUES (1, NULL)",
        "INSERT INTO watched VALUES (1)",
        "INSERT INTO view VALUES (1)",
        "INSERT INTO missing VALUES (1)",
    ] {
        let shape = database.engine.insert_shape(sql).unwrap();
        assert!(session.0.insert_many(&shape, &[(sql, None), (sql, None)]).is_err(), "{sql}");
    }
    // And what is no insert of this shape at all.
    let shape = database.engine.insert_shape("INSERT INTO log VALUES (1)").unwrap();
    for other in [
        "INSERT INTO log VALUES (1), (2)",
        "INSERT INTO watched VALUES (1)",
        "DROP TABLE log",
        "INSERT INTO log VALUES (?)",
    ] {
        let rows = [("INSERT INTO log VALUES (1)", None), (other, None)];
        let answer = session.0.insert_many(&shape, &rows);
        assert!(matches!(answer, Err(EngineError::Unsupported { .. })), "{other}: {answer:?}");
    }
    assert_eq!(session.one("SELECT count(*) FROM log"), "0");
    session.run("BEGIN");
    assert!(session.0.insert_many(&shape, &[("INSERT INTO log VALUES (1)", None)]).is_err());
    session.run("ROLLBACK");
}

#[test]
fn batches_of_sixty_four_are_fast() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE t (id INTEGER, name VARCHAR, value DOUBLE)");
    let texts: Vec<String> =
        (0..64).map(|row| format!("INSERT INTO t VALUES ({row}, 'name {row}', {row}.5)")).collect();
    let shape = database.engine.insert_shape(&texts[0]).unwrap();
    let values = batch([
        Arc::new(Int32Array::from(vec![1])) as ArrayRef,
        Arc::new(StringArray::from(vec!["name"])),
        Arc::new(Float64Array::from(vec![0.5])),
    ]);
    let literal: Vec<(&str, Option<&Parameters>)> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let bound: Vec<(&str, Option<&Parameters>)> = vec![("INSERT INTO t VALUES (?, ?, ?)", Some(&values)); 64];
    let mut report = String::new();
    for (what, rows) in [("literals", literal), ("parameters", bound)] {
        session.0.insert_many(&shape, &rows).unwrap();
        let started = Instant::now();
        let batches = 100;
        for _ in 0..batches {
            session.0.insert_many(&shape, &rows).unwrap();
        }
        let rate = f64::from(batches * 64) / started.elapsed().as_secs_f64();
        let _ = write!(report, "{what}: {rate:.0} rows/s  ");
        assert!(rate > 5_000.0, "{report}");
    }
    println!("{report}");
}
