//! Whether what was acknowledged is in the tables, once; and whether readers saw it.

use std::collections::{HashMap, HashSet};

use super::job::{self, Embedded, Found, Report};

/// Differences of one kind that are named.
const NAMED: usize = 3;

/// What was wanted and what is there; in numbers, and in words where they differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) rows_expected: u64,
    pub(super) rows_found: u64,
    pub(super) problems: Vec<String>,
}

/// Looks at the rows. `writers`: what each of them did; `None`: it crashed, and nobody knows what it did.
pub(super) fn verify(rows: u32, writers: &[Option<&Report>], found: &Found) -> Verdict {
    let known: Vec<&Report> = writers.iter().flatten().copied().collect();
    let inserted: usize = known.iter().map(|report| report.inserted.len()).sum();
    let mut verdict = Verdict {
        rows_expected: u64::from(rows) + inserted as u64,
        rows_found: found.chunks.len() as u64,
        problems: Vec::new(),
    };
    let all_known = known.len() == writers.len();
    let seed = || 0..i64::from(rows);
    let chunks = seed().chain(known.iter().flat_map(|report| report.inserted.iter().map(|new| new.id)));
    let doubtful = known.iter().flat_map(|report| &report.doubtful.chunks).copied();
    verdict.same("row", chunks, doubtful, found.chunks.iter().map(|chunk| chunk.id), all_known);
    let files = (0..job::files(rows)).chain(known.iter().flat_map(|report| report.files.iter().copied()));
    let doubtful = known.iter().flat_map(|report| &report.doubtful.files).copied();
    verdict.same("file", files, doubtful, found.files.iter().copied(), all_known);
    let torn = found.chunks.iter().filter(|chunk| !chunk.whole).map(|chunk| chunk.id);
    verdict.complain("row", torn.collect(), "with an embedding that nobody gave");
    if all_known {
        verdict.complain("row", wrong(rows, writers, found), "with another embedding than the last acknowledged one");
    }
    verdict
}

impl Verdict {
    /// Each that was acknowledged is there, once, and nothing else but what is in doubt.
    fn same(
        &mut self,
        what: &str,
        expected: impl Iterator<Item = i64>,
        doubtful: impl Iterator<Item = i64>,
        found: impl Iterator<Item = i64>,
        all_known: bool,
    ) {
        let (expected, doubtful): (HashSet<i64>, HashSet<i64>) = (expected.collect(), doubtful.collect());
        let mut counts: HashMap<i64, u64> = HashMap::new();
        for id in found {
            *counts.entry(id).or_default() += 1;
        }
        let lost = expected.iter().filter(|id| !counts.contains_key(id)).copied().collect();
        self.complain(what, lost, "acknowledged and not there");
        let twice = counts.iter().filter(|(_, count)| **count > 1).map(|(id, _)| *id).collect();
        self.complain(what, twice, "there more than once");
        if all_known {
            let strange = counts.keys().filter(|id| !expected.contains(id) && !doubtful.contains(id)).copied();
            self.complain(what, strange.collect(), "there, and refused or never written");
        }
    }

    /// How often, and of which.
    fn complain(&mut self, what: &str, mut ids: Vec<i64>, how: &str) {
        if ids.is_empty() {
            return;
        }
        ids.sort_unstable();
        let named: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
        let (count, more) = (ids.len(), if ids.len() > NAMED { ", …" } else { "" });
        let plural = if count == 1 { "" } else { "s" };
        self.problems.push(format!("{count} {what}{plural} {how}: {}{more}", named.join(", ")));
    }
}

/// The rows of the seed whose embedding is none that can be the last one.
fn wrong(rows: u32, writers: &[Option<&Report>], found: &Found) -> Vec<i64> {
    let mut last: HashMap<i64, Vec<(i64, Embedded)>> = HashMap::new();
    let mut doubtful: HashSet<(i64, i64, i64)> = HashSet::new();
    for (writer, report) in (0_i64..).zip(writers) {
        let Some(report) = report else { continue };
        for embedded in &report.embedded {
            last.entry(embedded.id).or_default().push((writer, *embedded));
        }
        doubtful.extend(report.doubtful.embedded.iter().map(|(id, version)| (*id, writer, *version)));
    }
    let fits = |id: i64, writer: i64, version: i64| {
        if doubtful.contains(&(id, writer, version)) {
            return true;
        }
        let Some(candidates) = last.get(&id) else { return writer < 0 };
        let is_it = |(by, embedded): &&(i64, Embedded)| *by == writer && embedded.version == version;
        // Nobody began after it had ended.
        candidates.iter().find(is_it).is_some_and(|(_, it)| candidates.iter().all(|(_, other)| other.began <= it.ended))
    };
    let seed = found.chunks.iter().filter(|chunk| (0..i64::from(rows)).contains(&chunk.id));
    seed.filter(|chunk| !fits(chunk.id, chunk.writer, chunk.version)).map(|chunk| chunk.id).collect()
}

/// How often readers counted fewer new rows than had been acknowledged before, or more than anybody had begun to insert.
pub(super) fn stale(reports: &[&Report]) -> u64 {
    let sorted = |time: fn(&job::Inserted) -> u64| {
        let mut times: Vec<u64> = reports.iter().flat_map(|report| report.inserted.iter().map(time)).collect();
        times.sort_unstable();
        times
    };
    let (began, ended) = (sorted(|new| new.began), sorted(|new| new.ended));
    let doubtful: usize = reports.iter().map(|report| report.doubtful.chunks.len()).sum();
    let is_stale = |fresh: &&job::Fresh| {
        let least = ended.partition_point(|time| *time < fresh.began);
        let most = began.partition_point(|time| *time <= fresh.ended) + doubtful;
        fresh.rows < least as u64 || fresh.rows > most as u64
    };
    reports.iter().flat_map(|report| &report.fresh).filter(is_stale).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::probe::job::{Chunk, Doubtful, Fresh, Inserted};

    const ROWS: u32 = 12;

    fn seed() -> Found {
        let chunk = |id| Chunk { id, writer: -1, version: 0, whole: true };
        Found { files: vec![0, 1], chunks: (0..12).map(chunk).collect() }
    }

    fn embedded(id: i64, version: i64, began: u64) -> Embedded {
        Embedded { id, version, began, ended: began + 5 }
    }

    fn problems(writers: &[&Report], found: &Found) -> String {
        let writers: Vec<_> = writers.iter().map(|report| Some(*report)).collect();
        verify(ROWS, &writers, found).problems.join("\n")
    }

    #[test]
    fn what_is_lost_doubled_or_strange_is_named() {
        let writer = Report {
            inserted: vec![Inserted { id: 100, began: 1, ended: 2 }],
            doubtful: Doubtful { chunks: vec![101], ..Doubtful::default() },
            ..Report::default()
        };
        let mut found = seed();
        assert_eq!(problems(&[&writer], &found), "1 row acknowledged and not there: 100");
        found.chunks.push(Chunk { id: 100, writer: 0, version: 0, whole: true });
        assert_eq!(problems(&[&writer], &found), "");
        // In doubt: it may be there.
        found.chunks.push(Chunk { id: 101, writer: 0, version: 1, whole: true });
        assert_eq!(problems(&[&writer], &found), "");
        found.chunks.push(found.chunks[3]);
        found.chunks.push(Chunk { id: 102, writer: 0, version: 2, whole: false });
        found.files.pop();
        assert_eq!(
            problems(&[&writer], &found),
            "1 row there more than once: 3\n1 row there, and refused or never written: 102\n\
             1 file acknowledged and not there: 1\n1 row with an embedding that nobody gave: 102"
        );
        // Of one that crashed nobody knows what it wrote; what others wrote is known.
        let verdict = verify(ROWS, &[Some(&writer), None], &seed());
        assert_eq!(verdict.problems, ["1 row acknowledged and not there: 100"]);
        assert_eq!((verdict.rows_expected, verdict.rows_found), (13, 12));
    }

    #[test]
    fn the_last_embedding_is_there_and_of_two_at_once_either() {
        let with = |embedded: Vec<Embedded>| Report { embedded, ..Report::default() };
        let found = |id: usize, writer: i64, version: i64| {
            let mut found = seed();
            (found.chunks[id].writer, found.chunks[id].version) = (writer, version);
            found
        };
        let wrong = "1 row with another embedding than the last acknowledged one: 4";
        let one = with(vec![embedded(4, 7, 10)]);
        assert_eq!(problems(&[&one], &found(4, 0, 7)), "");
        assert_eq!(problems(&[&one], &found(4, 0, 6)), wrong);
        assert_eq!(problems(&[&one], &seed()), wrong);
        let (later, beside) = (with(vec![embedded(4, 1, 16)]), with(vec![embedded(4, 1, 15)]));
        assert_eq!(problems(&[&one, &later], &found(4, 1, 1)), "");
        assert_eq!(problems(&[&one, &later], &found(4, 0, 7)), wrong);
        assert_eq!(problems(&[&one, &beside], &found(4, 0, 7)), "");
        let doubtful = Doubtful { embedded: vec![(4, 8)], ..Doubtful::default() };
        let doubtful = Report { doubtful, ..with(vec![embedded(4, 7, 10)]) };
        assert_eq!(problems(&[&doubtful], &found(4, 0, 8)), "");
        assert_eq!(problems(&[&doubtful], &found(4, 0, 9)), wrong);
    }

    #[test]
    fn a_count_is_stale_that_misses_what_was_acknowledged_before_it_began() {
        let new = |id, began| Inserted { id, began, ended: began + 10 };
        let writer = Report { inserted: vec![new(1, 0), new(2, 20)], ..Report::default() };
        let reader = |began, ended, rows| Report { fresh: vec![Fresh { began, ended, rows }], ..Report::default() };
        for (began, ended, rows, expected) in [
            (40, 41, 2, 0),
            (40, 41, 1, 1),
            (25, 26, 1, 0),
            (25, 26, 2, 0),
            (12, 13, 2, 1),
            (12, 20, 2, 0),
            (5, 6, 0, 0),
        ] {
            assert_eq!(stale(&[&writer, &reader(began, ended, rows)]), expected, "{rows} from {began} to {ended}");
        }
    }
}
