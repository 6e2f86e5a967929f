//! A copy of the test project, in a place of its own.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use dbmux_testkit::{DbtProject, Place, dbt_program};

/// A copy of the test project, and processes that are set up for it.
pub(crate) struct Shop {
    pub(crate) place: Place,
    pub(crate) project: DbtProject,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let project = DbtProject::new();
        let database = project.database().display().to_string();
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux"))
            .with("DBMUX_TEST_DB", &database)
            .with("DBMUX_DBT", &dbt_program().display().to_string());
        Self { place, project }
    }

    /// `dbmux`, in the project.
    pub(crate) fn dbmux(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.dbmux(arguments);
        command.current_dir(self.project.root()).env_remove("DBMUX_FENCE");
        command
    }

    /// Plain dbt, in the project.
    pub(crate) fn dbt(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(dbt_program());
        self.place.set_up(&mut command);
        command.args(arguments).current_dir(self.project.root()).stdin(Stdio::null());
        command
    }

    /// Runs `dbmux dbt …` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let all: Vec<&str> = ["dbt", "--wait", "2m"].iter().chain(arguments).copied().collect();
        self.dbmux(&all).output().expect("dbmux runs")
    }

    /// The same, and it must succeed.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text(&output);
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    }

    /// Starts `dbmux dbt …`.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let all: Vec<&str> = ["dbt", "--wait", "2m"].iter().chain(arguments).copied().collect();
        self.dbmux(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dbmux runs")
    }

    /// The same, with all that it says in a file.
    pub(crate) fn start_saying(&self, arguments: &[&str], said: &Path) -> Child {
        let all: Vec<&str> = ["dbt", "--wait", "2m"].iter().chain(arguments).copied().collect();
        let file = std::fs::File::create(said).expect("a file");
        let both = file.try_clone().expect("a descriptor");
        self.dbmux(&all).stdout(file).stderr(both).spawn().expect("dbmux runs")
    }

    /// The database, as `dbmux sql` takes it.
    pub(crate) fn database(&self) -> String {
        self.project.database().display().to_string()
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.place.sql(&self.database(), sql)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.project.root().join(name)
    }

    /// A model that runs for longer than any test.
    pub(crate) fn with_endless_model(&self) {
        let sql = "{{ config(materialized='table') }}\nselect sum(hash(a.range + b.range)) as endless from range(4000000) a, range(4000000) b\n";
        self.project.write("models/endless.sql", sql);
    }

    /// What every table of the main schema holds, by name: an order-independent hash of its rows.
    pub(crate) fn contents(&self) -> Vec<(String, String)> {
        let tables =
            self.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY 1");
        let hash = |table: &str| self.sql(&format!("SELECT count(*), bit_xor(hash(t)) FROM {table} t"));
        tables.lines().map(|table| (table.to_owned(), hash(table))).collect()
    }
}

/// What a process has said.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A child that is killed, and waited for, when this is dropped.
pub(crate) struct Guarded(pub(super) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a plain dbt has the database.
pub(crate) fn until_locked(shop: &Shop, by: u32) {
    let path = shop.project.database();
    dbmux_testkit::until("dbt has the database", || {
        let held = dbmux_os::holders::holders_of(&path).unwrap_or_default();
        held.iter()
            .any(|holder| matches!(&holder.who, dbmux_os::holders::Who::Process(process) if process.id.pid == by))
    });
}

/// How long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = work();
    (done, began.elapsed())
}
