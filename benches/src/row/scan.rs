//! 5 million rows of 3 columns, all of them in the client's memory as Arrow: through our client, through Quack's, and in
//! one process: with the DuckDB that dbmux links, and with Python's of the version before.

use std::time::Instant;

use arrow::array::RecordBatch;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::{Sides, runtime},
};

const ROWS: usize = 5_000_000;
const MAKE: &str = "CREATE TABLE t AS SELECT i AS a, i * 2 AS b, i / 3.0 AS c FROM range(5000000) r(i)";
const SQL: &str = "SELECT * FROM t";

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let Sides { place, session, mut quack, local, mut python } = Sides::with(context, &runtime, MAKE)?;
    let connection = local.database.connect()?;
    let asked = format!("scan {SQL}");
    let [ours, quack, local, python] = in_turn(
        context.rounds(11, 5),
        [
            &mut || {
                let began = Instant::now();
                let batches = runtime.block_on(async { session.query(SQL).await?.collect().await })?;
                counted(began, &batches)
            },
            &mut || told(&quack.client.numbers(&asked)?),
            &mut || {
                let began = Instant::now();
                counted(began, &connection.query(SQL)?)
            },
            &mut || told(&python.peer.numbers(&asked)?),
        ],
    )?
    .map(|samples| Figure::Seconds(samples.typical(0.5)));
    drop(session);
    runtime.block_on(place.stop())?;
    let what = "5 million rows × 3 columns to Arrow in the client";
    Ok(vec![
        Line::beside(what, ours, ("Quack", quack), Goal::Better(1.0)),
        Line::beside(what, ours, ("in process, DuckDB 2.0", local), Goal::Within(2.0)),
        Line::beside(what, ours, ("in process, Python's 1.5.5", python), Goal::Within(2.0)),
    ])
}

fn counted(began: Instant, batches: &[RecordBatch]) -> Result<Vec<f64>> {
    let took = began.elapsed().as_secs_f64();
    let rows = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    told(&[took, rows as f64])
}

fn told(told: &[f64]) -> Result<Vec<f64>> {
    match told {
        [took, rows] if *rows == ROWS as f64 => Ok(vec![*took]),
        other => Err(format!("not {ROWS} rows: {other:?}").into()),
    }
}
