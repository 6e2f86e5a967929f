//! Foreign processes: tools that open the file themselves, in Python's own DuckDB.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The Python in which `testkit/venv.sh` has installed DuckDB 1.5 and ADBC.
pub fn python() -> PathBuf {
    interpreter("DBMUX_TEST_PYTHON", "venv", "testkit/venv.sh")
}

/// The interpreter that a variable names, else that of an environment in the user's cache.
pub(crate) fn interpreter(variable: &str, environment: &str, maker: &str) -> PathBuf {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("dbmux").join(environment).join("bin/python")
    });
    assert!(path.exists(), "{} is missing: run {maker}", path.display());
    path
}

/// A Python process that does what it is told, a line at a time, and answers with a line.
pub struct Foreign {
    child: Child,
    input: ChildStdin,
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
        let mut command = Command::new(python());
        command.args(["-u", "-c", LOOP]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let input = child.stdin.take().expect("its input");
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
        writeln!(self.input, "{expression}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Its process id.
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
