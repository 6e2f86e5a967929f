//! On DuckDB: in one process with a file of its own, with its own number of threads, and with the broker's.

use tokio::runtime::Runtime;

use super::{ask, asked, first, ids, timed};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::{Local, Place},
};

pub(super) fn measure(context: &Context, runtime: &Runtime, vectors: usize) -> Result<Vec<Line>> {
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
