//! What a mode came to: for a program, and side by side for a person.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    histogram::Histogram,
    job::{Mode, Report},
    verify::Verdict,
};
use crate::render::{person, table};

/// Readers, or writers, together.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) took: Histogram,
    /// Each error once, with how often it came.
    pub(super) errors: BTreeMap<String, u64>,
    /// Processes that crashed, or never could connect.
    pub(super) crashed: u64,
}

impl Side {
    pub(super) fn ok(&self) -> u64 {
        self.took.count()
    }

    pub(super) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// One process is done.
    pub(super) fn add(&mut self, report: &Report) {
        self.took.add(&report.calls.took);
        for (error, count) in &report.calls.errors {
            *self.errors.entry(error.clone()).or_default() += count;
        }
        if !report.connected {
            self.crashed += 1;
        }
    }

    /// One process ended without a report.
    pub(super) fn crash(&mut self, how: &str) {
        self.crashed += 1;
        *self.errors.entry(super::errors::alike(how)).or_default() += 1;
    }
}

/// What a mode came to.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) mode: Mode,
    pub(super) readers: Side,
    pub(super) writers: Side,
    /// How often new rows were counted.
    pub(super) fresh: u64,
    /// In how many of these there were some.
    pub(super) fresh_rows: u64,
    /// In how many of these the number cannot be true.
    pub(super) stale: u64,
    pub(super) inserted: u64,
    /// All processes together, in microseconds; and what of it was not spent in calls.
    pub(super) worked_us: u64,
    pub(super) beside_us: u64,
    pub(super) verdict: Verdict,
}

impl Figures {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            readers: Side::default(),
            writers: Side::default(),
            fresh: 0,
            fresh_rows: 0,
            stale: 0,
            inserted: 0,
            worked_us: 0,
            beside_us: 0,
            verdict: Verdict::default(),
        }
    }

    /// What one process saw and did.
    pub(super) fn add(&mut self, report: &Report) {
        self.fresh += report.fresh.len() as u64;
        self.fresh_rows += report.fresh.iter().filter(|fresh| fresh.rows > 0).count() as u64;
        self.inserted += report.inserted.len() as u64;
        let worked = report.total_us.saturating_sub(report.paused_us);
        self.worked_us += worked;
        self.beside_us += worked.saturating_sub(report.called_us);
    }

    fn crashed(&self) -> u64 {
        self.readers.crashed + self.writers.crashed
    }

    /// Of the processes' time, what the probe itself took, in percent.
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    fn overhead(&self) -> f64 {
        if self.worked_us == 0 { 0.0 } else { self.beside_us as f64 * 100.0 / self.worked_us as f64 }
    }

    pub(super) fn for_program(&self) -> Value {
        json!({
            "mode": self.mode.name(),
            "reads_ok": self.readers.ok(),
            "reads_err": self.readers.failed(),
            "writes_ok": self.writers.ok(),
            "writes_err": self.writers.failed(),
            "fresh_read_iterations": self.fresh,
            "fresh_read_results": self.fresh_rows,
            "stale_reads": self.stale,
            "new_rows_inserted": self.inserted,
            "crashed_workers": self.crashed(),
            "read_p50_us": self.readers.took.percentile(50),
            "read_p99_us": self.readers.took.percentile(99),
            "write_p50_us": self.writers.took.percentile(50),
            "write_p99_us": self.writers.took.percentile(99),
            "errors": self.errors(),
            "rows_expected": self.verdict.rows_expected,
            "rows_found": self.verdict.rows_found,
            "problems": self.verdict.problems,
            "overhead_percent": (self.overhead() * 100.0).round() / 100.0,
        })
    }

    /// Each distinct error once, whoever it came to.
    fn errors(&self) -> Vec<Value> {
        let all: BTreeSet<&String> = self.readers.errors.keys().chain(self.writers.errors.keys()).collect();
        let count = |side: &Side, error: &String| side.errors.get(error).copied().unwrap_or_default();
        let object = |error: &String| {
            let (reads, writes) = (count(&self.readers, error), count(&self.writers, error));
            json!({ "error": error, "count": reads + writes, "reads": reads, "writes": writes })
        };
        all.into_iter().map(object).collect()
    }
}

/// All modes side by side, with each error once.
pub(super) fn table(title: &str, modes: &[Figures]) -> String {
    let mut table = table::frame(None);
    table.set_header([title].into_iter().chain(modes.iter().map(|mode| mode.mode.name())));
    let mut row = |name: &str, value: &dyn Fn(&Figures) -> String| {
        table.add_row([name.to_owned()].into_iter().chain(modes.iter().map(value)));
    };
    let percentile = |side: &Side, percent| side.took.percentile(percent).map_or_else(String::new, person::micros);
    row("reads that succeeded", &|mode| person::count(mode.readers.ok()));
    row("reads that failed", &|mode| person::count(mode.readers.failed()));
    row("writes that succeeded", &|mode| person::count(mode.writers.ok()));
    row("writes that failed", &|mode| person::count(mode.writers.failed()));
    row("new rows inserted", &|mode| person::count(mode.inserted));
    row("counts of new rows", &|mode| person::count(mode.fresh));
    row("  that saw some", &|mode| person::count(mode.fresh_rows));
    row("  that were wrong", &|mode| person::count(mode.stale));
    row("processes that crashed", &|mode| person::count(mode.crashed()));
    row("read, median", &|mode| percentile(&mode.readers, 50));
    row("read, 99 of 100 within", &|mode| percentile(&mode.readers, 99));
    row("write, median", &|mode| percentile(&mode.writers, 50));
    row("write, 99 of 100 within", &|mode| percentile(&mode.writers, 99));
    row("rows expected", &|mode| person::count(mode.verdict.rows_expected));
    row("rows found", &|mode| person::count(mode.verdict.rows_found));
    row("the probe's own share", &|mode| format!("{:.2} %", mode.overhead()));
    let mut text = table.to_string();
    for mode in modes {
        let name = mode.mode.name();
        for (side, errors) in [("reads", &mode.readers.errors), ("writes", &mode.writers.errors)] {
            for (error, count) in errors {
                text.push_str(&format!("\n{name}, {side}, {} ×: {error}", person::count(*count)));
            }
        }
        for problem in &mode.verdict.problems {
            text.push_str(&format!("\n{name}: {problem}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let report = |connected, errors: &[(&str, u64)], took: &[u64]| {
            let mut report = Report { connected, total_us: 1_000, called_us: 890, paused_us: 100, ..Report::default() };
            report.calls.took = Histogram::of(took.iter().copied());
            report.calls.errors = errors.iter().map(|(error, count)| ((*error).to_owned(), *count)).collect();
            report
        };
        let mut figures = Figures::new(Mode::Direct);
        let (reader, writer) = (report(false, &[("no lock", 3)], &[]), report(true, &[("no lock", 1)], &[900, 1_200]));
        figures.readers.add(&reader);
        figures.writers.add(&writer);
        figures.add(&reader);
        figures.add(&writer);
        figures.writers.crash("thread panicked at 17\nmore");
        figures.verdict = Verdict {
            rows_expected: 12,
            rows_found: 11,
            problems: vec!["1 row acknowledged and not there: 7".to_owned()],
        };
        figures
    }

    #[test]
    fn an_error_is_told_once_whoever_it_came_to() {
        let told = figures().for_program();
        assert_eq!(
            told["errors"],
            json!([
                { "error": "no lock", "count": 4, "reads": 3, "writes": 1 },
                { "error": "thread panicked at …", "count": 1, "reads": 0, "writes": 1 },
            ])
        );
        assert_eq!((&told["crashed_workers"], &told["writes_err"]), (&json!(2), &json!(2)));
        // Of 1,800 µs, what was slept taken away, 20.
        assert_eq!(told["overhead_percent"], json!(1.11));
        assert_eq!(told["read_p50_us"], Value::Null);
    }

    #[test]
    fn modes_stand_side_by_side() {
        insta::assert_snapshot!(table("sqlite", &[figures(), Figures::new(Mode::Dbmux)]));
    }
}
