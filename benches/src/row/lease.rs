//! A file is handed over: from the end of the last statement to the lease, and what `dbmux run` adds to a command.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dbmux_client::{Lease, LeaseRequest, Reads};

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::{Place, runtime},
};

/// 1 GiB and a little more: what `hash` gives does not compress.
const MAKE: &str = "CREATE TABLE t AS SELECT hash(i) AS h FROM range(140000000) r(i)";
const LEAST: u64 = 1 << 30;
/// Reads a part of it, so that there is something to forget.
const READ: &str = "SELECT max(h) FROM t WHERE rowid < 20000000";
/// Takes longer than it takes to ask: no statistics answer it.
const LONG: &str = "SELECT sum(h % 7) FROM t";
/// It would have been seen by then.
const NEVER: Duration = Duration::from_secs(10);
const WRITE: &str = "INSERT INTO t VALUES (1)";

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let place = Place::new(context)?;
    let session = runtime.block_on(place.client.session())?;
    runtime.block_on(session.execute(MAKE))?;
    let (mut idle, mut waiting) = (Samples::default(), Samples::default());
    for round in 0..=context.rounds(40, 12) {
        // Half of them have something to write back.
        let last = if round % 2 == 0 { READ } else { WRITE };
        runtime.block_on(async { session.query(last).await?.collect().await })?;
        let ended = Instant::now();
        let lease = take(&place)?;
        let took = ended.elapsed();
        drop(lease);
        let (asked, place) = (std::sync::Barrier::new(2), &place);
        let granted = std::thread::scope(|scope| -> Result<Duration> {
            let asking = scope.spawn(|| -> Result<_> {
                asked.wait();
                until_it_runs(place)?;
                take(place).map(|lease| (Instant::now(), lease))
            });
            asked.wait();
            runtime.block_on(async { session.query(LONG).await?.collect().await })?;
            let ended = Instant::now();
            let (granted, _lease) = asking.join().map_err(|_| "the asker failed")??;
            Ok(granted.saturating_duration_since(ended))
        })?;
        if round > 0 {
            idle.push(vec![took.as_secs_f64()]);
            waiting.push(vec![granted.as_secs_f64()]);
        }
    }
    drop(session);
    let bytes = place.database().metadata()?.len();
    if bytes < LEAST {
        return Err(format!("the file has {bytes} bytes only").into());
    }
    let (copied, waits) = (more_than_true(context, &place, "snapshot")?, more_than_true(context, &place, "wait")?);
    runtime.block_on(place.stop())?;
    let small = small(context)?;
    let most = |milliseconds| Goal::AtMost(Figure::Seconds(Duration::from_millis(milliseconds).as_secs_f64()));
    let seconds = |samples: &Samples, quantile| Figure::Seconds(samples.overall(quantile));
    Ok(vec![
        Line::alone("lease of a 1 GiB file, asked after the last statement, p50", seconds(&idle, 0.5), most(20)),
        Line::alone("the same, p99", seconds(&idle, 0.99), Goal::None),
        Line::alone("the same, asked while it ran: from its end, p50", seconds(&waiting, 0.5), most(20)),
        Line::alone("the same, p99", seconds(&waiting, 0.99), Goal::None),
        Line::alone("`dbmux run DB -- true`: more than `true`, a file of 1 MiB, p50", seconds(&small, 0.5), most(60)),
        Line::alone("the same, a file of 1 GiB, `--reads wait`, p50", seconds(&waits, 0.5), most(60)),
        Line::alone("the same, a file of 1 GiB, with its copy, p50", seconds(&copied, 0.5), most(60)),
    ])
}

/// The broker has begun with a statement.
fn until_it_runs(place: &Place) -> Result<()> {
    let runtime = runtime()?;
    let began = Instant::now();
    while runtime.block_on(place.client.status())?.is_none_or(|status| status.running.is_empty()) {
        if began.elapsed() > NEVER {
            return Err("the statement was over before the lease was asked for".into());
        }
    }
    Ok(())
}

fn take(place: &Place) -> Result<Lease> {
    Ok(LeaseRequest::new([place.database()])?.reads(Reads::Wait).acquire(&mut |_| {})?)
}

/// The same of a file that is copied in no time.
fn small(context: &Context) -> Result<Samples> {
    let runtime = runtime()?;
    let place = Place::new(context)?;
    let session = runtime.block_on(place.client.session())?;
    runtime.block_on(session.execute("CREATE TABLE t AS SELECT hash(i) AS h FROM range(100000) r(i)"))?;
    drop(session);
    let more = more_than_true(context, &place, "snapshot")?;
    runtime.block_on(place.stop())?;
    Ok(more)
}

/// In turn, with a broker that runs and has let the file go.
fn more_than_true(context: &Context, place: &Place, reads: &str) -> Result<Samples> {
    let took = |mut command: Command| -> Result<f64> {
        let began = Instant::now();
        let status = command.stdin(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("{command:?} ended with {status}").into());
        }
        Ok(began.elapsed().as_secs_f64())
    };
    let mut more = Samples::default();
    for round in 0..=context.rounds(50, 20) {
        let alone = took(Command::new("true"))?;
        let mut run = Command::new(&context.dbmux);
        run.arg("run").arg(place.database()).args(["--reads", reads, "--", "true"]).stderr(Stdio::null());
        let ours = took(run)?;
        if round > 0 {
            more.push(vec![ours - alone]);
        }
    }
    Ok(more)
}
