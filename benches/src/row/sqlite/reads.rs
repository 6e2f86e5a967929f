//! Reads of an SQLite file that take more than a few milliseconds: one that looks at a million rows and answers with one,
//! and those that answer with many: through dbmux as Arrow, and by a program that has the file open, as values. Both read
//! the same file.

use std::time::{Duration, Instant};

use dbmux_sqlite::plain::Connection;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::{Place, runtime},
};

const MAKE: &str = "CREATE TABLE t AS WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 1000000) \
     SELECT i AS a, i / 3.0 AS b, 'text ' || i AS c FROM r";

/// What is asked, how many rows come, and what it is called.
const READS: [(&str, usize, &str); 3] = [
    ("SELECT count(*), sum(a), max(b) FROM t WHERE c LIKE '%77%'", 1, "SQLite: a read of a million rows, one comes"),
    ("SELECT a, b, c FROM t WHERE a <= 20000", 20_000, "SQLite: a read of a million rows, 20,000 come"),
    ("SELECT a, b, c FROM t", 1_000_000, "SQLite: a read of a million rows, all come"),
];

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let place = Place::with(context, "bench.sqlite")?;
    let direct = Connection::open(&place.database(), Duration::from_secs(10))?;
    direct.run(MAKE)?;
    let session = runtime.block_on(place.client.session())?;
    let mut lines = Vec::new();
    for (sql, rows, what) in READS {
        let mut prepared = direct.prepare(sql)?;
        let [ours, theirs] = in_turn(
            context.rounds(11, 5),
            [
                &mut || {
                    let began = Instant::now();
                    let batches = runtime.block_on(async { session.query(sql).await?.collect().await })?;
                    counted(began, batches.iter().map(|batch| batch.num_rows()).sum(), rows)
                },
                &mut || {
                    let began = Instant::now();
                    let values = prepared.run(&[])?;
                    counted(began, values.len(), rows)
                },
            ],
        )?
        .map(|samples| Figure::Seconds(samples.typical(0.5)));
        lines.push(Line::beside(what, ours, ("with the file open", theirs), Goal::Within(1.2)));
    }
    drop(session);
    runtime.block_on(place.stop())?;
    Ok(lines)
}

fn counted(began: Instant, found: usize, rows: usize) -> Result<Vec<f64>> {
    let took = began.elapsed().as_secs_f64();
    if found == rows { Ok(vec![took]) } else { Err(format!("{found} rows, not {rows}").into()) }
}
