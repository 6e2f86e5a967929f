//! Leases from a program: who is told of, what ends the wait, and what gives the file back.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{process::Command, time::Duration};

use dbmux_client::{
    CancelFlag, ClientError, ClientOptions, ErrorCode, HolderKind, LeaseRequest, LeaseStage, Reads, leased_around,
};
use dbmux_os::process;
use dbmux_testkit::{Place, Shell};

fn request(place: &Place, databases: &[&str]) -> LeaseRequest {
    let paths = databases.iter().map(|database| place.path(database));
    let request = LeaseRequest::new(paths).expect("paths").runtime_directory(Some(place.path("run")));
    request.reads(Reads::Wait).command("a program")
}

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

#[test]
fn the_asker_is_told_for_whom_it_waits() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int)");
    let mut keeper = Shell::start(&place, "a.duckdb", &[]);
    keeper.done("begin; insert into t values (1)");
    let mut told = Vec::new();
    let lease = request(&place, &["a.duckdb"]).acquire(&mut |progress| {
        let holder = progress.holder.as_ref().map(|holder| (holder.kind(), holder.pid));
        let is_new = !told.contains(&(progress.stage, holder));
        told.push((progress.stage, holder));
        if is_new && holder == Some((HolderKind::Session, keeper.pid())) {
            // Whatever came behind it would wait for us.
            keeper.tell("commit");
        }
    });
    let mut lease = lease.expect("a lease");
    assert!(told.contains(&(LeaseStage::Draining, Some((HolderKind::Session, keeper.pid())))), "{told:?}");
    assert_eq!(place.status("a.duckdb")["holders"][0]["command"], "a program");

    let mut worker = Command::new("sleep").arg("60").spawn().expect("a process");
    lease.show_as(process::id(worker.id()).expect("it runs")).expect("the table");
    let status = place.status("a.duckdb");
    assert_eq!((&status["state"], &status["holders"][0]["pid"]), (&"leased".into(), &worker.id().into()), "{status}");
    // A second descriptor does not outlive the lease, while somebody is there to give it back.
    let descriptors = lease.descriptors().expect("descriptors");
    assert_eq!(descriptors.len(), 1);
    lease.verify().expect("it is there");
    drop(lease);
    assert_eq!(place.sql("a.duckdb", "from t"), "1");
    drop(descriptors);
    worker.kill().expect("a kill");
    worker.wait().expect("its end");
}

#[test]
fn all_files_or_none() {
    let place = place();
    place.sql("b.duckdb", "create table t (i int)");
    let mut keeper = Shell::start(&place, "b.duckdb", &[]);
    keeper.done("begin; insert into t values (1)");
    let both = || request(&place, &["b.duckdb", "a.duckdb", "./a.duckdb"]);
    let refused = both().wait(Some(Duration::from_millis(200))).acquire(&mut |_| {}).expect_err("it is in use");
    assert!(matches!(&refused, ClientError::Locked { database, .. } if database.ends_with("b.duckdb")), "{refused:?}");
    assert_eq!((refused.code(), refused.holding_pid()), (ErrorCode::DatabaseLocked, Some(keeper.pid())));
    assert!(refused.is_temporary() && refused.waited().is_some_and(|waited| waited >= Duration::from_millis(200)));
    let a = request(&place, &["a.duckdb"]).wait(Some(Duration::ZERO)).acquire(&mut |_| {}).expect("it is free");
    drop(a);
    keeper.done("commit");
    let lease = both().acquire(&mut |_| {}).expect("both");
    let names: Vec<_> = lease.databases().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["a.duckdb", "b.duckdb"], "each once, in order");
}

#[test]
fn a_wait_can_be_cancelled() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int)");
    let mut keeper = Shell::start(&place, "a.duckdb", &[]);
    keeper.done("begin; insert into t values (1)");
    let cancel = CancelFlag::new();
    let cancelled = request(&place, &["a.duckdb"]).wait(None).cancel(cancel.clone()).acquire(&mut |_| cancel.cancel());
    assert!(matches!(cancelled, Err(ClientError::Cancelled { .. })), "{cancelled:?}");
    assert_eq!(place.sql("a.duckdb", "select 42"), "42");
}

#[test]
fn nobody_runs_inside_of_what_he_has_not_been_given() {
    let place = place();
    let lease = request(&place, &["a.duckdb"]).acquire(&mut |_| {}).expect("a lease");
    assert!(!leased_around(place.path("a.duckdb")).expect("a look"), "it was never told");
    assert!(leased_around(place.path("nowhere/a.duckdb")).is_err());
    // One that is told, and started by the one who has it.
    let (name, value) = lease.environment();
    let mut inside = place.dbmux(["run", "a.duckdb", "--wait", "0", "--", "true"]);
    assert!(inside.env(name, value).status().expect("it runs").success());
    // Another thread of this program may wait for it: it can be given back while the program runs.
    let second = || request(&place, &["a.duckdb"]).wait(Some(Duration::from_millis(200))).acquire(&mut |_| {});
    assert!(matches!(second(), Err(ClientError::Locked { .. })));
    let client = place.blocking_client("a.duckdb", ClientOptions::default());
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| client.session()?.execute("create table t (i int)"));
        dbmux_testkit::until("it waits", || {
            place.status("a.duckdb")["queued"].as_array().is_some_and(|queued| queued.len() == 1)
        });
        drop(lease);
        writes.join().expect("no panic").expect("it was waited for");
    });
}
