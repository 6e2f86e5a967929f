//! A file system whose locks nobody vouches for: a real one in user space, which looks as any network's does.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use dbmux_testkit::Place;

/// Shows one directory at another. Dropped, it does no more.
struct Mount(PathBuf);

impl Mount {
    fn new(real: PathBuf, shown: PathBuf) -> Self {
        fs::create_dir_all(&real).and_then(|()| fs::create_dir_all(&shown)).expect("directories");
        let output = Command::new("bindfs").arg("--no-allow-other").args([&real, &shown]).output();
        let output = output.expect("test.sh installs bindfs");
        assert!(output.status.success(), "{output:?}");
        Self(shown)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = ["fusermount3", "fusermount", "umount"].iter().any(|program| {
            let mut command = Command::new(program);
            command.args((*program != "umount").then_some("-u")).arg(&self.0);
            command.output().is_ok_and(|output| output.status.success())
        });
        assert!(done || std::thread::panicking(), "{} is still mounted", self.0.display());
    }
}

#[test]
fn a_file_where_locks_cannot_be_trusted_is_refused() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let (real, shown) = (place.path("real"), place.path("shown"));
    place.sql("real.duckdb", "create table t as select 1 as i");
    let mount = Mount::new(real.clone(), shown);
    let refused = |output: &Output| {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("FUSE"), "{error}");
        assert!(error.contains("ssh HOST dbmux"), "{error}");
    };
    for arguments in [
        &["sql", "shown/a.duckdb", "select 1"][..],
        &["lock", "shown/a.duckdb", "--", "true"],
        &["run", "shown/a.duckdb", "--", "touch", "ran"],
        &["who", "shown/a.duckdb"],
    ] {
        refused(&place.run(arguments));
    }
    let left: Vec<_> = fs::read_dir(&real).expect("a directory").collect();
    assert!(left.is_empty(), "it left something: {left:?}");
    drop(mount);
    assert!(place.run(["sql", "real/a.duckdb", "select 1"]).status.success());
}
