//! What each member of a merged invocation comes to, when another one fails, or leaves.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::path::PathBuf;

use dbmux_os::child;

use super::shop::{Guarded, Shop, text};

/// A member that runs, and what it has said so far.
struct Member {
    run: Guarded,
    said: PathBuf,
}

impl Member {
    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).expect("what it said")
    }

    fn end(&mut self) -> (Option<i32>, String) {
        let code = self.run.0.wait().expect("its end").code();
        (code, self.said())
    }
}

/// Starts these while another one runs: they line up in this order, and go together.
fn together(shop: &Shop, commands: &[&str]) -> Vec<Member> {
    let holder = Gate::new(shop, "holder");
    let mut held = Guarded(shop.start_saying(&["run", "--select", "holder"], &shop.place.path("said")));
    holder.until_it_runs();
    let start = |(number, command): (usize, &&str)| {
        let said = shop.place.path(&format!("said-{number}"));
        let run = Guarded(shop.start_saying(&command.split(' ').collect::<Vec<_>>(), &said));
        let member = Member { run, said };
        dbmux_testkit::until("it is in line", || member.said().contains("waiting for"));
        member
    };
    let members = commands.iter().enumerate().map(start).collect();
    holder.open();
    assert!(held.0.wait().expect("its end").success());
    members
}

/// A model that runs until it is told to end.
struct Gate {
    began: PathBuf,
    go: PathBuf,
}

impl Gate {
    fn new(shop: &Shop, name: &str) -> Self {
        let path = |what: &str| shop.place.path(&format!("{name}-{what}"));
        let gate = Self { began: path("began"), go: path("go") };
        let waits = format!(
            "open({:?}, 'w').close()\ndeadline = time.monotonic() + 60\nwhile not os.path.exists({:?}):\n    assert time.monotonic() < deadline\n    time.sleep(0.01)",
            gate.began, gate.go
        );
        python(shop, name, &waits);
        gate
    }

    fn until_it_runs(&self) {
        dbmux_testkit::until("it runs", || self.began.exists());
    }

    fn open(&self) {
        std::fs::write(&self.go, "").expect("a file");
    }
}

/// A Python model that does this before it makes its table.
fn python(shop: &Shop, name: &str, does: &str) {
    let does = does.replace('\n', "\n    ");
    let model = format!(
        "import os, time\n\ndef model(dbt, session):\n    dbt.config(materialized=\"table\")\n    {does}\n    return session.sql(\"select 1 as n\")\n"
    );
    shop.project.write(&format!("models/{name}.py"), &model);
}

#[test]
fn whoever_leaves_takes_nothing_with_it() {
    let shop = Shop::new();
    let gate = Gate::new(&shop, "gate");
    let mut members = together(&shop, &["run --select m_1 gate", "run --select m_2", "run --select m_3 gate"]);
    gate.until_it_runs();
    assert!(members.iter().all(|member| member.said().contains("3 requests go in one dbt invocation")));
    child::signal(members[2].run.0.id(), 2).expect("a signal");
    // It is gone while the model that it waited for still runs.
    let (code, said) = members[2].end();
    assert_eq!(code, Some(130), "{said}");
    for member in &mut members[..2] {
        assert!(member.run.0.try_wait().expect("a child").is_none(), "{}", member.said());
    }
    gate.open();
    for (member, (own, total)) in members.iter_mut().zip([("m_1", 2), ("m_2", 1)]) {
        let (code, said) = member.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("Done. PASS={total} WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL={total}")), "{said}");
        assert!(said.contains(&format!("table model main.{own} ")) && !said.contains("main.m_3 "), "{said}");
    }
    assert_eq!(shop.sql("SELECT n FROM gate"), "1");
    assert_eq!(shop.sql("SELECT count(*) FROM m_1"), "97");
    shop.succeeds(&["run", "--select", "m_3"]);
}

/// Two connections write the same row: the second one fails, as DuckDB has it, the first time.
const CONFLICT: &str = "
if os.path.exists(FLAG):
    return session.sql('select 2 as n')
open(FLAG, 'w').close()
session.cursor().execute('create table if not exists counter as select 1 as n')
first = session.cursor()
first.execute('begin')
first.execute('update counter set n = 2')
try:
    session.cursor().execute('update counter set n = 3')
finally:
    first.execute('rollback')";

#[test]
fn what_failed_by_a_conflict_is_done_again_with_all_that_nothing_else_holds_up() {
    let shop = Shop::new();
    let flag = format!("{:?}", shop.place.path("flag"));
    python(&shop, "once", &CONFLICT.replace("FLAG", &flag));
    shop.project.write("models/broken.sql", "select * from nothing_like_it\n");
    for (name, sql) in [
        ("after_once", "select n from {{ ref('once') }}"),
        ("long_after_once", "select n from {{ ref('after_once') }}"),
        ("after_broken", "select * from {{ ref('broken') }}"),
        ("after_both", "select n from {{ ref('once') }} union all select * from {{ ref('broken') }}"),
    ] {
        shop.project.write(&format!("models/{name}.sql"), &format!("{sql}\n"));
    }
    let commands = [
        "run --select once after_once long_after_once",
        "run --select long_after_once m_1",
        "run --select broken after_broken",
        "run --select after_both",
    ];
    let ended: Vec<_> = together(&shop, &commands).iter_mut().map(Member::end).collect();
    let codes: Vec<_> = ended.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [Some(0), Some(0), Some(1), Some(1)], "{ended:#?}");
    for (_, said) in &ended {
        assert!(said.contains("4 requests go in one dbt invocation"), "{said}");
        assert!(said.contains("once, after_once, long_after_once failed by a lock or a conflict"), "{said}");
    }
    assert!(
        ended[0].1.contains("Conflict on") && ended[0].1.contains("PASS=3 WARN=0 ERROR=0 SKIP=0"),
        "{}",
        ended[0].1
    );
    assert!(ended[3].1.contains("SKIP=1 NO-OP=0 TOTAL=1"), "{}", ended[3].1);
    assert_eq!(shop.sql("SELECT n FROM long_after_once"), "2");
    let tables = "SELECT count(*) FROM duckdb_views() WHERE view_name IN ('after_both', 'after_broken')";
    assert_eq!(shop.sql(tables), "0");
    // Alone, it is the same.
    std::fs::remove_file(shop.place.path("flag")).expect("the flag");
    let alone = shop.run(&["run", "--select", "once+", "broken+"]);
    let said = text(&alone);
    assert_eq!(alone.status.code(), Some(1), "{said}");
    assert!(said.contains("once, after_once, long_after_once failed by"), "{said}");
}

#[test]
fn a_global_one_excludes_other_projects_global_ones_and_no_others() {
    let shop = Shop::new();
    let other = dbmux_testkit::DbtProject::new();
    shop.with_endless_model();
    let said = shop.place.path("said");
    let mut endless = Guarded(shop.start_saying(&["--scope", "global", "run", "--select", "endless"], &said));
    dbmux_testkit::until("it runs", || std::fs::read_to_string(&said).unwrap_or_default().contains("START"));
    let parse = |scope: &str, wait: &str| {
        let mut command = shop.dbmux(&["dbt", "--wait", wait, "--scope", scope, "parse"]);
        command.current_dir(other.root()).envs(other.environment()).output().expect("dbmux runs")
    };
    let refused = parse("global", "3s");
    assert_eq!(refused.status.code(), Some(75), "{}", text(&refused));
    assert!(text(&refused).contains("--select endless"), "it says for whom: {}", text(&refused));
    let beside = parse("project", "2m");
    assert!(beside.status.success(), "{}", text(&beside));
    assert!(endless.0.try_wait().expect("a child").is_none(), "it has run all the time");
    child::signal(endless.0.id(), 2).expect("a signal");
    endless.0.wait().expect("its end");
    let after = parse("global", "2m");
    assert!(after.status.success(), "{}", text(&after));
}
