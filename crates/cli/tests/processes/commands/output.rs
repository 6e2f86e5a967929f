//! What programs read: formats, exit codes, errors, standard input, pipes.

#![expect(clippy::panic, reason = "a test ends by panicking")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{Command, Output, Stdio},
};

use dbmux_testkit::{Foreign, Place, Terminal, python, until};
use serde_json::{Value, json};

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn failed(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

/// Runs SQL that must succeed, and answers with what it wrote.
fn out(place: &Place, arguments: &[&str]) -> String {
    let output = place.run([&["sql", "a.duckdb"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

const KINDS: &str = "select 9223372036854775807 as big, 170141183460469231731687303715884105727::hugeint as huge, \
     340282366920938463463374607431768211455::uhugeint as uhuge, 12345678901234567890.123456789::decimal(38, 9) as dec, \
     0.1::float as f, 'nan'::double as nan, '-inf'::double as inf, '\\x00\\xFFa'::blob as blob, \
     timestamp '2024-02-29 12:34:56.789' as ts, timestamptz '2024-02-29 12:00:00+02' as tz, date '2024-02-29' as d, \
     time '01:02:03.000004' as t, interval 1 month as i, uuid '11111111-2222-3333-4444-555555555555' as u, \
     [1, null, 3] as list, {'a': 1, 'b': ['x', null]} as struct, map {'k': 1.5} as map, null as nothing, \
     'a\"b\n' as string, true as yes, '101'::bit as bits, 'x'::enum('x', 'y') as choice";

#[test]
fn json_is_one_array_of_objects_with_every_kind_of_value() {
    let place = place();
    let shown = out(&place, &[KINDS, "--format", "json"]);
    // Numbers keep all their digits: looked at as text, for a reader may take them for doubles.
    for exact in [
        "\"big\":9223372036854775807",
        "\"huge\":170141183460469231731687303715884105727",
        "\"uhuge\":340282366920938463463374607431768211455",
        "\"dec\":12345678901234567890.123456789",
        "\"f\":0.1,",
    ] {
        assert!(shown.contains(exact), "{exact}: {shown}");
    }
    let rows: Value = serde_json::from_str(&shown).unwrap();
    let row = &rows[0];
    assert_eq!(rows.as_array().unwrap().len(), 1);
    for (name, value) in [
        ("nan", json!("NaN")),
        ("inf", json!("-Infinity")),
        ("blob", json!("00ff61")),
        ("ts", json!("2024-02-29T12:34:56.789")),
        ("tz", json!("2024-02-29T10:00:00Z")),
        ("d", json!("2024-02-29")),
        ("t", json!("01:02:03.000004")),
        ("u", json!("11111111-2222-3333-4444-555555555555")),
        ("list", json!([1, null, 3])),
        ("struct", json!({"a": 1, "b": ["x", null]})),
        ("map", json!({"k": 1.5})),
        ("nothing", json!(null)),
        ("string", json!("a\"b\n")),
        ("yes", json!(true)),
        ("bits", json!("101")),
        ("choice", json!("x")),
    ] {
        assert_eq!(row[name], value, "{name} in {shown}");
    }
    assert_eq!(row.as_object().unwrap().len(), 22);
    assert_eq!(out(&place, &["select 1 as a where false", "--format", "json"]).trim(), "[]");
    assert_eq!(out(&place, &["create table t (i int)", "--format", "json"]), "[]\n");
}

#[test]
fn a_program_gets_the_number_of_rows_changed() {
    let place = place();
    place.sql("a.duckdb", "create table t (i int)");
    let insert = "insert into t values (1), (2)";
    for flag in [&["--json"][..], &["--format", "json"]] {
        assert_eq!(out(&place, &[&[insert], flag].concat()), "[{\"rows_changed\":2}]\n");
    }
    for format in ["jsonl", "csv"] {
        assert_eq!(out(&place, &[insert, "--format", format]), "", "{format}: it would be taken for a row");
    }
    // One array a statement, in their order.
    let sql = "begin; update t set i = 7; commit; select count(*) as n from t";
    assert_eq!(out(&place, &[sql, "--json"]), "[]\n[{\"rows_changed\":8}]\n[]\n[{\"n\":8}]\n");
}

#[test]
fn several_results_are_told_apart() {
    let place = place();
    let sql =
        "select 1 as a union all select 2 order by a; create table t (i int); select 3 as b; select 4 as c where false";
    assert_eq!(out(&place, &[sql, "--format", "csv"]), "a\n1\n2\n\nb\n3\n\nc\n");
    let sql = "select 1 as a; select 3 as b; select 4 as c where false";
    assert_eq!(out(&place, &[sql, "--format", "json"]), "[{\"a\":1}]\n[{\"b\":3}]\n[]\n");
    assert_eq!(out(&place, &[sql, "--format", "jsonl"]), "{\"a\":1}\n{\"b\":3}\n");
    let first_writes = "insert into t values (1); select 5 as d";
    assert_eq!(out(&place, &[first_writes, "--format", "csv"]), "d\n5\n", "nothing stands before the first result");
}

#[test]
fn arrow_is_readable_by_pyarrow_from_a_pipe() {
    let place = place();
    let sql = format!("{KINDS}; from range(100000) r(i)");
    let mut dbmux = place.dbmux(["sql", "a.duckdb", &sql, "--format", "arrow"]).stdout(Stdio::piped()).spawn().unwrap();
    let script = "
import sys, json, pyarrow.ipc as ipc
first = ipc.open_stream(sys.stdin.buffer).read_all()
second = ipc.open_stream(sys.stdin.buffer).read_all()
row = first.to_pylist()[0]
print(json.dumps([first.num_columns, row['big'], str(row['dec']), row['ts'].isoformat(), row['struct'], row['blob'].hex(),
                  second.num_rows, sum(second['i'].to_pylist())]))";
    let mut reader = Command::new(python());
    let reader = reader.args(["-c", script]).stdin(dbmux.stdout.take().unwrap()).output().unwrap();
    assert!(dbmux.wait().unwrap().success());
    assert!(reader.status.success(), "{}", text(&reader.stderr));
    let seen: Value = serde_json::from_slice(&reader.stdout).unwrap();
    let expected = json!([
        22, 9_223_372_036_854_775_807_i64, "12345678901234567890.123456789", "2024-02-29T12:34:56.789000",
        {"a": 1, "b": ["x", null]}, "00ff61", 100_000, 4_999_950_000_i64
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn parameters_and_files() {
    let place = place();
    assert_eq!(
        out(&place, &["select ? + ? as s, ? as t", "--param", "40", "--param", "2", "-p", "it's"]),
        "s,t\n42,it's\n"
    );
    assert_eq!(out(&place, &["select $b || $a as s", "--param", "a='7'", "--param", "b=x"]), "s\nx7\n");
    assert_eq!(
        out(&place, &["select typeof($1) as t, $1 is null as n", "--param", "null"]).lines().last(),
        Some("\"\"\"NULL\"\"\",true")
    );
    std::fs::write(
        place.path("report.sql"),
        "-- a report; really\ncreate table t as select 1 as i;\nfrom t where i = $1;",
    )
    .unwrap();
    assert_eq!(out(&place, &["-f", "report.sql", "--param", "1"]), "i\n1\n");
    let missing = failed(&place.run(["sql", "a.duckdb", "select ?, ?", "--param", "1", "--json"]), 1);
    assert_eq!(missing["code"], "SQL", "{missing}");
    let surplus = place.run(["sql", "a.duckdb", "select 1", "--param", "1", "--json"]);
    assert!(surplus.status.success(), "values that nobody asks for may serve the next statement");
    let binary = place.path("binary.sql");
    std::fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    assert_eq!(failed(&place.run(["sql", "a.duckdb", "-f", "binary.sql", "--json"]), 2)["code"], "USAGE");
}

#[test]
fn standard_input_is_one_session_whose_statements_run_as_they_arrive() {
    let place = place();
    let mut session = place.dbmux(["sql", "a.duckdb", "--format", "jsonl"]);
    let mut session = session.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = session.stdin.take().unwrap();
    let mut output = BufReader::new(session.stdout.take().unwrap());
    let mut line = |sql: &str| {
        input.write_all(sql.as_bytes()).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(line("create temp table mine as select 7 as i; begin; select i from mine;"), "{\"i\":7}\n");
    assert_eq!(line("select ';' as \"a;b\"; "), "{\"a;b\":\";\"}\n");
    assert_eq!(line("rollback; select $$;$$ as c -- ;\n;"), "{\"c\":\";\"}\n");
    input.write_all(b"select 'no semicolon at the end' as last; select nonsense; select 'never';").unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "{\"last\":\"no semicolon at the end\"}\n");
    let output = session.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the first error ends it");
    assert!(text(&output.stderr).contains("nonsense"), "{}", text(&output.stderr));
}

#[test]
fn every_exit_code_is_as_documented_and_every_error_is_json() {
    let place = place();
    place.make("a.duckdb", "create table t (i int primary key); insert into t values (1)");
    let json = |arguments: &[&str], code| failed(&place.run([arguments, &["--json"]].concat()), code);
    let error = json(&["sql", "a.duckdb", "selec 1"], 1);
    assert_eq!(error["code"], "SQL");
    assert!(error["sqlstate"].is_string() && error["message"].as_str().unwrap().contains("syntax error"), "{error}");
    let error = json(&["sql", "a.duckdb", "insert into t values (1)"], 1);
    assert!(error["message"].as_str().unwrap().contains("Duplicate key"), "{error}");
    let error = json(&["sql", "a.duckdb", "insert into t values (2)", "--read-only"], 1);
    assert_eq!(
        (error["code"].as_str(), error["suggestion"].as_str()),
        (Some("READ_ONLY"), Some("leave out --read-only"))
    );
    assert_eq!(json(&["sql", "none.duckdb", "select 1", "--read-only"], 1)["code"], "NO_SUCH_DATABASE");
    assert_eq!(json(&["sql", "no/such/place.duckdb", "select 1"], 1)["code"], "NO_SUCH_DATABASE");
    let error = json(&["sql", "new.duckdb", "select 1", "--storage-version", "v9.9.9"], 1);
    assert_eq!(error["code"], "UNSUPPORTED");
    assert!(error["message"].as_str().unwrap().contains("v9.9.9"), "{error}");
    let hint = error["suggestion"].as_str().unwrap();
    assert!(hint.starts_with("choose latest, v2") && hint.contains("any from v0.0.4 to v2"), "{hint}");
    assert!(hint.len() < 80, "a few of some seventy: {hint}");
    assert!(!place.path("new.duckdb").exists());
    std::fs::write(place.path("text.duckdb"), "this is a text, and no database at all ".repeat(200)).unwrap();
    assert_eq!(json(&["sql", "text.duckdb", "select 1"], 1)["code"], "NOT_A_DATABASE");
    // The command line makes no sense: clap's own words come as JSON too.
    assert_eq!(json(&["sql", "a.duckdb", "select 1", "--wait", "soon"], 2)["code"], "USAGE");
    assert_eq!(json(&["sql", "a.duckdb", "select 1", "--no-such-flag"], 2)["code"], "USAGE");
    assert_eq!(json(&["sql"], 2)["code"], "USAGE");
    // No broker can be started.
    let output =
        place.dbmux(["sql", "b.duckdb", "select 1", "--json"]).env("DBMUX_BIN", "/no/such/dbmux").output().unwrap();
    assert_eq!(failed(&output, 69)["code"], "BROKER_UNAVAILABLE");
    // Out of time.
    let mut foreign = Foreign::start();
    until("the file is let go", || foreign.open(&place.path("a.duckdb"), false).starts_with("ok"));
    let error = json(&["sql", "a.duckdb", "from t", "--wait", "100ms"], 75);
    assert_eq!((error["code"].as_str(), &error["holding_pid"]), (Some("DATABASE_LOCKED"), &json!(foreign.pid())));
    foreign.kill();
    // A conflict, which only its client can redo.
    let script = "begin; update t set i = 5; select 'updated' as done;";
    let mut first = place.dbmux(["sql", "a.duckdb", "--format", "jsonl"]);
    let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    first.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
    BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    let (code, error) = place.fails(&["sql", "a.duckdb", "begin; update t set i = 6; commit"]);
    assert_eq!(code, 77);
    assert_eq!((error["code"].as_str(), error["sqlstate"].as_str()), (Some("TRANSACTION_CONFLICT"), Some("40001")));
    drop(first.stdin.take());
    first.wait().unwrap();
}

#[test]
fn bad_input_of_each_kind_is_named() {
    let place = place();
    let message = |mut command: Command, code| {
        let error = failed(&command.output().unwrap(), code);
        error["message"].as_str().unwrap().to_owned()
    };
    let sql = |arguments: &[&str]| place.dbmux([&["sql"], arguments, &["--json"]].concat());
    for (database, word) in [("", "value is required"), ("/dev/null", "no regular file"), (".", "it is a directory")] {
        let code = if database.is_empty() { 2 } else { 1 };
        let told = message(sql(&[database, "select 1"]), code);
        assert!(told.contains(word) && told.matches("find").count() <= 1, "{database}: {told}");
    }
    for wait in ["soon", "-1", "nan", "inf", "1e300", "900y"] {
        let told = message(sql(&["a.duckdb", "select 1", &format!("--wait={wait}")]), 2);
        assert!(told.contains("no time") || told.contains("ten years"), "{wait}: {told}");
    }
    // A broker that says nothing, and one that is killed in the middle of its word.
    let half = place.path("half");
    std::fs::write(&half, "#!/bin/sh\necho\n").unwrap();
    std::fs::set_permissions(&half, PermissionsExt::from_mode(0o755)).unwrap();
    for broker in [Path::new("/bin/true"), &half] {
        let mut command = sql(&["a.duckdb", "select 1"]);
        command.env("DBMUX_BIN", broker);
        let told = message(command, 69);
        assert!(told.ends_with("it ended without a word"), "{told}");
    }
    // The output is full, the input is a directory.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = sql(&["a.duckdb", "select 1"]);
    command.stdout(full);
    assert!(message(command, 1).contains("standard output"));
    let mut command = sql(&["a.duckdb"]);
    command.stdin(std::fs::File::open("/tmp").unwrap());
    assert!(message(command, 1).contains("standard input"));
    assert!(!place.path("a.duckdb").exists() || place.sql("a.duckdb", "select 42") == "42");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let place = place();
    place.sql("a.duckdb", "select 1");
    for format in ["csv", "json", "jsonl", "table", "arrow"] {
        let mut dbmux =
            place.dbmux(["sql", "a.duckdb", "select * from range(300000000)", "--format", format, "--max-rows", "0"]);
        let mut dbmux = dbmux.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        dbmux.stdout.take().unwrap().read_exact(&mut [0; 64]).unwrap();
        let output = dbmux.wait_with_output().unwrap();
        assert_eq!(text(&output.stderr), "", "{format}");
        let ended = output.status.code() == Some(141) || output.status.signal() == Some(13);
        assert!(ended, "{format}: {:?}", output.status);
    }
    assert_eq!(place.sql("a.duckdb", "select 42"), "42", "the broker serves the next one");
}

#[test]
fn reports_start_no_broker_and_make_no_file() {
    let place = place();
    let before = |path: &str| std::fs::read_dir(place.path(path)).unwrap().count();
    for arguments in [
        &["--help"][..],
        &["sql", "--help"],
        &["--version"],
        &["who", "a.duckdb"],
        &["status"],
        &["status", "a.duckdb"],
        &["stats", "a.duckdb"],
        &["stop", "a.duckdb"],
        &["completions", "bash"],
        &["environment"],
    ] {
        assert!(place.run(arguments).status.success(), "{arguments:?}");
        assert_eq!((before(""), before("run")), (1, 0), "{arguments:?} made something");
    }
    assert!(place.run(["lock", "a.duckdb", "--scope", "database", "--", "true"]).status.success());
    assert!(place.brokers().is_empty() && !place.path("a.duckdb").exists());
    place.sql("a.duckdb", "select 1");
    let status = place.run(["status", "a.duckdb", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["pid"], place.brokers()[0].as_raw_nonzero().get());
    assert!(std::fs::exists(status["socket"].as_str().unwrap()).unwrap(), "{status}");
    assert!(["attached", "released"].contains(&status["state"].as_str().unwrap()), "{status}");
}

#[test]
fn a_file_is_made_in_the_version_that_was_asked_for() {
    let place = place();
    place.make("old.duckdb", "create table t as select 42 as i");
    let output = place.run(["stop", "old.duckdb"]);
    assert!(output.status.success());
    let mut old = Foreign::holding(&place.path("old.duckdb"), false);
    assert_eq!(old.sql("from t"), "ok [(42,)]");
    drop(old);
    place.sql("new.duckdb", "create table t as select 42 as i");
    place.run(["stop", "new.duckdb"]);
    let refused = Foreign::start().open(&place.path("new.duckdb"), true);
    assert!(refused.starts_with("error"), "DuckDB 1.5 reads the version of 2.0 now: {refused}");
}

#[test]
fn high_priority_passes_those_who_wait() {
    let place = place();
    let serial = place.dbmux(["sql", "a.duckdb", "create table told (who text)"]).env("DBMUX_SERIAL", "true").status();
    assert!(serial.unwrap().success());
    let queued = || {
        let status = place.run(["status", "a.duckdb", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        (status["running"].as_array().map_or(0, Vec::len), status["queued"].as_array().map_or(0, Vec::len))
    };
    let mut busy = place
        .dbmux([
            "sql",
            "a.duckdb",
            "select count(*) from range(100000) a, range(100000000) b where a.range + b.range = 7",
        ])
        .spawn()
        .unwrap();
    until("it runs", || queued() == (1, 0));
    let mut waiting = Vec::new();
    for (number, (who, priority)) in [("low", "low"), ("normal", "normal"), ("high", "high")].into_iter().enumerate() {
        // What reads the table cannot be merged: each is a statement of its own.
        let sql = format!("insert into told select '{who}' || count(*) from told");
        waiting.push(place.dbmux(["sql", "a.duckdb", &sql, "--priority", priority]).spawn().unwrap());
        until("it waits", || queued().1 == number + 1);
    }
    let pid = rustix::process::Pid::from_child(&busy);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(busy.wait().unwrap().code(), Some(130));
    for mut waiter in waiting {
        assert!(waiter.wait().unwrap().success());
    }
    assert_eq!(place.sql("a.duckdb", "from told order by who[-1]"), "high0\nnormal1\nlow2");
}

#[test]
fn colours_stay_away_where_nobody_wants_them() {
    let place = place();
    let shows = |command: Command| Terminal::start(command).end().1;
    // Wherever `Terminal` takes a variable away, a shell sets it again.
    let in_shell = |prefix: &str, flag: &str| {
        let mut command = Command::new("sh");
        place.set_up(&mut command);
        command.arg("-c").arg(format!("{prefix} {} sql a.duckdb selec {flag}", place.binary().display()));
        command
    };
    assert!(shows(in_shell("", "")).contains("\x1b[1;31m"), "an error on a terminal is red");
    for (prefix, flag) in [("NO_COLOR=1", ""), ("", "--color never"), ("TERM=dumb", "")] {
        let shown = shows(in_shell(prefix, flag));
        assert!(shown.contains("syntax error") && !shown.contains('\x1b'), "{prefix} {flag}: {shown:?}");
    }
    let piped = place.run(["sql", "a.duckdb", "selec"]);
    assert!(!piped.stderr.contains(&0x1b));
    let forced = place.run(["sql", "a.duckdb", "selec", "--color", "always"]);
    assert!(forced.stderr.contains(&0x1b));
}
