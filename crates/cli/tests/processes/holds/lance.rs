//! LanceDB's directories: what is theirs alone.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, FixedSizeListArray, Int64Array, RecordBatch},
    datatypes::Float32Type,
};
use dbmux_client::{ClientError, ClientOptions, ErrorCode, Statement};
use dbmux_testkit::{Kind, Place, python};

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
    // Only what is not there, only what is; words, and both.
    std::fs::write(
        place.path("both.json"),
        r#"[{"id": 0, "lang": "go", "vector": [0, 1, 0]}, {"id": 200, "lang": "go", "vector": [5, 5, 5]}]"#,
    )
    .expect("a file");
    ok(&place, &["merge-insert", "chunks", "both.json", "--on", "id", "--insert-only"]);
    assert_eq!(ok(&place, &["count", "chunks", "--where", "lang = 'go'"]), "count\n1");
    ok(&place, &["merge-insert", "chunks", "both.json", "--on", "id", "--update-only"]);
    assert_eq!(ok(&place, &["count", "chunks", "--where", "lang = 'go'"]), "count\n2");
    ok(&place, &["drop-index", "chunks", "lang_idx"]);
    ok(&place, &["create-index", "chunks", "lang", "--type", "fts"]);
    assert_eq!(
        ok(&place, &["search", "chunks", "--text", "go", "--select", "id", "--format", "jsonl"]).lines().count(),
        2
    );
    let both = ["search", "chunks", "--text", "go", "--vector", "[9, 1, 0]", "--limit", "3", "--format", "json"];
    let found: serde_json::Value = serde_json::from_str(&ok(&place, &both)).expect("JSON");
    assert_eq!(found.as_array().map(Vec::len), Some(3), "{found}");
    // As the help says.
    ok(&place, &["create-table", "more", "--column", "id:int64", "--column", "v:vector(3)"]);
    std::fs::write(place.path("v.jsonl"), "{\"id\": 1, \"v\": [1, 2, 3]}\n").expect("a file");
    ok(&place, &["add", "more", "v.jsonl"]);
    ok(&place, &["merge-insert", "more", "v.jsonl", "--on", "id"]);
    assert_eq!(ok(&place, &["run", r#"{"count": {"table": "more"}}"#]), "count\n1");
    ok(&place, &["drop-table", "more"]);
    assert_eq!(ok(&place, &["tables"]), "name\nchunks");
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

/// Another program adds rows and removes all versions but the last, again and again: a copy is of one version, and whole.
#[test]
fn a_copy_is_whole_beside_a_program_that_removes_versions() {
    const REMOVES: &str = "
import datetime, lancedb, sys, time
table, end, rows = lancedb.connect(sys.argv[1]).open_table('chunks'), time.monotonic() + 6, 1
while time.monotonic() < end:
    table.add([{'id': rows, 'text': str(rows)}])
    rows += 1
    if rows % 5 == 0:
        table.optimize(cleanup_older_than=datetime.timedelta(0))
print(rows)
";
    let place = place();
    std::fs::write(place.path("rows.jsonl"), "{\"id\": 0, \"text\": \"0\"}\n").expect("a file");
    ok(&place, &["create-table", "chunks", "rows.jsonl"]);
    let mut foreign = Command::new(Kind::Lance.python());
    foreign.args(["-c", REMOVES]).arg(place.path(DATABASE)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut foreign = foreign.spawn().expect("Python starts");
    let mut copies = Vec::new();
    while foreign.try_wait().expect("its state").is_none() {
        let copy = format!("copy{}.lancedb", copies.len());
        if place.run(["snapshot", DATABASE, &copy]).status.success() {
            copies.push(copy);
        }
    }
    let output = foreign.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for copy in copies.iter().take(5).chain(copies.last()) {
        // Each row is read, and there are no gaps.
        let found = place.sql(copy, "select count(*) - max(id), sum(id) - sum(cast(text as bigint)) from chunks");
        assert_eq!(found, "1,0", "{copy}");
        place.run(["stop", copy]);
    }
    assert!(copies.len() > 1, "this test saw nothing");
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

/// Rows with vectors that fill space.
fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let number = |id: i64, place: i64| (id.wrapping_mul(7919) + place.wrapping_mul(104_729)).rem_euclid(65_521) as f32;
    let vectors = ids.clone().map(|id| Some((0..64).map(|place| Some(number(id, place))).collect::<Vec<_>>()));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 64);
    let ids = Int64Array::from_iter_values(ids);
    RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef), ("vector", Arc::new(vectors))]).expect("a batch")
}

#[tokio::test]
async fn others_write_while_an_index_is_made() -> Result<(), ClientError> {
    const ROWS: i64 = 40_000;
    let place = place();
    let client = place.client(DATABASE, ClientOptions::default());
    let (maker, writer) = (client.session().await?, client.session().await?);
    maker.execute(Statement::new(r#"{"create_table": {"table": "chunks"}}"#).rows(rows(0..ROWS))).await?;
    let index = r#"{"create_index": {"table": "chunks", "column": "vector", "type": "ivf_pq", "num_partitions": 32}}"#;
    let made = maker.execute(index);
    tokio::pin!(made);
    let mut meanwhile = 0;
    loop {
        let next = ROWS + meanwhile;
        let add = Statement::new(r#"{"add": {"table": "chunks"}}"#).rows(rows(next..next + 1));
        tokio::select! {
            outcome = &mut made => {
                outcome?;
                break;
            }
            added = writer.execute(add) => assert_eq!(added?, 1),
        }
        meanwhile += 1;
    }
    assert!(meanwhile > 3, "{meanwhile} writes while the index was made");
    Ok(())
}

#[tokio::test]
async fn an_upsert_in_a_lane_takes_its_time_and_ends_when_nobody_waits_for_it() -> Result<(), ClientError> {
    const ROWS: i64 = 40_000;
    let place = place();
    let client = place.client(DATABASE, ClientOptions::default());
    let session = client.session().await?;
    session.execute(Statement::new(r#"{"create_table": {"table": "chunks"}}"#).rows(rows(0..ROWS))).await?;
    let upsert = |first| {
        Statement::new(r#"{"merge_insert": {"table": "chunks", "on": ["id"]}}"#).rows(rows(first..first + ROWS))
    };
    // The wait is for others, not for itself.
    let began = Instant::now();
    assert_eq!(session.execute(upsert(1).wait(Duration::from_millis(1))).await?, ROWS as u64);
    let takes = began.elapsed();
    // One that is cancelled in its midst has not happened; one that was quicker has.
    let (mut there, mut cancelled) = (ROWS + 1, 0);
    for part in 1..=10 {
        let statement = upsert(1 + i64::from(part));
        let id = statement.id();
        let (told, _) = tokio::join!(session.execute(statement), async {
            tokio::time::sleep(takes * part / 12).await;
            session.cancel(id).await
        });
        match told {
            Ok(_) => there = ROWS + 1 + i64::from(part),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Cancelled);
                cancelled += 1;
            }
        }
        assert_eq!(place.sql(DATABASE, "select count(*) from chunks"), there.to_string(), "{part}");
    }
    assert!(cancelled > 0, "none of them was cancelled in time");
    Ok(())
}
