//! What is printed is what plain dbt prints.

use crate::support::Place;

/// Without what differs from run to run: times of day, durations.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut digits = false;
        for c in line.chars() {
            let digit = c.is_ascii_digit();
            if !(digit && digits) {
                out.push(if digit { '0' } else { c });
            }
            digits = digit;
        }
        out.push('\n');
    }
    // How long a duration's text is decides how many dots stand before it.
    while out.contains("..") {
        out = out.replace("..", ".");
    }
    out
}

/// Each of these commands in turn, by plain dbt and by a warm one, on a project that both find built, and parsed.
fn the_same_lines(commands: &[&[&str]]) {
    let mut place = Place::new();
    assert_eq!(place.dbt(&["build"]).0.exit_code, 0);
    for arguments in commands {
        let plain = place.project.dbt(*arguments).output().expect("dbt runs");
        let (outcome, seen) = place.dbt(arguments);
        let (plain_text, code) = (String::from_utf8_lossy(&plain.stdout).into_owned(), plain.status.code());
        assert_eq!(Some(outcome.exit_code), code, "{arguments:?}: {}{}", seen.stdout, seen.stderr);
        assert_eq!(timeless(&seen.stdout), timeless(&plain_text), "{arguments:?}");
        assert_eq!(seen.stderr, String::from_utf8_lossy(&plain.stderr), "{arguments:?}");
        assert!(!place.is_locked(), "{arguments:?}");
        assert_eq!(outcome.ended, None, "{arguments:?}");
    }
}

#[test]
fn a_run_prints_what_plain_dbt_prints() {
    the_same_lines(&[
        &["run", "--select", "m_1", "m_2"],
        &["run", "--select", "m_1", "--log-format", "json", "--quiet"],
        &["compile", "--select", "hires"],
    ]);
}

#[test]
fn what_is_listed_and_shown_is_what_plain_dbt_prints() {
    the_same_lines(&[
        &["ls", "--select", "sim_staff+"],
        &["ls", "--output", "json", "--select", "m_1"],
        &["show", "--select", "department_headcount", "--limit", "3"],
        &["show", "--inline", "select 42 as answer", "--output", "json"],
    ]);
}

#[test]
fn tests_seeds_and_snapshots_print_what_plain_dbt_prints() {
    the_same_lines(&[
        &["test", "--select", "employees", "--no-use-colors"],
        &["seed", "--full-refresh"],
        &["snapshot"],
    ]);
}

#[test]
fn a_parse_and_what_fails_print_what_plain_dbt_prints() {
    the_same_lines(&[&["parse"], &["run-operation", "nix"]]);
}

/// What dbt has written of the project, without when it did.
fn artifact(place: &Place, name: &str) -> serde_json::Value {
    fn timeless(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(entries) => {
                for of_the_time in [
                    "created_at",
                    "metadata",
                    "thread_id",
                    "started_at",
                    "completed_at",
                    "execution_time",
                    "elapsed_time",
                ] {
                    entries.remove(of_the_time);
                }
                entries.values_mut().for_each(timeless);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(timeless),
            _ => {}
        }
    }
    let text = std::fs::read(place.project.root().join("target").join(name)).expect("an artifact");
    let mut value = serde_json::from_slice(&text).expect("JSON");
    timeless(&mut value);
    value
}

#[test]
fn the_same_artifacts_as_plain_dbt_whatever_ran_before() {
    let mut place = Place::new();
    let plain = place.project.dbt(["run", "--select", "m_1", "employees"]).output().expect("dbt runs");
    assert_eq!(plain.status.code(), Some(1), "there are no seeds yet: {}", String::from_utf8_lossy(&plain.stdout));
    assert_eq!(place.dbt(&["build", "--exclude", "m_1"]).0.exit_code, 0);
    let plain = place.project.dbt(["run", "--select", "m_1"]).output().expect("dbt runs");
    assert_eq!(plain.status.code(), Some(0));
    let names = ["manifest.json", "run_results.json", "semantic_manifest.json"];
    let by_plain = names.map(|name| artifact(&place, name));
    let arguments = ["run", "--select", "sim_staff"].map(str::to_owned);
    place.warm.list(&place.setting, &arguments, &place.project.root()).expect("nodes");
    assert_eq!(place.dbt(&["run", "--select", "m_1"]).0.exit_code, 0);
    for (name, by_plain) in names.iter().zip(by_plain) {
        let mut by_warm = artifact(&place, name);
        let mut by_plain = by_plain;
        // The arguments are told with the paths and the process's number in them; threads are named by number.
        for results in [&mut by_warm, &mut by_plain] {
            results.as_object_mut().expect("an object").remove("args");
        }
        assert!(by_warm == by_plain, "{name} is another");
    }
}

/// A plugin, as dbt looks for them in whatever is installed.
const PLUGIN: &str = "from dbt.plugins import dbtPlugin
class Greets(dbtPlugin):
    def initialize(self): print('greetings to ' + self.project_name)
plugins = [Greets]
";

/// A model that asks its adapter for a flag, which is off: dbt logs which of its modules has it. And tells a secret.
const ASKS: &str = "{% if execute %}{{ log('open, sesame', info=True) }}{% endif %}
{% if adapter.behavior.require_batched_execution_for_custom_microbatch_strategy %}{% endif %}
select 1 as one
";

/// What dbt looks up at some cost for each invocation, and is made cheaper in a warm one, it finds all the same.
#[test]
fn plugins_and_flags_are_found_where_plain_dbt_finds_them() {
    let installed = tempfile::tempdir().expect("a directory");
    let half = installed.path().join("dbt_half");
    std::fs::create_dir(&half).expect("no plugin yet");
    let mut place = Place::new();
    place.project.write("models/asks.sql", ASKS);
    place.setting.environment.extend([("PYTHONPATH", installed.path()), ("DBT_ENV_SECRET_WORD", "sesame".as_ref())]);
    let arguments = ["run", "--select", "asks", "--log-format", "json"];
    let told = |text: &str| -> Vec<String> {
        let flag = |line: &str| {
            let line = serde_json::from_str::<serde_json::Value>(line).ok()?;
            let opens = line["info"]["msg"].as_str().filter(|text| text.starts_with("open"));
            line["data"]["flag_source"].as_str().or(opens).map(str::to_owned)
        };
        text.lines()
            .filter(|line| line.starts_with("greetings"))
            .map(str::to_owned)
            .chain(text.lines().filter_map(flag))
            .collect()
    };
    let alone = told(&place.dbt(&arguments).1.stdout);
    assert_eq!(alone, ["dbt.adapters.base.impl", "open, *****"], "nothing is installed");
    // One is put there: what runs warm begins anew. And a folder that was there becomes one.
    for (path, known, anew) in [(installed.path().join("dbt_greets.py"), 3, true), (half.join("__init__.py"), 4, false)]
    {
        std::fs::write(path, PLUGIN).expect("a plugin");
        let mut plain = place.project.dbt(arguments);
        plain.env("PYTHONPATH", installed.path()).env("DBT_ENV_SECRET_WORD", "sesame");
        let plain = plain.output().expect("dbt runs");
        let plain = told(&String::from_utf8_lossy(&plain.stdout));
        assert_eq!(plain.len(), known, "{plain:?}");
        for again in [false, true] {
            let (_, seen) = place.dbt(&arguments);
            assert_eq!(told(&seen.stdout), plain, "{}", seen.stdout);
            assert_eq!(seen.restart.is_some(), anew && !again);
        }
    }
}
