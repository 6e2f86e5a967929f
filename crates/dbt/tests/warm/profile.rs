//! Profiles, read here and asked of dbt, against what dbt itself uses.

use dbmux_dbt::{
    DbtCommand, Project,
    profile::{Asked, Profile, ProfileOptions, Read, read, read_or_ask},
};

use crate::support::Place;

fn options(place: &Place, arguments: &[&str]) -> ProfileOptions {
    let command = DbtCommand::parse(arguments.iter().map(|word| (*word).to_owned()).collect());
    ProfileOptions::of(&command, &place.project.root(), &place.setting.environment)
}

fn told(place: &mut Place, arguments: &[&str]) -> Profile {
    let options = options(place, arguments);
    let project = Project::at(&place.project.root()).expect("a project");
    read_or_ask(&project, &options, &place.setting, &mut place.warm).expect("a profile")
}

/// The value of a line of `dbt debug`.
fn debug(place: &Place, arguments: &[&str], name: &str) -> String {
    let output = place.project.dbt(["debug", "--no-use-colors"].iter().chain(arguments)).output().expect("dbt runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once(&format!("  {name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).1.trim().to_owned()
}

#[test]
fn what_jinja_decides_is_what_dbt_debug_uses() {
    let mut place = Place::new();
    told(&mut place, &["run"]);
    assert!(!place.project.database().exists(), "nothing is opened by asking");
    for (arguments, target, threads) in [(&[][..], "dev", 1), (&["--target", "wide"], "wide", 4)] {
        let asked: Vec<_> = ["run"].iter().chain(arguments).copied().collect();
        let profile = told(&mut place, &asked);
        assert_eq!(profile.databases, [place.project.database()]);
        assert_eq!(profile.databases[0].display().to_string(), debug(&place, arguments, "path"));
        assert_eq!(
            (profile.target.as_str(), profile.threads, profile.adapter.as_str()),
            (target, Some(threads), "duckdb")
        );
        assert_eq!(profile.file, place.project.root().join("profiles.yml"));
    }
    place.setting.environment.extend([("DBMUX_TEST_TARGET", "wide")]);
    assert_eq!(told(&mut place, &["run"]).target, "wide");
}

#[test]
fn vars_and_attached_files_are_asked_of_dbt_too() {
    let mut place = Place::new();
    place.project.write(
        "profiles.yml",
        "company:\n  outputs:\n    default:\n      type: duckdb\n      path: \"{{ var('where') }}.duckdb\"\n      \
         attach:\n        - path: other.duckdb\n        - path: a.sqlite\n          type: sqlite\n",
    );
    let profile = told(&mut place, &["run", "--vars", "{where: here}"]);
    let root = place.project.root();
    assert_eq!(profile.databases, [root.join("here.duckdb"), root.join("other.duckdb")]);
    assert_eq!((profile.target.as_str(), profile.threads), ("default", None));
    let options = options(&place, &["run"]);
    let project = Project::at(&root).expect("a project");
    let asked = Asked::of(&project, &options, &place.setting, &mut place.warm);
    let error = asked.expect_err("the variable is missing").to_string();
    assert!(error.contains("where"), "{error}");
}

#[test]
fn what_is_read_here_is_what_dbt_would_say() {
    let mut place = Place::new();
    let project = Project::at(&place.project.root()).expect("a project");
    let options = options(&place, &["run", "--profile", "plain"]);
    let Read::Profile(here) = read(&project, &options).expect("a profile") else { panic!("it needs no dbt") };
    assert_eq!(place.warm.pid(), None);
    let asked = Asked::of(&project, &options, &place.setting, &mut place.warm).expect("a profile");
    assert_eq!(here, asked.profile());
    assert_eq!(here.databases, [place.project.root().join("company.duckdb")]);
    assert_eq!(debug(&place, &["--profile", "plain"], "path"), "company.duckdb");
}

#[test]
fn what_dbt_said_is_true_as_long_as_nothing_of_it_changes() {
    let mut place = Place::new();
    let project = Project::at(&place.project.root()).expect("a project");
    let run = options(&place, &["run", "--select", "one"]);
    let asked = Asked::of(&project, &run, &place.setting, &mut place.warm).expect("a profile");
    let is_true = |place: &Place, arguments: &[&str]| asked.is_still_true(&options(place, arguments), &place.setting);
    assert!(is_true(&place, &["run"]) && is_true(&place, &["build", "--select", "two", "--full-refresh"]));
    let others = [["--target", "wide"], ["--vars", "{a: 1}"], ["--threads", "7"], ["--profile", "plain"]];
    for [name, value] in others {
        assert!(!is_true(&place, &["run", name, value]), "{name}");
    }
    let setting = place.setting.clone();
    place.setting.environment.extend([("DBMUX_TEST_TARGET", "wide")]);
    assert!(!is_true(&place, &["run"]), "another environment");
    place.setting = setting;
    let text = std::fs::read_to_string(place.project.root().join("profiles.yml")).expect("it is there");
    place.project.write("profiles.yml", &format!("{text}\n# another\n"));
    assert!(!is_true(&place, &["run"]), "another file");
    place.project.write("profiles.yml", &format!("{text}\n# {{{{ modules.datetime }}}}\n"));
    let asked = Asked::of(&project, &run, &place.setting, &mut place.warm).expect("a profile");
    assert!(!asked.is_still_true(&run, &place.setting), "it is another one each time");
}
