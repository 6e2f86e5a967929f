//! The same text again and again: it is parsed once, and yet never answers as it would have before.

use crate::support::{Database, Session};

/// As the broker runs it: taken apart, prepared, run, forgotten.
fn ask(session: &mut Session, sql: &str) -> String {
    let texts = session.0.split(sql).unwrap();
    assert_eq!(texts.len(), 1, "{texts:?}");
    session.one(&texts[0])
}

#[test]
fn a_text_that_comes_again_sees_what_has_changed() {
    let database = Database::new("a.db");
    let mut session = database.session();
    session.run("CREATE TABLE t AS SELECT 1 AS i");
    let sql = "SELECT * FROM t -- the same\n;";
    assert_eq!(ask(&mut session, sql), "1");
    assert_eq!(ask(&mut session, sql), "1");
    session.run("UPDATE t SET i = 2");
    assert_eq!(ask(&mut session, sql), "2");
    session.run("CREATE OR REPLACE TABLE t AS SELECT 'other' AS j");
    assert_eq!(ask(&mut session, sql), "other");
    session.run("DROP TABLE t");
    session.try_run(sql).expect_err("it is gone");
    session.run("CREATE TEMP TABLE t AS SELECT 'mine' AS j");
    assert_eq!(ask(&mut session, sql), "mine");
}

#[test]
fn a_text_that_comes_again_is_parsed_as_the_settings_say() {
    let database = Database::new("a.db");
    let (mut mine, mut other) = (database.session(), database.session());
    let sql = "SELECT 7 / 2";
    assert_eq!(ask(&mut mine, sql), "3.5");
    mine.run("SET integer_division = true");
    assert_eq!(ask(&mut mine, sql), "3");
    assert_eq!(ask(&mut other, sql), "3.5");
    mine.run("RESET integer_division");
    assert_eq!(ask(&mut mine, sql), "3.5");
    // Changed by another, with nothing between that would make this one forget the text.
    other.run("SET GLOBAL integer_division = true");
    let anew = ask(&mut database.session(), sql);
    assert_eq!(ask(&mut mine, sql), anew);
    assert_eq!(anew, "3");
}
