//! What a person or a program sees: data on standard output, everything else on standard error.

pub(crate) mod answer;
mod arrow;
mod csv;
pub(crate) mod error;
mod json;
pub(crate) mod live;
pub(crate) mod person;
pub(crate) mod plain;
pub(crate) mod report;
pub(crate) mod table;

use std::io::Write;

/// Tells something beside the data, on standard error; with `--json` as `{"note": …}`. That nobody listens there is no
/// failure.
pub(crate) fn note(text: &str) {
    let _ = if crate::terminal::wants_json() {
        writeln!(anstream::stderr(), "{}", serde_json::json!({ "note": text.trim_start_matches("note: ") }))
    } else {
        writeln!(anstream::stderr(), "{text}")
    };
}
