//! A command that has a database by a lease, for tests to direct.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use dbmux_client::blocking::Session;
use dbmux_testkit::{Place, python};

/// A command that has the file by a lease, and does what it is told, a line at a time.
pub(super) struct Leased {
    run: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

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
        let mut run =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let input = run.stdin.take();
        let mut leased = Self { input, output: BufReader::new(run.stdout.take().expect("its output")), run };
        assert_eq!(leased.line(), "ready");
        leased
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    pub(super) fn sql(&mut self, sql: &str) -> String {
        writeln!(self.input.as_mut().expect("it listens"), "{sql}").expect("it listens");
        self.line()
    }

    /// Gives the file back; answers with what was said on standard error.
    pub(super) fn end(mut self) -> String {
        drop(self.input.take());
        let output = self.run.wait_with_output().expect("its end");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        error
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
