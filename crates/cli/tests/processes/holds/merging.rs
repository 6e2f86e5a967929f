//! Statements of many sessions at once, merged and one by one, end as the same statements run one after the other: the
//! same tables, the same counts, the same errors. On each engine.
//!
//! What many sessions do at once has one outcome only where they do not meet. So every session writes to rows of its own;
//! where two write the same row, they write the same values, and it is counted how many succeed.

use std::{collections::BTreeMap, time::Instant};

use arrow::util::display::array_value_to_string;
use dbmux_client::{Client, ClientError, ClientOptions, Session, Statement, Value};
use dbmux_testkit::{Kind, Place, seed, soak_time};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const SESSIONS: usize = 16;
const CASES: u32 = 8;

on_each_engine_with_sql!(any_mix_of_statements_ends_as_it_does_one_by_one);
on_each_engine_with_sql!(soak: soak_any_mix_of_statements_ends_as_it_does_one_by_one);

/// The tables that are written to, and by which columns each is read in order.
const TABLES: [(&str, &str); 3] = [("keyed", "1, 2, 3"), ("loose", "1, 2, 3, 4, 5"), ("\"odd name\"", "1, 2")];

/// Makes them anew.
fn make_tables(kind: Kind) -> String {
    // A column whose values have a form of their own.
    let strange = if kind == Kind::DuckDb { "integer[]" } else { "blob" };
    let drop = TABLES.map(|(table, _)| format!("drop table if exists {table};")).concat();
    let old = (1000..1010).map(|i| format!("({i}, 'old', 1)")).collect::<Vec<_>>().join(", ");
    format!(
        "{drop}
        create table keyed (id integer primary key, word varchar check (length(word) < 6), n tinyint default 7);
        create table loose (id bigint, x double, w varchar not null, d date, l {strange});
        create table \"odd name\" (\"a b\" integer, \"SELECT\" varchar);
        insert into keyed values {old}"
    )
}

/// One thing that a session does. Numbers are its own: the session's number stands in front of them.
#[derive(Debug, Clone)]
enum Step {
    /// Into the table with a key: the number, a word, a small number as it is written.
    Keyed(u16, String, &'static str),
    /// A row that is there already, or that another session may write too.
    Shared(u16),
    Loose(u16, &'static str, String),
    Parameters(u16, Option<String>),
    Odd(u16),
    /// Not merged: it must agree with what is.
    Several(u16),
    Returning(u16),
    OrIgnore(u16),
    Update(u16),
    Delete(u16),
    Wrong(&'static str),
    /// A transaction of two inserts: committed, or not.
    Transaction(u16, bool),
    /// From here on the session has state of its own.
    Temporary,
}

fn step(kind: Kind) -> impl Strategy<Value = Step> {
    let number = 0_u16..12;
    let small = prop::sample::select(vec!["1", "NULL", "-128", "300", "'12'", "'x'", "1.6", "true", "DEFAULT"]);
    let x = prop::sample::select(vec![
        "1",
        "1e3",
        "NULL",
        "'nan'",
        "-0.0",
        "'x'",
        "170141183460469231731687303715884105727",
    ]);
    let strange = if kind == Kind::DuckDb { ["[1, NULL]", "[]"] } else { ["x'01ff'", "x''"] };
    let rest = prop::sample::select(vec![
        format!("'w', '2024-02-29', {}", strange[0]),
        "NULL, NULL, NULL".to_owned(),
        "'quote '' and ü', '2023-02-29', NULL".to_owned(),
        "'w', '1992-01-01', '[1, 2]'".to_owned(),
        format!("'w;', NULL, {}", strange[1]),
    ]);
    let wrong = prop::sample::select(vec![
        "insert into missing values (1)",
        "insert into keyed values (1)",
        "insert into keyed (id, nothing) values (1, 2)",
        "insert into keyed (id, id) values (1, 2)",
        "insert into loose values (1, 2, 3, 4, 5, 6)",
        "insert into keyed values (nothing)",
        "insert into keyed values",
    ]);
    prop_oneof![
        9 => (number.clone(), "[a-z]{0,7}", small).prop_map(|(n, word, small)| Step::Keyed(n, word, small)),
        4 => (0_u16..20).prop_map(Step::Shared),
        9 => (number.clone(), x, rest).prop_map(|(n, x, rest)| Step::Loose(n, x, rest)),
        4 => (number.clone(), proptest::option::of("[a-z]{0,7}")).prop_map(|(n, word)| Step::Parameters(n, word)),
        2 => number.clone().prop_map(Step::Odd),
        1 => number.clone().prop_map(Step::Several),
        1 => number.clone().prop_map(Step::Returning),
        1 => number.clone().prop_map(Step::OrIgnore),
        1 => number.clone().prop_map(Step::Update),
        1 => number.clone().prop_map(Step::Delete),
        2 => wrong.prop_map(Step::Wrong),
        1 => (number, any::<bool>()).prop_map(|(n, commits)| Step::Transaction(n, commits)),
        1 => Just(Step::Temporary),
    ]
}

impl Step {
    /// The statements, for this session, at this place in its script.
    fn statements(&self, session: usize, at: usize) -> Vec<(String, Vec<Value>)> {
        let id = |n: &u16| 10_000 * (session + 1) + usize::from(*n);
        // A key that was deleted may not come again: the engine remembers it for as long as others may see it.
        let fresh = 10_000 * (session + 1) + 100 + 10 * at;
        let plain = |sql: String| vec![(sql, Vec::new())];
        match self {
            Self::Keyed(n, word, small) => plain(format!("insert into keyed values ({}, '{word}', {small})", id(n))),
            Self::Shared(n) => plain(format!("INSERT INTO keyed (word, id) VALUES ('all', {});", 995 + n)),
            Self::Loose(n, x, rest) => plain(format!("insert into loose values ({}, {x}, {rest})", id(n))),
            Self::Parameters(n, word) => {
                let values = vec![Value::Integer(i64::try_from(id(n)).unwrap_or(0)), word.clone().into()];
                vec![("insert into keyed (id, word) values ($1, $2)".to_owned(), values)]
            }
            Self::Odd(n) => plain(format!("insert into \"odd name\" (\"a b\", \"SELECT\") values ({}, 'x')", id(n))),
            Self::Several(n) => plain(format!("insert into keyed values ({fresh}, 'a', 1), ({}, 'b', 2)", id(n))),
            Self::Returning(n) => plain(format!("insert into keyed values ({}, 'r', 1) returning id", id(n))),
            Self::OrIgnore(n) => plain(format!("insert or ignore into keyed values ({}, 'i', 1)", id(n))),
            Self::Update(n) => plain(format!("update keyed set word = word || 'u' where id = {}", id(n))),
            Self::Delete(n) => plain(format!("delete from loose where id = {}", id(n))),
            Self::Wrong(sql) => plain((*sql).to_owned()),
            Self::Transaction(n, commits) => {
                let end = if *commits { "commit" } else { "rollback" };
                let inserts = [fresh + 1, fresh + 2].map(|id| format!("insert into keyed values ({id}, 't', {n})"));
                let all = ["begin".to_owned()].into_iter().chain(inserts).chain([end.to_owned()]);
                all.map(|sql| (sql, Vec::new())).collect()
            }
            Self::Temporary => plain(format!("create temp table if not exists mine as select {session} as i")),
        }
    }
}

/// What a session was told, statement by statement.
type Told = Vec<(String, Result<u64, String>)>;

async fn run(session: &Session, steps: &[Step], number: usize) -> Told {
    let mut told = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        for (sql, values) in step.statements(number, at) {
            let statement = values.into_iter().fold(Statement::new(&sql), Statement::bind);
            let outcome = session.execute(statement).await;
            let outcome = outcome.map_err(|error| {
                let sqlstate = error.detail().map(|detail| detail.sqlstate.clone()).unwrap_or_default();
                format!("{:?} {sqlstate} {error}", error.code())
            });
            told.push((sql, outcome));
        }
    }
    told
}

/// Everything that is in the tables, in order.
async fn contents(session: &Session) -> Result<Vec<String>, ClientError> {
    let mut all = Vec::new();
    for (table, order) in TABLES {
        for batch in session.query(format!("select * from {table} order by {order}")).await?.collect().await? {
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter().map(|column| array_value_to_string(column, row).expect("text"));
                all.push(format!("{table}: {}", values.collect::<Vec<_>>().join(" | ")));
            }
        }
    }
    Ok(all)
}

/// How often each statement was answered with what: the sessions that share a row may change places.
fn counted(told: &[Told]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for (sql, outcome) in told.iter().flatten() {
        *counts.entry((sql.clone(), format!("{outcome:?}"))).or_default() += 1;
    }
    counts
}

async fn sessions(client: &Client) -> Result<Vec<Session>, ClientError> {
    futures::future::join_all((0..SESSIONS).map(|_| client.session())).await.into_iter().collect()
}

/// Runs the scripts at once on one database, and one after the other on the other one, and compares.
async fn compare(kind: Kind, together: &Client, apart: &Client, scripts: &[Vec<Step>]) -> Result<(), ClientError> {
    let (at_once, one_by_one) = (sessions(together).await?, sessions(apart).await?);
    at_once[0].execute(make_tables(kind)).await?;
    one_by_one[0].execute(make_tables(kind)).await?;
    let running = at_once.iter().zip(scripts).enumerate().map(|(number, (session, steps))| run(session, steps, number));
    let told = futures::future::join_all(running).await;
    let mut expected = Vec::new();
    for (number, (session, steps)) in one_by_one.iter().zip(scripts).enumerate() {
        expected.push(run(session, steps, number).await);
    }
    let (told, expected) = (counted(&told), counted(&expected));
    for (answer, count) in &expected {
        assert_eq!(told.get(answer), Some(count), "{answer:?}\nbut at once: {:#?}", of(&told, &answer.0));
    }
    assert_eq!(told.len(), expected.len());
    assert_eq!(contents(&at_once[0]).await?, contents(&one_by_one[0]).await?);
    Ok(())
}

fn of<'a>(told: &'a BTreeMap<(String, String), usize>, sql: &str) -> Vec<(&'a String, usize)> {
    told.iter().filter(|((text, _), _)| text == sql).map(|((_, outcome), count)| (outcome, *count)).collect()
}

/// Compares so many mixes; how they merged, all in all, is printed.
fn mixes(kind: Kind, seed: u64, cases: u32) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let together = place.client(&kind.named("together"), ClientOptions::default());
    // The one that it is compared with merges nothing.
    let serial = ClientOptions { broker_arguments: vec!["--serial".into()], ..ClientOptions::default() };
    let apart = place.client(&kind.named("apart"), serial);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let scripts = prop::collection::vec(prop::collection::vec(step(kind), 0..8), SESSIONS);
    let outcome = runner.run(&scripts, |scripts| {
        runtime
            .block_on(compare(kind, &together, &apart, &scripts))
            .map_err(|error| TestCaseError::fail(error.to_string()))
    });
    outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let stats = runtime.block_on(together.stats()).expect("statistics").expect("a broker");
    println!(
        "{} statements, {} of them in {} batches",
        stats.statements, stats.merged_statements, stats.merged_batches
    );
    assert!(stats.merged_statements > stats.merged_batches, "nothing was merged");
    let stats = runtime.block_on(apart.stats()).expect("statistics").expect("a broker");
    assert_eq!(stats.merged_statements, 0);
}

fn any_mix_of_statements_ends_as_it_does_one_by_one(kind: Kind) {
    mixes(kind, seed(), CASES);
}

fn soak_any_mix_of_statements_ends_as_it_does_one_by_one(kind: Kind) {
    let over = Instant::now() + soak_time();
    for seed in seed().. {
        mixes(kind, seed, 8 * CASES);
        if Instant::now() > over {
            break;
        }
    }
}
