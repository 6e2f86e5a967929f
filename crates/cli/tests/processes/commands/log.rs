//! What `DBMUX_LOG` shows, of a command and of its broker.

use dbmux_testkit::Place;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

#[test]
fn a_lock_tells_when_it_is_asked_for_granted_and_given_back() {
    let place = place();
    let output = place.dbmux(["lock", "nightly", "--", "true"]).env("DBMUX_LOG", "debug").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    for word in ["asked for a lock", "granted", "waited=", "given back", "held="] {
        assert!(text.contains(word), "no \"{word}\" in:\n{text}");
    }
    assert!(!text.contains('\x1b'), "a pipe takes no colours: {text}");
    let output = place.run(["lock", "nightly", "--", "true"]);
    assert!(output.stderr.is_empty(), "nothing is logged unasked");
}

#[test]
fn a_broker_logs_as_the_command_that_starts_it_says() {
    let place = place();
    let output = place.dbmux(["sql", "a.duckdb", "select 1"]).env("DBMUX_LOG", "debug").output().unwrap();
    assert!(output.status.success());
    let logs = std::fs::read_dir(place.path("run")).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let log = logs.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "log")).unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("granted") && text.contains("attached"), "{text}");
}

#[test]
fn a_filter_that_cannot_be_read_is_named() {
    let place = place();
    let output = place.dbmux(["lock", "nightly", "--", "true"]).env("DBMUX_LOG", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("DBMUX_LOG"), "{text}");
}
