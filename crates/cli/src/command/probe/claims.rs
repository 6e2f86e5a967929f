//! What is known of each engine: the table of docs/concurrency.md, and whether what was seen agrees with it.

use std::fmt;

use super::{figures::Figures, job::Mode};

/// What becomes of a process that does something beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// It succeeds, and reads see what was acknowledged before.
    Succeeds,
    /// It does not get in, and this is said.
    Refused(&'static str),
    /// A write may fail, with these words.
    MayFail(&'static str),
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeds => f.write_str("no error, fresh reads"),
            Self::Refused(words) => write!(f, "refused: `{words}`"),
            Self::MayFail(words) => write!(f, "may fail: `{words}`"),
        }
    }
}

/// A row of the table.
pub(super) struct Claim {
    /// As `--engine` names it.
    pub(super) engine: &'static str,
    /// Readers beside one process that writes, without dbmux.
    pub(super) readers: Allowed,
    /// Writers beside each other, without dbmux; of those that are refused one is not.
    pub(super) writers: Allowed,
    /// All of them, with dbmux.
    pub(super) dbmux: Allowed,
}

/// The table of `docs/concurrency.md`.
pub(super) const CLAIMS: [Claim; 3] = [
    Claim {
        engine: "duckdb",
        readers: Allowed::Refused("Could not set lock on file"),
        writers: Allowed::Refused("Could not set lock on file"),
        dbmux: Allowed::Succeeds,
    },
    Claim {
        engine: "sqlite",
        readers: Allowed::Succeeds,
        writers: Allowed::MayFail("database is locked"),
        dbmux: Allowed::Succeeds,
    },
    Claim {
        engine: "lance",
        readers: Allowed::Succeeds,
        writers: Allowed::MayFail("conflict"),
        dbmux: Allowed::Succeeds,
    },
];

/// Processes of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crowd {
    pub(super) readers: u64,
    pub(super) writers: u64,
}

/// Where what was seen departs from the table; empty: nowhere.
pub(super) fn departures(engine: &str, mode: Mode, crowd: Crowd, seen: &Figures) -> Vec<String> {
    let Some(claim) = CLAIMS.iter().find(|claim| claim.engine == engine) else {
        return vec![format!("nothing is known of {engine}")];
    };
    let (readers, writers) = match mode {
        Mode::Dbmux => (claim.dbmux, claim.dbmux),
        Mode::Direct => (
            if crowd.writers == 0 { Allowed::Succeeds } else { claim.readers },
            if crowd.writers < 2 { Allowed::Succeeds } else { claim.writers },
        ),
    };
    let mut departures = Departures { of: format!("{engine}, {}", mode.name()), all: Vec::new() };
    if crowd.readers > 0 {
        departures.readers(readers, crowd, seen);
    }
    if crowd.writers > 0 {
        departures.writers(writers, crowd.writers, seen);
    }
    for problem in &seen.verdict.problems {
        departures.add(problem.clone());
    }
    departures.all
}

struct Departures {
    of: String,
    all: Vec<String>,
}

impl Departures {
    fn add(&mut self, what: impl fmt::Display) {
        self.all.push(format!("{}: {what}", self.of));
    }

    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(what());
        }
    }

    fn readers(&mut self, allowed: Allowed, crowd: Crowd, seen: &Figures) {
        let Figures { readers, .. } = seen;
        match allowed {
            Allowed::Refused(words) => {
                self.unless(readers.ok() == 0, || format!("{} reads succeeded beside a writer", readers.ok()));
                self.unless(readers.crashed == crowd.readers, || {
                    format!("{} of {} readers got in beside a writer", crowd.readers - readers.crashed, crowd.readers)
                });
                self.words(words, readers.errors.keys(), "readers");
            }
            Allowed::Succeeds | Allowed::MayFail(_) => {
                self.unless(readers.ok() > 0, || "no read succeeded".to_owned());
                self.unless(readers.crashed == 0, || format!("{} readers crashed", readers.crashed));
                self.no_errors(readers.errors.iter(), "reads");
                self.unless(seen.stale == 0, || {
                    format!("{} of {} counts missed rows that were there, or saw more", seen.stale, seen.fresh)
                });
                let blind = seen.inserted > 0 && seen.fresh > 0 && seen.fresh_rows == 0;
                self.unless(!blind, || "no reader saw a new row".to_owned());
            }
        }
    }

    fn writers(&mut self, allowed: Allowed, count: u64, seen: &Figures) {
        let Figures { writers, .. } = seen;
        self.unless(writers.ok() > 0, || "no write succeeded".to_owned());
        match allowed {
            Allowed::Refused(words) => {
                self.unless(writers.crashed + 1 == count, || {
                    format!("{} of {count} writers got in, instead of one", count - writers.crashed)
                });
                self.words(words, writers.errors.keys(), "writers");
            }
            Allowed::Succeeds => {
                self.unless(writers.crashed == 0, || format!("{} writers crashed", writers.crashed));
                self.no_errors(writers.errors.iter(), "writes");
            }
            Allowed::MayFail(words) => {
                self.unless(writers.crashed == 0, || format!("{} writers crashed", writers.crashed));
                let others = writers.errors.iter().filter(|(error, _)| !error.contains(words));
                self.no_errors(others, "writes");
            }
        }
    }

    /// Each of them heard these words, and no others.
    fn words<'a>(&mut self, words: &str, errors: impl Iterator<Item = &'a String>, whose: &str) {
        let mut said = false;
        for error in errors {
            said |= error.contains(words);
            self.unless(error.contains(words), || format!("{whose} failed otherwise: {error}"));
        }
        self.unless(said, || format!("none of the {whose} was told `{words}`"));
    }

    fn no_errors<'a>(&mut self, errors: impl Iterator<Item = (&'a String, &'a u64)>, what: &str) {
        for (error, count) in errors {
            self.add(format!("{count} {what} failed: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::probe::{figures::Side, histogram::Histogram};

    fn side(ok: u64, crashed: u64, errors: &[(&str, u64)]) -> Side {
        let errors = errors.iter().map(|(error, count)| ((*error).to_owned(), *count)).collect();
        Side { took: Histogram::of((0..ok).map(|_| 5)), errors, crashed }
    }

    fn seen(readers: Side, writers: Side) -> Figures {
        Figures { readers, writers, inserted: 5, fresh: 5, fresh_rows: 5, ..Figures::new(Mode::Direct) }
    }

    fn found(engine: &str, mode: Mode, counts: [u64; 2], figures: &Figures) -> String {
        departures(engine, mode, Crowd { readers: counts[0], writers: counts[1] }, figures).join("\n")
    }

    #[test]
    fn the_guide_has_the_same_table() {
        let guide = include_str!("../../../../../docs/concurrency.md");
        for Claim { engine, readers, writers, dbmux } in CLAIMS {
            let row = format!("| `{engine}` | {readers} | {writers} | {dbmux} |");
            assert!(guide.contains(&row), "docs/concurrency.md lacks this row:\n{row}");
        }
        let rows = guide.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, CLAIMS.len(), "docs/concurrency.md has rows that the program does not know");
    }

    #[test]
    fn duckdb_refuses_readers_beside_its_writer() {
        let locked = [("IO Error: Could not set lock on file \"direct.duckdb\"", 9)];
        let as_known = seen(side(0, 4, &locked), side(9, 0, &[]));
        assert_eq!(found("duckdb", Mode::Direct, [4, 1], &as_known), "");
        // Should it ever let them in, that is seen.
        let let_in = found("duckdb", Mode::Direct, [4, 1], &seen(side(3, 0, &[]), side(9, 0, &[])));
        assert_eq!(
            let_in,
            "duckdb, direct: 3 reads succeeded beside a writer\nduckdb, direct: 4 of 4 readers got in beside a writer\n\
             duckdb, direct: none of the readers was told `Could not set lock on file`"
        );
        let otherwise = seen(side(0, 4, &[("it said nothing", 4)]), side(9, 0, &[]));
        assert!(found("duckdb", Mode::Direct, [4, 1], &otherwise).contains("readers failed otherwise"));
        // Through dbmux the same figures are a departure, and without writers they are one too.
        assert_ne!(found("duckdb", Mode::Dbmux, [4, 1], &as_known), "");
        assert_ne!(found("duckdb", Mode::Direct, [4, 0], &as_known), "");
        assert_eq!(found("duckdb", Mode::Direct, [4, 3], &seen(side(0, 4, &locked), side(9, 2, &locked))), "");
        assert_ne!(found("duckdb", Mode::Direct, [4, 3], &seen(side(0, 4, &locked), side(9, 1, &locked))), "");
    }

    #[test]
    fn others_may_fail_as_is_known_of_them_and_not_otherwise() {
        let locked = [("database is locked", 2)];
        assert_eq!(found("sqlite", Mode::Direct, [4, 2], &seen(side(9, 0, &[]), side(9, 0, &locked))), "");
        assert_eq!(
            found("sqlite", Mode::Direct, [4, 1], &seen(side(9, 0, &[]), side(9, 0, &locked))),
            "sqlite, direct: 2 writes failed: database is locked"
        );
        let other = seen(side(9, 0, &[]), side(9, 0, &[("disk I/O error", 1)]));
        assert_eq!(found("sqlite", Mode::Direct, [4, 2], &other), "sqlite, direct: 1 writes failed: disk I/O error");
        let stale = Figures { stale: 1, ..seen(side(9, 0, &[]), side(9, 0, &[])) };
        assert_eq!(
            found("lance", Mode::Direct, [4, 1], &stale),
            "lance, direct: 1 of 5 counts missed rows that were there, or saw more"
        );
        let blind = Figures { fresh_rows: 0, ..seen(side(9, 0, &[]), side(9, 0, &[])) };
        assert_eq!(found("lance", Mode::Dbmux, [4, 1], &blind), "lance, dbmux: no reader saw a new row");
        let mut lost = seen(side(9, 0, &[]), side(9, 0, &[]));
        lost.verdict.problems.push("1 row acknowledged and not there: 7".to_owned());
        assert_eq!(found("sqlite", Mode::Dbmux, [4, 1], &lost), "sqlite, dbmux: 1 row acknowledged and not there: 7");
        assert_eq!(found("else", Mode::Dbmux, [4, 1], &lost), "nothing is known of else");
    }
}
