//! Programs that run other programs: those that make an environment ready first, and those that are merely around.

use super::program::{Program, is_shell, program};

/// Programs that make an environment ready, which can take long, and then run a command in it, with the words that stand
/// before the command.
const STARTERS: &[(&str, &[&str])] = &[
    ("uv", &["run"]),
    ("uv", &["tool", "run"]),
    ("uvx", &[]),
    ("poetry", &["run"]),
    ("pdm", &["run"]),
    ("pipenv", &["run"]),
    ("hatch", &["run"]),
    ("rye", &["run"]),
    ("pixi", &["run"]),
    ("conda", &["run"]),
    ("mamba", &["run"]),
    ("micromamba", &["run"]),
];
/// Their options that take the next word.
const VALUES: &[&str] = &[
    "-C",
    "-e",
    "-n",
    "-p",
    "-w",
    "--cache-dir",
    "--color",
    "--config-file",
    "--cwd",
    "--default-index",
    "--directory",
    "--env",
    "--env-file",
    "--environment",
    "--exclude-newer",
    "--extra",
    "--extra-index-url",
    "--feature",
    "--from",
    "--group",
    "--index",
    "--index-url",
    "--link-mode",
    "--manifest-path",
    "--name",
    "--no-group",
    "--only-group",
    "--package",
    "--prefix",
    "--project",
    "--python",
    "--refresh-package",
    "--resolution",
    "--with",
    "--with-editable",
    "--with-requirements",
];

/// Programs that run others and wait for them.
const AROUND: &[&str] = &[
    "airflow",
    "caffeinate",
    "celery",
    "dagster",
    "dagster-daemon",
    "dbmux",
    "doas",
    "env",
    "flock",
    "gmake",
    "ionice",
    "just",
    "luigi",
    "make",
    "mise",
    "nice",
    "ninja",
    "nohup",
    "nox",
    "npm",
    "npx",
    "parallel",
    "perf",
    "pnpm",
    "prefect",
    "script",
    "setsid",
    "stdbuf",
    "strace",
    "sudo",
    "systemd-inhibit",
    "task",
    "time",
    "timeout",
    "tox",
    "watch",
    "xargs",
    "yarn",
];

/// What a program runs once its environment is ready.
#[derive(Debug)]
pub(super) enum Started<'a> {
    /// A command, with its arguments.
    Command(&'a [&'a str]),
    /// What Python is given: `-m`, a module, its arguments.
    Python(&'a [&'a str]),
}

/// What a program runs once its environment is ready.
pub(super) fn started<'a>(name: &str, words: &'a [&'a str]) -> Option<Started<'a>> {
    let forms = STARTERS.iter().filter(|(starter, _)| *starter == name);
    forms.filter_map(|(_, before)| behind(before, words)).next()
}

/// What stands behind these words, options of the program's own left out.
fn behind<'a>(before: &[&str], mut words: &'a [&'a str]) -> Option<Started<'a>> {
    let mut before = before.iter();
    let mut next = before.next();
    loop {
        let (word, rest) = words.split_first()?;
        match next {
            None if *word == "--" => return Some(Started::Command(rest)),
            None if *word == "-m" => return Some(Started::Python(words)),
            _ if word.starts_with('-') => {
                words = if VALUES.contains(word) { rest.get(1..)? } else { rest };
            }
            Some(expected) if expected == word => {
                next = before.next();
                words = rest;
            }
            Some(_) => return None,
            None => return Some(Started::Command(words)),
        }
    }
}

/// The name of a program that runs others and waits for them: a starter, an orchestrator, `make`, a shell with a script or
/// a command. A person's shell is none.
pub(in crate::find) fn wrapper<'a>(words: &'a [&'a str]) -> Option<&'a str> {
    let known = |name: &str| AROUND.contains(&name) || STARTERS.iter().any(|(starter, _)| *starter == name);
    match program(words) {
        Program::Script { name, python: true, .. } => known(name).then_some(name),
        Program::Script { name, .. } => Some(name),
        Program::Native { name, rest } if is_shell(name) => {
            rest.iter().take_while(|word| word.starts_with('-')).any(|word| has_command(word)).then_some(name)
        }
        Program::Native { name, .. } => known(name).then_some(name),
        _ => None,
    }
}

/// `-c`, `-lc`, `-ec`, …
fn has_command(word: &str) -> bool {
    !word.starts_with("--") && word.contains('c')
}
