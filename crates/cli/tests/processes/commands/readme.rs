//! What README.md shows is true: its shell sessions are run, and its Python too.
//!
//! In what it shows, a measure or a process's number stands for any, and `…` for anything, over several lines where it stands alone.

#![expect(clippy::panic, clippy::expect_used, reason = "a test ends by panicking")]

use std::process::Command;

use dbmux_testkit::{Place, Terminal, python};
use regex::Regex;

const README: &str = include_str!("../../../../../README.md");

/// The fenced blocks of a kind, in order.
fn blocks(kind: &str) -> Vec<String> {
    let opening = format!("```{kind}\n");
    README.split(&opening).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

/// A shell in this place, which finds `dbmux`.
fn shell(place: &Place, program: &str, text: &str) -> Command {
    let mut command = Command::new(program);
    place.set_up(&mut command);
    let here = place.binary().parent().unwrap_or_else(|| panic!("a directory")).display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{here}:{path}")).args(["-c", text]).env_remove("NO_COLOR");
    command
}

/// What differs from run to run becomes `0`: a number after `pid`, or before a unit of time or of memory.
fn without_measures(text: &str) -> String {
    let measured = Regex::new(r"(?P<pid>pid )\d+|[0-9.]+(?P<unit> (?:µs|ms|s|min|MiB|GiB|KiB)\b)").expect("a pattern");
    measured.replace_all(text, "${pid}0$unit").into_owned()
}

fn matches(shown: &str, real: &str) -> bool {
    let (shown, real) = (without_measures(shown), without_measures(real));
    let mut parts = shown.trim().split('…');
    let Some(mut rest) = parts.next().and_then(|first| real.trim().strip_prefix(first)) else { return false };
    let mut open = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        open = part.is_empty();
    }
    open || rest.is_empty()
}

#[test]
fn its_shell_sessions_do_what_it_shows() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut commands = 0;
    for block in blocks("console") {
        for entry in format!("\n{block}").split("\n$ ").skip(1) {
            let (line, shown) = entry.split_once('\n').unwrap_or((entry, ""));
            let real = Terminal::start(shell(&place, "sh", line)).last_screen();
            assert!(matches(shown, &real), "README shows for `{line}`\n{shown}\nbut it is\n{real}");
            commands += 1;
        }
    }
    assert!(commands > 15, "README's sessions are not where they were: {commands}");
}

#[test]
fn its_python_runs() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("sales.duckdb", "create table orders as select 'tea' as item, 3.20::decimal(9, 2) as price");
    for block in blocks("python") {
        let output = shell(&place, &python().display().to_string(), &block).output().unwrap_or_else(|e| panic!("{e}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("tea"), "{errors}");
    }
    assert_eq!(blocks("python").len(), 1);
}

#[test]
fn what_it_links_to_is_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    for target in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = format!("{root}/{path}");
        assert!(std::path::Path::new(&path).exists(), "README links to {target}, which is not there");
        if !anchor.is_empty() {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).to_lowercase();
            let headings = text.lines().filter(|line| line.starts_with('#'));
            let mut anchors =
                headings.map(|line| line.trim_start_matches(['#', ' ']).replace([':', '`', '.'], "").replace(' ', "-"));
            assert!(anchors.any(|found| found == anchor), "{target}: no such heading");
        }
    }
    for script in ["demo.sh", "test.sh"] {
        assert!(
            README.contains(&format!("bash {script}")) && std::path::Path::new(&format!("{root}/{script}")).exists()
        );
    }
}

#[test]
fn this_test_sees_differences() {
    assert!(matches("(pid 12, 1.5 s)", "(pid 7, 300 s)\n") && matches("a …\n…", "a b\nc\nd") && matches("", ""));
    assert!(
        !matches("3 rows", "4 rows")
            && !matches("a", "b")
            && !matches("", "x")
            && !matches("a\nb", "a")
            && !matches("… end", "x end more")
    );
}
