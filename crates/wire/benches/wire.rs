//! What the wire alone costs: a small question's round trip, and five million rows, over a Unix socket with nothing
//! behind it. `cargo bench -p dbmux-wire`; nothing else should run meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "a benchmark prints, and ends where it cannot go on; the tests' fixture has more than it needs"
)]

#[path = "../tests/wire/data.rs"]
mod data;
#[path = "../tests/wire/service.rs"]
mod service;
#[path = "../tests/wire/support.rs"]
mod support;

use std::time::{Duration, Instant};

use dbmux_proto::Statement;

use support::{Served, TestSession};

const ROUNDS: usize = 3000;
const ROWS: usize = 5_000_000;

fn main() {
    // The server and the client have a runtime each, as they would in processes of their own.
    let server = runtime();
    let served = server.block_on(async { Served::start() });
    let client = runtime();
    client.block_on(async {
        let session = served.session().await;
        small(&session).await;
        for _ in 0..5 {
            large(&session).await;
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn small(session: &TestSession) {
    let mut took = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        session.ask("SELECT 42").await.unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    let at = |percent: usize| took[ROUNDS * percent / 100];
    println!("round trip: p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
}

async fn large(session: &TestSession) {
    let sql = format!("rows {ROWS}");
    // The fixture makes its rows before it answers: that is not counted.
    let stream = session.open(Statement { sql, ..Statement::default() }).await.unwrap();
    let began = Instant::now();
    let rows: usize = support::read(stream).await.unwrap().iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, ROWS);
    println!("{rows} rows: {}", milliseconds(began.elapsed()));
}

fn milliseconds(took: Duration) -> String {
    format!("{:.0} ms", took.as_secs_f64() * 1000.0)
}
