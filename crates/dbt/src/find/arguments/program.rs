//! Which program a command line runs: what the first word names, or what an interpreter is given.

use super::dbt::base_name;

/// A program, and the arguments that are its own.
#[derive(Debug)]
pub(super) enum Program<'a> {
    /// dbt, however it is started.
    Dbt { rest: &'a [&'a str] },
    /// A language server of dbt under a name of its own.
    LanguageServer { rest: &'a [&'a str] },
    /// Code on Python's command line.
    Code { text: &'a str },
    /// A script, or a module, after an interpreter.
    Script { name: &'a str, rest: &'a [&'a str], python: bool },
    /// Anything else, by its base name.
    Native { name: &'a str, rest: &'a [&'a str] },
}

/// Names of dbt's program: the script, Fusion's, and how packagers wrap them.
const DBT: &[&str] = &["dbt", "dbtf", "dbt-fusion", ".dbt-wrapped", "dbt-script.py", "dbt.pex", "dbt.pyz"];
/// Modules that are dbt's program.
const MODULES: &[&str] = &["dbt", "dbt.__main__", "dbt.main", "dbt.cli", "dbt.cli.main"];
const LANGUAGE_SERVERS: &[&str] = &["dbt-lsp", "dbt-language-server"];
/// Programs whose first argument is the program that they run, for another system or machine: WSL's way to Windows
/// programs, Wine, emulators, and the loader.
const RUNS_NEXT: &[&str] = &["init", "wine", "wine64", "wine-preloader", "wine64-preloader", "rosetta"];
/// Options of Python that take the next word; `-c` and `-m` end its own ones.
const PYTHON_VALUES: &[&str] = &["-W", "-X", "--check-hash-based-pycs"];
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"];

/// The program that these words run.
pub(super) fn program<'a>(words: &'a [&'a str]) -> Program<'a> {
    let Some((first, rest)) = words.split_first() else { return Program::Native { name: "", rest: &[] } };
    // A login shell has a dash before its name; a program that titles itself, its whole title in the first word.
    let name = base_name(first.split(' ').next().unwrap_or_default());
    if let Some(program) = named(name, rest) {
        return program;
    }
    if is_python(name) {
        return python(rest);
    }
    if is_shell(name) {
        return match rest.first() {
            Some(script) if !script.starts_with('-') => script_of(script, &rest[1..], false),
            _ => Program::Native { name, rest },
        };
    }
    // Only what names a file, for `init 3` is something else.
    if (RUNS_NEXT.contains(&name) || name.starts_with("ld-") || name.starts_with("qemu-"))
        && rest.first().is_some_and(|next| next.contains(['/', '\\']))
    {
        // WSL gives the path of the program, and then all of its arguments, its name first.
        let named_again = rest.len() > 1 && base_name(rest[0]).eq_ignore_ascii_case(base_name(rest[1]));
        return program(if named_again { &rest[1..] } else { rest });
    }
    Program::Native { name, rest }
}

pub(super) fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name.trim_start_matches('-'))
}

pub(super) fn is_python(name: &str) -> bool {
    let name = name.trim_start_matches('.').trim_end_matches("-wrapped");
    let version = ["python", "pypy", "Python", "pythonw"].iter().find_map(|prefix| name.strip_prefix(prefix));
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 't' | 'd' | 'w')))
}

fn named<'a>(name: &str, rest: &'a [&'a str]) -> Option<Program<'a>> {
    if DBT.contains(&name) {
        return Some(Program::Dbt { rest });
    }
    LANGUAGE_SERVERS.contains(&name).then_some(Program::LanguageServer { rest })
}

fn script_of<'a>(path: &'a str, rest: &'a [&'a str], python: bool) -> Program<'a> {
    let name = base_name(path);
    let run_as_file = python && path.ends_with("dbt/cli/main.py");
    if run_as_file {
        return Program::Dbt { rest };
    }
    named(name, rest).unwrap_or(Program::Script { name, rest, python })
}

/// What Python is given: options, then `-c CODE`, `-m MODULE`, or a script.
pub(super) fn python<'a>(mut words: &'a [&'a str]) -> Program<'a> {
    while let Some((word, rest)) = words.split_first() {
        if *word == "-" || *word == "--" || !word.starts_with('-') {
            return if word.starts_with('-') { Program::Code { text: "" } } else { script_of(word, rest, true) };
        }
        if PYTHON_VALUES.contains(word) {
            words = rest.get(1..).unwrap_or_default();
            continue;
        }
        // Several letters in one word; `c`, `m`, `W` and `X` take what is left of it, or the next one.
        let letters = if word.starts_with("--") { "" } else { &word[1..] };
        if let Some(at) = letters.find(['c', 'm', 'W', 'X']) {
            let (letter, attached) = (&letters[at..=at], &letters[at + 1..]);
            let (value, after) = match rest.split_first() {
                _ if !attached.is_empty() => (attached, rest),
                Some((value, after)) => (*value, after),
                None => ("", rest),
            };
            match letter {
                "c" => return Program::Code { text: value },
                "m" => return module(value, after),
                _ => {
                    words = after;
                    continue;
                }
            }
        }
        words = rest;
    }
    Program::Code { text: "" }
}

fn module<'a>(name: &'a str, rest: &'a [&'a str]) -> Program<'a> {
    if MODULES.contains(&name) {
        return Program::Dbt { rest };
    }
    let name = name.split('.').next().unwrap_or_default();
    Program::Script { name, rest, python: true }
}
