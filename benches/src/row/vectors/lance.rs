//! On LanceDB: in one process of Python's `lancedb` that reads the same directory.

use std::{process::Command, sync::Arc};

use arrow::{
    array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch},
    datatypes::{DataType, Field},
};
use dbmux_client::Session;
use serde_json::json;
use tokio::runtime::Runtime;

use super::{DIMENSIONS, ask, asked, ids, number, timed};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::Place,
    rival::Rival,
    row::lance::worker::with_rows,
};

/// Rows that go there at once.
const PART: usize = 100_000;

pub(super) fn measure(context: &Context, runtime: &Runtime, vectors: usize) -> Result<Vec<Line>> {
    let place = Place::with(context, "bench.lance")?;
    let session = runtime.block_on(place.client.session())?;
    runtime.block_on(fill(&session, vectors))?;
    let search =
        json!({"search": {"table": "chunks", "vector": asked(), "where": FILTER, "select": ["id"], "limit": 10}});
    let text = search.to_string();
    let mut python = Command::new(context.lance_python.as_ref().ok_or("--lance-python is needed: see benches/run.sh")?);
    python.arg(context.rivals.join("lance.py")).arg("nearest").arg(place.database()).arg("0");
    let mut rival = Rival::start(python)?;
    rival.ready()?;
    let question = format!("{FILTER}|{}", asked().iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
    let nearest = ids(&ask(runtime, &session, &*text)?)?;
    let mut theirs = || {
        let answer = rival.numbers(&question)?;
        let [took, found @ ..] = &answer[..] else { return Err("no numbers".into()) };
        match found.iter().map(|id| *id as i64).eq(nearest.iter().copied()) {
            true => Ok(vec![*took]),
            false => Err(format!("{found:?}, not {nearest:?}").into()),
        }
    };
    let rounds = context.rounds(9, 5);
    let [ours, theirs] =
        in_turn(rounds, [&mut || timed(&nearest, || ids(&ask(runtime, &session, &*text)?)), &mut theirs])?
            .map(|samples| Figure::Seconds(samples.typical(0.5)));
    drop((rival, session));
    runtime.block_on(place.stop())?;
    let what = format!("LanceDB: the ten nearest of {vectors} vectors of 128");
    Ok(vec![Line::beside(&what, ours, ("in process", theirs), Goal::Within(1.3))])
}

const FILTER: &str = "provider <> 3";

async fn fill(session: &Session, vectors: usize) -> Result<()> {
    session.execute(with_rows(&json!({"create_table": {"table": "chunks"}}), rows(0..PART.min(vectors))?)).await?;
    for from in (PART..vectors).step_by(PART) {
        let part = rows(from..vectors.min(from + PART))?;
        session.execute(with_rows(&json!({"add": {"table": "chunks"}}), part)).await?;
    }
    Ok(())
}

fn rows(ids: std::ops::Range<usize>) -> Result<RecordBatch> {
    let numbers = ids.clone().flat_map(|id| (0..DIMENSIONS).map(move |place| number(id, place)));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let numbers = Arc::new(Float32Array::from_iter_values(numbers));
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(ids.clone().map(|id| id as i64).collect::<Int64Array>())),
        ("provider", Arc::new(ids.map(|id| (id % 4) as i64).collect::<Int64Array>())),
        ("embedding", Arc::new(FixedSizeListArray::try_new(item, DIMENSIONS as i32, numbers, None)?)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
