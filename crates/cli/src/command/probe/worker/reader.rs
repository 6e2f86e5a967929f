//! A worker that reads: searches by vector, and counts what is new, by turns.

use super::{Timed, one_number};
use crate::command::probe::{
    connection::CallError,
    dialect::{self, NEAREST, Operation},
    embed,
    job::{Fresh, Job, Report},
};

/// Searches that are made ready before it begins.
const SEARCHES: i64 = 64;

pub(super) struct Reader {
    /// Each with the rows that it must answer with.
    searches: Vec<(Operation, u64)>,
    count: Operation,
    /// Where among them it begins: not all readers ask for the same.
    first: usize,
}

impl Reader {
    pub(super) fn new(job: &Job) -> Result<Self, String> {
        let dialect = dialect::of(job);
        let search = |number: i64| {
            let question = dialect::column(embed::embed(&embed::seed_text(-1 - number), job.dims))?;
            let (provider, model) = dialect::provider_and_model(number);
            let all = i64::from(job.rows);
            let those = (0..all).filter(|id| dialect::provider_and_model(*id) == (provider, model));
            let rows = those.take(NEAREST as usize).count() as u64;
            Ok((dialect.search(&question, provider, model), rows))
        };
        Ok(Self {
            searches: (0..SEARCHES).map(search).collect::<Result<_, String>>()?,
            count: dialect.count_new(job.rows),
            first: usize::from(job.number) * 7,
        })
    }

    pub(super) fn work(&mut self, timed: &mut Timed) -> Report {
        let mut fresh = Vec::new();
        timed.begin();
        for (search, rows) in self.searches.iter().cycle().skip(self.first) {
            if !timed.goes_on() {
                break;
            }
            timed.call(search, |answer| {
                let found: u64 = answer?.iter().map(|batch| batch.num_rows() as u64).sum();
                // The seed has as many, and what is new comes on top.
                if found == NEAREST || found >= *rows { Ok(()) } else { Err(few(found, *rows)) }
            });
            if !timed.goes_on() {
                break;
            }
            let counted = timed.call(&self.count, one_number);
            if let Ok(rows) = counted.outcome {
                fresh.push(Fresh { began: counted.began, ended: counted.ended, rows });
            }
        }
        Report { fresh, ..timed.report() }
    }
}

fn few(found: u64, rows: u64) -> CallError {
    CallError::new(format!("a search found {found} rows where there are {rows}"))
}
