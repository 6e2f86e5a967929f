//! A process that answers a line with a line.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Result, context::Context};

/// A process on the other end of two pipes, which ends with this value.
pub(crate) struct Rival {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Rival {
    /// Starts one of the scripts.
    pub(crate) fn script<A: AsRef<OsStr>>(
        context: &Context,
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut command = Command::new(&context.python);
        command.arg(context.rivals.join(script)).args(arguments);
        Self::start(command)
    }

    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { name: format!("{command:?}"), child, input, output })
    }

    /// Says a line, and waits for none.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Waits for a line.
    pub(crate) fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(format!("{} ended with {}", self.name, self.child.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits until it says that it is ready.
    pub(crate) fn ready(&mut self) -> Result<()> {
        match self.hear()?.as_str() {
            "ready" => Ok(()),
            other => Err(format!("not ready, but {other}").into()),
        }
    }

    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        self.say(line)?;
        self.hear()
    }

    /// Asks for numbers.
    pub(crate) fn numbers(&mut self, line: &str) -> Result<Vec<f64>> {
        let answer = self.ask(line)?;
        answer.split_whitespace().map(|word| Ok(word.parse()?)).collect()
    }

    /// Ends it with SIGKILL, now.
    pub(crate) fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
