//! A dbt command line: what it does, in which project, and with what it may be merged.
//!
//! It is parsed as dbt's own parser does, and never searched: a model may be called `run`, and a variable may hold
//! `--target`.

mod kind;
mod options;

use std::path::{Path, PathBuf};

use dbmux_lock::Priority;
pub use kind::Kind;
use options::Arity;

/// Options under which a merged invocation does what each alone would have done.
const MERGED_UNDER: [&str; 24] = [
    "--select",
    "--exclude",
    "--selector",
    "--target",
    "--profile",
    "--profiles-dir",
    "--project-dir",
    "--vars",
    "--threads",
    "--full-refresh",
    "--target-path",
    "--log-path",
    "--resource-type",
    "--exclude-resource-type",
    "--use-colors",
    "--no-use-colors",
    "--partial-parse",
    "--no-partial-parse",
    "--version-check",
    "--no-version-check",
    "--no-send-anonymous-usage-stats",
    "--send-anonymous-usage-stats",
    "--state",
    "--defer",
];

/// The same options from the environment, where they change what merging would do.
const NOT_MERGED_UNDER: [&str; 6] = ["FAIL_FAST", "INDIRECT_SELECTION", "DEBUG", "QUIET", "LOG_FORMAT", "WARN_ERROR"];

/// A dbt command line, without `dbt` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbtCommand {
    args: Vec<String>,
    words: Vec<String>,
    options: Vec<(String, Vec<String>)>,
}

impl DbtCommand {
    /// Reads the arguments that follow `dbt`.
    pub fn parse(args: Vec<String>) -> Self {
        let mut words = Vec::new();
        let mut options: Vec<(String, Vec<String>)> = Vec::new();
        let mut rest = args.iter().map(String::as_str).peekable();
        while let Some(arg) = rest.next() {
            if arg == "--" {
                words.extend(rest.by_ref().map(str::to_owned));
            } else if let Some((name, value)) = split(arg) {
                let mut values: Vec<String> = value.map(str::to_owned).into_iter().collect();
                let arity = options::arity(name);
                if arity == Arity::One && values.is_empty() {
                    values.extend(rest.next().map(str::to_owned));
                }
                while arity == Arity::Many
                    && let Some(value) = rest.next_if(|next| !next.starts_with('-'))
                {
                    values.push(value.to_owned());
                }
                options.push((name.to_owned(), values));
            } else {
                words.push(arg.to_owned());
            }
        }
        Self { args, words, options }
    }

    /// As they were given.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// Its command: `run`, or `docs` and `generate`, and what else stands free.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// `dbt run --select a`: what people recognise it by.
    pub fn text(&self) -> String {
        let mut text = "dbt".to_owned();
        for arg in &self.args {
            text.push(' ');
            text.push_str(arg);
        }
        text
    }

    /// What it does.
    pub fn kind(&self) -> Kind {
        if self.has("--help") || self.has("--version") {
            return Kind::Aside;
        }
        Kind::of(&self.words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Whether an option is given.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| given == name)
    }

    /// The last value of an option.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| given == name)?.1.last().map(String::as_str)
    }

    /// All values of an option.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(given, _)| given == name).flat_map(|(_, values)| values).map(String::as_str)
    }

    /// The directory where its project begins to be looked for.
    pub fn project_directory(&self, working_directory: &Path, environment: &dyn Fn(&str) -> Option<String>) -> PathBuf {
        let chosen = self.value("--project-dir").map(str::to_owned);
        let chosen = chosen.or_else(|| from_environment("PROJECT_DIR", environment));
        chosen.map_or_else(|| working_directory.to_owned(), |chosen| working_directory.join(chosen))
    }

    /// How many threads it asks for.
    pub fn threads(&self) -> Option<u32> {
        self.value("--threads")?.parse().ok()
    }

    /// Whether what it selects is everything.
    pub fn selects_everything(&self) -> bool {
        self.values("--select").next().is_none()
    }

    /// Who goes first where nothing else is said: what only reads the project before what runs it, and what runs all of it
    /// anew last.
    pub fn usual_priority(&self) -> Priority {
        match self.kind() {
            Kind::Parse | Kind::List | Kind::Show => Priority::High,
            _ if self.has("--full-refresh") => Priority::Low,
            _ => Priority::Normal,
        }
    }

    /// What another command must have in common with this one to be merged with it; `None`: it is merged with none.
    pub fn merge_key(&self, environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let plain = self.options.iter().all(|(name, _)| MERGED_UNDER.contains(&name.as_str()));
        let quiet = NOT_MERGED_UNDER.iter().all(|name| from_environment(name, environment).is_none());
        // dbt prints what it compiled only for the first of what is selected.
        let alone = self.kind() == Kind::Compile && !self.selects_everything();
        if alone || !(self.kind().may_be_merged() && plain && quiet && self.words.len() == 1) {
            return None;
        }
        let mut parts: Vec<String> = self
            .options
            .iter()
            .filter(|(name, _)| name != "--select" && name != "--threads")
            .map(|(name, values)| format!("{name}\u{1f}{}", values.join("\u{1f}")))
            .collect();
        parts.sort();
        Some(format!("{}\u{1e}{}", self.words.join(" "), parts.join("\u{1e}")))
    }

    /// One command that does what all of these do: the union of their selections, and the largest number of threads.
    ///
    /// They have the same [`DbtCommand::merge_key`], and are not none.
    pub fn merged(commands: &[&Self], usual_threads: Option<u32>) -> Option<Self> {
        let first = commands.first()?;
        let mut args = first.words.clone();
        for (name, values) in first.options.iter().filter(|(name, _)| name != "--select" && name != "--threads") {
            args.push(name.clone());
            args.extend(values.iter().cloned());
        }
        if let Some(threads) = commands.iter().filter_map(|command| command.threads()).max().or(usual_threads) {
            args.extend(["--threads".to_owned(), threads.to_string()]);
        }
        if !commands.iter().any(|command| command.selects_everything()) {
            args.push("--select".to_owned());
            let mut selected: Vec<&str> = commands.iter().flat_map(|command| command.values("--select")).collect();
            selected.dedup();
            args.extend(selected.into_iter().map(str::to_owned));
        }
        Some(Self::parse(args))
    }

    /// The same command for these nodes alone, one after the other.
    pub(crate) fn only(&self, names: &[&str]) -> Self {
        const REPLACED: [&str; 4] = ["--select", "--exclude", "--threads", "--indirect-selection"];
        let mut args = self.words.clone();
        for (name, values) in self.options.iter().filter(|(name, _)| !REPLACED.contains(&name.as_str())) {
            args.push(name.clone());
            args.extend(values.iter().cloned());
        }
        Self::parse(args).with("--threads", &["1"]).with("--indirect-selection", &["empty"]).with("--select", names)
    }

    /// The same command with one more option.
    #[must_use]
    pub fn with(&self, name: &str, values: &[&str]) -> Self {
        let mut args = self.args.clone();
        args.push(name.to_owned());
        args.extend(values.iter().map(|value| (*value).to_owned()));
        Self::parse(args)
    }
}

/// An option, by its one name, and the value that is written together with it.
fn split(arg: &str) -> Option<(&str, Option<&str>)> {
    if !arg.starts_with('-') || arg == "-" {
        return None;
    }
    if let Some((spelt, value)) = arg.split_once('=').filter(|_| arg.starts_with("--")) {
        return Some((options::name(spelt), Some(value)));
    }
    // `-tprod`
    let short = arg.get(..2).filter(|_| !arg.starts_with("--") && arg.len() > 2);
    if let Some(short) = short
        && options::arity(options::name(short)) != Arity::Flag
    {
        return Some((options::name(short), arg.get(2..)));
    }
    Some((options::name(arg), None))
}

/// dbt's variable of this name, in its new or its old spelling.
pub(crate) fn from_environment(name: &str, environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let found = environment(&format!("DBT_ENGINE_{name}")).or_else(|| environment(&format!("DBT_{name}")));
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
