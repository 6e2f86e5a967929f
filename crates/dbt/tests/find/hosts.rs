//! dbt inside of other programs: notebooks, bridges, and what merely has Python or DuckDB.

use std::time::Duration;

use dbmux_dbt::find::{Evidence, Kind, wait_for_dbt_completion};

use super::support::*;

/// Runs dbt in its own process when it is told to, as a notebook does, and lets go when it is told to.
const NOTEBOOK: &str = "
import sys
from dbt.cli.main import dbtRunner
print('imported', flush=True)
for line in sys.stdin:
    if line.strip() == 'let go':
        from dbt.adapters.factory import reset_adapters
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        reset_adapters()
        DuckDBConnectionManager._ENV.close()
    else:
        dbtRunner().invoke(line.split())
    print('done', flush=True)
";

#[test]
fn a_runner_in_a_notebook_is_found_while_it_works_and_while_it_holds() {
    let scene = Scene::new();
    let root = scene.project("proj");
    std::fs::write(scene.path("notebook.py"), NOTEBOOK).expect("a file");
    let (python, script) = (dbt_python().display().to_string(), scene.path("notebook.py").display().to_string());
    let mut notebook = scene.start(&root, &[&python, &script]);
    notebook.hear("imported");
    assert!(look(&root).finds.is_empty(), "it has only imported dbt");

    notebook.say("run --select short");
    notebook.hear("done");
    let find = until_it_is(&root, notebook.pid(), Kind::IdleHolding);
    assert!(find.has_the_lock() && find.is_in_the_way());
    assert!(find.evidence.iter().any(|evidence| matches!(evidence, Evidence::Log { .. })), "{:?}", find.evidence);
    notebook.say("let go");
    notebook.hear("done");
    let find = until_it_is(&root, notebook.pid(), Kind::IdleHolding);
    assert!(!find.has_the_lock() && !find.is_in_the_way(), "{find:#?}");
    assert!(!look(&root).is_dbt_running());

    notebook.say("run --select long");
    until("it runs and holds", || {
        let found = look(&root);
        find_of(&found, notebook.pid()).is_some_and(|find| find.kind == Kind::Running && find.has_the_lock())
    });
}

/// An editor's bridge: under its name, with dbt imported, waiting for requests.
#[test]
fn a_bridge_counts_only_while_it_works_or_holds() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let script = scene.path("node_python_bridge.py");
    std::fs::write(&script, NOTEBOOK).expect("a file");
    let (python, script) = (dbt_python().display().to_string(), script.display().to_string());
    // As agents' bridges do it: no log at all.
    let quiet = [("DBT_LOG_LEVEL_FILE", "none"), ("DBT_LOG_PATH", "/nowhere/at/all")];
    let mut bridge = scene.start_with(&root, &[&python, &script], &quiet[..1]);
    bridge.hear("imported");
    until("it waits, and is none", || look(&root).finds.is_empty());
    let found = look(&root);
    let candidate = found.candidates.iter().find(|candidate| candidate.process.id.pid == bridge.pid());
    let why = candidate.and_then(|candidate| candidate.verdict.clone().err()).expect("it is explained");
    assert!(why.contains("it waits for requests, and holds nothing"), "{why}");
    bridge.say("run --select long");
    let find = until_it_has_the_lock(&root, bridge.pid());
    assert_eq!(find.kind, Kind::Running);
}

/// What dbt-core-mcp starts: a script on the command line, in a loop.
#[test]
fn an_agents_bridge_on_the_command_line_is_the_same() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let code = NOTEBOOK.replace("dbtRunner().invoke", "dbt = dbtRunner(); dbt.invoke");
    let mut bridge = scene.start(&root, &[&dbt_python().display().to_string(), "-c", &code]);
    bridge.hear("imported");
    until("it waits, and is none", || look(&root).finds.is_empty());
    bridge.say("run --select short");
    bridge.hear("done");
    let find = until_it_is(&root, bridge.pid(), Kind::IdleHolding);
    assert!(find.has_the_lock());
}

#[test]
fn who_has_the_file_without_dbt_is_told_apart() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let code = "import duckdb, sys; c = duckdb.connect('small.duckdb'); print('open', flush=True); sys.stdin.read()";
    let mut holder = scene.start(&root, &[&dbt_python().display().to_string(), "-c", code]);
    holder.hear("open");
    let found = look(&root);
    assert!(found.finds.is_empty(), "{:#?}", found.finds);
    assert_eq!(found.other_holders.len(), 1, "{:?}", found.other_holders);
    let candidate = &found.candidates.iter().find(|candidate| candidate.process.id.pid == holder.pid());
    assert!(candidate.is_some_and(|candidate| candidate.verdict.is_err()), "it is explained");
}

/// A notebook beside the models: its relative database is there, and no other evidence tells that it holds anything.
#[test]
fn a_bridge_that_holds_a_relative_file_of_its_own_directory_is_in_the_way() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let profile = "small:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: small.duckdb}\n";
    std::fs::write(root.join("profiles.yml"), profile).expect("a file");
    let script = scene.path("node_python_bridge.py");
    std::fs::write(&script, NOTEBOOK).expect("a file");
    let (python, script) = (dbt_python().display().to_string(), script.display().to_string());
    let quiet = [("DBT_LOG_LEVEL_FILE", "none")];
    let mut bridge = scene.start_with(&root.join("models"), &[&python, &script], &quiet);
    bridge.hear("imported");
    bridge.say("run --select short --project-dir .. --profiles-dir ..");
    bridge.hear("done");
    let search = search(&root).relative_databases(["small.duckdb".into()]);
    until("it waits", || {
        let found = search.look().expect("a look");
        find_of(&found, bridge.pid()).is_some_and(|find| find.kind == Kind::IdleHolding && find.is_in_the_way())
    });
    bridge.say("let go");
    bridge.hear("done");
    wait_for_dbt_completion(&search, Some(Duration::from_secs(20)), None, &mut |_| {}).expect("it has let go");
}
