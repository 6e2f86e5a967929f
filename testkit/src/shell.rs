//! A session in a process of its own: `dbmux sql DB`, told its statements a line at a time.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::Place;

/// A `dbmux sql` that reads statements and writes one JSON object a row. Killed when it is dropped.
pub struct Shell {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
}

impl Shell {
    /// Starts it; more arguments may follow the database.
    pub fn start(place: &Place, database: &str, arguments: &[&str]) -> Self {
        let mut command = place.dbmux(["sql", database, "--format", "jsonl", "--json"]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("dbmux starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let errors = child.stderr.take().expect("its errors");
        Self { child, input, output, errors }
    }

    /// Gives it a statement, and does not wait.
    pub fn tell(&mut self, sql: &str) {
        writeln!(self.input.as_mut().expect("it was not told to end"), "{sql};").expect("it listens");
    }

    /// Gives it a statement, and waits for a row.
    pub fn ask(&mut self, sql: &str) -> String {
        self.tell(sql);
        self.line()
    }

    /// Runs statements that answer nothing, and waits until they are done.
    pub fn done(&mut self, sql: &str) {
        let answer = self.ask(&format!("{sql}; select 'done' as said"));
        assert_eq!(answer, "{\"said\":\"done\"}", "{sql}");
    }

    /// The next row.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("it answers");
        if read == 0 {
            let mut errors = String::new();
            let _ = self.errors.read_to_string(&mut errors);
            panic!("it ended: {errors}");
        }
        line.trim_end().to_owned()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Reads what is left, and waits for its end: its exit code (-1: by a signal), and what it said on standard error.
    pub fn end(mut self) -> (i32, String) {
        drop(self.input.take());
        let (mut rest, mut errors) = (Vec::new(), String::new());
        std::thread::scope(|scope| {
            scope.spawn(|| self.errors.read_to_string(&mut errors));
            self.output.read_to_end(&mut rest).expect("its output");
        });
        (self.child.wait().expect("its end").code().unwrap_or(-1), errors)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
