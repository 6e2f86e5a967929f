//! Who waits for whom: for a foreign dbt, for its deadline, for a kill.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use dbmux_lock::{Lock, LockName};
use dbmux_os::child;

use super::shop::{Guarded, Shop, text, timed, until_locked};

#[test]
fn a_foreign_dbt_is_waited_for_and_named() {
    let shop = Shop::new();
    shop.with_endless_model();
    // The runner is up, and dbt imported: what is measured is the wait.
    shop.succeeds(&["run", "--select", "m_1"]);
    let mut plain = Guarded(shop.dbt(&["run", "--select", "endless"]).spawn().expect("dbt runs"));
    until_locked(&shop, plain.0.id());

    let (refused, took) =
        timed(|| shop.dbmux(&["dbt", "--wait", "2s", "run", "--select", "m_1"]).output().expect("dbmux"));
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(75), "{said}");
    assert!((Duration::from_secs(2)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert!(said.contains("dbt process detected, waiting for completion…"), "{said}");
    assert!(said.contains("dbt is already running in this project. Please wait for it to complete."), "{said}");
    assert!(said.contains(&format!("pid {}", plain.0.id())) && said.contains("--select endless"), "{said}");
    assert!(said.contains("--wait"), "what to do: {said}");

    let (refused, _) =
        timed(|| shop.dbmux(&["sql", &shop.database(), "SELECT 1", "--wait", "500ms"]).output().expect("dbmux"));
    assert!(text(&refused).contains(&format!("pid {}", plain.0.id())), "{}", text(&refused));

    for command in [&["parse"][..], &["ls"], &["compile"]] {
        let all: Vec<&str> = ["dbt", "--wait", "1s"].iter().chain(command).copied().collect();
        let output = shop.dbmux(&all).output().expect("dbmux runs");
        assert_eq!(output.status.code(), Some(75), "{command:?} rewrites target/: {}", text(&output));
    }

    let said = shop.place.path("said");
    let mut waits = Guarded(shop.start_saying(&["run", "--select", "endless"], &said));
    dbmux_testkit::until("it waits", || std::fs::read_to_string(&said).unwrap_or_default().contains("detected"));
    let killed = SystemTime::now();
    plain.0.kill().expect("a signal");
    plain.0.wait().expect("its end");
    let ended = SystemTime::now();
    let sidecar = dbmux_lock::sidecar_path(&shop.project.database());
    let mut began = None;
    dbmux_testkit::until("it has the database", || {
        let lock = Lock::peek(&sidecar, LockName::File).expect("a lock").map(|lock| lock.holders).unwrap_or_default();
        began = lock.iter().find(|ticket| ticket.command.contains("endless")).map(|ticket| ticket.since);
        began.is_some()
    });
    let began = began.expect("it has begun");
    assert!(began >= killed, "not before the other one ends");
    // It may see that end before we do.
    let took = began.duration_since(ended).unwrap_or_default();
    assert!(took < Duration::from_millis(100), "{took:?}");
    child::signal(waits.0.id(), 2).expect("a signal");
    assert!(!waits.0.wait().expect("its end").success());
}

#[test]
fn manifests_are_never_torn_under_the_lock() {
    let shop = Shop::new();
    shop.succeeds(&["parse"]);
    let manifest = shop.path("target/manifest.json");
    let lock = Lock::named("dbt", &dbmux_lock::Scope::Project(shop.project.root())).expect("the lock");
    let read = || {
        let request = dbmux_lock::Request::new(dbmux_lock::Mode::Shared);
        let _guard = lock.acquire(&request).expect("the lock");
        let text = std::fs::read(&manifest).expect("a manifest");
        let whole: serde_json::Value = serde_json::from_slice(&text).expect("a whole manifest");
        whole["metadata"]["generated_at"].as_str().expect("when it was made").to_owned()
    };
    // Those that wait at the same time are parsed at once, so that there may be but one of three.
    let mut seen = BTreeSet::from([read()]);
    for _ in 0..3 {
        let mut parses: Vec<_> = (0..3).map(|_| shop.start(&["parse", "--no-partial-parse"])).collect();
        while parses.iter_mut().any(|parse| parse.try_wait().expect("a child").is_none()) {
            seen.insert(read());
        }
        assert!(parses.into_iter().all(|mut parse| parse.wait().expect("its end").success()));
        seen.insert(read());
    }
    assert!(seen.len() > 3, "each round makes another one: {seen:?}");
}

#[test]
fn whatever_is_killed_in_a_build_the_next_command_works() {
    let shop = Shop::new();
    shop.succeeds(&["build"]);
    shop.with_endless_model();
    shop.sql("CREATE SCHEMA app");
    shop.sql("CREATE TABLE app.log AS SELECT 1 AS n");
    for victim in ["asker", "runner", "dbt", "broker"] {
        shop.sql("INSERT INTO app.log VALUES (2)");
        let before = shop.sql("SELECT count(*) FROM app.log");
        let mut run = Guarded(shop.start_saying(&["run", "--select", "endless"], &shop.place.path("said")));
        let dbt = until_dbt_has_the_database(&shop);
        let runner = shop.place.runners();
        let pid = match victim {
            "asker" => Some(run.0.id()),
            "dbt" => Some(dbt),
            "runner" => runner.first().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()),
            _ => None,
        };
        match pid {
            Some(pid) => kill(pid),
            None => assert_eq!(shop.place.kill_brokers(), 1, "its broker runs"),
        }
        if victim == "broker" {
            // Nobody attaches under dbt: who asks meanwhile waits, and hears for whom.
            let output =
                shop.dbmux(&["sql", &shop.database(), "INSERT INTO app.log VALUES (3)", "--wait", "300ms"]).output();
            let output = output.expect("dbmux runs");
            assert_eq!(output.status.code(), Some(75), "{}", text(&output));
            assert!(text(&output).contains("endless"), "{}", text(&output));
            kill(run.0.id());
        }
        let status = run.0.wait().expect("its end");
        assert!(!status.success(), "{victim}");
        dbmux_testkit::until("dbt is gone, and the file with it", || {
            dbmux_os::holders::holders_of(&shop.project.database())
                .unwrap_or_default()
                .iter()
                .all(|holder| !matches!(&holder.who, dbmux_os::holders::Who::Process(process) if process.id.pid == dbt))
        });
        assert_eq!(shop.sql("SELECT count(*) FROM app.log"), before, "{victim}: nothing acknowledged is lost");
        shop.succeeds(&["run", "--select", "m_1"]);
    }
}

/// The process of dbt that has it.
fn until_dbt_has_the_database(shop: &Shop) -> u32 {
    let mut found = None;
    dbmux_testkit::until("dbt has the database", || {
        let holders = dbmux_os::holders::holders_of(&shop.project.database()).unwrap_or_default();
        found = holders.iter().find_map(|holder| match &holder.who {
            dbmux_os::holders::Who::Process(process) if process.command.contains("python") => Some(process.id.pid),
            _ => None,
        });
        found.is_some()
    });
    found.expect("dbt")
}

/// What a process has used of the processors, in ticks.
fn processor_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
    fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn kill(pid: u32) {
    child::signal(pid, 9).expect("a signal");
}

#[test]
fn ctrl_c_stops_dbt_as_it_stops_without_us() {
    let interrupted = |command: &mut std::process::Command, shop: &Shop| {
        let said = shop.place.path("said");
        let file = std::fs::File::create(&said).expect("a file");
        command.stdout(file.try_clone().expect("a descriptor")).stderr(file);
        let mut run = Guarded(command.spawn().expect("it runs"));
        dbmux_testkit::until("it begins", || std::fs::read_to_string(&said).unwrap_or_default().contains("START"));
        // dbt interrupts what runs at that moment: the statement must have begun.
        let dbt = until_dbt_has_the_database(shop);
        let before = processor_time(dbt);
        dbmux_testkit::until("the model runs", || processor_time(dbt) > before + 50);
        child::signal(run.0.id(), 2).expect("a signal");
        let code = run.0.wait().expect("its end").code();
        (code, std::fs::read_to_string(&said).expect("what it said"))
    };
    let shop = Shop::new();
    shop.with_endless_model();
    let (plain_code, plain) = interrupted(&mut shop.dbt(&["run", "--select", "endless"]), &shop);
    let (code, said) = interrupted(&mut shop.dbmux(&["dbt", "run", "--select", "endless"]), &shop);
    assert_eq!(code, plain_code, "{said}\nplain: {plain}");
    assert!(plain.contains("CANCEL") == said.contains("CANCEL"), "{said}\nplain: {plain}");
    shop.succeeds(&["run", "--select", "m_1"]);
}
