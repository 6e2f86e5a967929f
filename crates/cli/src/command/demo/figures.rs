//! What a half of the demo came to, and the table of both.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::worker::Tally;
use crate::render::{alike::without_numbers, person, table};

/// One half of the demo.
#[derive(Debug, Default)]
pub(super) struct Figures {
    took_us: Vec<u64>,
    errors: BTreeMap<String, u64>,
    expected: u64,
    found: u64,
}

impl Figures {
    pub(super) fn add(&mut self, tally: Tally, writes: bool) {
        if writes {
            self.expected += tally.took_us.len() as u64;
        }
        self.took_us.extend(tally.took_us);
        for (error, count) in tally.errors {
            *self.errors.entry(kind(&error)).or_default() += count;
        }
    }

    /// All workers are done, and this many rows are in the table.
    pub(super) fn finish(&mut self, found: u64) {
        self.found = found;
        self.took_us.sort_unstable();
    }

    /// Nothing failed and nothing is missing.
    pub(super) fn is_perfect(&self) -> bool {
        self.failures() == 0 && self.expected == self.found && !self.took_us.is_empty()
    }

    fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    fn statements(&self) -> u64 {
        self.took_us.len() as u64 + self.failures()
    }

    /// Of those that succeeded, in microseconds.
    fn percentile(&self, percent: usize) -> Option<u64> {
        let last = self.took_us.len().checked_sub(1)?;
        self.took_us.get(last * percent / 100).copied()
    }

    /// The error that came most often.
    fn error(&self) -> Option<(&str, u64)> {
        self.errors.iter().max_by_key(|(_, count)| **count).map(|(error, count)| (error.as_str(), *count))
    }

    pub(super) fn for_program(&self) -> Value {
        json!({
            "statements": self.statements(),
            "failures": self.failures(),
            "rows_expected": self.expected,
            "rows_found": self.found,
            "median_us": self.percentile(50),
            "p99_us": self.percentile(99),
            "errors": self.errors,
        })
    }
}

/// The same error, whichever process and statement it names.
fn kind(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    without_numbers(line)
}

/// Both halves side by side, with the error that came most often.
pub(super) fn table(plain: &Figures, dbmux: &Figures) -> String {
    let mut table = table::frame(None);
    table.set_header(["", "plain DuckDB", "dbmux"]);
    let mut row = |name: &str, value: &dyn Fn(&Figures) -> String| {
        table.add_row([name.to_owned(), value(plain), value(dbmux)]);
    };
    row("statements", &|half| person::count(half.statements()));
    row("failed", &|half| {
        let share = (half.failures() * 100).checked_div(half.statements()).unwrap_or_default();
        if half.failures() == 0 { "0".to_owned() } else { format!("{} ({share} %)", person::count(half.failures())) }
    });
    row("succeeded", &|half| person::count(half.took_us.len() as u64));
    row("rows expected", &|half| person::count(half.expected));
    row("rows found", &|half| person::count(half.found));
    row("median", &|half| half.percentile(50).map_or_else(String::new, person::micros));
    row("99 of 100 within", &|half| half.percentile(99).map_or_else(String::new, person::micros));
    let mut text = table.to_string();
    for (name, half) in [("plain DuckDB", plain), ("dbmux", dbmux)] {
        if let Some((error, count)) = half.error() {
            text.push_str(&format!("\n{name}, {} times: {error}", person::count(count)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(took: &[u64], errors: &[(&str, u64)], writes: bool) -> Figures {
        let mut figures = Figures::default();
        let errors = errors.iter().map(|(error, count)| ((*error).to_owned(), *count)).collect();
        figures.add(Tally { took_us: took.to_vec(), errors }, writes);
        figures
    }

    #[test]
    fn errors_that_differ_in_numbers_are_one() {
        let half = half(&[], &[("lock held by PID 12\nmore", 2), ("lock held by PID 7", 3)], false);
        assert_eq!(half.error(), Some(("lock held by PID …", 5)));
        assert_eq!(half.statements(), 5);
    }

    #[test]
    fn the_table_shows_what_was_lost() {
        let mut plain = half(&[9_000, 12_000], &[("Could not set lock on file", 98)], true);
        plain.finish(2);
        let mut dbmux = half(&(1..=1000).collect::<Vec<_>>(), &[], true);
        dbmux.finish(1000);
        assert!(dbmux.is_perfect() && !plain.is_perfect());
        insta::assert_snapshot!(table(&plain, &dbmux));
        dbmux.finish(999);
        assert!(!dbmux.is_perfect());
    }
}
