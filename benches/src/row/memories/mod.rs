//! A store of memories, words alone: stores of one, four and sixteen processes; four processes of ours beside four of
//! mcp-memory-service; each operation among 10,000 memories, of one process and of four; and searches among 100,000.

mod many;
mod texts;
pub(crate) mod worker;

use std::{
    cell::Cell,
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use dbmux_memory::{Memories, NewMemory};

pub(crate) use self::many::measure as many;
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples, in_turn},
    place::runtime,
    rival::Rival,
};

/// How many are there while others are stored, found, changed and deleted.
const THERE: usize = 10_000;
/// Memories in one call, while the store is filled.
const TOGETHER: usize = 500;
/// What an agent does between two calls is longer.
const PAUSE: f64 = 0.02;
/// The operations: the longest p50 of one process in milliseconds, and how many times that of one process four may take.
const OPERATIONS: [(&str, f64, f64); 4] =
    [("store", 10.0, 1.2), ("search", 5.0, 1.1), ("update", 10.0, 1.25), ("delete", 8.0, 1.25)];

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let mut lines = stores(context)?;
    lines.extend(beside(context)?);
    lines.extend(among(context)?);
    Ok(lines)
}

/// A store of our own, whose broker ends with it.
struct Store {
    memories: Memories,
    directory: tempfile::TempDir,
}

impl Store {
    /// With so many memories.
    fn with(context: &Context, count: usize) -> Result<Self> {
        let directory = context.fresh()?;
        let memories = worker::open(&context.dbmux, &directory.path().join("memory.db"))?;
        let store = Self { memories, directory };
        runtime()?.block_on(async {
            for begin in (0..count).step_by(TOGETHER) {
                let numbers = begin..(begin + TOGETHER).min(count);
                let new = numbers.map(|number| NewMemory::new(texts::of(number)).tag(format!("t{}", number % 10)));
                store.memories.store(new.collect()).await?;
            }
            Ok::<_, dbmux_memory::MemoryError>(())
        })?;
        Ok(store)
    }

    /// Those with these numbers: what each stores is its own.
    fn workers(&self, context: &Context, numbers: Range<usize>) -> Result<Workers> {
        let path = self.directory.path().join("memory.db");
        numbers.map(|number| worker::start(&path, number, &context.dbmux)).collect::<Result<_>>().map(Workers)
    }

    fn count(&self) -> Result<u64> {
        Ok(runtime()?.block_on(self.memories.stats())?.memories)
    }

    fn stop(self) -> Result<()> {
        runtime()?.block_on(self.memories.client().stop(Duration::from_secs(10)))?;
        Ok(())
    }
}

/// Processes that do the same at the same time.
struct Workers(Vec<Rival>);

impl Workers {
    /// The seconds of each operation of all of them; those that failed are negative.
    fn run(&mut self, operation: &str, time: Duration, pause: f64) -> Result<Vec<f64>> {
        let order = format!("{operation} {} {pause}", time.as_secs_f64());
        self.0.iter_mut().try_for_each(|worker| worker.say(&order))?;
        let mut times = Vec::new();
        for worker in &mut self.0 {
            for word in worker.hear()?.split_whitespace() {
                times.push(word.parse()?);
            }
        }
        Ok(times)
    }

    /// How many a second of all together were done, until the last of them was.
    fn rate(&mut self, operation: &str, time: Duration) -> Result<f64> {
        let began = Instant::now();
        let (done, _) = apart(self.run(operation, time, 0.0)?);
        Ok(done.len() as f64 / began.elapsed().as_secs_f64())
    }
}

/// The seconds of those that were done, and how many failed.
fn apart(times: Vec<f64>) -> (Vec<f64>, usize) {
    let all = times.len();
    let done: Vec<_> = times.into_iter().filter(|took| *took > 0.0).collect();
    let failed = all - done.len();
    (done, failed)
}

fn stores(context: &Context) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let time = context.time(Duration::from_secs(4));
    for (processes, least) in [(1, 2000.0), (4, 4000.0), (16, 5000.0)] {
        let store = Store::with(context, 0)?;
        let mut workers = store.workers(context, 0..processes)?;
        let (mut rates, mut times, mut acknowledged) = (Samples::default(), Samples::default(), 0);
        for round in 0..=context.rounds(3, 2) {
            let began = Instant::now();
            let (done, failed) = apart(workers.run("store", time, 0.0)?);
            let rate = done.len() as f64 / began.elapsed().as_secs_f64();
            if failed > 0 {
                return Err(format!("{failed} stores failed").into());
            }
            acknowledged += done.len() as u64;
            if round > 0 {
                rates.push(vec![rate]);
                times.push(done);
            }
        }
        if store.count()? != acknowledged {
            return Err(format!("{acknowledged} were acknowledged, {} are there", store.count()?).into());
        }
        let of = if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes at once") };
        let rate = Figure::PerSecond(rates.typical(0.5));
        let what = format!("memories stored, words only, acknowledged and synced, {of}");
        lines.push(Line::alone(&what, rate, Goal::AtLeast(Figure::PerSecond(least))));
        if processes == 4 {
            let goal = Goal::AtMost(Figure::Seconds(2e-3));
            lines.push(Line::alone("one of these, p50", Figure::Seconds(times.typical(0.5)), goal));
        }
        store.stop()?;
    }
    Ok(lines)
}

/// Four processes of each.
fn beside(context: &Context) -> Result<Vec<Line>> {
    const PROCESSES: usize = 4;
    let python = context.memories_python.as_ref().ok_or("--memories-python is needed: see benches/run.sh")?;
    let script = context.rivals.join("memories.py");
    let directory = context.fresh()?;
    let path = directory.path().join("theirs.db");
    let rival = |role: &str, path: &Path, number: usize| -> Result<Rival> {
        let mut command = std::process::Command::new(python);
        command.arg(&script).arg(role).arg(path).arg(number.to_string());
        let mut rival = Rival::start(command)?;
        rival.ready()?;
        Ok(rival)
    };
    let store = Store::with(context, THERE)?;
    drop(rival("seed", &path, THERE)?);
    let mut ours = store.workers(context, 0..PROCESSES)?;
    let mut theirs = Workers((0..PROCESSES).map(|number| rival("work", &path, number)).collect::<Result<_>>()?);
    let time = context.time(Duration::from_secs(4));
    let mut lines = Vec::new();
    // First what changes nothing: whoever stores faster has more to look through afterwards.
    let pairs = [
        ("search", "search", "mcp-memory-service", Goal::Better(5.0)),
        ("store", "store", "mcp-memory-service", Goal::Better(10.0)),
        ("store", "batch", "its batch of one, which compares with nothing", Goal::None),
    ];
    for (operation, theirs_is, rival, goal) in pairs {
        let [our_rate, their_rate] = in_turn(
            context.rounds(3, 2),
            [&mut || Ok(vec![ours.rate(operation, time)?]), &mut || Ok(vec![theirs.rate(theirs_is, time)?])],
        )?
        .map(|samples| Figure::PerSecond(samples.typical(0.5)));
        let what = format!("memories among {THERE}, {PROCESSES} processes at once: {operation}");
        lines.push(Line::beside(&what, our_rate, (rival, their_rate), goal));
    }
    drop((ours, theirs));
    store.stop()?;
    Ok(lines)
}

/// Each operation of one process, then of four at once, with a pause between two.
fn among(context: &Context) -> Result<Vec<Line>> {
    let store = Store::with(context, THERE)?;
    let (mut one, mut four) = (store.workers(context, 0..1)?, store.workers(context, 1..5)?);
    let time = context.time(Duration::from_secs(4));
    let (mut lines, failures, all) = (Vec::new(), Cell::new(0), Cell::new(0));
    let counted = |times: Vec<f64>| {
        all.set(all.get() + times.len());
        let (done, failed) = apart(times);
        failures.set(failures.get() + failed);
        done
    };
    for (operation, most, times) in OPERATIONS {
        let [alone, together] = in_turn(
            context.rounds(3, 2),
            [&mut || one.run(operation, time, PAUSE).map(counted), &mut || {
                four.run(operation, time, PAUSE).map(counted)
            }],
        )?
        .map(|samples| Figure::Seconds(samples.typical(0.5)));
        let what = format!("a memory among {THERE}: {operation}, p50");
        lines.push(Line::alone(&what, alone, Goal::AtMost(Figure::Seconds(most / 1e3))));
        let what = format!("the same, four processes, one each every {:.0} ms and more", PAUSE * 1e3);
        lines.push(Line::beside(&what, together, ("alone", alone), Goal::Within(times)));
    }
    let stats = runtime()?.block_on(store.memories.client().stats())?.ok_or("no broker")?;
    let waited = Figure::Seconds(stats.wait_p99_us as f64 / 1e6);
    lines.push(Line::alone(
        "what their statements waited at the broker, p99",
        waited,
        Goal::AtMost(Figure::Seconds(0.02)),
    ));
    let contended = Figure::Count(stats.merged_statements.saturating_sub(stats.merged_batches) as f64);
    lines.push(Line::alone("writes that found another one's and were committed with it", contended, Goal::None));
    let most = Goal::AtMost(Figure::Count((all.get() as f64 / 1000.0).floor()));
    lines.push(Line::alone(&format!("failed, of {}", all.get()), Figure::Count(failures.get() as f64), most));
    drop((one, four));
    store.stop()?;
    Ok(lines)
}
