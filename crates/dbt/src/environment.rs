//! The environment variables of whoever asks for dbt: a requester's, not this process's.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

/// Variables that differ from shell to shell, and from call to call, and that dbt is not started anew for. Whoever reads
/// one of them in a project (`env_var('PWD')`) still sees the requester's.
pub const NOISE: &[&str] = &[
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "COLUMNS",
    "LINES",
    "WINDOWID",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "WINDOW",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TERM_SESSION_ID",
    "COLORTERM",
    "SSH_TTY",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_AUTH_SOCK",
    "XDG_SESSION_ID",
    "XDG_ACTIVATION_TOKEN",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "GPG_TTY",
    "VSCODE_IPC_HOOK_CLI",
    "VSCODE_GIT_IPC_HANDLE",
    "VSCODE_GIT_IPC_AUTH_TOKEN",
    "PS1",
    "PROMPT_COMMAND",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "DBMUX_WAIT",
    "DBMUX_PRIORITY",
    "DBMUX_LOG",
];

/// A set of variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// A variable's value.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// A variable that is there and not empty, where it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str).filter(|value| !value.is_empty())
    }

    /// dbt's variable of this name, in its new spelling (`DBT_ENGINE_…`) or its old one (`DBT_…`).
    pub fn dbt(&self, name: &str) -> Option<&str> {
        self.text(&format!("DBT_ENGINE_{name}")).or_else(|| self.text(&format!("DBT_{name}")))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Whether dbt in the one would be dbt in the other: all variables are the same, [`NOISE`] aside.
    pub fn is_like(&self, other: &Self) -> bool {
        let telling = |environment: &Self| {
            let all = environment.variables.iter();
            all.filter(|(name, _)| !NOISE.iter().any(|noise| *name == noise))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Vec<_>>()
        };
        telling(self) == telling(other)
    }

    /// The [`NOISE`], as text; `None`: it is not there.
    pub(crate) fn noise(&self) -> BTreeMap<String, Option<String>> {
        let value = |name: &str| self.get(name).and_then(OsStr::to_str).map(str::to_owned);
        NOISE.iter().map(|name| ((*name).to_owned(), value(name))).collect()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self { variables: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl<N: Into<OsString>, V: Into<OsString>> Extend<(N, V)> for Environment {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        self.variables.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}
