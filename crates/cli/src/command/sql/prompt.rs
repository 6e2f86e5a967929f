//! The prompt: history, statements over several lines, and a few commands that begin with a dot.

use std::{
    borrow::Cow,
    fs::Permissions,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use reedline::{
    FileBackedHistory, Prompt, PromptEditMode, PromptHistorySearch, Reedline, Signal, ValidationResult, Validator,
};
use tokio::runtime::Runtime;

use super::{
    catalog::Catalog,
    runner::{Runner, was_cancelled},
};
use crate::{args::Format, exit::Exit, failure::Failure, render, split::Splitter};

/// Statements that are remembered.
const HISTORY: usize = 10_000;

const HELP: &str = "\
Statements end with a semicolon, and may have several lines.
  .tables          the tables and views
  .schema [TABLE]  how they were made
  .mode [FORMAT]   how results are shown: table, csv, json, jsonl
  .help            this
  .quit            ends; so do .exit, exit, quit and Ctrl-D
Ctrl-C cancels the statement that runs, or clears the line.";

/// Asks for statements until the person has had enough.
pub(super) fn run(runtime: &Runtime, runner: &mut Runner) -> Result<Exit, Failure> {
    let mut editor = editor();
    let done = converse(runtime, runner, &mut editor);
    if runtime.block_on(runner.leave()) {
        render::note("warning: the open transaction was rolled back; COMMIT keeps the changes of one");
    }
    done
}

fn converse(runtime: &Runtime, runner: &mut Runner, editor: &mut Reedline) -> Result<Exit, Failure> {
    render::note("dbmux: statements end with a semicolon; .help tells more");
    loop {
        match editor.read_line(&Sql)? {
            Signal::Success(text) => {
                if is_farewell(&text) {
                    return Ok(Exit::Done);
                } else if text.trim_start().starts_with('.') {
                    dot(runtime, runner, text.trim())?;
                } else {
                    statements(runtime, runner, &text)?;
                }
            }
            Signal::CtrlD => return Ok(Exit::Done),
            _ => {}
        }
    }
}

/// Runs what was typed; errors are shown, and the prompt comes back.
fn statements(runtime: &Runtime, runner: &mut Runner, text: &str) -> Result<(), Failure> {
    let mut splitter = Splitter::default();
    splitter.push(text);
    while let Some(statement) = splitter.next() {
        match runtime.block_on(runner.run(&statement.sql)) {
            Ok(()) => {}
            Err(failure) if was_cancelled(&failure) => {
                render::note("cancelled");
                return Ok(());
            }
            // Standard output is gone: so is the person.
            Err(failure) if failure.is_quiet() => return Err(failure),
            Err(failure) => {
                render::error::show(&failure, false);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The person has had enough.
fn is_farewell(text: &str) -> bool {
    let word = text.trim().trim_end_matches(';').trim_end().to_ascii_lowercase();
    matches!(word.as_str(), "exit" | "quit" | ".exit" | ".quit" | ".q")
}

/// Carries out a dot-command.
fn dot(runtime: &Runtime, runner: &mut Runner, text: &str) -> Result<(), Failure> {
    let mut words = text.split_whitespace();
    match (words.next().unwrap_or_default(), words.next()) {
        (".help", None) => render::note(HELP),
        (".tables", None) => asked(runtime, runner, Catalog::all_tables)?,
        (".schema", table) => asked(runtime, runner, |catalog| catalog.all_definitions(table))?,
        (".mode", None) => render::note(&format!("{:?}", runner.output.format).to_lowercase()),
        (".mode", Some(name)) => match Format::from_str(name, true) {
            Ok(Format::Arrow) | Err(_) => render::note("table, csv, json or jsonl"),
            Ok(format) => runner.output.format = format,
        },
        (other, _) => render::note(&format!("{other} is no command; .help lists them")),
    }
    Ok(())
}

/// Asks what there is, in the words of the engine.
fn asked(runtime: &Runtime, runner: &mut Runner, question: impl Fn(&Catalog) -> String) -> Result<(), Failure> {
    match runtime.block_on(runner.catalog())? {
        Some(catalog) => statements(runtime, runner, &question(&catalog)),
        None => {
            render::note("this build does not know how to ask that of the database's engine");
            Ok(())
        }
    }
}

fn editor() -> Reedline {
    let editor = Reedline::create().with_validator(Box::new(Complete));
    let history = history_path().and_then(|path| {
        private(&path).ok()?;
        FileBackedHistory::with_file(HISTORY, path).ok()
    });
    match history {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

/// Makes the history's file, and a directory of dbmux's own for it, for this user's eyes alone: SQL may hold secrets.
fn private(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new(""));
    if !directory.as_os_str().is_empty() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    if directory.ends_with("dbmux") {
        // An older one was open to all.
        std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    }
    let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// `$DBMUX_HISTORY`, else `dbmux/history` in the user's state directory.
fn history_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DBMUX_HISTORY").or_else(|| {
        let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
        Some(state.join("dbmux/history"))
    })
}

/// A line is taken when every statement in it has its semicolon.
struct Complete;

impl Validator for Complete {
    fn validate(&self, text: &str) -> ValidationResult {
        let mut splitter = Splitter::default();
        splitter.push(text);
        while splitter.next().is_some() {}
        if text.trim_start().starts_with('.') || is_farewell(text) || splitter.is_empty() {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

struct Sql;

impl Prompt for Sql {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("dbmux")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("  ...> ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(history: {}) ", search.term))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_until_the_semicolon() {
        let complete = |text| matches!(Complete.validate(text), ValidationResult::Complete);
        assert!(complete("select 1;"));
        assert!(complete(".tables"));
        assert!(complete("exit") && complete("Quit;") && !complete("exit now"));
        assert!(complete("  "));
        assert!(complete("select ';'; -- done"));
        assert!(!complete("select 1"));
        assert!(!complete("select 'a;"));
        assert!(!complete("select 1; select 2"));
    }
}
