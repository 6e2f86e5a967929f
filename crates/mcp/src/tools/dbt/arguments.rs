//! Arguments that several of these tools take.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{dbt::Dbt, failure::Failure, server::Shared};

/// What dbt selects: a list, or a text with blanks, as behind `--select`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Selection {
    /// A list.
    List(Vec<String>),
    /// With blanks between them.
    Text(String),
}

impl Selection {
    /// As arguments behind an option. What dbt would take for another option is refused: so nobody gets to say where its
    /// profiles are.
    pub(super) fn words(self, name: &str) -> Result<Vec<String>, Failure> {
        let words: Vec<String> = match self {
            Self::List(words) => words.into_iter().map(|word| word.trim().to_owned()).collect(),
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        };
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.iter().try_for_each(|word| plain(name, word))?;
        match words.is_empty() {
            true => Err(Failure::usage(format!("\"{name}\" names nothing"), "leave it out for everything")),
            false => Ok(words),
        }
    }
}

/// What is no option of dbt's.
pub(super) fn plain(name: &str, word: &str) -> Result<(), Failure> {
    let control = word.chars().any(char::is_control);
    match word.starts_with('-') || word.is_empty() || control {
        true => Err(Failure::usage(format!("\"{name}\" is not to be {word:?}"), "it is a name, not an option")),
        false => Ok(()),
    }
}

/// The project that the server was started with.
pub(super) fn project(shared: &Shared) -> Result<Arc<Dbt>, Failure> {
    let none = || Failure::usage("this server has no dbt project", "start it with one: dbmux mcp --dbt PROJECT");
    shared.dbt.clone().ok_or_else(none)
}
