//! `dbmux dbt plan`: merged, in order, resumed, side by side.

#![expect(clippy::panic, clippy::expect_used, reason = "a test ends by panicking")]

use super::shop::{Shop, text};

const YEARS: &str = r#"
for_each = { year = [2024, 2025] }
vars = { employees = 200 }
[[step]]
name = "base"
command = "build --select staging marts"
for_each = {}
needs = ["seed"]
[[step]]
name = "seed"
command = "seed"
for_each = {}
[[step]]
name = "staff"
command = "run --select sim_staff"
vars = { year = "{year}" }
needs = ["base", "end@previous"]
[[step]]
name = "exits"
command = "run --select sim_exits"
vars = { year = "{year}" }
needs = ["staff"]
[[step]]
name = "raises"
command = "run --select sim_raises"
vars = { year = "{year}" }
needs = ["staff"]
[[step]]
name = "end"
command = "run --select sim_hires sim_year_end"
vars = { year = "{year}" }
needs = ["exits", "raises"]
"#;

fn plan(shop: &Shop, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let all: Vec<&str> =
        ["dbt", "plan", "plan.toml", "--json", "--wait", "2m"].iter().chain(arguments).copied().collect();
    let output = shop.dbmux(&all).output().expect("dbmux runs");
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {}", text(&output)));
    (output.status.code(), report)
}

fn fates(report: &serde_json::Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().expect("steps");
    steps.iter().map(|step| (step["step"].as_str().expect("a name"), step["what"].as_str().expect("a fate"))).collect()
}

#[test]
fn years_are_built_in_order_and_merged_where_they_can_be() {
    let shop = Shop::new();
    shop.project.write("plan.toml", YEARS);
    let (code, report) = plan(&shop, &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(fates(&report).iter().all(|(_, what)| *what == "done"), "{report:#}");
    let invocation = |name: &str| {
        report["steps"]
            .as_array()
            .and_then(|steps| steps.iter().find(|step| step["step"] == name).map(|step| step["invocation"].clone()))
    };
    assert_eq!(invocation("exits[year=2024]"), invocation("raises[year=2024]"), "they need the same, and go together");
    assert_ne!(invocation("exits[year=2024]"), invocation("exits[year=2025]"));
    let rows = |name: &str| {
        let step = report["steps"].as_array().and_then(|steps| steps.iter().find(|step| step["step"] == name)).cloned();
        step.and_then(|step| step["rows"].as_i64()).unwrap_or_default().to_string()
    };
    let has = "SELECT (SELECT count(*) FROM sim_hires) + (SELECT count(*) FROM sim_year_end)";
    assert_eq!(rows("end[year=2025]"), shop.sql(has), "what the tables have");
    assert_ne!(rows("seed"), "0", "what was loaded");
    let merged = shop.contents();
    // The same by plain dbt, a process a step.
    let plain = Shop::new();
    let dbt = |arguments: &[&str], vars: &str| {
        let output = plain.dbt(&[arguments, &["--vars", vars]].concat()).output().expect("dbt runs");
        assert!(output.status.success(), "{}", text(&output));
    };
    dbt(&["seed"], "employees: 200");
    dbt(&["build", "--select", "staging", "marts"], "employees: 200");
    for vars in ["{employees: 200, year: 2024}", "{employees: 200, year: 2025}"] {
        for models in [&["sim_staff"][..], &["sim_exits"], &["sim_raises"], &["sim_hires", "sim_year_end"]] {
            dbt(&[&["run", "--select"], models].concat(), vars);
        }
    }
    assert_eq!(merged, plain.contents());
}

#[test]
fn what_is_done_is_not_done_again_unless_it_has_changed() {
    let shop = Shop::new();
    shop.project.write("plan.toml", YEARS);
    let (code, report) = plan(&shop, &[]);
    assert_eq!(code, Some(0), "{report:#}");
    let (code, again) = plan(&shop, &["--resume"]);
    assert_eq!(code, Some(0), "{again:#}");
    assert!(fates(&again).iter().all(|(_, what)| *what == "unchanged"), "{again:#}");
    let (_, further) = plan(&shop, &["--resume", "--set", "year=2024..2026"]);
    let ran: Vec<_> = fates(&further).into_iter().filter(|(_, what)| *what == "done").map(|(name, _)| name).collect();
    assert_eq!(ran, ["staff[year=2026]", "exits[year=2026]", "raises[year=2026]", "end[year=2026]"]);
    shop.project
        .write("models/simulation/sim_exits.sql", "select year, employee_id from {{ ref('sim_staff') }} where false\n");
    let (_, changed) = plan(&shop, &["--resume"]);
    assert!(fates(&changed).iter().all(|(_, what)| *what == "done"), "a file has changed: {changed:#}");
}

#[test]
fn a_step_that_fails_stops_what_needs_it_and_nothing_else() {
    let shop = Shop::new();
    shop.project.write("models/independent/m_2.sql", "select * from nothing_like_it\n");
    shop.project.write(
        "plan.toml",
        "[[step]]\nname='a'\ncommand='run --select m_1'\n[[step]]\nname='b'\ncommand='run --select m_2'\n\
         [[step]]\nname='c'\ncommand='run --select m_3'\nneeds=['b']\n[[step]]\nname='d'\ncommand='test --select m_1'\nneeds=['a']\n",
    );
    let (code, report) = plan(&shop, &[]);
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(fates(&report), [("a", "done"), ("b", "failed"), ("c", "blocked"), ("d", "done")]);
    let person = shop.dbmux(&["dbt", "plan", "plan.toml", "--resume"]).output().expect("dbmux runs");
    let said = text(&person);
    assert_eq!(person.status.code(), Some(1), "{said}");
    assert!(said.contains("unfinished: b (failed), c (blocked)") && said.contains("nothing_like_it"), "{said}");
}

#[test]
fn scenarios_have_files_of_their_own() {
    let shop = Shop::new();
    let database = |name: &str| shop.project.place().join(format!("{name}.duckdb"));
    let scenario =
        |name: &str| format!("[[scenario]]\nname='{name}'\nenv={{DBMUX_TEST_DB='{}'}}\n", database(name).display());
    let step = "[[step]]\nname='m'\ncommand='run --select m_1'\n";
    shop.project.write("plan.toml", &format!("{step}{}{}", scenario("low"), scenario("high")));
    let (code, report) = plan(&shop, &["--parallel", "2"]);
    assert_eq!(code, Some(0), "{report:#}");
    for name in ["low", "high"] {
        assert!(database(name).exists() && shop.path(&format!("target/{name}/run_results.json")).exists(), "{name}");
        assert!(shop.path(&format!("logs/{name}/dbt.log")).exists(), "{name}");
    }
}

#[test]
fn what_would_run_is_shown_and_nonsense_is_refused() {
    let shop = Shop::new();
    shop.project.write("plan.toml", YEARS);
    let output = shop.dbmux(&["dbt", "plan", "plan.toml", "--dry-run"]).output().expect("dbmux runs");
    let said = text(&output);
    assert!(output.status.success() && said.contains("raises[year=2025]") && said.contains("end[year=2024]"), "{said}");
    assert!(!shop.project.database().exists() && !shop.path("target").exists(), "nothing has run");
    for (plan, complaint) in [("[[step]\n", "plan.toml"), ("", "no [[step]]"), ("[[step]]\nname='a'\n", "command")] {
        shop.project.write("plan.toml", plan);
        let output = shop.dbmux(&["dbt", "plan", "plan.toml"]).output().expect("dbmux runs");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(complaint), "{}", text(&output));
    }
}
