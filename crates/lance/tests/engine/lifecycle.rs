//! Attaching, releasing, copies that stand in, and what is refused.

use std::fs;

use dbmux_engine::{Access, Engine, EngineError, SessionOptions, StatementKind};

use crate::support::{Database, changed, chunks, fails, numbers, run, texts};

#[test]
fn tables_are_there_again_after_a_release() {
    let database = Database::with_chunks(10);
    let attachment = database.engine.attachment().unwrap();
    let mut session = database.session();
    database.engine.release().unwrap();
    assert!(!database.engine.has_file_open() && database.engine.attachment().is_none());
    assert_eq!(database.engine.attach(Access::ReadWrite).unwrap(), attachment);
    assert_eq!(numbers(session.as_mut(), r#"{"count": {"table": "chunks"}}"#, None), [10]);
    assert_eq!(texts(session.as_mut(), r#"{"tables": {}}"#), ["chunks"]);
}

#[test]
fn a_copy_answers_as_it_was_and_the_file_takes_its_place_again() {
    let database = Database::with_chunks(10);
    let mut session = database.session();
    let count = "SELECT count(*) FROM chunks";
    // Begun before the copy: it goes on.
    let mut before = database.session();
    let prepared = before.prepare(count).unwrap();
    let mut rows = before.execute(prepared.id, None, false).unwrap();
    let as_of = database.engine.stand_in_by_itself().unwrap();
    assert_eq!(rows.as_of(), None);
    assert_eq!(rows.next().unwrap().unwrap().num_rows(), 1);
    drop(rows);
    assert_eq!(database.engine.snapshot(), Some(as_of));
    assert!(!database.engine.has_file_open());

    let other = Database::at(&database.path);
    other.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(changed(other.session().as_mut(), r#"{"add": {"table": "chunks"}}"#, Some(&chunks(10..15))), 5);
    assert_eq!(numbers(session.as_mut(), count, None), [10]);
    let add = fails(session.as_mut(), r#"{"add": {"table": "chunks"}}"#, Some(&chunks(20..21)));
    assert!(matches!(add, EngineError::ReadOnly { .. }), "{add:?}");
    let prepared = session.prepare(count).unwrap();
    assert_eq!(session.execute(prepared.id, None, false).unwrap().as_of(), Some(as_of));

    database.engine.attach(Access::ReadWrite).unwrap();
    assert_eq!(database.engine.snapshot(), None);
    assert_eq!(numbers(session.as_mut(), count, None), [15]);
}

#[test]
fn a_path_that_is_no_directory_of_tables_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Database::at(&file).engine.attach(Access::ReadWrite).unwrap_err();
    assert!(matches!(error, EngineError::NotADatabase { .. }), "{error:?}");
    let nothing = Database::at(&folder.path().join("nothing"));
    assert!(matches!(nothing.engine.attach(Access::ReadOnly), Err(EngineError::NotFound { .. })));
    assert!(nothing.engine.attach(Access::ReadWrite).is_ok());
}

#[test]
fn a_directory_that_was_replaced_is_noticed() {
    let database = Database::with_chunks(1);
    assert!(database.engine.verify(true).is_ok());
    let aside = database.path.with_extension("aside");
    fs::rename(&database.path, &aside).unwrap();
    assert!(matches!(database.engine.verify(false), Err(EngineError::FileLost { .. })));
    fs::create_dir(&database.path).unwrap();
    assert!(matches!(database.engine.verify(false), Err(EngineError::FileLost { .. })));
}

#[test]
fn readers_write_nothing() {
    let database = Database::with_chunks(3);
    let options = SessionOptions { read_only: true, ..SessionOptions::default() };
    let mut session = database.engine.open_session(&options).unwrap();
    let statements = [
        r#"{"delete": {"table": "chunks", "where": "true"}}"#,
        r#"{"drop_table": {"table": "chunks"}}"#,
        r#"{"optimize": {"table": "chunks"}}"#,
    ];
    for text in statements {
        let error = fails(session.as_mut(), text, None);
        assert!(matches!(error, EngineError::ReadOnly { .. }), "{text}: {error:?}");
    }
    assert_eq!(numbers(session.as_mut(), r#"{"count": {"table": "chunks"}}"#, None), [3]);

    database.engine.release().unwrap();
    database.engine.attach(Access::ReadOnly).unwrap();
    let error = fails(database.session().as_mut(), statements[0], None);
    assert!(matches!(error, EngineError::ReadOnly { .. }), "{error:?}");
}

#[test]
fn kinds_and_shapes_are_told() {
    let database = Database::with_chunks(1);
    let mut session = database.session();
    for (text, kind) in [
        (r#"{"tables": {}}"#, StatementKind::Read),
        (r#"{"checkout": {"table": "chunks", "version": 1}}"#, StatementKind::Read),
        ("SELECT 1", StatementKind::Read),
        (r#"{"add": {"table": "chunks"}}"#, StatementKind::Write),
        (r#"{"optimize": {"table": "chunks"}}"#, StatementKind::Write),
    ] {
        let prepared = session.prepare(text).unwrap();
        assert_eq!((prepared.kind, prepared.modifies), (kind, kind == StatementKind::Write), "{text}");
        assert!(!prepared.transaction_control);
    }
    let split = session.split("SELECT 1; SELECT ';'").unwrap();
    assert_eq!(split.len(), 2, "{split:?}");
    assert_eq!(session.split(r#" {"tables": {}} "#).unwrap().len(), 1);
    assert!(database.engine.insert_shape(r#"{"add": {"table": "chunks"}}"#).is_some());
    assert!(database.engine.insert_shape(r#"{"delete": {"table": "chunks", "where": "true"}}"#).is_none());
    assert!(database.engine.insert_shape("SELECT 1").is_none());
}

#[test]
fn what_is_wrong_is_told_by_name() {
    let database = Database::with_chunks(1);
    let mut session = database.session();
    for (text, sqlstate, told) in [
        (r#"{"count": {"table": "nowhere"}}"#, "42P01", "nowhere"),
        (r#"{"add": {"table": "nowhere"}}"#, "42P01", "nowhere"),
        ("SELECT * FROM nowhere", "42P01", "nowhere"),
        ("SELECT nothing FROM chunks", "42703", "nothing"),
        (r#"{"search": {"table": "chunks", "select": ["nothing"]}}"#, "42703", "nothing"),
        (r#"{"search": {"table": "chunks", "where": "nothing = 1"}}"#, "42703", "nothing"),
        (r#"{"update": {"table": "chunks", "set": {"nothing": "1"}}}"#, "42703", "nothing"),
        (r#"{"delete": {"table": "chunks", "where": "nothing = 1"}}"#, "42703", "nothing"),
        (r#"{"delete": {"table": "chunks", "where": "id ="}}"#, "42601", ""),
        ("SELECT", "42601", ""),
        ("SELEC 1", "42601", ""),
        (r#"{"serch": {}}"#, "42601", "`search`"),
        (r#"{"count": {"table": "../chunks"}}"#, "42602", "name"),
        (r#"{"checkout": {"table": "chunks", "version": 99}}"#, "22023", "99"),
        (r#"{"create_table": {"table": "chunks", "schema": [{"name": "a", "type": "int32"}]}}"#, "42P07", "chunks"),
        (r#"{"create_table": {"table": "new", "schema": [{"name": "a", "type": "integer"}]}}"#, "42704", "integer"),
        (r#"{"search": {"table": "chunks", "metric": "l2"}}"#, "42601", "metric"),
        (r#"{"add": {"table": "chunks"}}"#, "07001", "rows"),
    ] {
        let error = fails(session.as_mut(), text, None);
        assert_eq!(error.sqlstate(), sqlstate, "{text}: {error:?}");
        assert!(error.to_string().contains(told), "{text}: {error}");
        assert!(!error.to_string().contains(".rs:"), "{text}: {error}");
    }
    for text in [
        "BEGIN",
        "COMMIT",
        "INSERT INTO chunks VALUES (1)",
        "DROP TABLE chunks",
        "SET x = 1",
        "COPY chunks TO '/tmp/x.csv'",
    ] {
        let error = fails(session.as_mut(), text, None);
        assert!(matches!(error, EngineError::Unsupported { .. }), "{text}: {error:?}");
    }
    assert!(run(session.as_mut(), "SELECT 1", None).is_ok());
}

#[test]
fn the_catalog_answers_in_sql() {
    let database = Database::with_chunks(1);
    let mut session = database.session();
    let questions = database.engine.catalog_sql();
    let columns = |session: &mut dyn dbmux_engine::EngineSession, text: &str| {
        let (schema, _) = run(session, text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    for (text, names) in [
        (questions.current, &["database", "schema"][..]),
        (questions.databases, &["database"]),
        (questions.schemas, &["database", "schema"]),
        (questions.tables, &["database", "schema", "name", "kind"]),
        (questions.definitions, &["database", "schema", "name", "sql"]),
        (questions.primary_keys, &["database", "schema", "name", "column_name", "key_name", "position"]),
    ] {
        assert_eq!(columns(session.as_mut(), text), names, "{text}");
        assert_eq!(columns(session.as_mut(), &format!("SELECT * FROM ({text}) AS q")), names, "{text}");
    }
    assert_eq!(columns(session.as_mut(), questions.foreign_keys).len(), 13);
    let named = format!("SELECT name FROM ({}) AS q WHERE name LIKE 'ch%'", questions.tables);
    assert_eq!(texts(session.as_mut(), &named), ["chunks"]);
    let name = dbmux_engine::CatalogSql::name([database.engine.catalog(), "", "chunks"]);
    assert_eq!(numbers(session.as_mut(), &format!("SELECT count(*) FROM {name}"), None), [1]);
}
