//! When a warm dbt is kept, and when it is started anew.

use std::time::Duration;

use dbmux_dbt::{
    DbtError, Interpreter,
    warm::{Restart, WarmOptions},
};

use crate::support::Place;

const ONE: &[&str] = &["run", "--select", "m_1"];

#[test]
fn another_environment_starts_another_and_noise_does_not() {
    let mut place = Place::new();
    place.project.write(
        "models/told.sql",
        "select '{{ env_var('PWD', 'none') }}' as pwd, '{{ env_var('TOLD', '') }}' as told\n",
    );
    let told = |place: &mut Place| {
        let (outcome, seen) = place.dbt(&["compile", "--select", "told", "--quiet", "--output", "text"]);
        assert_eq!(outcome.exit_code, 0, "{}{}", seen.stdout, seen.stderr);
        (
            seen.restart.clone(),
            std::fs::read_to_string(place.project.root().join("target/compiled/company/models/told.sql")),
        )
    };
    place.setting.environment.extend([("PWD", "/here")]);
    let (first, text) = told(&mut place);
    assert_eq!(first, Some(Restart::Idle));
    assert!(text.expect("compiled").contains("'/here' as pwd"));
    place.setting.environment.extend([("PWD", "/there"), ("COLUMNS", "40")]);
    let (second, text) = told(&mut place);
    assert_eq!(second, None, "noise");
    assert!(text.expect("compiled").contains("'/there' as pwd"), "and yet it is the requester's");
    place.setting.environment.extend([("TOLD", "yes")]);
    let (third, text) = told(&mut place);
    assert_eq!(third, Some(Restart::Environment));
    assert!(text.expect("compiled").contains("'yes' as told"));
}

#[test]
fn a_profile_or_a_package_that_changes_starts_another() {
    let mut place = Place::new();
    let profiles = place.project.root().join("profiles.yml");
    place.setting = place.setting.clone().watching(profiles.clone());
    assert_eq!(place.dbt(ONE).1.restart, Some(Restart::Idle));
    assert_eq!(place.dbt(ONE).1.restart, None);
    let text = std::fs::read_to_string(&profiles).expect("profiles");
    std::fs::write(&profiles, text + "\n# another remark\n").expect("profiles");
    assert_eq!(place.dbt(ONE).1.restart, Some(Restart::Changed(profiles)));
    place.project.write("dbt_packages/something/dbt_project.yml", "name: something\nversion: '1'\n");
    let restart = place.warm.prepare(&place.setting).expect("it starts");
    assert_eq!(restart, Some(Restart::Changed(place.project.root().join("dbt_packages"))));
}

#[test]
fn it_ends_when_it_is_idle_and_another_takes_over() {
    let mut place = Place::with(WarmOptions { idle_exit: Duration::from_millis(200), ..WarmOptions::default() });
    assert_eq!(place.dbt(ONE).0.exit_code, 0);
    dbmux_testkit::until("its end", || place.warm.pid().is_none());
    let (outcome, seen) = place.dbt(ONE);
    assert_eq!((outcome.exit_code, seen.restart), (0, Some(Restart::Idle)));
}

#[test]
fn it_is_worn_after_so_many_requests() {
    let mut place = Place::with(WarmOptions { most_requests: 2, ..WarmOptions::default() });
    assert_eq!(place.dbt(ONE).0.ended, None);
    assert_eq!(place.dbt(ONE).0.ended, Some(Restart::Worn));
    assert_eq!(place.warm.pid(), None);
    assert_eq!(place.dbt(ONE).1.restart, Some(Restart::Worn));
}

#[test]
fn a_python_without_dbt_says_so() {
    let mut place = Place::new();
    let python = dbmux_testkit::python();
    place.setting.interpreter = Interpreter { script: python.with_file_name("dbt"), python };
    let error = place.warm.prepare(&place.setting).expect_err("it has no dbt");
    assert!(matches!(&error, DbtError::NoDbt { reason, .. } if reason.contains("No module named 'dbt'")), "{error}");
}
