//! Errors: for a person as section "Errors" of the guide shows them, for a program as one JSON object.

use std::{io::Write, time::Duration};

use serde_json::{Value, json};

use super::person;
use crate::failure::Failure;

const RED: &str = "\x1b[1;31m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Shows why a command failed, on standard error.
pub(crate) fn show(failure: &Failure, json: bool) {
    if failure.is_quiet() {
        return;
    }
    let text = if json { for_program(failure).to_string() } else { for_person(failure) };
    // Nobody is left to tell when even standard error is gone.
    let _ = writeln!(anstream::stderr(), "{}", text.trim_end());
}

/// One line of what is wrong, the facts, and what to do.
fn for_person(failure: &Failure) -> String {
    let mut text = format!("{RED}error{PLAIN}: {}\n", indented(&failure.message));
    let mut fact = |label: &str, value: &str| {
        text.push_str(&format!("  {BOLD}{label:<8}{PLAIN} {value}\n"));
    };
    if let Some(at) = &failure.at {
        fact("at", &format!("{}, line {}, statement {}", at.source, at.line, at.statement));
    }
    if let Some(holder) = &failure.holder {
        fact("held by", &person::holder(holder));
    }
    if let Some(waiting) = waiting(failure) {
        fact("waiting", &waiting);
    }
    if !failure.suggestion.is_empty() {
        fact("hint", &indented(&failure.suggestion));
    }
    text
}

/// `3 ahead of you; gave up after 30 s`.
fn waiting(failure: &Failure) -> Option<String> {
    let gave_up = failure.waited_s.map(|seconds| {
        let waited = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if waited.as_millis() == 0 {
            return "did not wait".to_owned();
        }
        format!("gave up after {}", person::duration(waited))
    });
    let ahead = (failure.ahead > 0).then(|| format!("{} ahead of you", failure.ahead));
    match (ahead, gave_up) {
        (None, None) => None,
        (ahead, gave_up) => Some([ahead, gave_up].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().map(|line| format!("  {line}").trim_end().to_owned()).collect();
    lines.join("\n").trim_start().to_owned()
}

/// The same as an object; what is not known is null.
pub(crate) fn for_program(failure: &Failure) -> Value {
    let sqlstate = (!failure.sqlstate.is_empty()).then_some(&failure.sqlstate);
    let suggestion = (!failure.suggestion.is_empty()).then_some(&failure.suggestion);
    let at = failure.at.as_ref();
    json!({
        "at": at.map(|at| json!({ "source": at.source, "line": at.line, "statement": at.statement })),
        "code": failure.code,
        "message": failure.message.trim_end(),
        "db_path": failure.db_path,
        "holding_pid": failure.holder.as_ref().map(|holder| holder.pid).filter(|pid| *pid != 0),
        "holder": failure.holder.as_deref().map(super::report::holder),
        "waited_s": failure.waited_s,
        "ahead": failure.ahead,
        "suggestion": suggestion,
        "sqlstate": sqlstate,
    })
}

#[cfg(test)]
mod tests {
    use dbmux_client::Holder;

    use super::*;

    fn locked() -> Failure {
        Failure {
            code: "DATABASE_LOCKED",
            message: "sales.duckdb is in use".into(),
            db_path: Some(std::path::Path::new("/data/sales.duckdb").into()),
            holder: Some(Box::new(Holder {
                pid: 66618,
                command: "dbt build --select marts".into(),
                user: "alice".into(),
                held_ms: 12_345,
                ..Holder::default()
            })),
            waited_s: Some(30.004),
            ahead: 3,
            suggestion: "wait longer with --wait 2m".into(),
            ..Failure::default()
        }
    }

    #[test]
    fn a_person_sees_who_holds_it() {
        let text = anstream::adapter::strip_str(&for_person(&locked())).to_string();
        insta::assert_snapshot!(text, @r"
        error: sales.duckdb is in use
          held by  dbt build --select marts   (pid 66618, alice, 12 s)
          waiting  3 ahead of you; gave up after 30 s
          hint     wait longer with --wait 2m
        ");
    }

    #[test]
    fn a_program_sees_the_same() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&for_program(&locked())).unwrap());
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let failure = Failure { message: "Parser Error: no\n\nLINE 1: no\n        ^\n".into(), ..Failure::default() };
        let text = anstream::adapter::strip_str(&for_person(&failure)).to_string();
        insta::assert_snapshot!(text, @r"
        error: Parser Error: no

          LINE 1: no
                  ^
        ");
    }
}
