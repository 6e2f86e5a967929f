//! `code-index DB index`: brings the index up to date, in one process or in several.
//!
//! Every process is one client like any other: those that `--processes` starts have a part of the tree each, and whoever
//! indexes the same tree beside them meets them in the database. What somebody else has in hand is put off; what he has
//! written is found there. What is not known to be written is written again, for that changes nothing where it was.

use std::{
    collections::VecDeque,
    process::Stdio,
    time::{Duration, Instant},
};

use dbmux_client::{ClientError, ErrorCode};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::{
    args::{Arguments, Index, Part},
    failure::Failure,
    report::print,
    store::{Ready, Store},
    tree::{File, Tree},
};

/// A pause before what somebody else had in hand is tried once more, when nothing else is left to do.
const PAUSE: Duration = Duration::from_millis(20);

/// What was done.
#[derive(Debug, Default)]
struct Done {
    /// Files that are as they were indexed.
    unchanged: usize,
    /// Files that this process has written.
    written: usize,
    /// Files that have gone, and were removed.
    removed: usize,
}

pub(crate) async fn run(arguments: &Arguments, index: &Index) -> Result<(), Failure> {
    let tree = Tree::at(&index.tree)?;
    let store = Store::writing(arguments).await?;
    again(arguments.wait, async || store.prepare().await).await?;
    let mut done = Done::default();
    if index.processes > 1 {
        done.written = in_processes(arguments, index).await?;
    } else {
        let indexed = again(arguments.wait, async || store.indexed().await).await?;
        let mut changed = Vec::new();
        for file in tree.files(index.part)? {
            let file = file?;
            if indexed.get(&file.path) == Some(&file.hash) { done.unchanged += 1 } else { changed.push(file) }
        }
        done.written = write(&store, changed, arguments.wait).await?;
    }
    if index.part == (Part { number: 0, of: 1 }) {
        let indexed = again(arguments.wait, async || store.indexed().await).await?;
        let gone = tree.gone(&indexed)?;
        for some in gone.chunks(store.batch()) {
            again(arguments.wait, async || store.remove(some).await).await?;
        }
        (done.removed, done.unchanged) = (gone.len(), indexed.len().saturating_sub(gone.len() + done.written));
    }
    report(arguments, index, &done)
}

/// Writes files batch by batch. Answers with how many were not there yet.
async fn write(store: &Store, files: Vec<File>, patience: Duration) -> Result<usize, Failure> {
    let mut waiting: VecDeque<&[File]> = files.chunks(store.batch()).collect();
    let (mut written, mut put_off, mut progress) = (0, 0, Instant::now());
    while let Some(batch) = waiting.pop_front() {
        let ready: Vec<_> = batch.iter().map(Ready::new).collect();
        match store.put(&ready).await {
            Ok(new) => {
                (written, put_off, progress) = (written + new, 0, Instant::now());
            }
            Err(error) if may_be_done_again(&error) && progress.elapsed() < patience => {
                waiting.push_back(batch);
                put_off += 1;
                if put_off >= waiting.len() {
                    tokio::time::sleep(PAUSE).await;
                    put_off = 0;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

/// Does what may be done twice until it is done.
async fn again<T>(patience: Duration, work: impl AsyncFn() -> Result<T, ClientError>) -> Result<T, Failure> {
    let began = Instant::now();
    loop {
        match work().await {
            Err(error) if may_be_done_again(&error) && began.elapsed() < patience => tokio::time::sleep(PAUSE).await,
            done => return Ok(done?),
        }
    }
}

/// Somebody else writes the same, or the broker has gone: nobody knows what was done, and it does not matter here.
fn may_be_done_again(error: &ClientError) -> bool {
    // Of two transactions that have made a row of one key, DuckDB tells the second one when it commits.
    let same_key = error.detail().is_some_and(|detail| detail.sqlstate == "23505");
    same_key || error.is_conflict() || error.is_outcome_unknown() || error.code() == ErrorCode::SessionLost
}

/// Starts the processes, and waits for all of them. Answers with how many files they have written.
async fn in_processes(arguments: &Arguments, index: &Index) -> Result<usize, Failure> {
    let parts = (0..index.processes).map(|number| start(arguments, index, Part { number, of: index.processes }));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    let mut written = 0;
    for part in parts {
        let output = part.wait_with_output().await?;
        if !output.status.success() {
            let code = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            return Err(Failure::Part { code });
        }
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).map_err(std::io::Error::from)?;
        written += told["written"].as_u64().unwrap_or_default() as usize;
    }
    Ok(written)
}

/// A process of this program, with a part of the work. It ends with this one.
fn start(arguments: &Arguments, index: &Index, part: Part) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(&arguments.database).arg("index").arg(&index.tree).arg("--part").arg(part.to_string());
    command.arg("--wait").arg(humantime::format_duration(arguments.wait).to_string()).arg("--json");
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
}

fn report(arguments: &Arguments, index: &Index, done: &Done) -> Result<(), Failure> {
    let Done { unchanged, written, removed } = done;
    if arguments.json {
        return print(&json!({"written": written, "unchanged": unchanged, "removed": removed}).to_string());
    }
    let tree = index.tree.display();
    print(&format!("{tree}: {written} files indexed, {unchanged} unchanged, {removed} gone"))
}
