//! LanceDB with eight writers and eight readers, each a process: through dbmux; and with Python's `lancedb` in each, which
//! opens the directory itself, and tries again when its commit lost to another one's.
//!
//! Four of the writers add ten rows at a time, four merge ten in, of which five are new. The readers look for the ten
//! nearest vectors of one provider. What was acknowledged is counted afterwards, and no key may be there twice.

pub(crate) mod worker;

use std::time::Duration;

use arrow::{array::AsArray, datatypes::Int64Type};
use dbmux_client::Session;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::{Place, runtime},
    rival::Rival,
};

/// Writers, and readers.
const OF_EACH: usize = 8;

/// Rows that are there at first.
const SEED: usize = 20_000;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let python = context.lance_python.as_ref().ok_or("--lance-python is needed: see benches/run.sh")?;
    let place = Place::with(context, "ours.lance")?;
    let session = runtime.block_on(place.client.session())?;
    runtime.block_on(seed(&session))?;
    let directory = context.fresh()?;
    let direct = directory.path().join("direct.lance");
    let script = context.rivals.join("lance.py");
    let python = |arguments: &[&str]| {
        let mut command = std::process::Command::new(python);
        command.arg(&script).arg(arguments[0]).arg(&direct).args(&arguments[1..]);
        Rival::start(command)
    };
    let mut checker = python(&["seed", &SEED.to_string()])?;
    checker.ready()?;
    let mut ours = Side::start(|role, number| worker::start(role, &place.database(), number, &context.dbmux))?;
    let mut theirs = Side::start(|role, number| python(&[role, &number.to_string()]))?;
    let time = context.time(Duration::from_secs(6));
    for round in 0..=context.rounds(3, 2) {
        for side in [&mut ours, &mut theirs] {
            side.round(time, round > 0)?;
        }
    }
    let twice = checker.numbers("count")?;
    drop(theirs.workers.drain(..));
    let (rows, keys) = counted(&runtime, &session)?;
    let acknowledged = SEED + ours.new_rows as usize;
    if rows != acknowledged || keys != rows {
        return Err(format!("{acknowledged} rows were acknowledged; {rows} are there, of {keys} keys").into());
    }
    drop((session, ours.workers.drain(..)));
    runtime.block_on(place.stop())?;
    lines(&ours, &theirs, &twice)
}

fn lines(ours: &Side, theirs: &Side, direct_rows: &[f64]) -> Result<Vec<Line>> {
    let [rows, keys] = direct_rows else { return Err("not a count of rows and of keys".into()) };
    let rate = |side: &Side| Figure::PerSecond(side.writes.typical(0.5));
    let search = |side: &Side| Figure::Seconds(side.searches.typical(0.5));
    let none = Goal::AtMost(Figure::Count(0.0));
    Ok(vec![
        Line::beside(
            "LanceDB: writes of ten rows, 8 processes, beside 8 that search",
            rate(ours),
            ("lancedb in each, with retries", rate(theirs)),
            Goal::Better(3.0),
        ),
        Line::beside("their searches, p50", search(ours), ("lancedb in each", search(theirs)), Goal::Within(1.5)),
        Line::alone("conflicts, ours", Figure::Count(ours.conflicts), none),
        Line::alone("conflicts with lancedb in each", Figure::Count(theirs.conflicts), Goal::None),
        Line::alone("keys that are there twice with lancedb in each", Figure::Count(rows - keys), Goal::None),
    ])
}

async fn seed(session: &Session) -> Result<()> {
    let rows = worker::rows(0..SEED as i64)?;
    session.execute(worker::with_rows(&json!({"create_table": {"table": "chunks"}}), rows)).await?;
    Ok(())
}

fn counted(runtime: &Runtime, session: &Session) -> Result<(usize, usize)> {
    let sql = "SELECT count(*), count(DISTINCT id) FROM chunks";
    let batches = runtime.block_on(async { session.query(sql).await?.collect().await })?;
    let batch = batches.first().ok_or("no count")?;
    let number = |column| batch.column(column).as_primitive::<Int64Type>().value(0) as usize;
    Ok((number(0), number(1)))
}

/// Sixteen processes.
struct Side {
    /// Writers first.
    workers: Vec<Rival>,
    /// Writes a second, of all together.
    writes: Samples,
    searches: Samples,
    conflicts: f64,
    /// Rows that were not there before.
    new_rows: f64,
}

impl Side {
    fn start(mut start: impl FnMut(&str, usize) -> Result<Rival>) -> Result<Self> {
        let roles = ["writer"; OF_EACH].into_iter().chain(["reader"; OF_EACH]).enumerate();
        let mut workers = roles.map(|(number, role)| start(role, number)).collect::<Result<Vec<_>>>()?;
        workers.iter_mut().try_for_each(Rival::ready)?;
        let (writes, searches) = Default::default();
        Ok(Self { workers, writes, searches, conflicts: 0.0, new_rows: 0.0 })
    }

    fn round(&mut self, time: Duration, counts: bool) -> Result<()> {
        for worker in &mut self.workers {
            worker.say(&time.as_secs_f64().to_string())?;
        }
        let (mut writes, mut searches) = (0.0, Vec::new());
        for (number, worker) in self.workers.iter_mut().enumerate() {
            let told: Vec<f64> =
                worker.hear()?.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
            if number >= OF_EACH {
                searches.extend(told);
                continue;
            }
            let [took, written, new_rows, conflicts] = told[..] else { return Err("not four numbers".into()) };
            writes += written / took;
            self.new_rows += new_rows;
            self.conflicts += conflicts;
        }
        if counts {
            self.writes.push(vec![writes]);
            self.searches.push(searches);
        }
        Ok(())
    }
}
