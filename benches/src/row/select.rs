//! `SELECT 42` on a session that is open: our client on the Unix socket, Quack's on loopback.

use std::time::Instant;

use dbmux_client::Session;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
    place::{Place, Quack, runtime},
};

const SQL: &str = "SELECT 42";
/// Statements in a round.
const TURNS: usize = 400;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let place = Place::new(context)?;
    let session = runtime.block_on(place.client.session())?;
    let mut quack = Quack::start(context)?;
    let asked = format!("select {TURNS} {SQL}");
    let [ours, quack] =
        in_turn(context.rounds(9, 5), [&mut || runtime.block_on(ask(&session)), &mut || quack.client.numbers(&asked)])?
            .map(|samples| Figure::Seconds(samples.typical(0.5)));
    drop(session);
    runtime.block_on(place.stop())?;
    let what = "`SELECT 42` on an open session, p50";
    Ok(vec![Line::beside(what, ours, ("Quack", quack), Goal::Better(2.0))])
}

async fn ask(session: &Session) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let began = Instant::now();
        let batches = session.query(SQL).await?.collect().await?;
        times.push(began.elapsed().as_secs_f64());
        if batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>() != 1 {
            return Err("not one row".into());
        }
    }
    Ok(times)
}
