//! What a process's arguments say that it is: parsed as the programs themselves parse them, never searched.
//!
//! Pure: the same words give the same answer, and no words can make it fail.

mod dbt;
mod program;
mod starter;

use std::{ffi::OsString, path::PathBuf};

pub use self::dbt::{Invocation, Work};
pub(super) use self::starter::wrapper;
use self::{
    program::{Program, program},
    starter::Started,
};

/// What a process's arguments say that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// dbt, with a command that works on a project.
    Dbt(Invocation),
    /// A program that makes an environment ready, and then runs dbt in it: `uv run dbt build`.
    Starts {
        /// `uv`, …
        program: String,
        /// What it will run.
        dbt: Invocation,
    },
    /// An editor's language server of dbt.
    LanguageServer(Invocation),
    /// dbt, with a command that touches no project: `dbt --version`, `dbt docs serve`.
    Harmless(&'static str),
    /// A program that keeps dbt imported and takes requests: an editor's bridge, an agent's.
    Keeper(&'static str),
    /// Python with something else; dbt may be inside of it.
    Python,
    /// Anything else.
    Other,
}

/// Scripts that keep dbt imported, by their names.
const BRIDGES: &[(&str, &str)] =
    &[("node_python_bridge.py", "an editor's bridge to Python, as Power User for dbt has one")];

/// Reads a process's arguments. `executable`: the program's file, where it may be seen.
pub fn read(arguments: &[OsString], executable: Option<&std::path::Path>) -> Reading {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    read_words(&words, executable)
}

fn read_words(words: &[&str], executable: Option<&std::path::Path>) -> Reading {
    read_program(program(words), executable)
}

fn read_program(program: Program<'_>, executable: Option<&std::path::Path>) -> Reading {
    match program {
        Program::Dbt { rest } => dbt::read(rest),
        Program::LanguageServer { rest } => Reading::LanguageServer(dbt::options(rest)),
        Program::Code { text } if keeps_dbt(text) => Reading::Keeper("a Python program that keeps dbt imported"),
        Program::Script { name, .. } if bridge(name).is_some() => Reading::Keeper(bridge(name).unwrap_or_default()),
        Program::Code { .. } => Reading::Python,
        Program::Script { name, rest, python } => {
            started(name, rest).unwrap_or(if python { Reading::Python } else { Reading::Other })
        }
        Program::Native { name, rest } => started(name, rest).unwrap_or_else(|| {
            let python = executable.and_then(|path| path.file_name()).and_then(|name| name.to_str());
            if python.is_some_and(is_python) { Reading::Python } else { Reading::Other }
        }),
    }
}

/// dbt behind a program that makes an environment ready for it.
fn started(name: &str, rest: &[&str]) -> Option<Reading> {
    let read = match starter::started(name, rest)? {
        Started::Command(words) => read_words(words, None),
        Started::Python(words) => read_program(program::python(words), None),
    };
    match read {
        Reading::Dbt(dbt) => Some(Reading::Starts { program: name.to_owned(), dbt }),
        Reading::Starts { dbt, .. } => Some(Reading::Starts { program: name.to_owned(), dbt }),
        Reading::Harmless(why) => Some(Reading::Harmless(why)),
        _ => None,
    }
}

fn bridge(script: &str) -> Option<&'static str> {
    BRIDGES.iter().find(|(name, _)| *name == script).map(|(_, what)| *what)
}

/// Code on the command line that makes dbt's runner and gives it commands. What merely imports dbt does not.
fn keeps_dbt(code: &str) -> bool {
    code.contains("dbtRunner(") && code.contains(".invoke(")
}

/// Whether a program's file is an interpreter of Python: `python3.11`, `pypy3`, …
pub(super) fn is_python(name: &str) -> bool {
    program::is_python(name)
}

/// How a process says which project it works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// By `--project-dir`.
    Option(PathBuf),
    /// By `DBT_PROJECT_DIR`.
    Variable(PathBuf),
    /// By where it is: the nearest `dbt_project.yml` above.
    Above,
}

/// Which project an invocation works on, as dbt decides it. `variable`: `DBT_PROJECT_DIR` in *its* environment.
pub fn place(invocation: Option<&Invocation>, variable: Option<OsString>) -> Place {
    if let Some(given) = invocation.and_then(|invocation| invocation.project_dir.clone()) {
        return Place::Option(given);
    }
    match variable {
        Some(value) if !value.is_empty() => Place::Variable(PathBuf::from(value)),
        _ => Place::Above,
    }
}

#[cfg(test)]
mod tests;
