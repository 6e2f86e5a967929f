//! Sessions that insert the same key at the same moment: one of them has it, and the others are told what they would have
//! been told a moment later. On each engine that has keys.

use dbmux_client::{ClientError, ClientOptions, Session};
use dbmux_testkit::{Kind, Place};

on_each_engine_with_sql!(async: a_key_is_had_once_and_the_others_are_told_one_thing);
// In SQLite the other one waits for the transaction, and is told.
on_duckdb!(async: a_commit_that_comes_too_late_is_told_so_and_has_ended_its_transaction);

const SESSIONS: usize = 6;
const KEYS: usize = 300;

async fn insert_all(session: &Session, number: usize) -> (usize, Vec<String>) {
    // Half of them merge; a temporary table keeps a session's inserts from it.
    if number.is_multiple_of(2) {
        session.execute("create temp table mine as select 1 as i").await.expect("a table of its own");
    }
    let (mut done, mut errors) = (0, Vec::new());
    for key in 0..KEYS {
        match session.execute(format!("insert into t values ({key})")).await {
            Ok(count) => done += usize::try_from(count).expect("a count"),
            Err(error) => {
                let state = error.detail().map(|detail| detail.sqlstate.clone()).unwrap_or_default();
                errors.push(format!("{state} {error}").replace(&format!(" {key}\""), " KEY\""));
            }
        }
    }
    (done, errors)
}

async fn a_key_is_had_once_and_the_others_are_told_one_thing(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let client = place.client(kind.file(), ClientOptions::default());
    let sessions = futures::future::join_all((0..SESSIONS).map(|_| client.session())).await;
    let sessions: Vec<_> = sessions.into_iter().collect::<Result<_, _>>().expect("sessions");
    sessions[0].execute("create table t (id integer primary key)").await.expect("a table");
    let told = sessions.iter().enumerate().map(|(number, session)| insert_all(session, number));
    let told = futures::future::join_all(told).await;
    let stats = client.stats().await.expect("statistics").expect("a broker");
    // SQLite's sessions write one after the other, and cannot meet.
    assert!(stats.conflicts_retried > 0 || kind == Kind::Sqlite, "they never met: this test sees nothing");
    assert_eq!(told.iter().map(|(done, _)| done).sum::<usize>(), KEYS);
    let mut errors: Vec<_> = told.into_iter().flat_map(|(_, errors)| errors).collect();
    assert_eq!(errors.len(), (SESSIONS - 1) * KEYS);
    errors.sort();
    errors.dedup();
    let told = match kind {
        Kind::DuckDb => "23505 Constraint Error: Duplicate key \"id: KEY\" violates primary key constraint.",
        Kind::Sqlite => "23505 UNIQUE constraint failed: t.id",
        Kind::Lance => unreachable!("its tables have no keys"),
    };
    assert_eq!(errors, [told]);
    Ok(())
}

async fn a_commit_that_comes_too_late_is_told_so_and_has_ended_its_transaction(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let client = place.client(kind.file(), ClientOptions::default());
    let (mine, other) = (client.session().await.expect("a session"), client.session().await.expect("a session"));
    mine.execute("create table t (id integer primary key)").await.expect("a table");
    mine.execute("begin").await.expect("begun");
    mine.execute("insert into t values (1)").await.expect("a row");
    other.execute("insert into t values (1)").await.expect("the same row, first to be committed");
    let error = mine.execute("commit").await.expect_err("it is there already");
    let detail = error.detail().expect("a detail");
    assert_eq!(detail.sqlstate, "23505", "{error}");
    assert!(error.to_string().contains("Failed to commit"), "{error}");
    mine.execute("insert into t values (2)").await.expect("a statement of its own");
    assert_eq!(place.sql(kind.file(), "select string_agg(id, ' ' order by id) from t"), "1 2");
    Ok(())
}
