//! What a person or a program sees: data on standard output, everything else on standard error.

pub(crate) mod alike;
pub(crate) mod answer;
mod arrow;
mod csv;
pub(crate) mod error;
mod json;
pub(crate) mod live;
mod sink;
pub(crate) mod table;

use std::io::{Result, Write};

pub(crate) use dbmux_report::{parts as report, person};

/// Tells something beside the data, on standard error; with `--json` as `{"note": …}`. That nobody listens there is no
/// failure.
pub(crate) fn note(text: &str) {
    let _ = if crate::terminal::wants_json() {
        writeln!(anstream::stderr(), "{}", serde_json::json!({ "note": text.trim_start_matches("note: ") }))
    } else {
        writeln!(anstream::stderr(), "{text}")
    };
}

/// Says that an answer is from a snapshot; with `--json` as `{"note": …, "as_of": …}`.
pub(crate) fn as_of(time: &str) {
    let text = format!("answered from a snapshot as of {time}");
    let _ = if crate::terminal::wants_json() {
        writeln!(anstream::stderr(), "{}", serde_json::json!({ "note": text, "as_of": time }))
    } else {
        writeln!(anstream::stderr(), "note: {text}")
    };
}

/// Standard output, for reports: without colours where nobody wants them.
pub(crate) fn report_output() -> impl Write {
    Data(anstream::stdout().lock())
}

/// Standard output, for results: byte by byte.
pub(crate) fn result_output() -> impl Write {
    Data(std::io::stdout().lock())
}

/// The same, for what is written from several threads.
pub(crate) fn shared_output() -> impl Write + Send {
    std::io::BufWriter::new(Data(std::io::stdout()))
}

/// Names standard output in the errors of writing to it. Their kind stays: a closed pipe is known by it.
struct Data<W>(W);

fn named<T>(done: Result<T>) -> Result<T> {
    done.map_err(|error| std::io::Error::new(error.kind(), format!("write to standard output: {error}")))
}

impl<W: Write> Write for Data<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        named(self.0.write(bytes))
    }

    fn flush(&mut self) -> Result<()> {
        named(self.0.flush())
    }
}
