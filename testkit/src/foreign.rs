//! Foreign processes: tools that open the file themselves, in Python's own DuckDB.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::Place;

/// The Python in which `testkit/venv.sh` has installed DuckDB 1.5 and ADBC.
pub fn python() -> PathBuf {
    let given = std::env::var_os("DBMUX_TEST_PYTHON").map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("dbmux/venv/bin/python")
    });
    assert!(path.exists(), "{} is missing: run testkit/venv.sh", path.display());
    path
}

/// A Python process that does what it is told, a line at a time, and answers with a line.
pub struct Foreign {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

const LOOP: &str = "
import sys, duckdb
connection = None
for line in sys.stdin:
    try:
        print('ok', repr(eval(compile(line.strip(), 'told', 'eval'))), flush=True)
    except BaseException as error:
        print('error', type(error).__name__, str(error).replace(chr(10), ' '), flush=True)
";

impl Foreign {
    /// Starts it.
    pub fn start() -> Self {
        Self::below(Command::new(python()))
    }

    /// Starts it as the command of a `dbmux run`, and waits until it has the files. Killed, that one is, and not Python,
    /// which ends with this.
    pub fn leased(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.dbmux(["run"]);
        command.args(arguments).arg("--").arg(python());
        let mut foreign = Self::below(command);
        assert_eq!(foreign.tell("'here'"), "ok 'here'");
        foreign
    }

    /// The command is Python's, or one that runs it.
    fn below(mut command: Command) -> Self {
        command.args(["-u", "-c", LOOP]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    /// Starts it with the file open.
    pub fn holding(database: &Path, read_only: bool) -> Self {
        let mut foreign = Self::start();
        let answer = foreign.open(database, read_only);
        assert!(answer.starts_with("ok"), "{answer}");
        foreign
    }

    /// Opens the file; answers with `ok …` or `error …`.
    pub fn open(&mut self, database: &Path, read_only: bool) -> String {
        let read_only = if read_only { "True" } else { "False" };
        let path = database.display();
        self.tell(&format!(
            "globals().update(connection=duckdb.connect({path:?}, read_only={read_only}))",
            path = path.to_string()
        ))
    }

    /// Lets the file go.
    pub fn close(&mut self) {
        let answer = self.tell("connection.close()");
        assert!(answer.starts_with("ok"), "{answer}");
    }

    /// Runs SQL; answers with `ok [rows]` or `error …`.
    pub fn sql(&mut self, sql: &str) -> String {
        self.tell(&format!("connection.execute({sql:?}).fetchall()"))
    }

    /// Evaluates an expression.
    pub fn tell(&mut self, expression: &str) -> String {
        writeln!(self.input.as_mut().expect("it was not told to end"), "{expression}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Evaluates an expression that gives a number.
    pub fn number(&mut self, expression: &str) -> u32 {
        let answer = self.tell(expression);
        answer.strip_prefix("ok ").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    /// Python's own process id, where it is not the one that was started here.
    pub fn own_pid(&mut self) -> u32 {
        self.number("__import__('os').getpid()")
    }

    /// Lets it end by itself, and waits for the end of what was started here.
    pub fn end(mut self) -> std::process::ExitStatus {
        // Its input ends, and nothing else refers to it.
        self.input = None;
        self.child.wait().expect("its end")
    }

    /// Its process id: of what was started here.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and waits for its end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.kill();
    }
}
