//! A process with a store of memories; but for storing, the first thousand are there. Told on standard input what to do, and
//! for how many seconds; answers with the seconds of each operation, those that failed as a negative number.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use dbmux_client::ClientOptions;
use dbmux_memory::{Delete, Filter, Memories, MemoryOptions, NewMemory, Search, SearchMode, Update, content_hash};

use super::texts;
use crate::{Result, place, rival::Rival};

/// Which one, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    path: PathBuf,
    number: usize,
    /// The `dbmux` binary.
    dbmux: PathBuf,
}

/// Starts one; it is ready when this returns.
pub(crate) fn start(path: &Path, number: usize, dbmux: &Path) -> Result<Rival> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("memories").arg(path).arg(number.to_string()).arg(dbmux);
    let mut worker = Rival::start(command)?;
    worker.ready()?;
    Ok(worker)
}

/// Words alone; no answer is kept, for each search is to be made.
pub(crate) fn open(dbmux: &Path, path: &Path) -> Result<Memories> {
    let client = ClientOptions { broker_program: Some(dbmux.to_owned()), ..ClientOptions::default() };
    let options = MemoryOptions { client, kept_answers: 0, ..MemoryOptions::default() };
    Ok(Memories::open(path, options)?)
}

/// The text of one that this process stores.
fn own(number: usize, turn: usize) -> String {
    format!("of {number}: {}", texts::of(turn))
}

/// Does what it is told: `OPERATION SECONDS PAUSE`, the pause between two in seconds.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let runtime = place::runtime()?;
    let memories = open(&arguments.dbmux, &arguments.path)?;
    runtime.block_on(memories.stats())?;
    let mut worker = Worker { memories, number: arguments.number, turn: 0 };
    println!("ready");
    for line in std::io::stdin().lines() {
        let line = line?;
        let [operation, time, pause] = line.split(' ').collect::<Vec<_>>()[..] else {
            return Err("not three words".into());
        };
        let (time, pause) = (seconds(time)?, seconds(pause)?);
        let (began, mut times) = (Instant::now(), Vec::new());
        while began.elapsed() < time {
            times.push(runtime.block_on(worker.once(operation)));
            std::thread::sleep(pause);
        }
        println!("{}", times.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::from_secs_f64(text.parse()?))
}

struct Worker {
    memories: Memories,
    number: usize,
    turn: usize,
}

impl Worker {
    /// The seconds that it took; negative: it failed.
    async fn once(&mut self, operation: &str) -> f64 {
        self.turn += 1;
        // One of those that are there from the start.
        let one = self.number * 1009 + self.turn;
        let new = NewMemory::new(own(self.number, self.turn)).tag("load");
        let of_it = Filter::hashes([content_hash(&new.content)]);
        if operation == "delete" && self.memories.store(vec![new.clone()]).await.is_err() {
            return -f64::MIN_POSITIVE;
        }
        let began = Instant::now();
        let done = match operation {
            "store" => self.memories.store(vec![new]).await.map(drop),
            "search" => {
                let query = texts::query(one % 1000);
                let found = self.memories.search(&Search::new(query).mode(SearchMode::Exact)).await;
                found.map(|found| assert!(!found.hits.is_empty(), "it is there"))
            }
            "update" => {
                let update = Update { memory_type: Some(format!("t{}", self.turn)), ..Update::default() };
                self.memories.update(&content_hash(&texts::of(one % 1000)), &update).await.map(drop)
            }
            _ => self.memories.delete(&Delete::of(of_it)).await.map(drop),
        };
        let took = began.elapsed().as_secs_f64();
        if let Err(error) = &done {
            eprintln!("{operation} failed: {error}");
        }
        if done.is_ok() { took } else { -took }
    }
}
