//! Single-row INSERTs of sixteen processes, each acknowledged after its sync: sixteen of our clients; sixteen that have the
//! file open (WAL, `synchronous=FULL`, a `busy_timeout` of ten seconds, a prepared statement). Each row that was
//! acknowledged is counted afterwards, the other way.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use dbmux_sqlite::plain::{Connection, Value};

use super::writer;
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples, in_turn},
    place::{Place, runtime},
    rival::Rival,
};

const AT_ONCE: usize = 16;
const MAKE: &str = "CREATE TABLE log (i INTEGER, s TEXT)";
const COUNT: &str = "SELECT count(*) FROM log";

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let place = Place::with(context, "ours.sqlite")?;
    let session = runtime.block_on(place.client.session())?;
    runtime.block_on(session.execute(MAKE))?;
    let directory = context.fresh()?;
    let direct = directory.path().join("direct.sqlite");
    let connection = Connection::open(&direct, Duration::ZERO)?;
    connection.run(MAKE)?;
    let start = |way, path: &Path| -> Result<Vec<Rival>> {
        (0..AT_ONCE).map(|number| writer::start(way, path, number, &context.dbmux)).collect()
    };
    let (mut ours, mut theirs) = (Side::of(start("dbmux", &place.database())?), Side::of(start("direct", &direct)?));
    let time = context.time(Duration::from_secs(6));
    let [our_rate, their_rate] = in_turn(context.rounds(5, 3), [&mut || ours.round(time), &mut || theirs.round(time)])?
        .map(|samples| Figure::PerSecond(samples.typical(0.5)));
    let rows = connection.prepare(COUNT)?.run(&[])?;
    theirs.same(rows.first().and_then(|row| row.first()))?;
    drop(session);
    ours.workers.clear();
    runtime.block_on(place.stop())?;
    let rows = Connection::open(&place.database(), Duration::ZERO)?.prepare(COUNT)?.run(&[])?;
    ours.same(rows.first().and_then(|row| row.first()))?;
    let what = "SQLite: acknowledged, synced single-row INSERTs, 16 processes";
    let none = Goal::AtMost(Figure::Count(0.0));
    Ok(vec![
        Line::beside(what, our_rate, ("16 with the file open", their_rate), Goal::Better(1.0)),
        Line::beside("the slowest of our 16", ours.slowest(), ("the fastest", ours.fastest()), Goal::Better(0.5)),
        Line::beside(
            "the slowest of the 16 with the file open",
            theirs.slowest(),
            ("the fastest", theirs.fastest()),
            Goal::None,
        ),
        Line::alone("busy errors, ours", Figure::Count(ours.busy), none),
        Line::alone("busy errors with the file open", Figure::Count(theirs.busy), Goal::None),
    ])
}

/// Sixteen processes.
struct Side {
    workers: Vec<Rival>,
    /// Rows that were acknowledged, of the round that warms up, too.
    acknowledged: f64,
    busy: f64,
    /// Each one's rows a second, round by round.
    each: Samples,
    warm: bool,
}

impl Side {
    fn of(workers: Vec<Rival>) -> Self {
        Self { workers, acknowledged: 0.0, busy: 0.0, each: Samples::default(), warm: false }
    }

    /// Answers with the rows a second of all together.
    fn round(&mut self, time: Duration) -> Result<Vec<f64>> {
        let began = Instant::now();
        for worker in &mut self.workers {
            worker.say(&time.as_secs_f64().to_string())?;
        }
        let mut each = Vec::new();
        for worker in &mut self.workers {
            let line = worker.hear()?;
            let (rows, busy) = line.split_once(' ').ok_or("not two numbers")?;
            let rows: f64 = rows.parse()?;
            self.busy += busy.parse::<f64>()?;
            each.push(rows / time.as_secs_f64());
            self.acknowledged += rows;
        }
        let all = each.iter().sum::<f64>() * time.as_secs_f64() / began.elapsed().as_secs_f64();
        if std::mem::replace(&mut self.warm, true) {
            self.each.push(each);
        }
        Ok(vec![all])
    }

    fn slowest(&self) -> Figure {
        Figure::PerSecond(self.each.typical(0.0))
    }

    fn fastest(&self) -> Figure {
        Figure::PerSecond(self.each.typical(1.0))
    }

    fn same(&self, found: Option<&Value>) -> Result<()> {
        if found != Some(&Value::Integer(self.acknowledged as i64)) {
            return Err(format!("{} rows were acknowledged, {found:?} are there", self.acknowledged).into());
        }
        Ok(())
    }
}
