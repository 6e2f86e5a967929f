//! dbt's own arguments, as its command line takes them (dbt-core 1.11, and what Fusion and the cloud's CLI add).

use std::path::PathBuf;

use super::Reading;

/// What dbt was told to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Invocation {
    /// `run`, `docs generate`, …
    pub command: String,
    /// What that does to a project.
    pub work: Work,
    /// `--project-dir`, as it was given: relative to the process's directory.
    pub project_dir: Option<PathBuf>,
}

/// What a command does to a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// It may open the database.
    #[default]
    Runs,
    /// It reads the project, and rewrites what it has made of it, but opens no database.
    Parses,
}

/// Commands that may open the database.
const RUNS: &[&str] = &[
    "build", "clone", "compile", "debug", "retry", "run", "run-operation", "seed", "show", "snapshot", "sql", "test",
];
/// Commands that only read the project, or write beside it.
const PARSES: &[&str] = &["clean", "deps", "list", "ls", "parse"];
/// Commands that touch no project.
const HARMLESS: &[&str] = &["environment", "env", "help", "init", "login", "man", "system", "version"];
/// Options that take a value; all others take none.
const VALUES: &[&str] = &[
    "--add-package", "--args", "--defer-state", "--deprecated-state", "--event-time-end", "--event-time-start",
    "--exclude", "--exclude-resource-type", "--exclude-resource-types", "--host", "--indirect-selection", "--inline",
    "--inline-direct", "--limit", "--log-file-max-bytes", "--log-format", "--log-format-file", "--log-level",
    "--log-level-file", "--log-path", "--model", "--models", "--output", "--output-keys",
    "--partial-parse-file-path", "--port", "--printer-width", "--profile", "--profiles-dir", "--project-dir",
    "--record-timing-info", "--resource-type", "--resource-types", "--sample", "--select", "--selector", "--source",
    "--sqlparse", "--state", "--target", "--target-path", "--threads", "--vars", "--warn-error-options", "-m", "-o",
    "-r", "-s", "-t",
];

/// What stands behind the last slash, of either kind, without `.exe`.
pub(super) fn base_name(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let cut = name.len().saturating_sub(".exe".len());
    match (name.get(..cut), name.get(cut..)) {
        // Windows does not tell capital letters from small ones.
        (Some(stem), Some(end)) if end.eq_ignore_ascii_case(".exe") => {
            if stem.eq_ignore_ascii_case("dbt") { "dbt" } else { stem }
        }
        _ => name,
    }
}

/// What the words after dbt's name say.
pub(super) fn read(words: &[&str]) -> Reading {
    let mut invocation = Invocation::default();
    let mut commands: Vec<&str> = Vec::new();
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            "--help" | "-h" => return Reading::Harmless("it shows its help"),
            "--version" | "-v" | "-V" => return Reading::Harmless("it shows its version"),
            "--" => {}
            _ if word.starts_with('-') && word.len() > 1 => invocation.option(word, &mut rest),
            _ if commands.len() < 2 => commands.push(word),
            _ => {}
        }
    }
    invocation.named(&commands)
}

/// The options alone, of a program that has no commands.
pub(super) fn options(words: &[&str]) -> Invocation {
    let mut invocation = Invocation { command: "lsp".to_owned(), ..Invocation::default() };
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        if word.starts_with('-') {
            invocation.option(word, &mut rest);
        }
    }
    invocation
}

impl Invocation {
    /// Takes an option, and its value where it has one; the last one counts, as for dbt.
    fn option<'a>(&mut self, word: &'a str, rest: &mut impl Iterator<Item = &'a str>) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name, Some(value)),
            _ if VALUES.contains(&word) => (word, rest.next()),
            _ => (word, None),
        };
        if name == "--project-dir" {
            self.project_dir = value.map(PathBuf::from);
        }
    }

    fn named(mut self, commands: &[&str]) -> Reading {
        let Some(first) = commands.first().copied() else { return Reading::Harmless("it was given no command") };
        self.command = first.to_owned();
        match (first, commands.get(1).copied()) {
            ("docs", Some("serve")) => return Reading::Harmless("it only serves the documentation that is there"),
            ("docs", Some(second @ "generate")) | ("source", Some(second @ ("freshness" | "snapshot-freshness"))) => {
                self.command = format!("{first} {second}");
            }
            ("docs" | "source", _) => return Reading::Harmless("it shows its help"),
            ("lsp", _) => return Reading::LanguageServer(self),
            _ if PARSES.contains(&first) => self.work = Work::Parses,
            _ if RUNS.contains(&first) => {}
            _ if HARMLESS.contains(&first) => return Reading::Harmless("its command touches no project"),
            _ => return Reading::Harmless("dbt knows no such command"),
        }
        Reading::Dbt(self)
    }
}
