//! Statements of many sessions at once, merged and one by one, end as the same statements run one after the other: the
//! same tables, the same counts, the same errors. On each engine.
//!
//! What many sessions do at once has one outcome only where they do not meet. So every session writes to rows of its own;
//! where two write the same row, they write the same values, and it is counted how many succeed.

mod operations;
mod sql;

use std::{collections::BTreeMap, time::Instant};

use arrow::util::display::array_value_to_string;
use dbmux_client::{Client, ClientError, ClientOptions, Session, Statement};
use dbmux_testkit::{Kind, Place, seed, soak_time};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const SESSIONS: usize = 16;
const CASES: u32 = 8;

on_each_engine!(any_mix_of_statements_ends_as_it_does_one_by_one);
on_each_engine!(soak: soak_any_mix_of_statements_ends_as_it_does_one_by_one);

/// What a session says: its text, with the rows that go with it, and the statement.
type Said = (String, Statement);

/// One thing that a session does, in SQL or by operations.
#[derive(Debug, Clone)]
enum Step {
    Sql(sql::Step),
    Operation(operations::Step),
}

impl Step {
    fn any(kind: Kind) -> BoxedStrategy<Self> {
        match kind {
            Kind::DuckDb | Kind::Sqlite => sql::step(kind).prop_map(Self::Sql).boxed(),
            Kind::Lance => operations::step().prop_map(Self::Operation).boxed(),
        }
    }

    /// The statements, for this session, at this place in its script.
    fn statements(&self, session: usize, at: usize) -> Vec<Said> {
        match self {
            Self::Sql(step) => step.statements(session, at),
            Self::Operation(step) => vec![step.statement(session, at)],
        }
    }
}

/// Makes the tables anew.
async fn make_tables(kind: Kind, session: &Session) -> Result<(), ClientError> {
    let statements = match kind {
        Kind::DuckDb | Kind::Sqlite => vec![sql::make_tables(kind).into()],
        Kind::Lance => operations::make_tables(),
    };
    for statement in statements {
        session.execute(statement).await?;
    }
    Ok(())
}

/// What a session was told, statement by statement.
type Told = Vec<(String, Result<u64, String>)>;

async fn run(session: &Session, steps: &[Step], number: usize) -> Told {
    let mut told = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        for (text, statement) in step.statements(number, at) {
            let outcome = session.execute(statement).await;
            let outcome = outcome.map_err(|error| {
                let sqlstate = error.detail().map(|detail| detail.sqlstate.clone()).unwrap_or_default();
                format!("{:?} {sqlstate} {error}", error.code())
            });
            told.push((text, outcome));
        }
    }
    told
}

/// Everything that is in the tables, in order.
async fn contents(kind: Kind, session: &Session) -> Result<Vec<String>, ClientError> {
    let mut all = Vec::new();
    let tables = if kind == Kind::Lance { operations::TABLES.as_slice() } else { sql::TABLES.as_slice() };
    for (table, order) in tables {
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
    make_tables(kind, &at_once[0]).await?;
    make_tables(kind, &one_by_one[0]).await?;
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
    assert_eq!(contents(kind, &at_once[0]).await?, contents(kind, &one_by_one[0]).await?);
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
    let scripts = prop::collection::vec(prop::collection::vec(Step::any(kind), 0..8), SESSIONS);
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
