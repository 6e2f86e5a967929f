//! `dbmux memory verify`: whether a store keeps what several processes store at once, tried with memories of its own.

use std::{
    io::Write,
    process::{Child, Command, Stdio},
    time::Instant,
};

use dbmux_memory::{Delete, Filter, List, Memories, NewMemory, Search, SearchMode, Zoned};
use serde::{Deserialize, Serialize};

use crate::{exit::Exit, failure::Failure, render};

/// Memories that each process stores.
const MEMORIES: usize = 25;

/// What one process saw.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Saw {
    stored: usize,
    found: usize,
    deleted: usize,
    /// What went wrong, in its words.
    errors: Vec<String>,
    /// Seconds that each took: storing, finding, deleting.
    times: [Vec<f64>; 3],
}

/// Starts the processes, and tells what they saw.
pub(super) async fn run(memories: &Memories, processes: usize, json: bool) -> Result<Exit, Failure> {
    let run = format!("verify-{}-{}", std::process::id(), Zoned::now().timestamp().as_millisecond());
    let before = memories.stats().await?.memories;
    let workers: Vec<_> = (0..processes).map(|number| start(memories, &run, number)).collect::<Result<_, _>>()?;
    let mut all = Saw::default();
    for worker in workers {
        all.add(saw(worker));
    }
    let left = memories.list(&List { filter: tagged(&run), limit: 1000, count: true, ..List::default() }).await?;
    let left = left.total.unwrap_or_default();
    if left > 0 {
        memories.delete(&Delete::of(tagged(&run))).await?;
    }
    let expected = processes * MEMORIES;
    let complete = [all.stored, all.found, all.deleted].iter().all(|count| *count == expected);
    let good = complete && left == 0 && all.errors.is_empty();
    let [store, search, delete] = all.times.each_mut().map(|times| median(times));
    let mut out = render::report_output();
    if json {
        let report = serde_json::json!({
            "ok": good, "processes": processes, "expected": expected, "stored": all.stored, "found": all.found,
            "deleted": all.deleted, "left_behind": left, "memories_before": before, "errors": all.errors,
            "median_s": { "store": store, "search": search, "delete": delete },
        });
        writeln!(out, "{report}")?;
    } else {
        writeln!(
            out,
            "{processes} processes at once: {} of {expected} memories stored, {} found, {} deleted; {left} left behind",
            all.stored, all.found, all.deleted
        )?;
        let shown = |seconds: f64| format!("{:.1} ms", seconds * 1000.0);
        writeln!(out, "median: store {}, search {}, delete {}", shown(store), shown(search), shown(delete))?;
        all.errors.iter().try_for_each(|error| writeln!(out, "wrong: {error}"))?;
        writeln!(out, "{}", if good { "well" } else { "NOT well" })?;
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// One of the processes: what it saw, on standard output.
pub(super) async fn work(memories: &Memories, tag: &str) -> Result<Exit, Failure> {
    let mut saw = Saw::default();
    for number in 0..MEMORIES {
        if let Err(error) = one(memories, tag, number, &mut saw).await {
            saw.errors.push(error.to_string());
        }
    }
    writeln!(std::io::stdout(), "{}", serde_json::json!(saw))?;
    Ok(Exit::Done)
}

/// Stores a memory, finds it by a word that no other one has, and deletes it.
async fn one(memories: &Memories, tag: &str, number: usize, saw: &mut Saw) -> Result<(), dbmux_memory::MemoryError> {
    let word = format!("{}x{number}", tag.replace('-', "x"));
    let (run, _) = tag.rsplit_once('-').unwrap_or((tag, ""));
    let began = Instant::now();
    let stored = memories.store(vec![NewMemory::new(format!("a try of dbmux memory verify: {word}")).tag(run)]).await?;
    saw.times[0].push(began.elapsed().as_secs_f64());
    saw.stored += stored.len();
    let began = Instant::now();
    let found = memories.search(&Search::new(word).mode(SearchMode::Exact).limit(2)).await?;
    saw.times[1].push(began.elapsed().as_secs_f64());
    saw.found += found.hits.len();
    let began = Instant::now();
    let hashes = stored.into_iter().map(|one| one.content_hash).collect();
    let deleted = memories.delete(&Delete::of(Filter { hashes, ..Filter::default() })).await?;
    saw.times[2].push(began.elapsed().as_secs_f64());
    saw.deleted += deleted.content_hashes.len();
    Ok(())
}

fn start(memories: &Memories, run: &str, number: usize) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["memory", "verify", "--worker", &format!("{run}-{number}"), "--memory"]).arg(memories.database());
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// One that says nothing has failed.
fn saw(worker: Child) -> Saw {
    let failed = |error: String| Saw { errors: vec![error], ..Saw::default() };
    match worker.wait_with_output() {
        Ok(output) => serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            failed(format!(
                "a process ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            ))
        }),
        Err(error) => failed(error.to_string()),
    }
}

impl Saw {
    fn add(&mut self, other: Self) {
        self.stored += other.stored;
        self.found += other.found;
        self.deleted += other.deleted;
        self.errors.extend(other.errors);
        for (all, times) in self.times.iter_mut().zip(other.times) {
            all.extend(times);
        }
    }
}

fn tagged(run: &str) -> Filter {
    Filter { tags: vec![run.to_owned()], ..Filter::default() }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}
