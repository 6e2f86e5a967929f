//! Statements that do not reach their end, on each engine: cancelled, refused by a full queue, or left by a client that is killed. Each
//! leaves the broker to the next client as if it had never been.

use std::time::{Duration, Instant};

use dbmux_client::{ClientError, ClientOptions, ErrorCode, Statement};
use dbmux_testkit::{Dice, Kind, Place, Shell, T, seed, until};
use rustix::process::Signal;
use serde_json::json;

on_each_engine!(
    an_interrupted_shell_says_so_and_leaves_nothing_behind,
    a_client_killed_in_the_middle_of_a_result_leaves_nothing_behind,
    whoever_never_waits_takes_what_is_free,
);
on_each_engine!(async:
    a_cancelled_statement_is_told_as_that_and_its_session_goes_on,
    a_full_queue_is_told_at_once_with_its_depth,
    whenever_a_write_is_cancelled_its_answer_is_true,
    a_cancel_that_comes_early_is_not_forgotten,
);
on_each_engine_with_sql!(
    a_write_that_is_interrupted_has_not_happened,
    a_transaction_of_a_killed_client_is_undone_at_once
);

on_duckdb!(async: inserts_that_meet_an_open_transaction_wait_as_long_as_each_may);

/// What an interrupt may take, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(5);

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn runs(place: &Place, kind: Kind, statements: usize) {
    until("the statements run", || {
        place.status(kind.file())["running"].as_array().is_some_and(|running| running.len() == statements)
    });
}

/// Nothing is left of a client that has gone.
fn nothing_is_left(place: &Place, kind: Kind) {
    until("its session is closed", || {
        let status = place.status(kind.file());
        status["running"] == json!([]) && status["queued"] == json!([]) && status["sessions"] == json!([])
    });
}

fn an_interrupted_shell_says_so_and_leaves_nothing_behind(kind: Kind) {
    let place = place();
    kind.fill(&place, T, &[&[1]]);
    for signal in [Signal::INT, Signal::TERM] {
        let mut shell = Shell::start(&place, kind.file(), &[]);
        shell.tell(kind.endless());
        runs(&place, kind, 1);
        let began = Instant::now();
        shell.signal(signal);
        let (code, error) = shell.end();
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        if signal == Signal::INT {
            assert_eq!(code, 130, "{error}");
            assert!(error.contains("\"code\":\"CANCELLED\""), "{error}");
        }
        nothing_is_left(&place, kind);
        assert_eq!(place.sql(kind.file(), "select * from t"), "1");
    }
}

fn a_write_that_is_interrupted_has_not_happened(kind: Kind) {
    let place = place();
    place.sql(kind.file(), &kind.create(T));
    let mut shell = Shell::start(&place, kind.file(), &[]);
    shell.tell(&kind.endless_insert(T));
    runs(&place, kind, 1);
    shell.signal(Signal::INT);
    let (code, error) = shell.end();
    assert_eq!(code, 130, "{error}");
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "0");
}

async fn a_cancelled_statement_is_told_as_that_and_its_session_goes_on(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_WORKERS", "1..1");
    kind.fill(&place, T, &[&[1]]);
    let client = place.client(kind.file(), ClientOptions::default());
    let (session, other) = (client.session().await?, client.session().await?);
    if kind.has_transactions() {
        session.execute("create temp table mine as select 7 as i").await?;
    }
    let (running, waiting) = (Statement::new(kind.endless()), Statement::new("select * from t"));
    let (running_id, waiting_id) = (running.id(), waiting.id());
    let cancel_both = async {
        while client.status().await.expect("a status").is_none_or(|status| status.queued.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(other.cancel(waiting_id).await.expect("an answer"), "the one that waits");
        assert!(session.cancel(running_id).await.expect("an answer"), "the one that runs");
    };
    let behind_it = async {
        while client.status().await.expect("a status").is_none_or(|status| status.running.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::join!(other.execute(waiting), cancel_both).0
    };
    let (told_running, told_waiting) = tokio::join!(session.execute(running), behind_it);
    for told in [told_running, told_waiting] {
        let error = told.expect_err("it was cancelled");
        assert_eq!(error.code(), ErrorCode::Cancelled, "{error}");
        assert_eq!(error.detail().map(|detail| detail.sqlstate.as_str()), Some("57014"));
    }
    assert!(!session.cancel(running_id).await?, "it has ended");
    // The very same sessions go on, with what they have.
    let mine = if kind.has_transactions() { "select * from mine" } else { "select * from t" };
    assert_eq!(session.query(mine).await?.collect().await?[0].num_rows(), 1);
    assert_eq!(other.query("select * from t").await?.collect().await?[0].num_rows(), 1);
    Ok(())
}

async fn a_full_queue_is_told_at_once_with_its_depth(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_WORKERS", "1..1").with("DBMUX_QUEUE", "2");
    place.sql(kind.file(), &kind.create(T));
    let client = place.client(kind.file(), ClientOptions::default());
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(client.session().await?);
    }
    let running = Statement::new(kind.endless());
    let id = running.id();
    let (first, others) = sessions.split_first().expect("a session");
    let over = async {
        while client.status().await.expect("a status").is_none_or(|status| status.running.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = Instant::now();
        let asked = others.iter().map(|session| session.query("select 1"));
        let refused = async {
            while client.stats().await.expect("statistics").is_none_or(|stats| stats.queue_full < 5) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let took = began.elapsed();
            first.cancel(id).await.expect("an answer");
            took
        };
        tokio::join!(futures::future::join_all(asked), refused)
    };
    let (told, (answers, took)) = tokio::join!(first.execute(running), over);
    assert_eq!(told.map_err(|error| error.code()), Err(ErrorCode::Cancelled));
    assert!(took < SOON, "{took:?}");
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 5, "one runs, two wait");
    for error in refused {
        assert_eq!(error.code(), ErrorCode::QueueFull, "{error}");
        assert!(error.is_temporary());
        assert_eq!(error.detail().map(|detail| detail.depth), Some(2));
    }
    for session in &sessions {
        session.execute("select 1").await?;
    }
    Ok(())
}

fn a_client_killed_in_the_middle_of_a_result_leaves_nothing_behind(kind: Kind) {
    let place = place();
    kind.fill(&place, T, &[&[1]]);
    let memory = || place.status(kind.file())["memory_bytes"].as_u64().expect("a number");
    let mut clients: Vec<_> = (0..4).map(|_| Shell::start(&place, kind.file(), &[])).collect();
    for client in &mut clients {
        if kind.has_transactions() {
            client.tell(&format!("create temp table mine as {}", kind.rows(100_000, 1)));
        }
        client.tell(&kind.large());
        assert!(client.line().starts_with("{\"i\":0"));
    }
    runs(&place, kind, 4);
    let during = memory();
    for client in &clients {
        client.signal(Signal::KILL);
    }
    nothing_is_left(&place, kind);
    assert_eq!(place.sql(kind.file(), "select * from t"), "1");
    // Released, the memory is the system's again.
    until("the file is released", || place.status(kind.file())["state"] == "released");
    let after = memory();
    println!("{} MiB while they read, {} MiB after", during >> 20, after >> 20);
    assert!(during < 500 << 20, "{during}");
    // The code that ran counts too, and there is more of LanceDB's.
    let bound = if kind == Kind::Lance { 220 << 20 } else { 120 << 20 };
    assert!(after < bound, "{after}");
}

fn a_transaction_of_a_killed_client_is_undone_at_once(kind: Kind) {
    let place = place();
    place.sql(kind.file(), &kind.create(T));
    let mut client = Shell::start(&place, kind.file(), &[]);
    client.done("begin; insert into t values (1)");
    client.signal(Signal::KILL);
    nothing_is_left(&place, kind);
    until("the file is released", || place.status(kind.file())["state"] == "released");
    assert_eq!(place.sql(kind.file(), "select count(*) from t"), "0");
}

async fn whenever_a_write_is_cancelled_its_answer_is_true(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(kind.file(), &kind.create(T));
    let client = place.client(kind.file(), ClientOptions::default());
    let (session, mut dice) = (client.session().await?, Dice(seed()));
    let mut happened = Vec::new();
    for i in 0..200_i64 {
        // Merged ones and others; at any moment of their way.
        // Some are over long before they are cancelled, some long after, and some just then.
        let rows = 500 << dice.roll(13);
        let statement = if i % 2 == 0 { kind.insert(T, &[&[i]]) } else { kind.insert_often(T, i, rows) };
        let (id, pause) = (statement.id(), Duration::from_micros(dice.roll(12_000)));
        let cancel = async {
            tokio::time::sleep(pause).await;
            session.cancel(id).await
        };
        let (told, cancelled) = tokio::join!(session.execute(statement), cancel);
        cancelled?;
        match told {
            Ok(changed) => {
                let all = if i % 2 == 0 { 1 } else { rows };
                assert_eq!(changed, all, "statement {i} was acknowledged in part");
                happened.push((i, all));
            }
            Err(error) => assert_eq!(error.code(), ErrorCode::Cancelled, "{error}"),
        }
    }
    println!("{} of 200 happened", happened.len());
    assert!(happened.len() > 20 && happened.len() < 200, "this test saw one side only");
    // Each of them whole, and none of the others in part.
    let found = place.sql(kind.file(), "select id, count(*) from t group by id order by id");
    let numbers =
        |(i, rows): (&str, &str)| (i.parse::<i64>().expect("a number"), rows.parse::<u64>().expect("a number"));
    let found: Vec<_> = found.lines().filter_map(|line| line.split_once(',')).map(numbers).collect();
    assert_eq!(found, happened);
    Ok(())
}

async fn a_cancel_that_comes_early_is_not_forgotten(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(kind.file(), "select 1");
    let client = place.client(kind.file(), ClientOptions::default());
    let (session, mut dice) = (client.session().await?, Dice(seed()));
    for _ in 0..60 {
        let statement = Statement::new(kind.endless());
        let (id, pause) = (statement.id(), Duration::from_micros(dice.roll(4000)));
        let began = Instant::now();
        // Until it is found: before it has arrived there is nothing to cancel.
        let cancel = async {
            tokio::time::sleep(pause).await;
            while !session.cancel(id).await? {
                tokio::task::yield_now().await;
            }
            Ok::<_, ClientError>(())
        };
        let (told, cancelled) = tokio::join!(tokio::time::timeout(SOON, session.execute(statement)), cancel);
        cancelled?;
        let told = told.expect("the cancel was forgotten");
        assert_eq!(told.map_err(|error| error.code()), Err(ErrorCode::Cancelled), "{:?}", began.elapsed());
    }
    Ok(())
}

/// Another table's definition is in nobody's way in SQLite: there the transaction has the whole file.
async fn inserts_that_meet_an_open_transaction_wait_as_long_as_each_may(kind: Kind) -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(kind.file(), &kind.create(T));
    let client = place.client(kind.file(), ClientOptions::default());
    let (open, patient, hasty) = (client.session().await?, client.session().await?, client.session().await?);
    let transaction = open.begin().await?;
    open.execute("alter table t add column j int").await?;
    let (patient, hasty) = tokio::join!(patient.execute("insert into t values (1)"), async {
        let statement = Statement::new("insert into t values (2)").wait(Duration::from_millis(300));
        let began = Instant::now();
        let told = hasty.execute(statement).await;
        let took = began.elapsed();
        transaction.rollback().await.expect("it is open");
        (told, took)
    });
    let (told, took) = hasty;
    assert_eq!(told.map_err(|error| error.code()), Err(ErrorCode::TransactionConflict));
    assert!(took < SOON, "it waited for one that may wait longer: {took:?}");
    assert_eq!(patient?, 1);
    assert_eq!(place.sql(kind.file(), "select id from t"), "1");
    Ok(())
}

fn whoever_never_waits_takes_what_is_free(kind: Kind) {
    let place = place();
    kind.fill(&place, T, &[&[1]]);
    for turn in 0..12 {
        if turn % 4 == 3 {
            until("the file is released", || place.status(kind.file())["state"] == "released");
        }
        let output = place.run(["sql", kind.file(), "select * from t", "--wait", "0"]);
        assert!(output.status.success(), "{turn}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
