//! What an agent that writes is told of it.

use dbmux_testkit::{Kind, Place};
use serde_json::json;

use super::agent::Agent;

on_each_engine_with_sql!(what_a_write_answers_with_is_told_and_counted);

fn what_a_write_answers_with_is_told_and_counted(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    let mut agent = Agent::start(&place, &["--db", kind.file()]);
    let made = json!({ "sql": "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER)" });
    assert_eq!(agent.call("execute", made).expect("made")["returned"], json!([]));
    let insert = "INSERT INTO t VALUES (1, 10), (2, 20) RETURNING a, b";
    let answer = agent.call("execute", json!({ "sql": insert })).expect("written");
    assert_eq!(answer["rows_changed"], json!([2]), "{answer}");
    assert_eq!(
        (&answer["returned"][0]["statement"], &answer["returned"][0]["rows"]),
        (&json!(1), &json!([[1, 10], [2, 20]]))
    );
    // As a transaction, and more rows than one page has.
    let many = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199) \
                INSERT INTO t SELECT 3 + x.i * 200 + y.i, 0 FROM n AS x, n AS y RETURNING a";
    let statements = json!({ "statements": ["UPDATE t SET b = 0", many] });
    let answer = agent.call("execute", statements).expect("written");
    assert_eq!(answer["rows_changed"], json!([2, 40_000]), "{answer}");
    let returned = &answer["returned"][0];
    assert_eq!(
        (&returned["statement"], &returned["row_count"], &returned["truncated"]),
        (&json!(2), &json!(100), &json!(true))
    );
    let next = agent.call("query", json!({ "cursor": returned["next_cursor"], "limit": 1 })).expect("the rows behind");
    assert_eq!(next["row_count"], json!(1), "{next}");
    let count = agent.call("query", json!({ "sql": "SELECT count(*) FROM t" })).expect("rows");
    assert_eq!(count["rows"], json!([[40_002]]), "all of it was written");
}
