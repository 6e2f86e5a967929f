//! Which of several statements failed: source, line and number.

use std::process::Stdio;

use dbmux_testkit::Place;
use serde_json::{Value, json};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

const TEXT: &str = "select 1;\n\n-- wrong:\n  selec 3;\nselect 4;\n";

#[test]
fn an_error_of_a_file_is_told_with_the_files_own_line() {
    let place = place();
    std::fs::write(place.path("report.sql"), TEXT).expect("a file");
    let (code, error) = place.fails(&["sql", "a.duckdb", "-f", "report.sql"]);
    assert_eq!(code, 1);
    assert_eq!(error["at"], json!({ "source": "report.sql", "line": 4, "statement": 2 }), "{error}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("LINE 4:") && !message.contains("LINE 2:"), "{message}");
    let output = place.run(["sql", "a.duckdb", "-f", "report.sql"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("at       report.sql, line 4, statement 2\n"), "{shown}");
    // The caret stands where it stood, however many digits the line has.
    std::fs::write(place.path("long.sql"), format!("{}selec 3", "\n".repeat(120))).expect("a file");
    let (_, error) = place.fails(&["sql", "a.duckdb", "-f", "long.sql"]);
    let message = error["message"].as_str().expect("a message");
    let line = message.lines().position(|line| line.starts_with("LINE 121: selec")).expect("its line");
    let [code, caret] = [line, line + 1].map(|at| message.lines().nth(at).expect("both"));
    assert_eq!(code.find("selec"), caret.find('^'), "{message}");
}

#[test]
fn an_error_of_standard_input_is_told_with_its_line() {
    let place = place();
    let mut dbmux = place.dbmux(["sql", "a.duckdb", "--json"]);
    let mut dbmux =
        dbmux.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut dbmux.stdin.take().expect("a pipe"), TEXT.as_bytes()).expect("it reads");
    let output = dbmux.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(error["at"], json!({ "source": "standard input", "line": 4, "statement": 2 }), "{error}");
}

#[test]
fn of_several_statements_on_the_command_line_it_is_told_which() {
    let place = place();
    let (_, error) = place.fails(&["sql", "a.duckdb", "select 1; selec 2"]);
    assert_eq!(error["at"]["statement"], 2, "{error}");
    let (_, error) = place.fails(&["sql", "a.duckdb", "selec 1"]);
    assert_eq!(error["at"], Value::Null, "there is only one");
}

#[test]
fn sql_may_begin_with_a_comment_and_a_misspelt_flag_is_no_sql() {
    let place = place();
    let sql = "-- the answer\nselect 42 as a";
    for arguments in [&[sql, "--format", "json"][..], &["--format", "json", sql], &["--format=json", "--", sql]] {
        let output = place.run([&["sql", "a.duckdb"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert_eq!(output.stdout, b"[{\"a\":42}]\n", "{arguments:?}");
    }
    for arguments in [&["--fromat", "json", "select 1"][..], &["select 1", "--fromat=json"], &["--fromat"], &["-x"]] {
        let output = place.run([&["sql", "a.duckdb"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("unexpected argument '-"),
            "{arguments:?}: {output:?}"
        );
    }
}
