//! Processes for tests to direct: a command that has a database by a lease, and others.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use dbmux_client::blocking::Session;
use dbmux_testkit::{Place, python};

/// A process that does what it is told, a line at a time.
pub(super) struct Directed {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Directed {
    pub(super) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let input = process.stdin.take();
        Self { input, output: BufReader::new(process.stdout.take().expect("its output")), process }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    pub(super) fn ask(&mut self, words: &str) -> String {
        writeln!(self.input.as_mut().expect("it listens"), "{words}").expect("it listens");
        self.line()
    }

    /// Has nothing more for it; answers with what was said on standard error.
    pub(super) fn end(mut self) -> String {
        drop(self.input.take());
        let output = self.process.wait_with_output().expect("its end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        error
    }
}

/// A command that has the file by a lease.
pub(super) struct Leased(Directed);

const LOOP: &str = "
import sys, duckdb
print('ready', flush=True)
for line in sys.stdin:
    with duckdb.connect('a.duckdb') as connection:
        print(connection.execute(line).fetchall(), flush=True)
";

impl Leased {
    pub(super) fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.dbmux(["run", "a.duckdb"]);
        command.args(arguments).arg("--").arg(python()).args(["-u", "-c", LOOP]);
        let mut leased = Directed::start(&mut command);
        assert_eq!(leased.line(), "ready");
        Self(leased)
    }

    pub(super) fn sql(&mut self, sql: &str) -> String {
        self.0.ask(sql)
    }

    /// Gives the file back; answers with what was said on standard error.
    pub(super) fn end(self) -> String {
        self.0.end()
    }
}

/// The first column of the first row as text, and as of when it is true.
pub(super) fn one(session: &Session, sql: &str) -> (String, Option<String>) {
    let answer = session.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let as_of = answer.as_of().map(str::to_owned);
    let batches = answer.collect().expect("rows");
    let text = arrow::util::display::array_value_to_string(batches[0].column(0), 0).expect("text");
    (text, as_of)
}
