//! Holders on the other side of a PID namespace: told as that, and never as a process number that means nothing here.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dbmux_os::holders::{Access, Part, Who, holders_of};

use crate::foreign::{Foreign, of_part, python};

/// Runs a program in a PID namespace of its own, with a `/proc` that shows no other.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
}

/// Some containers may not make namespaces: said so, aloud.
fn is_refused() -> bool {
    let allowed = unshare().arg("true").status().is_ok_and(|status| status.success());
    if !allowed {
        eprintln!("SKIPPED: this machine lets nobody make a PID namespace");
    }
    !allowed
}

/// Not a test: what is seen from inside the namespace, told by the exit code. Without a job it does nothing.
#[test]
fn look_from_inside() {
    let Some(path) = std::env::var_os("DBMUX_OS_LOOK_AT").map(PathBuf::from) else { return };
    let everywhere = holders_of(&path).expect("a look");
    assert!(everywhere.iter().all(|holder| matches!(holder.who, Who::OtherNamespace)), "{everywhere:?}");
    let found = of_part(&path, Part::Database);
    assert_eq!(std::process::id(), 1, "this process is the namespace's first");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(!found[0].mine);
    let writes = std::env::var_os("DBMUX_OS_WRITES").is_some();
    assert_eq!(found[0].access, if writes { Access::Write } else { Access::Read });
}

fn looks_from_inside(path: &Path, writes: bool) {
    let mut command = unshare();
    command.arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", "namespaces::look_from_inside", "--nocapture"]).env("DBMUX_OS_LOOK_AT", path);
    if writes {
        command.env("DBMUX_OS_WRITES", "1");
    }
    let output = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn a_duckdb_outside_is_told_as_that() {
    if is_refused() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.duckdb");
    let mut outside = Foreign::start(&path);
    outside.does("import duckdb; db = duckdb.connect(path); db.execute('create table t as select 1 a')");
    looks_from_inside(&path, true);
    outside.does("db.close(); db = duckdb.connect(path, read_only=True)");
    looks_from_inside(&path, false);
}

#[test]
fn an_open_files_lock_outside_is_told_as_that() {
    if is_refused() {
        return;
    }
    let named = tempfile::NamedTempFile::new().expect("a file");
    let lock = dbmux_os::range_lock::Range::from(1 << 62);
    let kind = dbmux_os::range_lock::Kind::Exclusive;
    assert!(dbmux_os::range_lock::try_lock_range(named.as_file(), lock, kind).expect("a lock"));
    looks_from_inside(named.path(), true);
}

#[test]
fn a_duckdb_inside_is_named_from_outside() {
    if is_refused() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.duckdb");
    let mut command = unshare();
    command.arg(python());
    let mut inside = Foreign::start_by(command, &path);
    inside.does("import duckdb; db = duckdb.connect(path); assert os.getpid() == 1");
    let found = of_part(&path, Part::Database);
    assert_eq!(found.len(), 1, "{found:?}");
    let Who::Process(who) = &found[0].who else { panic!("{found:?}") };
    assert!(who.id.pid > 1 && who.command.contains("python"), "by the number that it has here: {who:?}");
}
