//! A dbt project through an agent's server, with real dbt on the test project.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use dbmux_testkit::dbt_python;
use serde_json::{Value, json};

use super::agent::Agent;
use crate::dbt::shop::Shop;

/// A server of the project alone.
pub(super) fn agent(shop: &Shop, more: &[&str]) -> Agent {
    let root = shop.project.root().display().to_string();
    Agent::of(shop.place.dbmux(["mcp", "--wait", "2m", "--dbt", &root].iter().chain(more)))
}

pub(super) fn calls(agent: &mut Agent, tool: &str, arguments: Value) -> Value {
    agent.call(tool, arguments).unwrap_or_else(|failure| panic!("{tool}: {failure:#}"))
}

/// The values of a field, of a list of objects.
fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().expect("a list").iter().map(|one| one[field].as_str().unwrap_or_default()).collect()
}

#[test]
fn a_project_is_described_before_anything_is_built() {
    let shop = Shop::new();
    let mut agent = agent(&shop, &[]);
    let info = calls(&mut agent, "get_project_info", json!({}));
    assert_eq!((&info["name"], &info["problems"]), (&json!("company"), &json!([])), "{info:#}");
    assert_eq!((&info["profile"]["adapter"], &info["lock_status"]["state"]), (&json!("duckdb"), &json!("free")));
    assert_eq!(info["profile"]["databases"], json!([shop.database()]), "its path comes from the environment");
    assert!(info["resources"]["model"].as_u64() > Some(15) && info["dbt_version"].as_str().is_some(), "{info:#}");
    assert!(info["lock"]["waited_s"].is_number(), "dbt had to parse it");
    let again = calls(&mut agent, "get_project_info", json!({}));
    assert!(again["lock"].is_null(), "nothing has changed");

    let seeds = calls(&mut agent, "list_resources", json!({ "resource_type": "seed" }));
    assert_eq!(each(&seeds["resources"], "name"), ["departments", "pay_grades"]);
    let page = calls(&mut agent, "list_resources", json!({ "type": "model", "limit": 2, "offset": 1 }));
    assert_eq!((page["resources"].as_array().map(Vec::len), &page["next_offset"]), (Some(2), &json!(3)));
    let info = calls(&mut agent, "get_resource_info", json!({ "resource": "employees" }));
    assert_eq!(info["resource"]["materialized"], "table", "{info:#}");
    assert_eq!(each(&info["resource"]["columns"], "name"), ["employee_id", "salary"]);
    assert_eq!(info["parents"].as_array().map(Vec::len), Some(3));

    let lineage = calls(&mut agent, "get_lineage", json!({ "resource": "employees", "direction": "up" }));
    let names = each(&lineage["upstream"], "name");
    assert!(names.contains(&"stg_departments") && names.contains(&"departments"), "{names:?}");
    assert_eq!(lineage["downstream"], json!([]));
    let near = calls(&mut agent, "get_lineage", json!({ "resource": "employees", "direction": "up", "depth": 1 }));
    assert!(!each(&near["upstream"], "name").contains(&"departments"), "{near:#}");
    let impact = calls(&mut agent, "analyze_impact", json!({ "resource": "stg_employees" }));
    let affected = each(&impact["affected"], "name");
    assert!(affected.contains(&"department_headcount") && !affected.contains(&"stg_departments"), "{affected:?}");
    assert!(impact["counts"]["test"].as_u64() > Some(4) && impact["selection"] == "stg_employees+", "{impact:#}");
    assert!(!std::path::Path::new(&shop.database()).exists(), "nothing of this opens the database");

    let listed = agent.ask("resources/list", json!({}));
    let uris = each(&listed["resources"], "uri");
    assert!(uris.contains(&"dbmux://dbt/model.company.employees"), "{uris:?}");
    let templates = agent.ask("resources/templates/list", json!({}));
    assert_eq!(each(&templates["resourceTemplates"], "uriTemplate"), ["dbmux://dbt/{unique_id}"]);
    let read = agent.ask("resources/read", json!({ "uri": "dbmux://dbt/model.company.employees" }));
    let text = read["contents"][0]["text"].as_str().expect("a text");
    assert!(text.contains("stg_employees"), "{text}");
}

#[test]
fn a_columns_way_is_found_in_what_dbt_compiles() {
    let shop = Shop::new();
    let mut agent = agent(&shop, &[]);
    let ask = json!({ "resource": "department_headcount", "column": "department", "direction": "up" });
    let found = calls(&mut agent, "get_column_lineage", ask);
    let last = found["upstream"].as_array().expect("a list").last().expect("a step");
    assert_eq!(
        (&last["from_resource"], &last["from_column"], &last["as_is"]),
        (&json!("seed.company.departments"), &json!("department"), &json!(true)),
        "{found:#}"
    );
    let ask = json!({ "resource": "pay_grades", "column": "base_salary", "direction": "down" });
    let found = calls(&mut agent, "get_column_lineage", ask);
    let made: Vec<_> = found["downstream"].as_array().expect("a list").iter().map(|made| &made["column"]).collect();
    assert!(made.contains(&&json!("salary")) && made.contains(&&json!("payroll")), "{found:#}");
    let failure = agent.call("get_column_lineage", json!({ "resource": "employees", "column": "shoe_size" }));
    let failure = failure.expect_err("there is none");
    assert!(failure["hint"].as_str().is_some_and(|hint| hint.contains("salary")), "{failure}");
}

#[test]
fn a_project_is_built_and_asked_and_nobody_keeps_it() {
    let shop = Shop::new();
    let mut agent = agent(&shop, &[]);
    let seeds = calls(&mut agent, "load_seeds", json!({}));
    assert_eq!((&seeds["success"], seeds["nodes"].as_array().map(Vec::len)), (&json!(true), Some(2)), "{seeds:#}");
    let built = calls(&mut agent, "build_models", json!({ "vars": { "employees": 50 }, "threads": 2 }));
    assert_eq!((&built["success"], &built["exit_code"]), (&json!(true), &json!(0)), "{built:#}");
    assert!(built["counts"]["pass"].as_u64() > Some(5) && built["lock"]["waited_s"].is_number(), "{built:#}");
    let employees =
        built["nodes"].as_array().expect("nodes").iter().find(|node| node["unique_id"] == "model.company.employees");
    let employees = employees.expect("it was built");
    assert_eq!((&employees["status"], &employees["rows"]), (&json!("success"), &json!(50)), "{employees}");
    // Whoever comes now has the file at once.
    let opens = "import duckdb, sys\n\
         print(duckdb.connect(sys.argv[1]).execute('select count(*) from employees').fetchone()[0])";
    let foreign = Command::new(dbt_python()).args(["-c", opens, &shop.database()]).output().expect("Python starts");
    assert_eq!(String::from_utf8_lossy(&foreign.stdout).trim(), "50", "{}", String::from_utf8_lossy(&foreign.stderr));

    // What was built with other variables is not what the project says.
    let info = calls(&mut agent, "get_project_info", json!({}));
    assert!(info["lock"]["waited_s"].is_number(), "dbt had to parse it: {info:#}");
    assert!(calls(&mut agent, "get_project_info", json!({}))["lock"].is_null());

    let rows =
        calls(&mut agent, "query_database", json!({ "sql": "select count(*) as n from {{ ref('employees') }}" }));
    assert_eq!((&rows["rows"], &rows["columns"][0]["name"]), (&json!([[50]]), &json!("n")), "{rows:#}");
    assert!(rows["sql"].as_str().is_some_and(|sql| sql.contains("employees") && !sql.contains("ref(")), "{rows:#}");
    let page =
        calls(&mut agent, "query_database", json!({ "sql": "select name from employees order by 1", "limit": 30 }));
    let rest = calls(&mut agent, "query_database", json!({ "cursor": page["next_cursor"] }));
    assert_eq!((&page["row_count"], &rest["row_count"]), (&json!(30), &json!(20)));

    let compiled = calls(&mut agent, "compile_models", json!({ "select": "hires" }));
    let sql = compiled["compiled"][0]["sql"].as_str().expect("its SQL");
    assert!(sql.contains("max(hired_on)"), "it is incremental by now: {sql}");
    let all = calls(&mut agent, "run_models", json!({ "select": ["hires"], "full_refresh": true }));
    assert_eq!(each(&all["nodes"], "unique_id"), ["model.company.hires"]);
    let tests = calls(
        &mut agent,
        "test_models",
        json!({ "select": "employees department_headcount", "exclude": "test_type:unit" }),
    );
    assert!(tests["success"] == true && tests["counts"]["pass"].as_u64() >= Some(5), "{tests:#}");
    let snapshots = calls(&mut agent, "snapshot_models", json!({}));
    assert_eq!(snapshots["success"], true, "{snapshots:#}");
    let deps = calls(&mut agent, "install_deps", json!({}));
    assert!(deps["log"].as_str().is_some_and(|log| log.contains("package")), "{deps:#}");
}

#[test]
fn a_model_that_fails_is_told_with_its_error_and_the_server_goes_on() {
    let shop = Shop::new();
    shop.project.write("models/broken.sql", "select no_such_column from {{ ref('departments') }}");
    shop.project.write("models/below.sql", "select * from {{ ref('broken') }}");
    let mut agent = agent(&shop, &[]);
    let built = calls(&mut agent, "build_models", json!({ "select": "+below departments" }));
    assert_eq!((&built["success"], &built["exit_code"]), (&json!(false), &json!(1)), "{built:#}");
    let of = |name: &str| {
        let nodes = built["nodes"].as_array().expect("nodes").iter();
        nodes.clone().find(|node| node["unique_id"] == name).unwrap_or_else(|| panic!("{name}: {built:#}"))
    };
    assert!(of("model.company.broken")["message"].as_str().is_some_and(|text| text.contains("no_such_column")));
    assert_eq!(of("model.company.below")["status"], "skipped");
    assert!(built["log"].as_str().is_some_and(|log| log.contains("no_such_column")), "{built:#}");
    // A project that dbt cannot parse is described, with what is wrong.
    shop.project.write("models/broken.sql", "select * from {{ ref('nobody') }}");
    let info = calls(&mut agent, "get_project_info", json!({}));
    assert!(info["problems"][0].as_str().is_some_and(|text| text.contains("nobody")), "{info:#}");
    let failure = agent.call("list_resources", json!({})).expect_err("it cannot be parsed");
    assert!(failure["code"] == "DBT" && failure["message"].as_str().is_some_and(|text| text.contains("nobody")));
    let failure = agent.call("build_models", json!({})).expect_err("nothing was run");
    assert_eq!(failure["code"], "DBT", "{failure}");
    std::fs::remove_file(shop.path("models/broken.sql")).expect("a file");
    std::fs::remove_file(shop.path("models/below.sql")).expect("a file");
    assert_eq!(calls(&mut agent, "load_seeds", json!({ "select": "departments" }))["success"], true);
}

#[test]
fn what_makes_no_sense_or_is_hostile_is_refused_and_runs_nothing() {
    let shop = Shop::new();
    let mut agent = agent(&shop, &[]);
    let run_query = "{{ run_query('create table main.evil as select 1') }}";
    for (tool, arguments) in [
        ("build_models", json!({ "select": "--profiles-dir /tmp" })),
        ("build_models", json!({ "select": ["a", "--target=other"] })),
        ("run_models", json!({ "exclude": "-h" })),
        ("run_models", json!({ "select": "" })),
        ("run_models", json!({ "target": "--full-refresh" })),
        ("run_models", json!({ "threads": 0 })),
        ("run_models", json!({ "threads": "many" })),
        ("run_models", json!({ "vars": "x: 1" })),
        ("run_models", json!({ "wait": -1 })),
        ("run_models", json!({ "unknown": 1 })),
        ("run_models", json!({ "select": "no_such_model" })),
        ("get_resource_info", json!({})),
        ("get_resource_info", json!({ "resource": "nobody" })),
        ("get_lineage", json!({ "resource": "employees", "direction": "sideways" })),
        ("list_resources", json!({ "resource_type": "nonsense" })),
        ("query_database", json!({})),
        ("query_database", json!({ "cursor": "99.1" })),
        ("query_database", json!({ "sql": format!("select 1 {run_query}") })),
        ("query_database", json!({ "sql": "{% do run_query('drop table x') %} select 1" })),
    ] {
        let failure = agent.call(tool, arguments.clone()).expect_err("it makes no sense");
        assert_eq!(failure["code"], "INVALID_ARGUMENT", "{tool} {arguments}: {failure}");
    }
    calls(&mut agent, "load_seeds", json!({}));
    for sql in [
        "drop table departments",
        "insert into departments select * from departments",
        "select 1; drop table departments",
    ] {
        agent.call("query_database", json!({ "sql": sql })).expect_err(sql);
    }
    let sql = "create table evil as select * from {{ ref('departments') }}";
    agent.call("query_database", json!({ "sql": sql })).expect_err("it writes");
    assert_eq!(shop.sql("select count(*) from information_schema.tables where table_name = 'evil'"), "0");
    assert_eq!(shop.sql("select count(*) from departments"), "8", "nothing has been written");
    let missing = agent.call("query_database", json!({ "sql": "select * from {{ ref('nobody') }}" }));
    assert_eq!(missing.expect_err("there is none")["code"], "DBT");
}

#[test]
fn with_read_only_a_project_is_only_read() {
    let shop = Shop::new();
    let mut agent = agent(&shop, &["--read-only"]);
    let tools = agent.ask("tools/list", json!({}));
    let names = each(&tools["tools"], "name");
    assert!(names.contains(&"get_lineage") && names.contains(&"query_database"), "{names:?}");
    let writing = [
        "run_models",
        "test_models",
        "build_models",
        "load_seeds",
        "snapshot_models",
        "compile_models",
        "install_deps",
    ];
    assert!(writing.iter().all(|name| !names.contains(name)), "{names:?}");
    // Nothing of the project's own code is run: it could write.
    shop.succeeds(&["build"]);
    let evil = "{% if execute %}{% do run_query('create table main.evil as select 1') %}{% endif %}\n\
         select * from {{ ref('departments') }}";
    shop.project.write("models/evil.sql", evil);
    let ask = json!({ "resource": "evil", "column": "department", "direction": "up" });
    let found = calls(&mut agent, "get_column_lineage", ask);
    assert!(found["unknown"][0].as_str().is_some_and(|text| text.contains("has not been compiled")), "{found:#}");
    let rows = calls(&mut agent, "query_database", json!({ "sql": "select count(*) from {{ ref('departments') }} d" }));
    assert_eq!((&rows["rows"], rows["sql"].as_str().is_some_and(|sql| !sql.contains("ref("))), (&json!([[8]]), true));
    assert_eq!(shop.sql("select count(*) from information_schema.tables where table_name = 'evil'"), "0");
    let hints = |tool: &Value| tool["annotations"]["readOnlyHint"] == true;
    assert!(tools["tools"].as_array().expect("a list").iter().all(hints));
}

#[test]
fn two_servers_dbt_and_a_writer_get_along() {
    let shop = Shop::new();
    shop.succeeds(&["build"]);
    shop.sql("create schema app");
    shop.sql("create table app.log (id bigint primary key)");
    let long = std::env::var_os("DBMUX_SOAK_MINUTES").is_some();
    let end = Instant::now() + Duration::from_secs(if long { 60 } else { 15 });
    let (over, database) = (AtomicBool::new(false), shop.database());
    let (mut labelled, mut answers, mut written) = (0, 0, 0);
    std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut rows = 0;
            while !over.load(Ordering::Relaxed) {
                shop.sql(&format!("insert into app.log values ({rows})"));
                rows += 1;
            }
            rows
        });
        let builds = scope.spawn(|| {
            let mut builds = 0;
            while !over.load(Ordering::Relaxed) {
                shop.succeeds(&["build", "--select", "marts"]);
                builds += 1;
            }
            builds
        });
        let servers = [0, 1].map(|server| {
            let (shop, over, database) = (&shop, &over, &database);
            scope.spawn(move || serve(shop, server, database, over))
        });
        while Instant::now() < end && !builds.is_finished() && !writes.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
        for server in servers {
            let (from_snapshot, all) = server.join().expect("a server");
            labelled += from_snapshot;
            answers += all;
        }
        assert!(builds.join().expect("dbt") >= 2);
        written = writes.join().expect("a writer");
    });
    assert_eq!(shop.sql("select count(*), count(distinct id) from app.log"), format!("{written},{written}"));
    assert!(labelled > 0 && labelled < answers && written > 3, "{labelled} of {answers}, {written} rows");
}

/// Asks until it is over, and lets dbt run a model now and then. How many answers came from a snapshot, of how many.
fn serve(shop: &Shop, server: usize, database: &str, over: &AtomicBool) -> (usize, usize) {
    let root = shop.project.root().display().to_string();
    let command = shop.place.dbmux(["mcp", "--wait", "2m", "--db", database, "--dbt", &root]);
    let mut agent = Agent::of(command);
    let (mut labelled, mut answers) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let rows = calls(&mut agent, "query", json!({ "sql": "select count(*) from employees" }));
        assert_eq!(rows["rows"], json!([[1000]]), "{rows}");
        labelled += usize::from(!rows["as_of"].is_null());
        answers += 1;
        if server == 0 && answers % 200 == 0 {
            let run = calls(&mut agent, "run_models", json!({ "select": "hires" }));
            assert_eq!(run["success"], true, "{run:#}");
        }
        calls(&mut agent, "lock_status", json!({}));
    }
    (labelled, answers)
}
