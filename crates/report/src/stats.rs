//! What a broker has done since its start, and a file's locks since they were made.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use dbmux_client::{Client, StatsReply};
use dbmux_lock::{Lock, LockName, Snapshot};
use serde_json::{Value, json};

use crate::{ReportError, person, table};

const LOCKS: [(&str, LockName); 3] = [("owner", LockName::Owner), ("file", LockName::File), ("named", LockName::Plain)];

/// What is known of one database.
pub struct Figures {
    /// Its canonical path.
    pub database: PathBuf,
    /// `None`: no broker runs.
    pub broker: Option<StatsReply>,
    /// Those that anybody has ever taken, by name.
    pub locks: Vec<(&'static str, Snapshot)>,
}

/// The figures of the database of a client that starts nothing.
///
/// # Errors
/// When the broker does not answer, or the locks cannot be looked at.
pub async fn figures(client: &Client) -> Result<Figures, ReportError> {
    let broker = client.stats().await?;
    let locks = locks(client.database())?;
    Ok(Figures { database: client.database().to_owned(), broker, locks })
}

/// For a program.
pub fn for_program(figures: &Figures) -> Value {
    let locks: serde_json::Map<_, _> =
        figures.locks.iter().map(|(name, lock)| ((*name).to_owned(), lock_json(lock))).collect();
    json!({ "database": figures.database, "broker": figures.broker.as_ref().map(broker_json), "locks": locks })
}

/// For a person: a table each.
pub fn for_person(figures: &Figures) -> String {
    let mut text = match &figures.broker {
        Some(broker) => format!("{}\n", broker_table(broker)),
        None => format!("no broker serves {}\n", figures.database.display()),
    };
    if !figures.locks.is_empty() {
        text.push_str(&format!("{}\n", lock_table(&figures.locks)));
    }
    text
}

/// The locks of a database's sidecar; none where there is no sidecar.
fn locks(database: &Path) -> Result<Vec<(&'static str, Snapshot)>, ReportError> {
    let sidecar = dbmux_lock::sidecar_path(database);
    let mut locks = Vec::new();
    for (name, lock) in LOCKS {
        if let Some(snapshot) = Lock::peek(&sidecar, lock)? {
            locks.push((name, snapshot));
        }
    }
    Ok(locks)
}

fn broker_table(stats: &StatsReply) -> comfy_table::Table {
    let mut table = table::frame(None);
    table.set_header(["broker", ""]);
    let times = |p50, p99, max| format!("{} / {} / {}", person::micros(p50), person::micros(p99), person::micros(max));
    let rows = [
        (
            "statements",
            format!(
                "{} ({} reads, {} writes)",
                person::count(stats.statements),
                person::count(stats.reads),
                person::count(stats.writes)
            ),
        ),
        ("failures", person::count(stats.failures)),
        ("cancelled", person::count(stats.cancelled)),
        ("conflicts retried", person::count(stats.conflicts_retried)),
        ("out of time", person::count(stats.deadlines)),
        ("queue full", person::count(stats.queue_full)),
        (
            "merged",
            format!("{} in {} batches", person::count(stats.merged_statements), person::count(stats.merged_batches)),
        ),
        ("running / queued / most queued", format!("{} / {} / {}", stats.running, stats.queued, stats.queued_max)),
        ("sessions opened", person::count(stats.sessions_opened)),
        ("attached / released", format!("{} / {} times", stats.attaches, stats.releases)),
        ("wait p50 / p99 / max", times(stats.wait_p50_us, stats.wait_p99_us, stats.wait_max_us)),
        ("run p50 / p99 / max", times(stats.run_p50_us, stats.run_p99_us, stats.run_max_us)),
    ];
    for (name, value) in rows {
        table.add_row([name, &value]);
    }
    table
}

fn broker_json(stats: &StatsReply) -> Value {
    json!({
        "statements": stats.statements,
        "failures": stats.failures,
        "reads": stats.reads,
        "writes": stats.writes,
        "merged_statements": stats.merged_statements,
        "merged_batches": stats.merged_batches,
        "conflicts_retried": stats.conflicts_retried,
        "cancelled": stats.cancelled,
        "queue_full": stats.queue_full,
        "deadlines": stats.deadlines,
        "sessions_opened": stats.sessions_opened,
        "attaches": stats.attaches,
        "releases": stats.releases,
        "wait_us": { "p50": stats.wait_p50_us, "p99": stats.wait_p99_us, "max": stats.wait_max_us },
        "run_us": { "p50": stats.run_p50_us, "p99": stats.run_p99_us, "max": stats.run_max_us },
        "queued": stats.queued,
        "running": stats.running,
        "queued_max": stats.queued_max,
    })
}

fn lock_table(locks: &[(&'static str, Snapshot)]) -> comfy_table::Table {
    let mut table = table::frame(None);
    table.set_header(std::iter::once("lock").chain(locks.iter().map(|(name, _)| *name)));
    let mut row = |name: &str, value: &dyn Fn(&Snapshot) -> String| {
        table.add_row(std::iter::once(name.to_owned()).chain(locks.iter().map(|(_, lock)| value(lock))));
    };
    row("acquisitions", &|lock| person::count(lock.statistics.acquisitions));
    row("contended", &|lock| person::count(lock.statistics.contended));
    row("failures", &|lock| person::count(lock.statistics.failures));
    row("dead holders reaped", &|lock| person::count(lock.statistics.reaped));
    row("wait, average", &|lock| time(lock.statistics.average_wait()));
    row("wait, p99", &|lock| time(lock.statistics.p99_wait()));
    row("wait, longest", &|lock| time(lock.statistics.longest_wait));
    row("waited in vain, average", &|lock| time(lock.statistics.average_failed_wait()));
    row("active / waiting", &|lock| format!("{} / {}", lock.holders.len(), lock.waiters.len()));
    row("last acquisition", &|lock| {
        let ago = lock.statistics.last_acquisition.and_then(|at| SystemTime::now().duration_since(at).ok());
        ago.map_or_else(|| "never".to_owned(), |ago| format!("{} ago", person::duration(ago)))
    });
    table
}

fn time(wait: Duration) -> String {
    person::micros(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX))
}

/// A lock's figures as one object; times in microseconds.
pub fn lock_json(lock: &Snapshot) -> Value {
    let stats = &lock.statistics;
    let micros = |wait: Duration| u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
    json!({
        "acquisitions": stats.acquisitions,
        "contended": stats.contended,
        "failures": stats.failures,
        "reaped": stats.reaped,
        "wait_us": { "average": micros(stats.average_wait()), "p99": micros(stats.p99_wait()), "longest": micros(stats.longest_wait) },
        "failed_wait_us": micros(stats.average_failed_wait()),
        "active": lock.holders.len(),
        "waiting": lock.waiters.len(),
        "last_acquisition": stats.last_acquisition.map(|at| humantime::format_rfc3339_millis(at).to_string()),
        "fence": lock.fence.0,
    })
}
