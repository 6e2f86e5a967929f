//! Plain dbt, however it is started and wherever it is.

use dbmux_dbt::find::{Evidence, Kind, ProjectBy, Search};
use dbmux_os::process;

use super::support::*;

#[test]
fn a_run_is_found_by_lock_log_and_arguments_and_only_in_its_project() {
    let scene = Scene::new();
    let (root, alike) = (scene.project("proj"), scene.project("proj2"));
    let mut dbt = scene.dbt(&root.join("models"), &["run", "--select", "long", "--profiles-dir", ".."]);
    let early = until_it_is(&root, dbt.pid(), Kind::Running);
    assert!(matches!(
        early.evidence.last(),
        Some(Evidence::Arguments { says, project: ProjectBy::Directory(Some(_)) }) if says == "dbt run"
    ));
    let find = until_it_has_the_lock(&root, dbt.pid());
    assert_eq!((find.kind, find.process.id.pid), (Kind::Running, dbt.pid()));
    assert!(find.process.command.contains("dbt run --select long"), "{}", find.process.command);
    assert!(find.evidence.iter().any(|evidence| matches!(evidence, Evidence::Log { .. })), "{:?}", find.evidence);
    let found = look(&root);
    assert_eq!(found.finds.len(), 1, "{:#?}", found.finds);
    assert!(found.is_dbt_running() && found.other_holders.is_empty() && found.blind.is_none());
    assert!(!look(&alike).is_dbt_running(), "its name only begins alike");

    // Left out by name, and with what started it.
    let itself = process::id(dbt.pid()).expect("it runs");
    assert!(search(&root).without(itself).look().expect("a look").finds.is_empty());
    let test = process::id(std::process::id()).expect("it runs");
    assert!(search(&root).without_tree(test).look().expect("a look").finds.is_empty());
    assert_eq!(search(&root).without(test).look().expect("a look").finds.len(), 1);

    // By its log alone, where the database is not known.
    let by_log = Search::new(&root).look().expect("a look");
    assert!(!by_log.finds[0].has_the_lock());
    dbt.kill();
    assert!(look(&root).finds.is_empty());
}

#[test]
fn the_project_is_told_by_option_by_variable_and_through_links() {
    let scene = Scene::new();
    let root = scene.project("Sales");
    let elsewhere = scene.path("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a directory");
    std::os::unix::fs::symlink(&root, scene.path("link")).expect("a link");
    let python = dbt_python().display().to_string();
    let start = |words: &[&str], variables: &[(&str, &str)]| {
        let words = [&[python.as_str(), "-m", "dbt.cli.main"], words].concat();
        scene.start_with(&elsewhere, &words, variables)
    };
    let given = start(&["parse", "--no-partial-parse", "--project-dir", "../Sales"], &[]);
    let variable = scene.path("link").display().to_string();
    let by_variable = start(&["parse", "--no-partial-parse"], &[("DBT_PROJECT_DIR", &variable)]);
    let (mut option, mut set) = (None, None);
    until("both", || {
        let found = look(&root);
        option = option.take().or_else(|| find_of(&found, given.pid()).cloned());
        set = set.take().or_else(|| find_of(&found, by_variable.pid()).cloned());
        option.is_some() && set.is_some()
    });
    let told = |find: &Option<dbmux_dbt::find::Find>| match find.as_ref().map(|find| find.evidence.last().cloned()) {
        Some(Some(Evidence::Arguments { project, .. })) => project,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&option), ProjectBy::Option("../Sales".into()));
    assert_eq!(told(&set), ProjectBy::Variable(variable.into()));
    assert_eq!(option.map(|find| find.kind), Some(Kind::ParseOnly));
}

#[test]
fn a_wrapper_and_its_dbt_are_one_find() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let dbt = dbt_program().display().to_string();
    // As cron and Airflow's BashOperator do it; as `make` does; through a starter.
    std::fs::write(root.join("Makefile"), format!("marts:\n\t@{dbt} run --select long; true\n")).expect("a file");
    let starter = scene.path("uv");
    std::fs::write(&starter, "#!/bin/bash\nshift\n\"$@\"\ntrue\n").expect("a file");
    let line = format!("cd {} && {dbt} run --select long; true", root.display());
    let bash = starter.display().to_string();
    for words in [
        &["bash", "-c", &line][..],
        &["make", "marts"],
        &["bash", &bash, "run", &dbt, "run", "--select", "long"],
        &["timeout", "600", &dbt, "run", "--select", "long"],
    ] {
        let mut wrapper = scene.start(&root, words);
        let find = until_it_has_the_lock(&root, wrapper.pid());
        assert_ne!(find.process.id.pid, wrapper.pid(), "dbt itself is named: {words:?}");
        assert!(find.process.command.contains("dbt run"), "{}", find.process.command);
        assert_eq!(find.processes[0], find.process.id);
        assert_eq!(look(&root).finds.len(), 1, "{words:?}");
        wrapper.kill();
        until("its lock is gone", || look(&root).finds.is_empty());
    }
}

#[test]
fn a_starter_that_has_not_started_dbt_yet_is_found() {
    let scene = Scene::new();
    let root = scene.project("proj");
    // It makes the environment ready, for ever.
    let starter = scene.path("uv");
    std::fs::write(&starter, "read line\n").expect("a file");
    let starter = starter.display().to_string();
    let mut waits = scene.start(&root, &["bash", &starter, "run", "--with", "dbt-duckdb", "dbt", "build"]);
    let find = until_it_is(&root, waits.pid(), Kind::Running);
    assert_eq!(find.process.id.pid, waits.pid());
    let mut other = scene.start(&root, &["bash", &starter, "run", "dbmux", "dbt", "build"]);
    assert!(find_of(&look(&root), other.pid()).is_none(), "ours take turns with us");
    other.kill();
    waits.kill();
    assert!(look(&root).finds.is_empty());
}

#[test]
fn another_projects_dbt_with_this_ones_database_is_found_by_its_lock() {
    let scene = Scene::new();
    let (root, other) = (scene.project("proj"), scene.project("other"));
    let path = root.join("small.duckdb");
    let profile = format!("small:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: {}}}\n", path.display());
    std::fs::write(other.join("profiles.yml"), profile).expect("a file");
    let dbt = scene.dbt(&other, &["run", "--select", "long"]);
    let find = until_it_has_the_lock(&root, dbt.pid());
    assert_eq!((find.kind, find.is_in_the_way()), (Kind::Running, true));
}

/// Where the profile's path is relative, each dbt has its own file, below its own working directory.
#[test]
fn a_relative_database_is_where_each_process_is() {
    let scene = Scene::new();
    let (root, other) = (scene.project("proj"), scene.project("other"));
    for root in [&root, &other] {
        let profile = "small:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: small.duckdb}\n";
        std::fs::write(root.join("profiles.yml"), profile).expect("a file");
    }
    let search = Search::new(&root).databases([root.join("small.duckdb")]).relative_databases(["small.duckdb".into()]);
    let words = ["run", "--select", "long", "--project-dir", "..", "--profiles-dir", ".."];
    let below = scene.dbt(&root.join("models"), &words);
    let elsewhere = scene.dbt(&other, &["run", "--select", "long"]);
    until("both have their files", || {
        let locked = |path: std::path::PathBuf, pid: u32| {
            let holders = dbmux_os::holders::holders_of(&path).unwrap_or_default();
            holders
                .iter()
                .any(|holder| matches!(&holder.who, dbmux_os::holders::Who::Process(process) if process.id.pid == pid))
        };
        locked(root.join("models/small.duckdb"), below.pid()) && locked(other.join("small.duckdb"), elsewhere.pid())
    });
    let found = search.look().expect("a look");
    let find = find_of(&found, below.pid()).expect("it is found");
    let own = root.join("models/small.duckdb");
    assert!(
        find.evidence.iter().any(|evidence| matches!(evidence, Evidence::Lock { database, .. } if *database == own)),
        "{:?}",
        find.evidence
    );
    // Another project's file is called the same, from its own directory.
    assert!(find_of(&found, elsewhere.pid()).is_none(), "{:#?}", found.finds);
    // Without the name, it is found by the rest.
    let without = look(&root);
    assert!(!find_of(&without, below.pid()).expect("by its arguments").has_the_lock());
}
