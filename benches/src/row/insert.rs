//! Single-row INSERTs, each acknowledged after its sync: sixteen sessions of our client, sixteen threads on one DuckDB in
//! one process with autocommit, sixteen threads on one Quack client. Each row that was acknowledged is counted afterwards.

use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use dbmux_client::{Client, ClientError, Statement};
use dbmux_duckdb::plain::Database;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::{Sides, runtime},
};

const AT_ONCE: usize = 16;
const MAKE: &str = "CREATE TABLE log (i BIGINT, s VARCHAR)";
const COUNT: &str = "SELECT count(*) FROM log";

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let Sides { place, session, mut quack, local, mut python } = Sides::with(context, &runtime, MAKE)?;
    let time = context.time(Duration::from_secs(3));
    let asked = format!("insert {AT_ONCE} {}", time.as_secs_f64());
    let (mut acknowledged, mut acknowledged_locally) = (0, 0);
    let [ours, quack, local_rate, python] = in_turn(
        context.rounds(5, 3),
        [
            &mut || rate(runtime.block_on(through_us(&place.client, time))?, &mut acknowledged),
            &mut || told(&quack.client.numbers(&asked)?),
            &mut || rate(in_process(&local.database, time)?, &mut acknowledged_locally),
            &mut || told(&python.peer.numbers(&asked)?),
        ],
    )?
    .map(|samples| Figure::PerSecond(samples.typical(0.5)));
    let found = runtime.block_on(async { session.query(COUNT).await?.collect().await })?;
    same(&found, acknowledged)?;
    same(&local.database.connect()?.query(COUNT)?, acknowledged_locally)?;
    drop(session);
    runtime.block_on(place.stop())?;
    let what = "acknowledged, synced single-row INSERTs, 16 at once";
    Ok(vec![
        Line::beside(what, ours, ("one process, DuckDB 2.0", local_rate), Goal::Better(5.0)),
        Line::beside(what, ours, ("one process, Python's 1.5.5", python), Goal::Better(5.0)),
        Line::beside(what, ours, ("Quack", quack), Goal::Better(20.0)),
    ])
}

/// Rows, and how long they took.
type Inserted = (usize, Duration);

fn rate((rows, took): Inserted, total: &mut usize) -> Result<Vec<f64>> {
    *total += rows;
    Ok(vec![rows as f64 / took.as_secs_f64()])
}

fn told(told: &[f64]) -> Result<Vec<f64>> {
    match told {
        [rows, took] => Ok(vec![rows / took]),
        other => Err(format!("not a count and a time: {other:?}").into()),
    }
}

fn same(batches: &[RecordBatch], acknowledged: usize) -> Result<()> {
    let column = batches.first().ok_or("no count")?.column(0);
    let found = column.as_primitive::<arrow::datatypes::Int64Type>().value(0);
    if found != i64::try_from(acknowledged)? {
        return Err(format!("{acknowledged} rows were acknowledged, {found} are there").into());
    }
    Ok(())
}

async fn through_us(client: &Client, time: Duration) -> Result<Inserted> {
    let mut sessions = Vec::new();
    for _ in 0..AT_ONCE {
        sessions.push(client.session().await?);
    }
    let began = Instant::now();
    let workers = sessions.into_iter().enumerate().map(|(number, session)| async move {
        let mut rows = 0;
        while began.elapsed() < time {
            let row = Statement::new("INSERT INTO log VALUES (?, ?)").bind(number as i64).bind("some text");
            session.execute(row).await?;
            rows += 1;
        }
        std::result::Result::<_, ClientError>::Ok(rows)
    });
    let workers: Vec<_> = workers.collect();
    let mut running = tokio::task::JoinSet::new();
    for worker in workers {
        running.spawn(worker);
    }
    let mut rows = 0;
    while let Some(worker) = running.join_next().await {
        rows += worker??;
    }
    Ok((rows, began.elapsed()))
}

fn in_process(database: &Database, time: Duration) -> Result<Inserted> {
    let began = Instant::now();
    let rows = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                scope.spawn(move || {
                    let connection = database.connect()?;
                    connection.run("PREPARE row AS INSERT INTO log VALUES ($1, $2)")?;
                    let mut rows = 0;
                    while began.elapsed() < time {
                        connection.run(&format!("EXECUTE row({number}, 'some text')"))?;
                        rows += 1;
                    }
                    Result::Ok(rows)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).sum::<Result<usize>>()
    })?;
    Ok((rows, began.elapsed()))
}
