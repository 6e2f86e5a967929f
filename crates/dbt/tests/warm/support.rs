//! A project, a setting for it, and invocations that are heard to their end.

use std::{
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    process::Command,
};

use dbmux_dbt::{
    DbtError, Environment, Interpreter,
    warm::{Cancel, Event, Invocation, Outcome, Progress, Restart, Setting, Stream, Warm, WarmOptions},
};
use dbmux_testkit::{DbtProject, dbt_program};

/// A model that works until it is interrupted.
pub(crate) const ENDLESS: &str = "{{ config(materialized='table') }}
select count(*) as n from range(1000000000) a, range(1000000000) b where hash(a.range, b.range) = 1
";

/// A project and a warm dbt for it.
pub(crate) struct Place {
    pub(crate) project: DbtProject,
    pub(crate) setting: Setting,
    pub(crate) warm: Warm,
}

/// What was seen of an invocation.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) restart: Option<Restart>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) events: Vec<Event>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(WarmOptions::default())
    }

    pub(crate) fn with(options: WarmOptions) -> Self {
        Self::of(DbtProject::new(), options)
    }

    /// In a project that another process has made, and removes.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self::of(DbtProject::at(root), WarmOptions::default())
    }

    fn of(project: DbtProject, options: WarmOptions) -> Self {
        let setting = setting(&project);
        Self { project, setting, warm: Warm::new(options) }
    }

    /// Runs dbt.
    pub(crate) fn dbt(&mut self, arguments: &[&str]) -> (Outcome, Seen) {
        self.try_dbt(arguments, &Cancel::new(), &[], &mut |_| {}).expect("an outcome")
    }

    pub(crate) fn try_dbt(
        &mut self,
        arguments: &[&str],
        cancel: &Cancel,
        descriptors: &[BorrowedFd<'_>],
        observe: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<(Outcome, Seen), DbtError> {
        let root = self.project.root();
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let invocation = Invocation { arguments: &arguments, directory: &root, descriptors, cancel };
        let mut seen = Seen::default();
        let outcome = self.warm.invoke(&self.setting, &invocation, &mut |progress| {
            observe(&progress);
            seen.note(&progress);
        })?;
        Ok((outcome, seen))
    }

    /// Whether any process has the database locked.
    pub(crate) fn is_locked(&self) -> bool {
        is_locked(&self.project.database())
    }
}

impl Seen {
    fn note(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Process(restart) => self.restart = restart.cloned(),
            Progress::Started => {}
            Progress::Event(event) => {
                self.stdout.push_str(event.text.as_deref().unwrap_or_default());
                self.events.push((*event).clone());
            }
            Progress::Output(Stream::Stdout, text) => self.stdout.push_str(text),
            Progress::Output(Stream::Stderr, text) => self.stderr.push_str(text),
        }
    }
}

/// The setting of a test project: this process's environment, and the project's own.
pub(crate) fn setting(project: &DbtProject) -> Setting {
    let interpreter = Interpreter::of_script(&dbt_program()).expect("dbt's interpreter");
    let mut environment: Environment = std::env::vars_os().collect();
    environment.extend(project.environment());
    Setting::new(interpreter, environment, &project.root())
}

/// Whether any process has a lock on this file, by the kernel's table.
pub(crate) fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = path.metadata() else { return false };
    let inode = format!(":{}", found.ino());
    let table = std::fs::read_to_string("/proc/locks").expect("the kernel's table");
    table.lines().any(|line| line.split_whitespace().any(|word| word.ends_with(&inode)))
}

/// Rows of the project's database, asked by a process of its own.
pub(crate) fn sql(project: &DbtProject, sql: &str) -> String {
    let script =
        "import sys, duckdb; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())";
    let mut command = Command::new(dbmux_testkit::dbt_python());
    let output = command.args(["-c", script]).arg(project.database()).arg(sql).output().expect("Python runs");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
