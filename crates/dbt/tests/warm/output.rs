//! What is printed is what plain dbt prints.

use crate::support::Place;

/// Without what differs from run to run: times of day, durations.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut digits = false;
        for c in line.chars() {
            let digit = c.is_ascii_digit();
            if !(digit && digits) {
                out.push(if digit { '0' } else { c });
            }
            digits = digit;
        }
        out.push('\n');
    }
    // How long a duration's text is decides how many dots stand before it.
    while out.contains("..") {
        out = out.replace("..", ".");
    }
    out
}

#[test]
fn the_same_lines_as_plain_dbt() {
    let mut place = Place::new();
    // What both find: built, and parsed.
    assert_eq!(place.dbt(&["build"]).0.exit_code, 0);
    for arguments in [
        &["run", "--select", "m_1", "m_2"][..],
        &["run", "--select", "m_1", "--log-format", "json", "--quiet"],
        &["ls", "--select", "sim_staff+"],
        &["ls", "--output", "json", "--select", "m_1"],
        &["show", "--select", "department_headcount", "--limit", "3"],
        &["show", "--inline", "select 42 as answer", "--output", "json"],
        &["compile", "--select", "hires"],
        &["test", "--select", "employees", "--no-use-colors"],
        &["seed", "--full-refresh"],
        &["snapshot"],
        &["parse"],
        &["run-operation", "nix"],
    ] {
        let plain = place.project.dbt(arguments).output().expect("dbt runs");
        let (outcome, seen) = place.dbt(arguments);
        let (plain_text, code) = (String::from_utf8_lossy(&plain.stdout).into_owned(), plain.status.code());
        assert_eq!(Some(outcome.exit_code), code, "{arguments:?}: {}{}", seen.stdout, seen.stderr);
        assert_eq!(timeless(&seen.stdout), timeless(&plain_text), "{arguments:?}");
        assert_eq!(seen.stderr, String::from_utf8_lossy(&plain.stderr), "{arguments:?}");
        assert!(!place.is_locked(), "{arguments:?}");
        assert_eq!(outcome.ended, None, "{arguments:?}");
    }
}
