//! `dbmux shim`: a plain `dbt` is `dbmux dbt`, and finds the real one.

use std::process::Command;

use dbmux_testkit::{Place, dbt_program};

#[test]
fn a_plain_dbt_is_ours_and_the_real_one_runs() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let shims = place.path("shims").display().to_string();
    let shim = |arguments: &[&str]| place.run([&["shim"], arguments, &["--dir", &shims]].concat());
    assert!(shim(&["install", "dbt"]).status.success());
    let sh = |line: &str| {
        let mut command = Command::new("sh");
        place.set_up(&mut command);
        let real = dbt_program().parent().expect("a directory").display().to_string();
        command.env("PATH", format!("{shims}:{real}:/usr/bin:/bin")).env_remove("VIRTUAL_ENV").env_remove("DBMUX_DBT");
        let output = command.args(["-c", line]).output().expect("a shell");
        (output.status.code(), format!("{output:?}"))
    };
    let (code, said) = sh("dbt --version");
    assert!(code == Some(0) && said.contains("installed: 1.11.16"), "the real one: {said}");
    let (code, said) = sh("dbt run");
    assert!(code == Some(2) && said.contains("no dbt_project.yml in"), "through ours: {said}");
    let (_, said) = sh(&format!("{} shim list --dir {shims}", place.binary().display()));
    assert!(said.contains("first in PATH") && !said.contains("not first"), "{said}");
    assert!(shim(&["remove", "dbt"]).status.success());
    // What is not ours stays as it is.
    std::fs::write(place.path("shims/dbt"), "#!/bin/sh\n").expect("a file");
    for command in ["install", "remove"] {
        assert_eq!(shim(&[command, "dbt"]).status.code(), Some(2), "{command}");
    }
    assert_eq!(std::fs::read_to_string(place.path("shims/dbt")).expect("it is there"), "#!/bin/sh\n");
}
