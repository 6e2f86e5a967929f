//! Vector search: the ten nearest of a million vectors of 128 numbers with a filter, without an index, so that each engine
//! looks at all of them: through dbmux, and in one process that has the file. The ten must be the same.

mod duckdb;
mod lance;
mod sqlite;

use std::time::Instant;

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int64Type,
};
use dbmux_client::{Session, Statement};
use tokio::runtime::Runtime;

use crate::{Result, context::Context, figures::Line, place::runtime};

const DIMENSIONS: usize = 128;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let vectors = context.rounds(1_000_000, 200_000);
    let mut lines = duckdb::measure(context, &runtime, vectors)?;
    lines.extend(sqlite::measure(context, &runtime, vectors)?);
    lines.extend(lance::measure(context, &runtime, vectors)?);
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
