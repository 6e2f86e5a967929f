//! Sessions of the client: which are kept for the next caller, what becomes of the others, and of transactions.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::time::{Duration, Instant};

use dbmux_client::{Client, ClientError, ClientOptions, Session, StatusReply};
use dbmux_testkit::Place;

/// Answers with so many rows, in many batches.
const MANY: &str = "select i, repeat('x', 200) from range(20000000) t(i)";
/// Runs for longer than any test, and answers nothing before its end.
const LONG: &str = "select count(*) from range(10000000) a(i), range(10000000) b(i) where (a.i + b.i) % 7 = 0";
/// How soon the broker must have been told of what its client no longer wants, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn client(place: &Place) -> Client {
    place.client("a.duckdb", ClientOptions::default())
}

async fn status(client: &Client) -> StatusReply {
    client.status().await.expect("it answers").expect("it runs")
}

fn id(session: &Session) -> Vec<u8> {
    session.hello().session.clone()
}

/// Waits until the broker's own report is as it must be.
async fn until_status(client: &Client, what: &str, mut is: impl FnMut(&StatusReply) -> bool) {
    let began = Instant::now();
    loop {
        let status = status(client).await;
        if is(&status) {
            return;
        }
        assert!(began.elapsed() < AT_ONCE, "it never came: {what}: {status:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn count(session: &Session, sql: &str) -> i64 {
    use arrow::{array::AsArray, datatypes::Int64Type};
    let batches = session.query(sql).await.expect("it runs").collect().await.expect("it answers");
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// Sends a statement to a broker that is stopped, and goes away before there is an answer.
async fn send_and_go_away(place: &Place, session: &Session, sql: &str) {
    let _stopped = place.stop_broker();
    let given_up = tokio::time::timeout(Duration::from_millis(200), session.execute(sql)).await;
    assert!(given_up.is_err(), "a stopped broker does not answer");
}

#[tokio::test]
async fn sessions_one_after_the_other_use_one_connection_and_one_session() {
    let place = place();
    let client = client(&place);
    let mut first = None;
    for turn in 0..200 {
        let session = client.session().await.expect("a session");
        assert_eq!(*first.get_or_insert_with(|| id(&session)), id(&session), "turn {turn}");
        assert_eq!(count(&session, "select 42::bigint").await, 42);
    }
    let stats = client.stats().await.expect("it answers").expect("it runs");
    assert_eq!(stats.sessions_opened, 1);
    assert_eq!(status(&client).await.sessions.len(), 1);
    // Those that only asked for a status are gone.
    until_one_connection_is_left(&client).await;
}

async fn until_one_connection_is_left(client: &Client) {
    let began = Instant::now();
    while connections(client) != 1 {
        assert!(began.elapsed() < AT_ONCE, "{} connections are left", connections(client));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Connections that the broker has accepted.
fn connections(client: &Client) -> usize {
    let table = std::fs::read_to_string("/proc/net/unix").expect("the table");
    let socket = client.socket().display().to_string();
    // The sixth field is the state; 03: connected.
    let ours = table.lines().filter(|line| line.ends_with(&socket));
    ours.filter(|line| line.split_whitespace().nth(5) == Some("03")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_at_once_work_over_one_connection() {
    let place = place();
    let client = client(&place);
    client.session().await.expect("a session").execute("create table t (i int)").await.expect("a table");
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(100));
    let work = |i: i64| {
        let (client, gate) = (client.clone(), std::sync::Arc::clone(&gate));
        tokio::spawn(async move {
            let session = client.session().await.expect("a session");
            // All of them are open now.
            gate.wait().await;
            session.execute(format!("create temp table mine as select {i} as i")).await.expect("a temporary table");
            session.execute(format!("insert into t values ({i})")).await.expect("an insert");
            count(&session, "select i::bigint from mine").await
        })
    };
    let all: Vec<_> = (0..100).map(work).collect();
    for (i, one) in all.into_iter().enumerate() {
        assert_eq!(one.await.expect("it ends"), i64::try_from(i).expect("small"), "another one's table was seen");
    }
    let session = client.session().await.expect("a session");
    assert_eq!(count(&session, "select count(distinct i) from t").await, 100);
    drop(session);
    // Those that had state are closed, and do not come back.
    until_status(&client, "sessions with state are closed", |status| status.sessions.len() <= 1).await;
    until_one_connection_is_left(&client).await;
}

#[tokio::test]
async fn no_more_than_a_few_idle_sessions_are_kept() {
    let place = place();
    let client = client(&place);
    let sessions = futures::future::join_all((0..100).map(|_| client.session())).await;
    assert_eq!(status(&client).await.sessions.len(), 100);
    drop(sessions);
    until_status(&client, "the others are closed", |status| status.sessions.len() <= 32).await;
}

#[tokio::test]
async fn what_was_on_its_way_when_its_caller_left_is_never_handed_on() {
    let place = place();
    let client = client(&place);
    client.session().await.expect("a session").execute("create table t (i int)").await.expect("a table");
    for sql in ["begin", "set search_path = 'main'", "create temp table mine (i int)", "select 1; begin"] {
        let session = client.session().await.expect("a session");
        let left = id(&session);
        send_and_go_away(&place, &session, sql).await;
        drop(session);
        let next = client.session().await.expect("a session");
        assert_ne!(id(&next), left, "{sql}");
        next.execute("insert into t values (1)").await.expect("an insert");
        until_status(&client, "the session that was left is closed", |status| status.sessions.len() == 1).await;
        drop(next);
    }
    let other = place.sql("a.duckdb", "select count(*) from t");
    assert_eq!(other, "4", "an insert was not seen: it was in somebody's transaction");
}

#[tokio::test]
async fn an_unread_answer_keeps_its_session_to_itself() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    let first = id(&session);
    let mut answer = session.run("select * from range(300000)").await.expect("it begins");
    let mut rows = answer.next().await.expect("a batch").expect("there are many").num_rows();
    drop(session);
    let other = client.session().await.expect("a session");
    assert_ne!(id(&other), first, "it is still in use");
    assert_eq!(count(&other, "select 42::bigint").await, 42);
    while let Some(batch) = answer.next().await.expect("a batch") {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 300_000);
    assert!(answer.next().await.expect("it is over").is_none());
    let third = client.session().await.expect("a session");
    assert_eq!(id(&third), first, "read to its end, it is free, though the answer is still there");
}

#[tokio::test]
async fn an_answer_that_is_dropped_cancels_its_statement_at_once() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    session.execute("create temp table mine as select 7::bigint as i").await.expect("a table");
    let mut answer = session.run(MANY).await.expect("it begins");
    answer.next().await.expect("a batch");
    let began = Instant::now();
    drop(answer);
    until_status(&client, "the statement is over", |status| status.running.is_empty()).await;
    assert_eq!(count(&session, "select i from mine").await, 7, "the session is the same");
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    drop(session);

    // A session whose last statement may still be at work is not given to the next caller.
    let session = client.session().await.expect("a session");
    let left = id(&session);
    let mut answer = session.run(MANY).await.expect("it begins");
    answer.next().await.expect("a batch");
    drop((answer, session));
    let next = client.session().await.expect("a session");
    assert_ne!(id(&next), left);
    until_status(&client, "it is closed", |status| status.sessions.len() == 1 && status.running.is_empty()).await;
}

#[tokio::test]
async fn a_statement_whose_caller_leaves_is_cancelled_at_once() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    {
        let running = session.run(LONG);
        let seen = until_status(&client, "it runs", |status| status.running.iter().any(|one| one.sql == LONG));
        tokio::select! {
            _ = running => unreachable!("it runs for longer than any test"),
            () = seen => {}
        }
    }
    until_status(&client, "it is over", |status| status.running.is_empty()).await;
    assert_eq!(count(&session, "select 42::bigint").await, 42, "the session goes on");
}

#[tokio::test]
async fn a_commit_that_fails_leaves_no_transaction_behind() {
    let place = place();
    let client = client(&place);
    let one = client.session().await.expect("a session");
    one.execute("create table t (i int primary key)").await.expect("a table");
    let other = client.session().await.expect("a session");
    let (first, second) = (one.begin().await.expect("begun"), other.begin().await.expect("begun"));
    first.execute("insert into t values (1)").await.expect("an insert");
    second.execute("insert into t values (1)").await.expect("it is not seen yet");
    first.commit().await.expect("the first one wins");
    let error = second.commit().await.expect_err("the same key");
    println!("{error} ({:?})", error.code());
    // The session is out of it: this is a statement of its own, and lasts.
    other.execute("insert into t values (2)").await.expect("an insert");
    assert_eq!(place.sql("a.duckdb", "select string_agg(i, ' ' order by i) from t"), "1 2");
    until_status(&client, "no transaction is open", |status| !status.sessions.iter().any(|one| one.in_transaction))
        .await;
    let clean = id(&other);
    drop(other);
    assert_eq!(id(&client.session().await.expect("a session")), clean, "it is as a new one");
}

#[tokio::test]
async fn a_raw_commit_that_fails_does_not_hide_what_it_left() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    session.execute("create table t (i int primary key)").await.expect("a table");
    session.execute("begin").await.expect("begun");
    session.execute("insert into t values (1)").await.expect("an insert");
    place.sql("a.duckdb", "insert into t values (1)");
    session.execute("commit").await.expect_err("the same key");
    let left = id(&session);
    drop(session);
    assert_ne!(id(&client.session().await.expect("a session")), left, "nobody knows what it has");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_and_the_session_lives_on() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    session.execute("create table t (i int); create temp table mine as select 7::bigint as i").await.expect("tables");
    let same = id(&session);
    let transaction = session.begin().await.expect("begun");
    transaction.execute("insert into t values (1)").await.expect("an insert");
    drop(transaction);
    session.execute("insert into t values (2)").await.expect("a statement of its own");
    assert_eq!(place.sql("a.duckdb", "select i from t"), "2");
    assert_eq!(count(&session, "select i from mine").await, 7);
    assert_eq!(id(&session), same);

    // With an answer of it unread, the roll-back has no turn; then the session goes, and that is said once.
    let transaction = session.begin().await.expect("begun");
    transaction.execute("insert into t values (3)").await.expect("an insert");
    let mut answer = transaction.run(MANY).await.expect("it begins");
    answer.next().await.expect("a batch");
    drop(transaction);
    let error = session.execute("insert into t values (4)").await.expect_err("its temporary table is gone");
    assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
    drop(answer);
    session.execute("insert into t values (5)").await.expect("it goes on");
    assert_eq!(place.sql("a.duckdb", "select string_agg(i, ' ' order by i) from t"), "2 5");
}

#[tokio::test]
async fn several_statements_in_one_transaction() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    session.execute("create table t (i int)").await.expect("a table");
    let moved = session.transaction(async |transaction| {
        transaction.execute("insert into t values (1)").await?;
        transaction.execute("insert into t values (2), (3)").await
    });
    assert_eq!(moved.await.expect("committed"), 2);
    let failed = session.transaction(async |transaction| {
        transaction.execute("delete from t").await?;
        transaction.execute("no such statement").await
    });
    failed.await.expect_err("the second fails");
    // On a task of its own, too.
    let task = tokio::spawn(async move {
        let done =
            session.transaction(async |transaction| transaction.execute("delete from t where i = 3").await).await;
        (done, session)
    });
    let (done, session) = task.await.expect("its end");
    assert_eq!(done.expect("committed"), 1);
    assert_eq!(count(&session, "select count(*) from t").await, 2);
}

/// Stops the broker, sends, and kills it: the statement was on its way.
async fn lose(place: &Place, sending: impl Future<Output = Result<u64, ClientError>>) -> ClientError {
    let stopped = place.stop_broker();
    let mut sending = std::pin::pin!(sending);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut sending).await;
    assert!(early.is_err(), "a stopped broker does not answer");
    stopped.kill();
    sending.await.expect_err("its broker is gone")
}

#[tokio::test]
async fn what_is_lost_with_the_broker_is_said_once() {
    let place = place();
    let client = client(&place);
    let session = client.session().await.expect("a session");
    session.execute("create table t (i int)").await.expect("a table");

    // In a transaction: nothing of it lasts, whatever this statement was.
    session.execute("begin").await.expect("begun");
    session.execute("insert into t values (1)").await.expect("an insert");
    let error = lose(&place, session.execute("insert into t values (2)")).await;
    assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
    session.execute("insert into t values (3)").await.expect("it was said");

    // A commit: nobody knows. The temporary table is gone too, and that is said afterwards.
    session.execute("create temp table mine (i int)").await.expect("a table");
    let transaction = session.begin().await.expect("begun");
    transaction.execute("insert into t values (4)").await.expect("an insert");
    let error = lose(&place, async { transaction.commit().await.map(|()| 0) }).await;
    assert!(error.is_outcome_unknown(), "{error}");
    let error = session.execute("insert into t values (5)").await.expect_err("its temporary table is gone");
    assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
    session.execute("insert into t values (6)").await.expect("it was said");

    // A write with nothing to lose: nobody knows, and there is nothing to say afterwards.
    let error = lose(&place, session.execute("insert into t values (7)")).await;
    assert!(error.is_outcome_unknown(), "{error}");
    session.execute("insert into t values (8)").await.expect("there was nothing to lose");

    // Its own texts of several statements may have ended the transaction: then nobody knows.
    session.execute("begin").await.expect("begun");
    session.execute("commit; select 1").await.expect("committed");
    let error = lose(&place, session.execute("insert into t values (9)")).await;
    assert!(error.is_outcome_unknown(), "{error}");
    let rows = place.sql("a.duckdb", "select string_agg(i, ' ' order by i) from t where i in (1, 2, 3, 5, 6, 8)");
    assert_eq!(rows, "3 6 8");
}

#[tokio::test]
async fn a_session_whose_broker_was_killed_while_it_was_idle() {
    let place = place();
    let client = client(&place);
    let (plain, stateful) = (client.session().await.expect("one"), client.session().await.expect("another"));
    plain.execute("create table t (i int)").await.expect("a table");
    stateful.execute("create temp table mine (i int)").await.expect("a table");
    place.kill_brokers();
    plain.execute("insert into t values (1)").await.expect("it was never sent to the dead one");
    let error = stateful.execute("insert into t values (2)").await.expect_err("its temporary table is gone");
    assert!(matches!(error, ClientError::SessionLost { .. }), "{error}");
    stateful.execute("insert into t values (3)").await.expect("it was said");
    assert_eq!(place.sql("a.duckdb", "select string_agg(i, ' ' order by i) from t"), "1 3");
}

#[test]
fn a_session_that_is_dropped_outside_of_a_runtime_is_closed() {
    let place = place();
    let client = client(&place);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let session = runtime.block_on(client.session()).expect("a session");
    runtime.block_on(session.execute("create temp table mine (i int)")).expect("a table");
    drop(session);
    runtime.block_on(until_status(&client, "it is closed", |status| status.sessions.is_empty()));
}

#[test]
fn a_client_outlives_its_runtime() {
    let place = place();
    let client = client(&place);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let first = runtime();
    first.block_on(async {
        let session = client.session().await.expect("a session");
        session.execute("create table t (i int)").await.expect("a table");
    });
    drop(first);
    let second = runtime();
    second.block_on(async {
        let session = client.session().await.expect("a session");
        session.execute("insert into t values (1)").await.expect("it was never sent to the old one");
    });
    drop(second);
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "1");
}

#[tokio::test]
async fn a_relative_program_is_found_from_here() {
    let place = place();
    let here = std::env::current_dir().expect("a directory");
    let mut program: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    program.push(place.binary().strip_prefix("/").expect("absolute"));
    assert!(program.is_relative() && program.exists(), "{}", program.display());
    let runtime_directory = Some(place.path("run"));
    let options = ClientOptions { broker_program: Some(program), runtime_directory, ..ClientOptions::default() };
    let client = Client::open(place.path("a.duckdb"), options).expect("a client");
    client.session().await.expect("it starts").execute("select 1").await.expect("it answers");

    let nowhere = Some("no-such-dbmux".into());
    let options = ClientOptions {
        broker_program: nowhere,
        runtime_directory: Some(place.path("run")),
        ..ClientOptions::default()
    };
    let client = Client::open(place.path("b.duckdb"), options).expect("a client");
    let error = client.session().await.expect_err("there is none");
    assert!(matches!(&error, ClientError::Start { reason, .. } if reason.contains("in PATH")), "{error}");
}
