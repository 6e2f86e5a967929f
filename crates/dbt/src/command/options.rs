//! dbt's options, as far as they take values. What is not here is a flag. Source: `dbt.cli.params` of dbt-core 1.11.

/// What follows an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// Nothing.
    Flag,
    /// One value.
    One,
    /// Everything up to the next option.
    Many,
}

const MANY: [&str; 6] =
    ["--select", "--exclude", "--resource-type", "--exclude-resource-type", "--output-keys", "--models"];

const ONE: [&str; 39] = [
    "--add-package",
    "--args",
    "--defer-state",
    "--deprecated-defer",
    "--deprecated-favor-state",
    "--deprecated-state",
    "--event-time-end",
    "--event-time-start",
    "--host",
    "--indirect-selection",
    "--inline",
    "--inline-direct",
    "--limit",
    "--log-file-max-bytes",
    "--log-format",
    "--log-format-file",
    "--log-level",
    "--log-level-file",
    "--log-path",
    "--output",
    "--package",
    "--partial-parse-file-path",
    "--port",
    "--printer-width",
    "--profile",
    "--profiles-dir",
    "--project-dir",
    "--record-timing-info",
    "--sample",
    "--selector",
    "--source",
    "--sqlparse",
    "--state",
    "--target",
    "--target-path",
    "--threads",
    "--vars",
    "--version-spec",
    "--warn-error-options",
];

/// Other spellings of the same option.
const ALIASES: [(&str, &str); 14] = [
    ("-s", "--select"),
    ("-m", "--select"),
    ("--models", "--select"),
    ("--model", "--select"),
    ("-t", "--target"),
    ("-f", "--full-refresh"),
    ("-x", "--fail-fast"),
    ("-d", "--debug"),
    ("-q", "--quiet"),
    ("-r", "--record-timing-info"),
    ("-h", "--help"),
    ("-V", "--version"),
    ("-v", "--version"),
    ("-o", "--output"),
];

const PLURALS: [(&str, &str); 2] =
    [("--resource-types", "--resource-type"), ("--exclude-resource-types", "--exclude-resource-type")];

/// The option's one name.
pub(super) fn name(spelt: &str) -> &str {
    ALIASES.iter().chain(&PLURALS).find(|(other, _)| *other == spelt).map_or(spelt, |(_, name)| name)
}

/// What follows the option of this name.
pub(super) fn arity(name: &str) -> Arity {
    if MANY.contains(&name) {
        Arity::Many
    } else if ONE.contains(&name) {
        Arity::One
    } else {
        Arity::Flag
    }
}
