//! Ten gigabytes piped to `head`: nobody makes, keeps or waits for what nobody reads. On each engine.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dbmux_testkit::{Kind, Place, until};
use serde_json::json;

on_each_engine!(
    ten_gigabytes_piped_to_head_end_at_once_and_cost_no_memory,
    a_large_result_costs_no_memory_however_slowly_it_is_read,
);

fn ten_gigabytes_piped_to_head_end_at_once_and_cost_no_memory(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(kind.file(), "select 1");
    // 100 million rows of 100 bytes.
    let sql = &kind.large();
    for format in ["csv", "jsonl", "json", "arrow"] {
        let mut dbmux = place.dbmux(["sql", kind.file(), sql, "--format", format]);
        let mut dbmux = dbmux.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dbmux starts");
        let began = Instant::now();
        // `output` drops its end of the pipe with the command, as a shell does.
        let pipe = dbmux.stdout.take().expect("a pipe");
        let head = Command::new("head").args(["-c", "4096"]).stdin(pipe).output().expect("head ends");
        let mut peak = 0;
        until("dbmux ends", || {
            peak = peak.max(place.status(kind.file())["memory_bytes"].as_u64().expect("a number"));
            dbmux.try_wait().expect("a look").is_some()
        });
        let took = began.elapsed();
        let output = dbmux.wait_with_output().expect("its end");
        let error = String::from_utf8_lossy(&output.stderr);
        println!("{format}: {took:?}, the broker took {} MiB at most", peak >> 20);
        assert_eq!(head.stdout.len(), 4096, "{format}: {error}");
        assert!(error.is_empty(), "{format}: {error}");
        assert!(took < Duration::from_secs(3), "{format}: {took:?}");
        assert!(peak < 500 << 20, "{format}: {peak}");
        until("the statement is gone", || place.status(kind.file())["running"] == json!([]));
    }
}

fn a_large_result_costs_no_memory_however_slowly_it_is_read(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(kind.file(), "select 1");
    let sql = &kind.rows(4_000_000, 90);
    let mut dbmux = place.dbmux(["sql", kind.file(), sql, "--format", "csv"]);
    let mut dbmux = dbmux.stdout(Stdio::piped()).spawn().expect("dbmux starts");
    let pipe = dbmux.stdout.take().expect("a pipe");
    let count = Command::new("wc").arg("-l").stdin(pipe).stdout(Stdio::piped()).spawn().expect("wc starts");
    let mut peak = 0;
    until("dbmux ends", || {
        peak = peak.max(place.status(kind.file())["memory_bytes"].as_u64().expect("a number"));
        dbmux.try_wait().expect("a look").is_some()
    });
    let lines = String::from_utf8(count.wait_with_output().expect("wc ends").stdout).expect("text");
    assert_eq!(lines.trim(), "4000001");
    println!("the broker took {} MiB at most", peak >> 20);
    assert!(peak < 500 << 20, "{peak}");
}
