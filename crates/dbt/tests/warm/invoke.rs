//! What an invocation answers, and what it leaves.

use std::{io::Read, os::fd::AsFd, path::Path};

use dbmux_dbt::warm::{Cancel, Outcome, Progress, Restart};

use crate::support::{Place, is_locked, sql};

#[test]
fn builds_all_and_lets_go_of_the_database_each_time() {
    let mut place = Place::new();
    let (outcome, seen) = place.dbt(&["build"]);
    assert_eq!(outcome.exit_code, 0, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(outcome.ended, None);
    assert!(outcome.results.len() > 30, "{:?}", outcome.results);
    assert!(outcome.results.iter().all(|node| ["success", "pass"].contains(&node.status.as_str())));
    assert!(!place.is_locked());
    let pid = place.warm.pid();
    for _ in 0..2 {
        let (outcome, seen) = place.dbt(&["run", "--select", "m_1"]);
        assert_eq!((outcome.exit_code, seen.restart, outcome.ended), (0, None, None), "{}", seen.stdout);
        let nodes: Vec<_> =
            outcome.results.iter().map(|node| (node.unique_id.as_str(), node.status.as_str())).collect();
        assert_eq!(nodes, [("model.company.m_1", "success")]);
        assert!(!place.is_locked());
    }
    assert_eq!(place.warm.pid(), pid);
    assert_eq!(sql(&place.project, "select count(*) from m_1"), "[(97,)]");
}

#[test]
fn a_node_that_fails_fails_alone_and_its_lines_are_known() {
    let mut place = Place::new();
    place.project.write("models/broken.sql", "select no_such_column from {{ ref('m_1') }}\n");
    place.project.write("models/behind.sql", "select * from {{ ref('broken') }}\n");
    let (outcome, seen) = place.dbt(&["run", "--select", "m_1+", "m_2"]);
    assert_eq!((outcome.exit_code, outcome.ended), (1, None));
    let mut nodes: Vec<_> =
        outcome.results.iter().map(|node| (node.unique_id.as_str(), node.status.as_str())).collect();
    nodes.sort_unstable();
    let all = [("behind", "skipped"), ("broken", "error"), ("m_1", "success"), ("m_2", "success")];
    let all: Vec<_> = all.iter().map(|(node, status)| (format!("model.company.{node}"), *status)).collect();
    assert_eq!(nodes, all.iter().map(|(node, status)| (node.as_str(), *status)).collect::<Vec<_>>());
    let broken = outcome.results.iter().find(|node| node.unique_id.ends_with("broken")).expect("its result");
    assert!(broken.message.as_deref().unwrap_or_default().contains("no_such_column"), "{broken:?}");
    // What dbt printed about a node says so, at its end too.
    let about: Vec<_> =
        seen.events.iter().filter(|event| event.node.as_deref() == Some("model.company.broken")).collect();
    let printed: String = about.iter().filter_map(|event| event.text.as_deref()).collect();
    assert!(printed.contains("ERROR creating sql view model main.broken"), "{printed}");
    assert!(printed.contains("Failure in model broken"), "{printed}");
    assert!(!place.is_locked());
}

#[test]
fn what_dbt_does_not_understand_is_told_as_it_tells_it() {
    let mut place = Place::new();
    for arguments in
        [&["run", "--wrong"][..], &["nix"], &["run", "--profile", "nix"], &["--version"], &["run", "--help"]]
    {
        let plain = place.project.dbt(arguments).output().expect("dbt runs");
        let (outcome, seen) = place.dbt(arguments);
        assert_eq!(Some(outcome.exit_code), plain.status.code(), "{arguments:?}: {seen:?}");
        assert_eq!(seen.stderr, String::from_utf8_lossy(&plain.stderr), "{arguments:?}");
    }
    let (outcome, _) = place.dbt(&["run", "--select", "m_1"]);
    assert_eq!(outcome.exit_code, 0, "it is none the worse for it");
}

#[test]
fn tells_which_nodes_a_command_would_run_without_touching_the_database() {
    let mut place = Place::new();
    let root = place.project.root();
    let mut list = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        place.warm.list(&place.setting, &arguments, &root).map(|nodes| nodes.join(" "))
    };
    assert_eq!(list(&["run", "--select", "m_1", "m_2"]).expect("nodes"), "model.company.m_1 model.company.m_2");
    assert_eq!(list(&["seed"]).expect("nodes"), "seed.company.departments seed.company.pay_grades");
    let tests = list(&["test", "--select", "department_headcount"]).expect("nodes");
    assert!(tests.contains("test.company.payroll_is_the_sum_of_salaries"), "{tests}");
    assert!(tests.contains("unit_test.company.department_headcount"), "{tests}");
    assert_eq!(list(&["run", "--select", "nix"]).expect("none"), "");
    let error = list(&["run", "--selector", "nix"]).expect_err("there is no such selector").to_string();
    assert!(error.contains("selector"), "{error}");
    // A new file is seen, though nothing was run in between.
    place.project.write("models/new.sql", "select 1 as one\n");
    let mut list = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        place.warm.list(&place.setting, &arguments, &root).map(|nodes| nodes.join(" "))
    };
    assert_eq!(list(&["run", "--select", "new"]).expect("nodes"), "model.company.new");
    assert!(!place.project.database().exists(), "nothing was opened");
}

#[test]
fn descriptors_stay_open_over_there_until_the_database_is_released_and_no_longer() {
    let mut place = Place::new();
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let mut open_while_it_ran = false;
    let pid = {
        let given = write.as_fd().try_clone_to_owned().expect("a descriptor");
        let mut watched = Some(write);
        let (warm_pid, outcome) = {
            let result =
                place.try_dbt(&["run", "--select", "m_1"], &Cancel::new(), &[given.as_fd()], &mut |progress| {
                    if let Progress::Event(event) = progress
                        && event.name == "NodeStart"
                    {
                        // Ours is closed: what is open is over there.
                        watched.take();
                        open_while_it_ran = true;
                    }
                });
            (place.warm.pid(), result.expect("an outcome").0)
        };
        assert_eq!(outcome.exit_code, 0);
        warm_pid.expect("it runs")
    };
    assert!(open_while_it_ran);
    // The end is seen: nobody has it open. (A pipe that somebody has would block here.)
    assert_eq!(read.read(&mut [0]).expect("the end"), 0);
    let pipes = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").count();
    let before = pipes(pid);
    place.dbt(&["run", "--select", "m_1"]);
    assert_eq!(pipes(pid), before, "nothing is left open from request to request");
    let open = |name: &str| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files").filter_map(Result::ok);
        files.filter_map(|file| file.path().read_link().ok()).any(|file| file.ends_with(Path::new(name)))
    };
    assert!(!open("dbt.log") && !open("company.duckdb"));
}

#[test]
fn a_process_that_keeps_a_file_open_is_not_kept() {
    let mut place = Place::new();
    let other = place.project.place().join("other.duckdb");
    place.project.write(
        "models/holds.py",
        &format!(
            "import sys, duckdb\n\ndef model(dbt, session):\n    print('a word of its own')\n    \
             sys.held = duckdb.connect({:?})\n    return session.sql('select 1 as one')\n",
            other.display().to_string()
        ),
    );
    let (outcome, seen) = place.dbt(&["run", "--select", "holds"]);
    assert_eq!(outcome.exit_code, 0, "{}", seen.stdout);
    assert!(seen.stdout.contains("a word of its own\n"), "{}", seen.stdout);
    assert_eq!(outcome.ended, Some(Restart::Held(other.clone())));
    assert!(other.exists() && !is_locked(&other), "its end was waited for");
    assert_eq!(place.warm.pid(), None);
    let (outcome, seen) = place.dbt(&["run", "--select", "m_1"]);
    assert_eq!((outcome.exit_code, outcome.ended, seen.restart), (0, None, Some(Restart::Held(other))));
}

#[test]
fn tells_how_many_rows_a_table_has_and_prints_and_writes_what_plain_dbt_does() {
    let mut place = Place::new();
    let rows = |outcome: &Outcome, node: &str| {
        let node = outcome.results.iter().find(|result| result.unique_id.ends_with(node)).expect("its result");
        node.rows_affected
    };
    let (outcome, seen) = place.dbt(&["build", "--vars", "employees: 300"]);
    assert_eq!(outcome.exit_code, 0, "{}", seen.stdout);
    for (node, is) in [(".m_1", Some(97)), (".employees", Some(300)), (".stg_employees", None)] {
        assert_eq!(rows(&outcome, node), is, "{node}");
    }
    assert!(outcome.results.iter().all(|node| !node.unique_id.starts_with("test.") || node.rows_affected.is_none()));
    assert!(rows(&outcome, "seed.company.departments").is_some_and(|rows| rows > 0), "dbt-duckdb tells it of seeds");
    // An incremental one: all that it has, not what came last; and a snapshot.
    let next = "{employees: 300, year: 2025}";
    let (outcome, _) = place.dbt(&["build", "--select", "sim_hires", "employee_history", "--vars", next]);
    for node in ["sim_hires", "employee_history"] {
        let counted = sql(&place.project, &format!("select count(*) from {node}"));
        assert_eq!(format!("[({},)]", rows(&outcome, node).expect("its rows")), counted, "{node}");
    }
    assert!(!place.is_locked());
    let log = std::fs::read_to_string(place.project.root().join("logs/dbt.log")).expect("dbt's log");
    assert!(!log.contains("count(*) from \"company\""), "dbt's log is dbt's");
    // What compiles makes nothing.
    let (outcome, _) = place.dbt(&["compile", "--select", "m_1"]);
    assert_eq!(rows(&outcome, ".m_1"), None);
}
