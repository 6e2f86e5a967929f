//! The command line.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A source tree in a database, to be searched by meaning and by words, by any number of processes at once.
#[derive(Debug, Parser)]
#[command(name = "code-index", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The database: `code.duckdb`, `code.sqlite`, `code.lance`.
    #[arg(value_name = "DB")]
    pub(crate) database: PathBuf,
    /// How long to wait for whoever has the database without dbmux: 500ms, 30s, 2m.
    #[arg(long, global = true, default_value = "30s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
    /// Results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the index up to date with a source tree: only what has changed is read into it.
    Index(Index),
    /// Find what is like some words.
    Search(Search),
}

#[derive(Debug, Args)]
pub(crate) struct Index {
    /// The tree. What `.gitignore` names, what is hidden, and what is not text stays out.
    pub(crate) tree: PathBuf,
    /// How many processes share the work.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64), value_name = "N")]
    pub(crate) processes: u32,
    /// Which part of the work this process has: what `--processes` tells those that it starts.
    #[arg(long, hide = true, default_value = "0/1", conflicts_with = "processes")]
    pub(crate) part: Part,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for.
    pub(crate) words: String,
    /// How many chunks to show.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// What is like the words, or what has them.
    #[arg(long, value_enum, default_value_t = By::Meaning)]
    pub(crate) by: By,
    /// Only in this language: `rust`, `python`, `markdown`, …
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// Only what this provider has embedded.
    #[arg(long, default_value = crate::embed::PROVIDER)]
    pub(crate) provider: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The nearest vectors.
    Meaning,
    /// The words themselves.
    Words,
}

/// One of so many equal parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) of: u32,
}

impl Part {
    /// Whether what has this hash belongs to it.
    pub(crate) fn has(self, hash: u64) -> bool {
        hash % u64::from(self.of) == u64::from(self.number)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if number < of => Ok(Self { number, of }),
            _ => Err(format!("`{text}` is not a part such as 0/4")),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}/{}", self.number, self.of)
    }
}
