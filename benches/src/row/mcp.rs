//! `dbmux mcp` as agents' programs use it: a server's start, a small query, and 32 servers at once.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Result,
    agent::Agent,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::{Place, runtime},
};

const SERVERS: usize = 32;
/// Each of them calls a tool this often.
const EVERY: Duration = Duration::from_millis(100);

/// A server of ours.
fn start(context: &Context, place: &Place) -> Result<Agent> {
    let mut command = Command::new(&context.dbmux);
    command.args(["mcp", "--db"]).arg(place.database());
    Agent::start(command)
}

/// Calls `query`; answers with how long it took, in seconds.
fn select(agent: &mut Agent) -> Result<f64> {
    let began = Instant::now();
    let answer = agent.call("query", &json!({ "sql": "SELECT 42" }))?;
    let took = began.elapsed().as_secs_f64();
    match &answer["rows"][0][0] {
        found if *found == 42 => Ok(took),
        found => Err(format!("SELECT 42 is {found}").into()),
    }
}

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let place = Place::new(context)?;
    // Whoever reads makes no database.
    runtime()?.block_on(async { place.client.session().await?.execute("CREATE TABLE t (i INTEGER)").await })?;
    let mut first = start(context, &place)?;
    select(&mut first)?;
    let mut starts = Samples::default();
    let mut queries = Samples::default();
    for _ in 0..context.rounds(10, 3) {
        let began = Instant::now();
        let mut agent = start(context, &place)?;
        agent.ask("tools/list", &json!({}))?;
        starts.push(vec![began.elapsed().as_secs_f64()]);
        queries.push((0..200).map(|_| select(&mut first)).collect::<Result<_>>()?);
    }
    let (many, errors) = many(context, &place)?;
    runtime()?.block_on(place.stop())?;
    let most = |milliseconds: f64| Goal::AtMost(Figure::Seconds(milliseconds / 1e3));
    let text = format!("MCP: {SERVERS} servers, a `query` each every {} ms, p99 ({errors} errors)", EVERY.as_millis());
    Ok(vec![
        Line::alone("MCP: a server's start, to its list of tools", Figure::Seconds(starts.overall(0.5)), most(50.0)),
        Line::alone("MCP: `query` of `SELECT 42`, p50", Figure::Seconds(queries.overall(0.5)), most(3.0)),
        Line::alone(&text, Figure::Seconds(many.overall(0.99)), most(50.0)),
    ])
}

/// All servers at once, each in its own rhythm. Their times, and how many calls failed.
fn many(context: &Context, place: &Place) -> Result<(Samples, usize)> {
    let mut agents = (0..SERVERS).map(|_| start(context, place)).collect::<Result<Vec<_>>>()?;
    agents.iter_mut().try_for_each(|agent| select(agent).map(drop))?;
    let errors = Arc::new(AtomicUsize::new(0));
    let end = Instant::now() + context.time(Duration::from_secs(60));
    let threads = agents.into_iter().enumerate().map(|(number, mut agent)| {
        let errors = Arc::clone(&errors);
        thread::spawn(move || {
            // Not all at the same moment: so many programs are not one.
            let mut next = Instant::now() + EVERY * u32::try_from(number).unwrap_or_default() / SERVERS as u32;
            let mut times = Vec::new();
            while next < end {
                thread::sleep(next.saturating_duration_since(Instant::now()));
                match select(&mut agent) {
                    Ok(took) => times.push(took),
                    Err(_) => drop(errors.fetch_add(1, Ordering::Relaxed)),
                }
                next += EVERY;
            }
            times
        })
    });
    let mut samples = Samples::default();
    for thread in threads.collect::<Vec<_>>() {
        samples.push(thread.join().map_err(|_| "a client ended")?);
    }
    Ok((samples, errors.load(Ordering::Relaxed)))
}
