//! A broker, or whoever starts one, that is stopped: every step of the client honours its caller's deadline, and says who
//! it is and what to do.

use std::time::{Duration, Instant};

use dbmux_client::{Client, ClientError, ClientOptions, ErrorCode, Statement};
use dbmux_lock::{Lock, LockName, Mode, Request};
use dbmux_testkit::{Place, Stopped};
use rustix::process::{Pid, Signal, kill_process};

/// What a machine that is busy with other tests may add to any time.
const SLACK: Duration = Duration::from_secs(5);

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn waiting(wait: Duration) -> ClientOptions {
    ClientOptions { wait, ..ClientOptions::default() }
}

fn is_named(error: &ClientError, stopped: &Stopped) {
    assert_eq!(error.holding_pid(), Some(stopped.pid()), "{error}");
    assert!(error.holder().is_some_and(|holder| holder.stopped), "{error}");
    let text = format!("does not answer (stopped?): pid {}, state T", stopped.pid());
    assert!(error.to_string().contains(&text), "{error}");
    assert!(error.suggestion().contains(&format!("kill -CONT {}", stopped.pid())), "{}", error.suggestion());
}

#[test]
fn on_the_command_line_it_is_named_at_the_deadline() {
    let place = place();
    place.sql("a.duckdb", "create table t as select 1 as i");
    let stopped = place.stop_broker();
    for (wait, at_least) in [("0", 0), ("300ms", 300), ("2s", 2000)] {
        let began = Instant::now();
        let output = place.run(["sql", "a.duckdb", "insert into t values (2)", "--wait", wait, "--color", "never"]);
        let took = began.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(75), "{text}");
        assert!(text.contains("does not answer (stopped?)") && text.contains("state T"), "{text}");
        assert!(text.contains(&format!("kill -CONT {}", stopped.pid())), "{text}");
        let at_least = Duration::from_millis(at_least);
        assert!(took >= at_least && took < at_least + SLACK, "--wait {wait} took {took:?}");
    }
    let commands = [&["status", "a.duckdb"][..], &["stats", "a.duckdb"], &["stop", "a.duckdb"]];
    std::thread::scope(|scope| {
        for command in commands {
            let place = &place;
            scope.spawn(move || {
                let output = place.run(command);
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(75), "{command:?}: {text}");
                assert!(text.contains("does not answer (stopped?)"), "{command:?}: {text}");
            });
        }
        for command in [&["status"][..], &["who", "a.duckdb"]] {
            let (place, pid) = (&place, stopped.pid().to_string());
            scope.spawn(move || {
                let output = place.run(command);
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success() && text.contains(&pid), "{command:?}: {text}");
            });
        }
    });
    drop(stopped);
    assert_eq!(place.sql("a.duckdb", "select count(*) from t"), "1", "what was given up was never sent");
}

#[tokio::test]
async fn a_new_session_is_not_waited_for_beyond_the_deadline() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    let stopped = place.stop_broker();
    let client = place.client("a.duckdb", waiting(Duration::from_millis(200)));
    // Many at once: one makes the connection, and the others wait for it with deadlines of their own.
    let sessions = futures::future::join_all((0..8).map(|_| client.session()));
    let began = Instant::now();
    for session in sessions.await {
        let error = session.expect_err("it is stopped");
        assert_eq!(error.code(), ErrorCode::DatabaseLocked, "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "it took {:?}", began.elapsed());
    let error = client.session().await.expect_err("it is stopped");
    is_named(&error, &stopped);
    drop(stopped);
    client.session().await.expect("it goes on").execute("select 1").await.expect("it answers");
}

#[tokio::test]
async fn a_statement_on_its_way_ends_at_its_deadline_by_what_it_may_have_done() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int)");
    let client = place.client("a.duckdb", waiting(Duration::from_secs(60)));
    let session = client.session().await.expect("a session");
    session.execute("select 1").await.expect("it answers");
    let stopped = place.stop_broker();
    let wait = Duration::from_millis(300);
    let began = Instant::now();
    let error = session.run(Statement::new("select 1").wait(wait)).await.expect_err("it is stopped");
    assert!(matches!(error, ClientError::NotAnswering { .. }) && error.is_temporary(), "{error}");
    is_named(&error, &stopped);
    let error = session.execute(Statement::new("insert into t values (1)").wait(wait)).await.expect_err("stopped");
    assert!(error.is_outcome_unknown(), "{error}");
    is_named(&error, &stopped);
    assert!(began.elapsed() >= wait * 2 && began.elapsed() < SLACK, "it took {:?}", began.elapsed());
    drop(stopped);
    // The session goes on where the broker does.
    session.execute("insert into t values (2)").await.expect("it answers");
}

#[tokio::test]
async fn a_half_read_answer_ends_at_its_deadline() {
    let place = place();
    let client = place.client("a.duckdb", waiting(Duration::from_secs(60)));
    let session = client.session().await.expect("a session");
    let sql = "select i, repeat('x', 200) from range(20000000) t(i)";
    let statement = Statement::new(sql).wait(Duration::from_millis(500));
    let mut answer = session.run(statement).await.expect("it begins");
    answer.next().await.expect("a batch").expect("there are many");
    let stopped = place.stop_broker();
    // What has come already is given out; then the broker is missed.
    let began = Instant::now();
    let error = loop {
        match answer.next().await {
            Ok(Some(_)) => {}
            Ok(None) => unreachable!("this cannot all have been sent"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ClientError::NotAnswering { .. }), "{error}");
    is_named(&error, &stopped);
    assert!(began.elapsed() < Duration::from_secs(1) + SLACK, "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_statement_that_runs_longer_than_its_wait_is_waited_for() {
    let place = place();
    let wait = Duration::from_millis(100);
    let session = place.client("a.duckdb", ClientOptions::default()).session().await.expect("a session");
    session.execute("select 1").await.expect("it answers");
    let began = Instant::now();
    let sql = "select count(*) from range(15000) a(i), range(15000) b(i) where (a.i + b.i) % 7 = 0";
    session.execute(Statement::new(sql).wait(wait)).await.expect("it is well, and at work");
    assert!(began.elapsed() > wait * 3, "this test saw nothing: {:?}", began.elapsed());
}

#[tokio::test]
async fn who_holds_the_start_lock_is_named() {
    let place = place();
    let client = place.client("a.duckdb", waiting(Duration::from_millis(200)));
    let lock = Lock::open(&client.socket().with_extension("start"), LockName::Plain).expect("the lock");
    let held = lock.acquire(&Request::new(Mode::Exclusive)).expect("nobody has it");
    let began = Instant::now();
    let error = client.session().await.expect_err("somebody starts");
    assert!(matches!(error, ClientError::StartTimedOut { .. }), "{error}");
    assert_eq!(error.holding_pid(), Some(std::process::id()));
    assert!(began.elapsed() < SLACK, "it took {:?}", began.elapsed());
    drop(held);
    client.session().await.expect("it is free");
}

#[tokio::test]
async fn somebody_who_listens_and_says_nothing_is_named() {
    let place = place();
    let client = client_in(&place, Duration::from_millis(300));
    let mute = std::os::unix::net::UnixListener::bind(client.socket()).expect("a socket");
    let began = Instant::now();
    let error = client.session().await.expect_err("it says nothing");
    assert!(matches!(error, ClientError::NotAnswering { .. }), "{error}");
    assert_eq!(error.holding_pid(), Some(std::process::id()));
    assert!(!error.to_string().contains("stopped"), "it runs: {error}");
    assert!(error.suggestion().contains(".log"), "{}", error.suggestion());
    assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "it took {:?}", began.elapsed());
    drop(mute);
    client.session().await.expect("a socket on which nobody listens is in nobody's way");
}

#[tokio::test]
async fn a_crowd_at_the_door_is_waited_for_and_no_second_broker_is_started() {
    let place = place();
    let client = client_in(&place, Duration::from_millis(300));
    let socket = tokio::net::UnixSocket::new_stream().expect("a socket");
    socket.bind(client.socket()).expect("a name");
    let door = socket.listen(1).expect("a door");
    let mut crowd = Vec::new();
    while let Ok(one) = tokio::net::UnixStream::connect(client.socket()).await {
        crowd.push(one);
        assert!(crowd.len() < 100, "the door is wider than it was made");
    }
    let error = client.session().await.expect_err("nobody is let in");
    assert!(matches!(error, ClientError::NotAnswering { .. }), "{error}");
    assert!(!place.path("a.duckdb").exists(), "a broker was started");
    drop(door);
}

fn client_in(place: &Place, wait: Duration) -> Client {
    place.client("a.duckdb", waiting(wait))
}

#[tokio::test]
async fn a_broker_that_is_stopped_while_it_starts_is_named() {
    let place = place();
    let program = place.path("stops-itself");
    std::fs::write(&program, "#!/bin/sh\nkill -STOP $$\n").expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, mode).expect("it can run");
    let options = ClientOptions {
        broker_program: Some(program),
        runtime_directory: Some(place.path("run")),
        ..waiting(Duration::from_millis(500))
    };
    let client = Client::open(place.path("a.duckdb"), options).expect("a client");
    let began = Instant::now();
    let error = client.session().await.expect_err("it is stopped");
    assert!(matches!(error, ClientError::NotAnswering { .. }), "{error}");
    assert!(error.holder().is_some_and(|holder| holder.stopped), "{error}");
    assert!(began.elapsed() < SLACK, "it took {:?}", began.elapsed());
    let pid = i32::try_from(error.holding_pid().expect("its pid")).expect("a pid");
    kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL).expect("a signal");
}
