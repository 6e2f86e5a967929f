//! A foreign process: Python, which does what it is told, and says when it has done it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use dbmux_os::holders::{self, FileHolder, Part, Who};

/// Sets up what Python's statements name, then runs each line that it is told.
const LOOP: &str = "
import sys, os, fcntl, struct
path = sys.argv[1]
for line in sys.stdin:
    try:
        exec(line.strip(), globals())
        print('ok', flush=True)
    except BaseException as error:
        print(type(error).__name__, str(error).replace(chr(10), ' '), flush=True)
";

/// The Python in which `testkit/venv.sh` has installed DuckDB.
pub(crate) fn python() -> PathBuf {
    let given = std::env::var_os("DBMUX_TEST_PYTHON").map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("dbmux/venv/bin/python")
    });
    assert!(path.exists(), "{} is missing: run testkit/venv.sh", path.display());
    path
}

pub(crate) struct Foreign {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Foreign {
    pub(crate) fn start(path: &Path) -> Self {
        Self::start_by(Command::new(python()), path)
    }

    /// The same, by a command that ends with the program to run.
    pub(crate) fn start_by(mut command: Command, path: &Path) -> Self {
        command.args(["-u", "-c", LOOP]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it run a line of Python, and waits until that is done.
    pub(crate) fn does(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("it listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("it answers");
        assert_eq!(answer.trim(), "ok", "after {line}");
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The holders of a part of a database.
pub(crate) fn of_part(path: &Path, part: Part) -> Vec<FileHolder> {
    let found = holders::holders_of(path).expect("a look");
    found.into_iter().filter(|holder| holder.part == part).collect()
}

/// The only holder of a part, which must be this process.
pub(crate) fn held_by(path: &Path, part: Part, process: &Foreign) -> FileHolder {
    let mut found = of_part(path, part);
    assert_eq!(found.len(), 1, "{found:?}");
    let holder = found.remove(0);
    let Who::Process(who) = &holder.who else { panic!("{holder:?}") };
    assert_eq!(who.id.pid, process.pid());
    assert!(who.command.contains("python") && !holder.mine, "{holder:?}");
    assert!(who.started <= std::time::SystemTime::now() && !who.stopped, "{holder:?}");
    holder
}
