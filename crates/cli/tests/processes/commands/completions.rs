//! Completion scripts: the real shells load them, and complete something. `test.sh` installs them.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::process::Command;

use dbmux_testkit::Place;

/// What a shell answers, with the script in `completions` beside it.
fn answer(place: &Place, shell: &str, options: &[&str], script: &str) -> String {
    let completions = place.run(["completions", shell]);
    assert!(completions.status.success(), "{shell}: {completions:?}");
    std::fs::write(place.path("completions"), &completions.stdout).expect("a file");
    let mut command = Command::new(shell);
    place.set_up(&mut command);
    let output = command.args(options).args(["-c", script]).output().expect("the shell is installed");
    assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn bash_completes_commands_and_flags() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let script = r#"set -e
source ./completions
complete -p dbmux
ask() { COMP_WORDS=(dbmux "$@"); COMP_CWORD=$#; _dbmux dbmux "${!#}" "${COMP_WORDS[COMP_CWORD-1]}"; echo "<${COMPREPLY[*]}>"; }
ask sta
ask sql --read
ask sql --format js
"#;
    let told = answer(&place, "bash", &["--noprofile", "--norc"], script);
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].contains("-F _dbmux"), "{told}");
    assert_eq!(lines[1..], ["<status stats>", "<--read-only --reads>", "<json jsonl>"], "{told}");
}

#[test]
fn zsh_takes_the_script() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let script = "autoload -Uz compinit && compinit -D -u && source ./completions && echo ${_comps[dbmux]} && \
                  whence -w _dbmux";
    let told = answer(&place, "zsh", &["-f"], script);
    assert!(told.starts_with("_dbmux\n") && told.contains("_dbmux: function"), "{told}");
}

#[test]
fn fish_completes_commands_and_flags() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let script = "source ./completions; complete -C 'dbmux sta'; complete -C 'dbmux sql --read'";
    let told = answer(&place, "fish", &["--no-config"], script);
    for word in ["status", "stats", "--read-only"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}
