//! A disk that is full: the statement is told so, what was acknowledged stays, and the next one works when there is room. On
//! each engine.
//!
//! The disk is a small one in memory, in a mount namespace of its own, which the script in it shares with its broker.

use std::process::{Command, Output};

use dbmux_testkit::{Kind, Place};

on_each_engine_with_sql!(
    a_write_that_does_not_fit_is_told_and_nothing_acknowledged_is_lost,
    a_log_that_was_cut_off_by_a_full_disk_loses_nothing_that_comes_after,
);
// The others write nothing but the database.
on_duckdb!(an_export_that_does_not_fit_is_told);

/// Runs a script with `$DISK`, a disk of 24 MB, `$DB`, a database on it, and `$DBMUX`.
pub(super) fn on_a_small_disk(kind: Kind, place: &Place, script: &str) -> Output {
    let disk = place.path("disk");
    std::fs::create_dir(&disk).expect("a directory");
    let mut command = Command::new("unshare");
    place.set_up(&mut command);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-euc"]);
    // Nothing of this may outlive the test: the broker holds the disk.
    let setup = "mount -t tmpfs -o size=24m none \"$DISK\"; trap '\"$DBMUX\" stop \"$DB\" >/dev/null 2>&1' EXIT\n";
    let helpers = "sql() { \"$DBMUX\" sql \"$DB\" \"$1\" --json; }\n";
    command
        .arg(format!("{setup}{helpers}{script}"))
        .env("DB", disk.join(kind.file()))
        .env("DISK", disk)
        .env("DBMUX", place.binary());
    command.output().expect("unshare runs")
}

pub(super) fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    // What each write answers is not looked at here.
    text.lines().filter(|line| *line != "[]" && !line.starts_with("[{\"rows_changed\"")).map(str::to_owned).collect()
}

fn an_export_that_does_not_fit_is_told(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let script = r#"
        sql "create table t as select 1 as i"
        sql "copy (select repeat('x', 1000) from range(100000)) to '$DISK/out.csv'" 2>&1 && exit 9
        rm -f "$DISK"/out.csv "$DISK"/tmp_out.csv
        sql "insert into t values (2)"
        sql "select count(*) as n from t"
    "#;
    let lines = lines(&on_a_small_disk(kind, &place, script));
    assert!(lines[0].contains("\"code\":\"DISK_FULL\""), "{lines:#?}");
    assert_eq!(lines.last().map(String::as_str), Some("[{\"n\":2}]"), "{lines:#?}");
}

fn a_write_that_does_not_fit_is_told_and_nothing_acknowledged_is_lost(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let many = match kind {
        Kind::Lance => unreachable!("its rows are no text"),
        Kind::DuckDb => "gen_random_uuid()::varchar || gen_random_uuid()::varchar from range(20000)",
        Kind::Sqlite => {
            "hex(randomblob(36)) from \
             (with recursive r(i) as (select 1 union all select i + 1 from r where i < 20000) select i from r)"
        }
    };
    // Writes until the disk is full, counts what was acknowledged, makes room, and goes on.
    let script = r#"
        head -c 12000000 /dev/zero > "$DISK/ballast"
        sql "create table t (i int, x varchar)"
        acknowledged=0
        while sql "insert into t select $acknowledged, MANY" 2>"$DISK/../error"
        do acknowledged=$((acknowledged + 1)); done
        cat "$DISK/../error"
        echo "acknowledged $acknowledged"
        sql "select 'readable' as still" || true
        rm "$DISK/ballast"
        sql "select count(distinct i) as n, count(*) as rows from t"
        sql "insert into t values (-1, '')"
        "$DBMUX" stop "$DB" >/dev/null
        sql "select count(distinct i) as n, count(*) as rows from t"
    "#
    .replace("MANY", many);
    let lines = lines(&on_a_small_disk(kind, &place, &script));
    let text = lines.join("\n");
    assert!(lines[0].contains("\"code\":\"DISK_FULL\""), "{text}");
    let acknowledged = lines.iter().find_map(|line| line.strip_prefix("acknowledged ")).expect("a count");
    let acknowledged: u64 = acknowledged.parse().expect("a number");
    assert!(acknowledged > 0, "{text}");
    let counts = |n: u64, rows: u64| format!("[{{\"n\":{n},\"rows\":{rows}}}]");
    assert!(text.contains(&counts(acknowledged, acknowledged * 20_000)), "{text}");
    assert!(text.contains(&counts(acknowledged + 1, acknowledged * 20_000 + 1)), "{text}");
}

fn a_log_that_was_cut_off_by_a_full_disk_loses_nothing_that_comes_after(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    // Single-row inserts fill the log to the last byte of the disk; there is room again, more are acknowledged; then the
    // broker is killed, so that only the log has them.
    let script = r#"
        sql "create table t (i int, x varchar)"
        head -c 24000000 /dev/zero > "$DISK/ballast" 2>/dev/null || true
        truncate -s -150000 "$DISK/ballast"
        acknowledged=0
        while sql "insert into t values ($acknowledged, WIDE)" 2>"$DISK/../error"
        do acknowledged=$((acknowledged + 1)); done
        cat "$DISK/../error"
        echo "acknowledged $acknowledged"
        rm "$DISK/ballast"
        for more in 1 2 3; do sql "insert into t values ($acknowledged, 'more')"; acknowledged=$((acknowledged + 1)); done
        ls -l "$DISK"
        kill -9 $("$DBMUX" status "$DB" --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
        sql "select count(distinct i) as n, count(*) as rows from t"
        sql "insert into t values (-1, '')"
        sql "select count(*) as n from t"
    "#
    .replace("WIDE", if kind == Kind::DuckDb { "repeat('x', 9000)" } else { "printf('%.*c', 9000, 'x')" });
    let lines = lines(&on_a_small_disk(kind, &place, &script));
    let text = lines.join("\n");
    println!("{text}");
    assert!(lines[0].contains("\"code\":\"DISK_FULL\""), "{text}");
    let acknowledged = lines.iter().find_map(|line| line.strip_prefix("acknowledged ")).expect("a count");
    let acknowledged = acknowledged.parse::<u64>().expect("a number");
    assert!(acknowledged > 3, "{text}");
    let all = acknowledged + 3;
    assert!(text.contains(&format!("[{{\"n\":{all},\"rows\":{all}}}]")), "{text}");
    assert!(text.contains(&format!("[{{\"n\":{}}}]", all + 1)), "{text}");
}
