//! Vector search: the ten nearest of a million vectors of 128 numbers with a filter, without an index, so that each engine
//! looks at all of them: through dbmux, and in one process that has the file. The ten must be the same.

use std::time::{Duration, Instant};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};
use dbmux_client::{Session, Statement};
use dbmux_sqlite::plain::{Connection, Value};
use tokio::runtime::Runtime;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::{Local, Place, runtime},
};

const DIMENSIONS: usize = 128;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let vectors = context.rounds(1_000_000, 200_000);
    let mut lines = duckdb(context, &runtime, vectors)?;
    lines.extend(sqlite(context, &runtime, vectors)?);
    Ok(lines)
}

/// Which numbers does not matter, if only they are the same on both sides.
fn number(vector: usize, place: usize) -> f32 {
    let hash = (vector * DIMENSIONS + place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 40) as f32) / (1 << 23) as f32 - 1.0
}

fn asked() -> Vec<f32> {
    (0..DIMENSIONS).map(|place| number(usize::MAX / 2 / DIMENSIONS, place)).collect()
}

fn duckdb(context: &Context, runtime: &Runtime, vectors: usize) -> Result<Vec<Line>> {
    let make = format!(
        "CREATE TABLE chunks AS SELECT i AS id, i % 4 AS provider, \
         [(hash(i * 128 + x) % 65536)::FLOAT / 32768 - 1 for x in range(128)]::FLOAT[128] AS embedding \
         FROM range({vectors}) r(i)"
    );
    let numbers = asked().iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT id FROM chunks WHERE provider <> 3 \
         ORDER BY array_distance(embedding, [{numbers}]::FLOAT[128]) LIMIT 10"
    );
    let place = Place::new(context)?;
    let session = runtime.block_on(place.client.session())?;
    runtime.block_on(session.execute(&*make))?;
    let threads =
        runtime.block_on(async { session.query("SELECT current_setting('threads')").await?.collect().await })?;
    let threads = first(&threads)?;
    let local = Local::open(context)?;
    let connection = local.database.connect()?;
    connection.run(&make)?;
    let mut lines = Vec::new();
    let default = first(&connection.query("SELECT current_setting('threads')")?)?;
    for threads in [default, threads] {
        connection.run(&format!("SET threads = {threads}"))?;
        let nearest = ids(&connection.query(&sql)?)?;
        let [ours, theirs] = in_turn(
            context.rounds(9, 5),
            [&mut || timed(&nearest, || ids(&ask(runtime, &session, &*sql)?)), &mut || {
                timed(&nearest, || ids(&connection.query(&sql)?))
            }],
        )?
        .map(|samples| Figure::Seconds(samples.typical(0.5)));
        let what = format!("DuckDB: the ten nearest of {vectors} vectors of 128");
        let rival = if lines.is_empty() { "in process" } else { "in process, with as many threads" };
        lines.push(Line::beside(&what, ours, (rival, theirs), Goal::Within(1.3)));
    }
    drop(session);
    runtime.block_on(place.stop())?;
    Ok(lines)
}

fn sqlite(context: &Context, runtime: &Runtime, vectors: usize) -> Result<Vec<Line>> {
    const SQL: &str = "SELECT id FROM chunks WHERE provider <> 3 ORDER BY vec_distance_l2(embedding, ?) LIMIT 10";
    let place = Place::with(context, "bench.sqlite")?;
    // SQLite lets us in beside the broker: both read one file.
    let direct = Connection::open(&place.database(), Duration::from_secs(10))?;
    direct.run("CREATE TABLE chunks (id INTEGER PRIMARY KEY, provider INTEGER, embedding BLOB); BEGIN")?;
    let mut insert = direct.prepare("INSERT INTO chunks VALUES (?, ?, ?)")?;
    for id in 0..vectors {
        let bytes = (0..DIMENSIONS).flat_map(|place| number(id, place).to_le_bytes()).collect();
        insert.run(&[Value::Integer(id as i64), Value::Integer((id % 4) as i64), Value::Blob(bytes)])?;
    }
    direct.run("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    let session = runtime.block_on(place.client.session())?;
    let bytes: Vec<u8> = asked().iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut prepared = direct.prepare(SQL)?;
    let mut alone = || -> Result<Vec<i64>> {
        let rows = prepared.run(&[Value::Blob(bytes.clone())])?;
        Ok(rows
            .iter()
            .filter_map(|row| if let Some(Value::Integer(id)) = row.first() { Some(*id) } else { None })
            .collect())
    };
    let nearest = alone()?;
    let [ours, theirs] = in_turn(
        context.rounds(9, 5),
        [
            &mut || timed(&nearest, || ids(&ask(runtime, &session, Statement::new(SQL).bind(bytes.clone()))?)),
            &mut || timed(&nearest, &mut alone),
        ],
    )?
    .map(|samples| Figure::Seconds(samples.typical(0.5)));
    drop(session);
    runtime.block_on(place.stop())?;
    let what = format!("SQLite: the ten nearest of {vectors} vectors of 128");
    Ok(vec![Line::beside(&what, ours, ("with the file open", theirs), Goal::Within(1.3))])
}

fn ask(runtime: &Runtime, session: &Session, statement: impl Into<Statement>) -> Result<Vec<RecordBatch>> {
    Ok(runtime.block_on(async { session.query(statement).await?.collect().await })?)
}

fn timed(nearest: &[i64], mut search: impl FnMut() -> Result<Vec<i64>>) -> Result<Vec<f64>> {
    let began = Instant::now();
    let found = search()?;
    let took = began.elapsed().as_secs_f64();
    if found == nearest && found.len() == 10 {
        Ok(vec![took])
    } else {
        Err(format!("{found:?}, not {nearest:?}").into())
    }
}

fn ids(batches: &[RecordBatch]) -> Result<Vec<i64>> {
    Ok(batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect())
}

fn first(batches: &[RecordBatch]) -> Result<i64> {
    ids(batches)?.first().copied().ok_or_else(|| "no number".into())
}
