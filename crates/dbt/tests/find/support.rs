//! Small dbt projects in a place of their own, and processes that end with the test.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use dbmux_dbt::find::{Find, Found, Kind, Search};
pub(crate) use dbmux_testkit::{dbt_program, dbt_python, until};

/// A model that takes longer than any test: until its process is killed.
const LONG: &str =
    "{{ config(materialized='table') }} select count(*) as n from range(1000000000000) a where hash(a.range) = 1";

/// A directory with projects in it.
pub(crate) struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::Builder::new().prefix("dbmux-find-").tempdir_in("/tmp").expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().expect("it is there").join(name)
    }

    /// Makes a project with a long model and a short one.
    pub(crate) fn project(&self, name: &str) -> PathBuf {
        let root = self.path(name);
        fs::create_dir_all(root.join("models")).expect("a directory");
        let write = |path: &str, text: &str| fs::write(root.join(path), text).expect("a file");
        write(
            "dbt_project.yml",
            "name: small\nversion: '1.0'\nprofile: small\nflags: {send_anonymous_usage_stats: false}\n",
        );
        // A relative path would be one from where dbt is started.
        let database = root.join("small.duckdb");
        let profile =
            format!("small:\n  target: dev\n  outputs:\n    dev: {{type: duckdb, path: {}}}\n", database.display());
        write("profiles.yml", &profile);
        write("models/long.sql", LONG);
        write("models/short.sql", "select 1 as one");
        root
    }

    /// Starts a program, which ends with the test.
    pub(crate) fn start(&self, directory: &Path, words: &[&str]) -> Running {
        self.start_with(directory, words, &[])
    }

    pub(crate) fn start_with(&self, directory: &Path, words: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(directory);
        // What is around the tests may be set for dbt.
        for name in ["DBT_PROJECT_DIR", "DBT_PROFILES_DIR", "DBT_LOG_PATH", "DBT_TARGET_PATH"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        Running::start(command)
    }

    /// Real dbt, in a directory.
    pub(crate) fn dbt(&self, directory: &Path, words: &[&str]) -> Running {
        let program = dbt_program().display().to_string();
        self.start(directory, &[&[program.as_str()], words].concat())
    }
}

/// A process with pipes to it; it is killed when this is dropped, and what it has started with it.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        use std::os::unix::process::CommandExt;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a line to it.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input"), "{line}").expect("it listens");
    }

    /// Hears from it until this line comes.
    pub(crate) fn hear(&mut self, expected: &str) {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("its output");
            assert!(read > 0, "it ended without {expected:?}: {all}");
            if line.trim() == expected {
                return;
            }
            all.push_str(&line);
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// Kills it and what it has started, and waits for its end.
    pub(crate) fn kill(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What to look for.
pub(crate) fn search(root: &Path) -> Search {
    Search::new(root).databases([root.join("small.duckdb")])
}

pub(crate) fn look(root: &Path) -> Found {
    search(root).look().expect("a look")
}

/// The find with this process among its own.
pub(crate) fn find_of(found: &Found, pid: u32) -> Option<&Find> {
    found.finds.iter().find(|find| find.processes.iter().any(|process| process.pid == pid))
}

/// Waits until this process is found, as this kind and with its lock.
pub(crate) fn until_it_has_the_lock(root: &Path, pid: u32) -> Find {
    let mut seen = None;
    until("its lock", || {
        seen = find_of(&look(root), pid).filter(|find| find.has_the_lock()).cloned();
        seen.is_some()
    });
    seen.expect("it was seen")
}

/// Waits until this process is found as this kind.
pub(crate) fn until_it_is(root: &Path, pid: u32, kind: Kind) -> Find {
    let mut seen = None;
    until(&format!("{pid} as {kind}"), || {
        seen = find_of(&look(root), pid).filter(|find| find.kind == kind).cloned();
        seen.is_some()
    });
    seen.expect("it was seen")
}
