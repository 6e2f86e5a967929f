//! A session that is idle in a transaction, and a result that nobody reads: others see who keeps them waiting, and wait
//! no longer than the limit. On each engine.

use std::time::{Duration, Instant};

use dbmux_client::{ClientError, ClientOptions, ErrorCode};
use dbmux_lock::{Guard, Lock, LockName, Mode, Request, Wait};
use dbmux_testkit::{Foreign, Kind, Place, Shell, T, until};
use serde_json::Value;

on_each_engine!(
    an_unread_result_is_named_and_ended_when_somebody_wants_the_file,
    unread_results_do_not_fill_the_pool_for_ever,
    an_idle_file_is_released_in_time_whatever_was_done_before,
    who_never_waits_is_not_kept_waiting_for_company,
);
on_each_engine_with_sql!(
    an_idle_transaction_is_named_and_ended_when_somebody_wants_the_file,
    a_commit_in_time_is_what_the_others_waited_for,
    an_unread_result_does_not_keep_an_exclusive_statement_and_all_behind_it,
    a_broker_that_is_told_to_end_waits_for_a_transaction_no_longer_than_the_limit,
    statements_of_an_open_transaction_pass_a_full_queue,
);
on_each_engine_with_sql!(async: nothing_of_a_transaction_that_was_ended_happens_by_itself);

on_duckdb!(an_unread_result_does_not_keep_a_writer_from_a_file_that_a_foreign_reader_has_left);

const LIMIT: Duration = Duration::from_millis(1500);

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_IDLE_TRANSACTION", "1500ms")
}

/// Asks for the file as a tool does that must have it for itself.
fn ask_for_the_file(place: &Place, kind: Kind) -> std::thread::JoinHandle<Guard> {
    let path = place.path(kind.file());
    let asking = std::thread::spawn(move || {
        let lock = Lock::open_for_database(&path, LockName::File).expect("the sidecar");
        let request = Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(30))).command("a tool");
        lock.acquire(&request).expect("the file")
    });
    let lock = Lock::open_for_database(&place.path(kind.file()), LockName::File).expect("the sidecar");
    until("somebody waits for the file", || lock.waiting().expect("a look") > 0);
    asking
}

/// A wait that ends in vain names this process, what it is, and since when it is in the way.
#[track_caller]
fn names(error: &Value, kind: Kind, pid: u32) {
    assert_eq!(error["code"], "DATABASE_LOCKED", "{error}");
    assert_eq!(error["holding_pid"], pid, "{error}");
    let holder = &error["holder"];
    assert!(
        holder["command"].as_str().is_some_and(|command| command.contains(&format!("dbmux sql {}", kind.file()))),
        "{error}"
    );
    assert!(holder["held_s"].as_f64().is_some_and(|held| held > 0.0 && held < 60.0), "{error}");
    assert!(holder["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{error}");
}

/// The status names this process as one that keeps the file from others.
#[track_caller]
fn status_names(place: &Place, kind: Kind, pid: u32) {
    until("the status names it", || {
        let holders = place.status(kind.file())["holders"].clone();
        holders.as_array().is_some_and(|holders| holders.iter().any(|holder| holder["pid"] == pid))
    });
}

fn an_idle_transaction_is_named_and_ended_when_somebody_wants_the_file(kind: Kind) {
    let place = place();
    place.sql(kind.file(), &kind.create(T));
    let mut idle = Shell::start(&place, kind.file(), &[]);
    idle.done("begin; insert into t values (1)");
    let since = Instant::now();
    // Nobody waits: it may take its time.
    std::thread::sleep(LIMIT + Duration::from_millis(700));
    assert_eq!(idle.ask("select count(*) as n from t"), "{\"n\":1}");

    let asked = Instant::now();
    let asking = ask_for_the_file(&place, kind);
    until("nobody enters", || !place.run(["sql", kind.file(), "select 1", "--wait", "0"]).status.success());
    let (code, error) = place.fails(&["sql", kind.file(), "select 1", "--wait", "200ms"]);
    assert_eq!(code, 75);
    names(&error, kind, idle.pid());
    assert!(error["holder"]["held_s"].as_f64().expect("a time") >= LIMIT.as_secs_f64(), "since its begin: {error}");
    status_names(&place, kind, idle.pid());
    // Its own statements pass: refusing them would keep what everybody waits for.
    assert_eq!(idle.ask("select count(*) as n from t"), "{\"n\":1}");

    let guard = asking.join().expect("it got the file");
    assert!(asked.elapsed() >= LIMIT && since.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    // Now the tool is the one for whom all wait.
    let (_, error) = place.fails(&["sql", kind.file(), "select 1", "--wait", "1s"]);
    assert_eq!(error["holder"]["command"], "a tool", "{error}");
    drop(guard);

    idle.tell("commit");
    let (code, error) = idle.end();
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("IDLE_TIMEOUT") && error.contains("25P03"), "{error}");
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "0");
}

async fn nothing_of_a_transaction_that_was_ended_happens_by_itself(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_IDLE_TRANSACTION", "500ms");
    place.sql(kind.file(), &kind.create(T));
    let client = place.client(kind.file(), ClientOptions::default());
    let session = client.session().await?;
    session.execute("begin").await?;
    session.execute("insert into t values (1)").await?;
    let asking = ask_for_the_file(&place, kind);
    drop(tokio::task::spawn_blocking(|| asking.join().expect("it got the file")).await.expect("a thread"));
    // However often its client goes on as if nothing had been.
    for sql in ["insert into t values (2)", "select 1", "insert into t values (3)", "commit"] {
        let told = session.execute(sql).await.expect_err(sql);
        assert_eq!(told.code(), ErrorCode::IdleTimeout, "{sql}: {told}");
        assert!(told.suggestion().contains("roll back"), "{told:?}");
    }
    assert_eq!(session.query("select * from t").await?.collect().await?.len(), 0, "part of it has happened");
    // One that rolls back has what it wants.
    session.execute("begin").await?;
    session.execute("insert into t values (4)").await?;
    let asking = ask_for_the_file(&place, kind);
    drop(tokio::task::spawn_blocking(|| asking.join().expect("it got the file")).await.expect("a thread"));
    session.execute("rollback").await?;
    session.execute("insert into t values (5)").await?;
    assert_eq!(place.sql(kind.file(), "select * from t"), "5");
    Ok(())
}

fn a_commit_in_time_is_what_the_others_waited_for(kind: Kind) {
    let place = place();
    place.sql(kind.file(), &kind.create(T));
    let mut busy = Shell::start(&place, kind.file(), &[]);
    busy.done("begin; insert into t values (1)");
    let asking = ask_for_the_file(&place, kind);
    for _ in 0..6 {
        std::thread::sleep(LIMIT / 4);
        busy.done("insert into t values (1)");
    }
    assert!(!asking.is_finished(), "the file was given away under an open transaction");
    busy.tell("commit");
    drop(asking.join().expect("it got the file"));
    assert_eq!(busy.ask("select count(*) as n from t"), "{\"n\":7}");
}

fn an_unread_result_is_named_and_ended_when_somebody_wants_the_file(kind: Kind) {
    let place = place();
    place.sql(kind.file(), "select 1");
    let mut reader = Shell::start(&place, kind.file(), &[]);
    assert!(reader.ask(&kind.large()).starts_with("{\"i\":0"));
    let asked = Instant::now();
    let asking = ask_for_the_file(&place, kind);
    status_names(&place, kind, reader.pid());
    let (code, error) = place.fails(&["sql", kind.file(), "select 1", "--wait", "500ms"]);
    assert_eq!(code, 75);
    names(&error, kind, reader.pid());
    drop(asking.join().expect("it got the file"));
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let (code, error) = reader.end();
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("IDLE_TIMEOUT") && error.contains("not read"), "{error}");
    assert_eq!(place.status(kind.file())["running"], serde_json::json!([]));
}

/// Beside a foreign reader of another engine, writers need not wait.
fn an_unread_result_does_not_keep_a_writer_from_a_file_that_a_foreign_reader_has_left(kind: Kind) {
    let place = place();
    kind.make(&place, &kind.create(T));
    until("the file is released", || place.status(kind.file())["state"] == "released");
    let mut foreign = Foreign::holding(&place.path(kind.file()), true);
    let mut reader = Shell::start(&place, kind.file(), &[]);
    assert!(reader.ask(&kind.large()).starts_with("{\"i\":0"));
    // It waits for the foreign reader first, and then for ours.
    let (_, error) = place.fails(&["sql", kind.file(), "insert into t values (1)", "--wait", "300ms"]);
    assert_eq!(error["holding_pid"], foreign.pid(), "{error}");
    let mut writer = Shell::start(&place, kind.file(), &[]);
    writer.tell("insert into t values (1)");
    until("it waits", || !place.status(kind.file())["queued"].as_array().is_some_and(Vec::is_empty));
    foreign.close();
    let (_, error) = place.fails(&["sql", kind.file(), "insert into t values (2)", "--wait", "600ms"]);
    names(&error, kind, reader.pid());
    writer.done("select 1 as one limit 0");
    let (_, error) = reader.end();
    assert!(error.contains("IDLE_TIMEOUT"), "{error}");
    assert_eq!(place.sql(kind.file(), "select * from t"), "1");
}

fn an_unread_result_does_not_keep_an_exclusive_statement_and_all_behind_it(kind: Kind) {
    let place = place();
    kind.fill(&place, T, &[&[1]]);
    let mut reader = Shell::start(&place, kind.file(), &[]);
    assert!(reader.ask(&kind.large()).starts_with("{\"i\":0"));
    let mut exclusive = Shell::start(&place, kind.file(), &[]);
    exclusive.tell("vacuum; select 'done' as said");
    until("it waits", || !place.status(kind.file())["queued"].as_array().is_some_and(Vec::is_empty));
    let (code, error) = place.fails(&["sql", kind.file(), "select 1", "--wait", "300ms"]);
    assert_eq!((code, &error["code"]), (75, &Value::from("DEADLINE_EXCEEDED")), "{error}");
    assert_eq!(error["holding_pid"], reader.pid(), "{error}");
    assert_eq!(place.sql(kind.file(), "select * from t"), "1");
    assert_eq!(exclusive.line(), "{\"said\":\"done\"}");
}

fn unread_results_do_not_fill_the_pool_for_ever(kind: Kind) {
    let place = place().with("DBMUX_WORKERS", "2..2");
    kind.fill(&place, T, &[&[1]]);
    let mut readers: Vec<_> = (0..2).map(|_| Shell::start(&place, kind.file(), &[])).collect();
    for reader in &mut readers {
        assert!(reader.ask(&kind.large()).starts_with("{\"i\":0"));
    }
    let (_, error) = place.fails(&["sql", kind.file(), "select 1", "--wait", "200ms"]);
    assert_eq!(error["code"], "DEADLINE_EXCEEDED", "{error}");
    assert!(readers.iter().any(|reader| error["holding_pid"] == reader.pid()), "{error}");
    assert_eq!(place.sql(kind.file(), "select * from t"), "1");
}

fn a_broker_that_is_told_to_end_waits_for_a_transaction_no_longer_than_the_limit(kind: Kind) {
    let place = place();
    place.sql(kind.file(), &kind.create(T));
    let mut idle = Shell::start(&place, kind.file(), &[]);
    idle.done("begin; insert into t values (1)");
    let broker = place.brokers();
    let stopping = place.dbmux(["stop", kind.file(), "--wait", "30s"]).spawn().expect("dbmux starts");
    until("it drains", || place.status(kind.file())["state"] == "draining");
    status_names(&place, kind, idle.pid());
    // Nothing new begins there; a new broker serves it when the old one has gone.
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "0");
    assert_ne!(place.brokers(), broker);
    assert!(stopping.wait_with_output().expect("its end").status.success());
    idle.tell("commit");
    let (code, error) = idle.end();
    assert_ne!(code, 0, "{error}");
    assert!(error.contains("IDLE_TIMEOUT") || error.contains("SESSION_LOST"), "{error}");
}

fn an_idle_file_is_released_in_time_whatever_was_done_before(kind: Kind) {
    let place = place().with("DBMUX_RELEASE_AFTER", "300ms");
    let mut shell = Shell::start(&place, kind.file(), &[]);
    shell.done(&kind.create(T));
    for pause in [0, 100, 200, 250] {
        std::thread::sleep(Duration::from_millis(pause));
        shell.done(&kind.delete_all(T));
        assert_eq!(place.status(kind.file())["state"], "attached");
    }
    let idle = Instant::now();
    until("the file is released", || place.status(kind.file())["state"] == "released");
    let took = idle.elapsed();
    assert!(took > Duration::from_millis(200) && took < Duration::from_millis(900), "{took:?}");
}

fn statements_of_an_open_transaction_pass_a_full_queue(kind: Kind) {
    let place = place().with("DBMUX_WORKERS", "1..1").with("DBMUX_QUEUE", "1");
    place.sql(kind.file(), &kind.create(T));
    let mut transaction = Shell::start(&place, kind.file(), &[]);
    transaction.done("begin; insert into t values (1)");
    let mut running = Shell::start(&place, kind.file(), &[]);
    running.tell(kind.endless());
    until("it runs", || place.status(kind.file())["running"].as_array().is_some_and(|running| running.len() == 1));
    let mut queued = Shell::start(&place, kind.file(), &[]);
    queued.tell("select 1");
    until("it is queued", || place.status(kind.file())["queued"].as_array().is_some_and(|queued| queued.len() == 1));
    let (code, error) = place.fails(&["sql", kind.file(), "select 1"]);
    assert_eq!((code, &error["code"]), (75, &Value::from("QUEUE_FULL")), "{error}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("1 statements wait")), "{error}");
    transaction.done("insert into t values (2)");
    transaction.tell("commit");
    until("it has committed", || {
        let sessions = place.status(kind.file())["sessions"].clone();
        sessions.as_array().is_some_and(|all| all.iter().all(|session| session["in_transaction"] == false))
    });
    drop(running);
    assert_eq!(queued.line(), "{\"1\":1}");
    assert_eq!(transaction.ask("select count(*) as n from t"), "{\"n\":2}");
}

fn who_never_waits_is_not_kept_waiting_for_company(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let options = ClientOptions { wait: Duration::ZERO, ..ClientOptions::default() };
    let session = place.blocking_client(kind.file(), options).session().expect("a session");
    session.execute(kind.create(T)).expect("it is made");
    for number in 0..200 {
        session.execute(kind.insert(T, &[&[number]])).expect("nobody is in its way");
    }
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "200");
}
