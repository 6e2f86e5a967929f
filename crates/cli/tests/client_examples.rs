//! The client's examples, run as they are: in a process of their own, from a clean directory, with `dbmux` in `PATH`.

#![cfg(feature = "duckdb")]
#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::process::Command;

use dbmux_testkit::Place;

#[path = "../../client/examples/blocking.rs"]
#[expect(dead_code, reason = "its `main` is for cargo")]
mod blocking;
#[path = "../../client/examples/quickstart.rs"]
#[expect(dead_code, reason = "its `main` is for cargo")]
mod quickstart;
#[path = "../../client/examples/transaction.rs"]
#[expect(dead_code, reason = "its `main` is for cargo")]
mod transaction;

/// Tells the test `example` which one to be, in a process of its own.
const EXAMPLE: &str = "DBMUX_TEST_EXAMPLE";

/// Runs an example in a place of its own, and gives its output.
fn run(place: &Place, name: &str) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "example", "--nocapture", "--test-threads=1"]);
    place.set_up(&mut command);
    let directory = place.binary().parent().expect("its directory").to_owned();
    let path = std::env::join_paths([directory, "/usr/bin".into(), "/bin".into()]).expect("a path");
    let output = command.env(EXAMPLE, name).env("PATH", path).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// An example, when it is asked for.
#[test]
fn example() {
    let Ok(name) = std::env::var(EXAMPLE) else { return };
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match name.as_str() {
        "quickstart" => {
            runtime().expect("a runtime").block_on(quickstart::run("a.duckdb")).map(|all| format!("{all:?}"))
        }
        "transaction" => {
            runtime().expect("a runtime").block_on(transaction::run("a.duckdb")).map(|all| format!("{all:?}"))
        }
        "blocking" => blocking::run("a.duckdb").map(|rows| format!("{rows}")),
        other => unreachable!("there is no {other}"),
    };
    println!("result: {}", result.expect("it works"));
}

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

#[test]
fn quickstart_runs_and_runs_again() {
    let place = place();
    assert!(run(&place, "quickstart").contains("result: (2, 860)"));
    assert!(run(&place, "quickstart").contains("result: (4, 1720)"));
}

#[test]
fn transaction_runs() {
    assert!(run(&place(), "transaction").contains("result: [8400, 1600]"));
}

#[test]
fn blocking_runs() {
    let output = run(&place(), "blocking");
    assert!(output.contains("the long one was cancelled"), "{output}");
    assert!(output.contains("result: 50000"), "{output}");
}
