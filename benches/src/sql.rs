//! Statements, through our client.

use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_client::{Client, ClientOptions, Session, Statement};
use serde_json::{Value, json};

use crate::figures::Times;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const WARM_UP: usize = 200;
const SELECTS: usize = 3000;
const SCANS: usize = 5;
const SESSIONS: usize = 16;
const INSERT_TIME: Duration = Duration::from_secs(5);
const BESIDE_TIME: Duration = Duration::from_secs(8);

/// A database of its own, whose broker ends with it.
struct Place {
    directory: tempfile::TempDir,
    client: Client,
}

impl Place {
    fn new(dbmux: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let options = ClientOptions { broker_program: Some(dbmux.to_owned()), ..ClientOptions::default() };
        let client = Client::open(directory.path().join("bench.duckdb"), options)?;
        Ok(Self { directory, client })
    }

    async fn end(self) -> Result<()> {
        self.client.stop(Duration::from_secs(5)).await?;
        drop(self.directory);
        Ok(())
    }
}

/// Runs it on two threads, as a program with a runtime would.
fn run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(work)
}

pub(crate) fn select(dbmux: &Path) -> Result<Value> {
    let times = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let place = Place::new(dbmux)?;
        let session = place.client.session().await?;
        let times = ask(&session, SELECTS).await?;
        drop(session);
        place.end().await?;
        Result::Ok(times)
    })?;
    Ok(json!({ "dbmux": times.json() }))
}

async fn ask(session: &Session, count: usize) -> Result<Times> {
    let mut times = Times::new();
    for turn in 0..WARM_UP + count {
        let began = Instant::now();
        let batches = session.query("SELECT 42").await?.collect().await?;
        assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
        if turn >= WARM_UP {
            times.add(began.elapsed());
        }
    }
    Ok(times)
}

pub(crate) fn scan(dbmux: &Path) -> Result<Value> {
    let times = run(async {
        let place = Place::new(dbmux)?;
        let session = place.client.session().await?;
        session.execute("CREATE TABLE t AS SELECT i AS a, i * 2 AS b, i / 3.0 AS c FROM range(5000000) r(i)").await?;
        let mut times = Times::new();
        for turn in 0..=SCANS {
            let began = Instant::now();
            let mut answer = session.query("SELECT * FROM t").await?;
            let mut rows = 0;
            while let Some(batch) = answer.next().await? {
                rows += batch.num_rows();
            }
            assert_eq!(rows, 5_000_000);
            if turn > 0 {
                times.add(began.elapsed());
            }
        }
        drop(session);
        place.end().await?;
        Result::Ok(times)
    })?;
    Ok(json!({ "dbmux": times.json() }))
}

pub(crate) fn insert(dbmux: &Path) -> Result<Value> {
    run(async {
        let place = Place::new(dbmux)?;
        let session = place.client.session().await?;
        session.execute("CREATE TABLE t (i BIGINT, s VARCHAR)").await?;
        let began = Instant::now();
        let mut workers = Vec::new();
        for worker in 0..SESSIONS {
            let session = place.client.session().await?;
            workers.push(tokio::spawn(async move {
                let (mut times, mut turn) = (Times::new(), 0_i64);
                while began.elapsed() < INSERT_TIME {
                    let at = Instant::now();
                    let id = turn * SESSIONS as i64 + worker as i64;
                    let statement = Statement::new("INSERT INTO t VALUES (?, ?)").bind(id).bind("some text");
                    session.execute(statement).await?;
                    times.add(at.elapsed());
                    turn += 1;
                }
                std::result::Result::<_, dbmux_client::ClientError>::Ok((turn, times))
            }));
        }
        let (mut total, mut times) = (0, Times::new());
        for worker in workers {
            let (turns, its) = worker.await??;
            total += turns;
            times.merge(&its);
        }
        let took = began.elapsed();
        let mut answer = session.query("SELECT count(*), count(DISTINCT i) FROM t").await?;
        let batch = answer.next().await?.ok_or("no answer")?;
        let counts = arrow::util::display::array_value_to_string(batch.column(1), 0)?;
        assert_eq!(counts, total.to_string(), "an acknowledged row is missing");
        drop((answer, session));
        place.end().await?;
        Ok(json!({ "dbmux": { "per_second": total as f64 / took.as_secs_f64(), "times": times.json() } }))
    })
}

pub(crate) fn beside(dbmux: &Path) -> Result<Value> {
    run(async {
        let place = Place::new(dbmux)?;
        let session = place.client.session().await?;
        session.execute("CREATE TABLE small AS SELECT i FROM range(1000) r(i)").await?;
        session.execute("CREATE TABLE log (i BIGINT)").await?;
        let reads_alone = small(&place, false, BESIDE_TIME / 2, &AtomicBool::new(false)).await?;
        let heavy_over = Arc::new(AtomicBool::new(false));
        let (heavy, over) = (place.client.session().await?, Arc::clone(&heavy_over));
        let heavy = tokio::spawn(async move {
            let began = Instant::now();
            let text =
                "CREATE OR REPLACE TABLE heavy AS SELECT i, hash(i) AS h, i::VARCHAR AS s FROM range(12000000) r(i)";
            while began.elapsed() < BESIDE_TIME {
                heavy.execute(text).await?;
            }
            over.store(true, Ordering::Relaxed);
            std::result::Result::<_, dbmux_client::ClientError>::Ok(())
        });
        let reads = small(&place, false, BESIDE_TIME / 2, &heavy_over).await?;
        let writes = small(&place, true, BESIDE_TIME / 2, &heavy_over).await?;
        heavy.await??;
        drop(session);
        place.end().await?;
        Ok(json!({ "reads_alone": reads_alone.json(), "reads_beside": reads.json(), "writes_beside": writes.json() }))
    })
}

async fn small(place: &Place, writes: bool, time: Duration, over: &AtomicBool) -> Result<Times> {
    let session = place.client.session().await?;
    let (mut times, began) = (Times::new(), Instant::now());
    while began.elapsed() < time && !over.load(Ordering::Relaxed) {
        let at = Instant::now();
        if writes {
            session.execute("INSERT INTO log VALUES (1)").await?;
        } else {
            session.query("SELECT sum(i) FROM small").await?.collect().await?;
        }
        times.add(at.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(times)
}

pub(crate) fn memory(dbmux: &Path) -> Result<Value> {
    run(async {
        let place = Place::new(dbmux)?;
        let session = place.client.session().await?;
        session.execute("CREATE TABLE t AS SELECT i AS a, hash(i) AS b FROM range(20000000) r(i)").await?;
        let before = resident(&place, "released").await?;
        session.query("SELECT a % 1000, count(*), max(b) FROM t GROUP BY 1 ORDER BY 3").await?.collect().await?;
        let busy = resident(&place, "attached").await?;
        let after = resident(&place, "released").await?;
        drop(session);
        place.end().await?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Ok(json!({ "released_mib": mib(before), "attached_mib": mib(busy), "released_after_mib": mib(after) }))
    })
}

/// The broker's resident memory, when it is in this state.
async fn resident(place: &Place, state: &str) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let status = place.client.status().await?.ok_or("no broker")?;
        if format!("{:?}", status.state()).eq_ignore_ascii_case(state) {
            return Ok(status.memory_bytes);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("it is not {state}").into())
}
