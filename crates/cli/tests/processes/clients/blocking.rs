//! The client's face without `async`: the same promises.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::thread;

use dbmux_client::{
    ClientError, ClientOptions, ErrorCode, Statement, StatementKind, StatementState,
    blocking::{Client, Session},
};
use dbmux_testkit::Place;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn client(place: &Place) -> Client {
    place.blocking_client("a.duckdb", ClientOptions::default())
}

fn rows(session: &Session, sql: &str) -> usize {
    let batches = session.query(sql).expect("it runs").collect().expect("it answers");
    batches.iter().map(arrow::array::RecordBatch::num_rows).sum()
}

#[test]
fn a_transaction_lasts_or_leaves_nothing() {
    let place = place();
    let client = client(&place);
    let session = client.session().expect("a session");
    session.execute("create table t (i int primary key)").expect("a table");
    let done = session.transaction(|transaction| {
        transaction.execute("insert into t values (1)")?;
        transaction.execute("insert into t values (2), (3)")
    });
    assert_eq!(done.expect("committed"), 2);
    // The work fails.
    let failed = session.transaction(|transaction| {
        transaction.execute("delete from t")?;
        Err::<(), _>(ClientError::InvalidArgument("enough".to_owned()))
    });
    assert_eq!(failed.expect_err("it was enough").to_string(), "enough");
    assert_eq!(rows(&session, "select * from t"), 3);
    // The commit fails: it is rolled back, and what comes next is no part of it.
    let other = client.session().expect("a session");
    let failed = session.transaction(|transaction| {
        transaction.execute("insert into t values (4)")?;
        other.execute("insert into t values (4)")
    });
    failed.expect_err("the same key");
    session.execute("insert into t values (5)").expect("a statement of its own");
    assert_eq!(place.sql("a.duckdb", "select string_agg(i, ' ' order by i) from t"), "1 2 3 4 5");
    // Begun by hand, and dropped, and ended by hand.
    let transaction = session.begin().expect("begun");
    transaction.execute("insert into t values (6)").expect("an insert");
    drop(transaction);
    let transaction = session.begin().expect("begun");
    transaction.run("insert into t values (7)").expect("an insert").collect().expect("its end");
    transaction.rollback().expect("rolled back");
    let transaction = session.begin().expect("begun");
    transaction.execute("insert into t values (8)").expect("an insert");
    assert_eq!(transaction.query("select * from t where i = 8").expect("it runs").count(), 1);
    transaction.commit().expect("committed");
    assert_eq!(rows(&session, "select * from t where i in (6, 7, 8)"), 1);
}

#[test]
fn an_answer_tells_what_it_is() {
    let place = place();
    let client = client(&place);
    let session = client.session().expect("a session");
    assert_eq!(session.hello().broker_pid, client.status().expect("a look").expect("it runs").pid);
    let mut answer = session.run("create table t as select i from range(100000) r(i)").expect("it runs");
    assert_eq!((answer.kind(), answer.rows_changed()), (StatementKind::Write, true));
    while answer.next_batch().expect("a batch").is_some() {}
    assert_eq!(client.database(), place.path("a.duckdb").canonicalize().expect("it is there"));
    let mut answer = session.query("select i, i * 2 as j from t").expect("it runs");
    assert_eq!((answer.kind(), answer.rows_changed()), (StatementKind::Read, false));
    assert_eq!(answer.schema().field(1).name(), "j");
    assert!(answer.as_of().is_none() && answer.notices().is_empty());
    let first = answer.next_batch().expect("a batch").expect("there are many").num_rows();
    let rest: usize = answer.map(|batch| batch.expect("a batch").num_rows()).sum();
    assert_eq!(first + rest, 100_000);
}

#[test]
fn a_statement_is_watched_and_cancelled_from_another_thread() {
    let place = place();
    let session = client(&place).session().expect("a session");
    let sql = "select count(*) from range(10000000) a(i), range(10000000) b(i) where (a.i + b.i) % 7 = 0";
    let statement = Statement::new(sql);
    let id = statement.id();
    thread::scope(|scope| {
        let running = scope.spawn(|| session.execute(statement));
        while !session.watch(id).expect("a look").any(|event| event.state() == StatementState::Running) {
            assert!(!running.is_finished(), "it was never seen to run");
        }
        // Once is enough, however early it comes.
        assert!(session.cancel(id).expect("a word"), "it runs");
        let error = running.join().expect("its end").expect_err("it was cancelled");
        assert_eq!(error.code(), ErrorCode::Cancelled, "{error}");
    });
    assert!(!session.cancel(id).expect("a word"), "it is over");
    assert_eq!(session.watch(id).expect("a look").count(), 0);
}

#[tokio::test]
async fn it_works_on_a_thread_of_another_runtime() {
    let place = place();
    let session = client(&place).session().expect("a session");
    session.execute("create temp table mine as select 1 as i").expect("a table");
    assert_eq!(rows(&session, "select * from mine"), 1);
}

#[test]
fn many_threads_share_one_client() {
    let place = place();
    let client = client(&place);
    client.session().expect("a session").execute("create table t (i int)").expect("a table");
    thread::scope(|scope| {
        for i in 0..20 {
            let client = client.clone();
            scope.spawn(move || {
                for _ in 0..5 {
                    let session = client.session().expect("a session");
                    assert_eq!(session.execute(format!("insert into t values ({i})")).expect("an insert"), 1);
                }
            });
        }
    });
    assert_eq!(rows(&client.session().expect("a session"), "select * from t"), 100);
    let opened = client.stats().expect("a look").expect("it runs").sessions_opened;
    assert!(opened <= 20, "{opened} sessions were opened for 20 threads");
}
