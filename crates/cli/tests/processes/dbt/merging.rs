//! Requests that wait for the same project go in one invocation, and nobody can see that but by the time.

use super::shop::{Shop, text};

#[test]
fn eight_at_once_build_the_same_tables_as_one_after_the_other() {
    let plain = Shop::new();
    for number in 1..=8 {
        let output = plain.dbt(&["run", "--select", &format!("m_{number}")]).output().expect("dbt runs");
        assert!(output.status.success(), "{}", text(&output));
    }
    let shop = Shop::new();
    let runs: Vec<_> = (1..=8).map(|number| shop.start(&["run", "--select", &format!("m_{number}")])).collect();
    let mut together = 0;
    for (number, run) in (1..).zip(runs) {
        let output = run.wait_with_output().expect("dbmux runs");
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains(&format!("table model main.m_{number} ")), "it hears of its own model: {said}");
        let other = number % 8 + 1;
        assert!(!said.contains(&format!("main.m_{other} ")), "and of no other: {said}");
        assert!(said.contains("Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1"), "{said}");
        together += usize::from(said.contains("requests go in one dbt invocation"));
    }
    assert!(together >= 7, "{together} of eight were merged");
    assert_eq!(shop.contents(), plain.contents());
}

#[test]
fn a_model_that_fails_fails_those_who_asked_for_it_or_for_what_it_held_up() {
    let shop = Shop::new();
    shop.project.write("models/independent/m_3.sql", "select * from nothing_like_it\n");
    shop.project.write("models/independent/after.sql", "select * from {{ ref('m_3') }}\n");
    let asked = ["m_1", "m_2", "m_3", "after", "m_3 after"];
    // The runner takes its time to start: all of them wait for it.
    let runs: Vec<_> = asked
        .iter()
        .map(|models| shop.start(&["run", "--select"].into_iter().chain(models.split(' ')).collect::<Vec<_>>()))
        .collect();
    let outputs: Vec<_> = runs.into_iter().map(|run| run.wait_with_output().expect("dbmux runs")).collect();
    let codes: Vec<_> = outputs.iter().map(|output| output.status.code()).collect();
    let said: Vec<_> = outputs.iter().map(text).collect();
    assert_eq!(codes, [Some(0), Some(0), Some(1), Some(1), Some(1)], "{said:#?}");
    assert!(said[2].contains("nothing_like_it") && said[2].contains("ERROR=1"), "{}", said[2]);
    assert!(said[3].contains("SKIP=1 NO-OP=0 TOTAL=1"), "{}", said[3]);
    assert!(said[0].contains("Completed successfully") && !said[0].contains("nothing_like_it"), "{}", said[0]);
    assert_eq!(shop.sql("SELECT count(*) FROM m_1"), shop.sql("SELECT count(*) FROM m_2"));
}

#[test]
fn order_is_kept_where_merging_would_change_a_result() {
    let shop = Shop::new();
    shop.succeeds(&["seed"]);
    // While one that takes a while runs, the others line up in this order.
    shop.project
        .write("models/slow.sql", "{{ config(materialized='table') }}\nselect sum(hash(a.range + b.range)) as n from range(60000) a, range(20000) b\n");
    let first = shop.start(&["run", "--select", "slow"]);
    dbmux_testkit::until("it runs", || shop.path("target/run/company/models/slow.sql").exists());
    let mut runs = Vec::new();
    for (number, arguments) in
        [["run", "m_1"], ["compile", "m_1"], ["run", "m_2"], ["run", "m_3"]].into_iter().enumerate()
    {
        let said = shop.place.path(&format!("said-{number}"));
        let run = shop.start_saying(&[arguments[0], "--select", arguments[1]], &said);
        // Each is in line before the next one comes.
        let told = || std::fs::read_to_string(&said).unwrap_or_default();
        dbmux_testkit::until("it is in line", || told().contains("waiting for"));
        runs.push((run, said));
    }
    assert!(first.wait_with_output().expect("dbmux runs").status.success());
    let said: Vec<String> = runs
        .into_iter()
        .map(|(mut run, said)| {
            assert!(run.wait().expect("dbmux runs").success());
            std::fs::read_to_string(said).expect("what it said")
        })
        .collect();
    let merged: Vec<bool> = said.iter().map(|said| said.contains("2 requests go in one")).collect();
    assert_eq!(merged, [false, false, true, true], "the compile stands between them: {said:#?}");
}

#[test]
fn sequential_merges_nothing() {
    let shop = Shop::new();
    let runs: Vec<_> =
        (1..=3).map(|number| shop.start(&["--sequential", "run", "--select", &format!("m_{number}")])).collect();
    for run in runs {
        let output = run.wait_with_output().expect("dbmux runs");
        assert!(output.status.success(), "{}", text(&output));
        assert!(!text(&output).contains("in one dbt invocation"), "{}", text(&output));
    }
}
