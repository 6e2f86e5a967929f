//! On SQLite, with sqlite-vec: in one process that reads the same file.

use std::time::Duration;

use dbmux_client::Statement;
use dbmux_sqlite::plain::{Connection, Value};
use tokio::runtime::Runtime;

use super::{DIMENSIONS, ask, asked, ids, number, timed};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::Place,
};

pub(super) fn measure(context: &Context, runtime: &Runtime, vectors: usize) -> Result<Vec<Line>> {
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
