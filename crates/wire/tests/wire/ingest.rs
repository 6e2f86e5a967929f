//! Bulk ingestion.

use arrow::array::RecordBatch;
use arrow_flight::{
    error::FlightError,
    sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption},
};
use dbmux_engine::ErrorCode;

use crate::{
    data,
    sql::status_of,
    support::{Served, standard_detail},
};

fn command(if_not_exist: TableNotExistOption, if_exists: TableExistsOption) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: if_not_exist.into(),
            if_exists: if_exists.into(),
        }),
        table: "t".to_owned(),
        ..CommandStatementIngest::default()
    }
}

fn rows(count: i64) -> impl futures::Stream<Item = Result<RecordBatch, FlightError>> {
    futures::stream::iter(data::rows(count).into_iter().map(Ok))
}

/// What was run, without the rows.
fn shape(ran: &[String]) -> Vec<String> {
    ran.iter().map(|sql| sql.split(" [{").next().unwrap_or_default().to_owned()).collect()
}

const INSERT: &str = "INSERT INTO \"t\" (\"id\", \"half\", \"group\") SELECT r.\"id\", r.\"half\", r.\"group\" FROM (SELECT \
     unnest(CAST($1 AS STRUCT(\"id\" BIGINT, \"half\" DOUBLE, \"group\" INTEGER)[])) AS r)";
const COLUMNS: &str = "(\"id\" BIGINT NOT NULL, \"half\" DOUBLE NOT NULL, \"group\" INTEGER NOT NULL)";

#[tokio::test]
async fn makes_the_table_and_fills_it_in_one_transaction() {
    let served = Served::start();
    let mut client = served.standard().await;
    let create = command(TableNotExistOption::Create, TableExistsOption::Fail);
    let count = client.execute_ingest(create, rows(20_000)).await.unwrap();
    assert_eq!(count, 2, "the fixture counts each insertion as one row");
    let ran = served.service.ran();
    let expected = ["BEGIN", &format!("CREATE TABLE \"t\" {COLUMNS}"), INSERT, INSERT, "forget 1", "COMMIT"];
    assert_eq!(shape(&ran), expected);
    assert!(ran[2].contains("{id: 0, half: 0.0, group: 0}"), "{}", &ran[2][..400]);
    assert!(ran[3].contains("{id: 19999,"));
}

#[tokio::test]
async fn each_mode_has_its_statement() {
    let served = Served::start();
    let mut client = served.standard().await;
    let (create, fail) = (TableNotExistOption::Create, TableNotExistOption::Fail);
    let cases = [
        (create, TableExistsOption::Append, format!("CREATE TABLE IF NOT EXISTS \"t\" {COLUMNS}")),
        (create, TableExistsOption::Replace, format!("CREATE OR REPLACE TABLE \"t\" {COLUMNS}")),
        (fail, TableExistsOption::Append, "forget 2".to_owned()),
    ];
    for (if_not_exist, if_exists, expected) in cases {
        served.service.ran.lock().clear();
        client.execute_ingest(command(if_not_exist, if_exists), rows(3)).await.unwrap();
        let ran = shape(&served.service.ran());
        assert!(ran[1] == expected || ran[1].starts_with("forget"), "{ran:?}");
    }
    served.service.ran.lock().clear();
    let schema = Some("mar\"ts".to_owned());
    let named = CommandStatementIngest { schema, ..command(create, TableExistsOption::Fail) };
    client.execute_ingest(named, rows(1)).await.unwrap();
    assert!(served.service.ran()[1].starts_with("CREATE TABLE \"mar\"\"ts\".\"t\" ("));
    served.service.ran.lock().clear();
    let temporary = CommandStatementIngest { temporary: true, ..command(create, TableExistsOption::Fail) };
    client.execute_ingest(temporary, rows(1)).await.unwrap();
    assert!(served.service.ran()[1].starts_with("CREATE TEMPORARY TABLE \"t\" ("));
    assert!(served.service.ran()[2].starts_with("INSERT INTO temp.main.\"t\" ("));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_rolled_back() {
    let served = Served::start();
    let mut client = served.standard().await;
    let nothing = CommandStatementIngest { table: "t".to_owned(), ..CommandStatementIngest::default() };
    let refused = status_of(client.execute_ingest(nothing, rows(1)).await.unwrap_err());
    assert_eq!(standard_detail(&refused).code(), ErrorCode::InvalidArgument);
    assert!(served.service.ran().is_empty());
    let create = command(TableNotExistOption::Create, TableExistsOption::Fail);
    let empty = futures::stream::iter([Ok(data::nothing())]);
    let refused = status_of(client.execute_ingest(create, empty).await.unwrap_err());
    assert_eq!(standard_detail(&refused).code(), ErrorCode::InvalidArgument);
    assert_eq!(served.service.ran(), ["BEGIN", "ROLLBACK"]);
}
