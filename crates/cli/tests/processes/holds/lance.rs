//! LanceDB's directories: what is theirs alone.

use std::process::Command;

use dbmux_testkit::{Place, python};

const DATABASE: &str = "code.lancedb";

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn ok(place: &Place, arguments: &[&str]) -> String {
    let output = place.run(["vectors", DATABASE].iter().chain(arguments));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn vectors_from_the_command_line() {
    let place = place();
    let rows = (0..20).map(|id| format!("{{\"id\": {id}, \"lang\": \"rust\", \"vector\": [{id}, 1.0, 0.0]}}\n"));
    std::fs::write(place.path("rows.jsonl"), rows.collect::<String>()).expect("a file");
    std::fs::write(
        place.path("more.json"),
        r#"[{"id": 7, "lang": "c", "vector": [7, 1, 0]}, {"id": 90, "lang": "c", "vector": [9, 9, 9]}]"#,
    )
    .expect("a file");
    ok(&place, &["create-table", "chunks", "rows.jsonl"]);
    assert_eq!(ok(&place, &["tables"]), "name\nchunks");
    assert!(ok(&place, &["schema", "chunks"]).contains("vector"), "{}", ok(&place, &["schema", "chunks"]));
    ok(&place, &["merge-insert", "chunks", "more.json", "--on", "id"]);
    assert_eq!(ok(&place, &["count", "chunks"]), "count\n21");
    assert_eq!(ok(&place, &["count", "chunks", "--where", "lang = 'c'"]), "count\n2");
    let nearest =
        ["search", "chunks", "--vector", "[7, 1, 0]", "--select", "id,lang", "--limit", "2", "--format", "json"];
    let found: serde_json::Value = serde_json::from_str(&ok(&place, &nearest)).expect("JSON");
    assert_eq!((&found[0]["id"], &found[0]["lang"]), (&7.into(), &"c".into()), "{found}");
    let of_rust =
        ["search", "chunks", "--vector", "[7, 1, 0]", "--where", "lang = 'rust'", "--limit", "1", "--format", "json"];
    let found: serde_json::Value = serde_json::from_str(&ok(&place, &of_rust)).expect("JSON");
    assert!(found[0]["id"] == 6 || found[0]["id"] == 8, "{found}");
    // A version from before stays readable.
    ok(&place, &["delete", "chunks", "--where", "lang = 'c'"]);
    assert_eq!(ok(&place, &["count", "chunks"]), "count\n19");
    assert_eq!(ok(&place, &["count", "chunks", "--version", "1"]), "count\n20");
    ok(&place, &["update", "chunks", "--set", "lang=upper(lang)", "--where", "id < 3"]);
    assert_eq!(place.sql(DATABASE, "select lang, count(*) from chunks group by lang order by 2"), "RUST,3\nrust,16");
    ok(&place, &["create-index", "chunks", "lang", "--type", "bitmap"]);
    assert!(ok(&place, &["indices", "chunks"]).to_lowercase().contains("bitmap"));
    ok(&place, &["optimize", "chunks"]);
    // What cannot be is refused by name.
    let (code, error) = place.fails(&["vectors", DATABASE, "count", "nothing"]);
    assert_eq!((code, error["sqlstate"].as_str()), (1, Some("42P01")), "{error}");
    place.sql("a.duckdb", "create table t (i integer)");
    let (_, error) = place.fails(&["vectors", "a.duckdb", "tables"]);
    assert!(error["message"].as_str().is_some_and(|text| text.contains("duckdb")), "{error}");
}

#[test]
fn a_copy_of_a_directory_is_whole_and_replaces_nothing() {
    let place = place();
    std::fs::write(place.path("rows.csv"), "id,text\n1,a\n2,b\n").expect("a file");
    ok(&place, &["create-table", "chunks", "rows.csv"]);
    let kept = place.run(["snapshot", DATABASE, "kept.lancedb"]);
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    ok(&place, &["add", "chunks", "rows.csv"]);
    assert_eq!(place.sql("kept.lancedb", "select count(*) from chunks"), "2");
    let (code, _) = place.fails(&["snapshot", DATABASE, "kept.lancedb"]);
    assert_eq!(code, 2);
    assert_eq!(place.sql("kept.lancedb", "select count(*) from chunks"), "2");
}

#[test]
fn plain_arrow_flight_is_enough() {
    let place = place();
    ok(
        &place,
        &["create-table", "chunks", "--column", "id:int64!", "--column", "text:string", "--column", "v:vector(2)"],
    );
    let status = place.status(DATABASE);
    assert_eq!(status["engine"], "lance");
    let socket = status["socket"].as_str().expect("the socket's path");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processes/holds/lance.py");
    let output = Command::new(python()).args([script, socket]).output().expect("Python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done", "{errors}");
}
