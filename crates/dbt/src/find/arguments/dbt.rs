//! What dbt was told to do, by its own command line.

use std::path::PathBuf;

use super::Reading;
use crate::command::{DbtCommand, Kind};

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

/// What stands behind the last slash, of either kind, without `.exe`.
pub(super) fn base_name(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let cut = name.len().saturating_sub(".exe".len());
    match (name.get(..cut), name.get(cut..)) {
        // Windows does not tell capital letters from small ones.
        (Some(stem), Some(end)) if end.eq_ignore_ascii_case(".exe") => {
            if stem.eq_ignore_ascii_case("dbt") {
                "dbt"
            } else {
                stem
            }
        }
        _ => name,
    }
}

/// What the words after dbt's name say.
pub(super) fn read(words: &[&str]) -> Reading {
    let command = parsed(words);
    let name = command.words().join(" ");
    let first = command.words().first().map_or("", String::as_str);
    let work = match command.kind() {
        Kind::Aside if command.has("--help") => return Reading::Harmless("it shows its help"),
        Kind::Aside if command.has("--version") => return Reading::Harmless("it shows its version"),
        Kind::Aside => return Reading::Harmless("its command touches no project"),
        Kind::Other if first == "lsp" => return Reading::LanguageServer(invocation(&command, name, Work::Runs)),
        Kind::Other => return Reading::Harmless("dbt knows no such command"),
        Kind::Clean | Kind::Deps | Kind::List | Kind::Parse => Work::Parses,
        _ => Work::Runs,
    };
    // The second word of `docs generate` is its name, that of `run-operation` its business.
    let name = if matches!(first, "docs" | "source") { name } else { first.to_owned() };
    Reading::Dbt(invocation(&command, name, work))
}

/// The options alone, of a program that has no commands.
pub(super) fn options(words: &[&str]) -> Invocation {
    invocation(&parsed(words), "lsp".to_owned(), Work::Runs)
}

fn parsed(words: &[&str]) -> DbtCommand {
    DbtCommand::parse(words.iter().map(|word| (*word).to_owned()).collect())
}

fn invocation(command: &DbtCommand, name: String, work: Work) -> Invocation {
    Invocation { command: name, work, project_dir: command.value("--project-dir").map(PathBuf::from) }
}
