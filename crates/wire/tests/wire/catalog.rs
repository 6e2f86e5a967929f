//! Catalog commands: their columns are the protocol's, and filters hold.

use arrow::{array::AsArray, datatypes::Schema};
use arrow_flight::{
    IpcMessage,
    sql::{CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo},
};

use crate::{data, sql::fetch, support::Served};

#[tokio::test]
async fn tells_what_there_is() {
    let served = Served::start();
    let mut client = served.standard().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(data::text(&fetch(&mut client, &info).await.unwrap()[0]), "sales; temp");
    let filter = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: Some("mar%".to_owned()) };
    let info = client.get_db_schemas(filter).await.unwrap();
    assert_eq!(data::text(&fetch(&mut client, &info).await.unwrap()[0]), "sales, marts");
    let info = client.get_table_types().await.unwrap();
    assert_eq!(data::text(&fetch(&mut client, &info).await.unwrap()[0]), "BASE TABLE; LOCAL TEMPORARY; VIEW");
    let keys = CommandGetPrimaryKeys { catalog: None, db_schema: None, table: "orders".to_owned() };
    let info = client.get_primary_keys(keys).await.unwrap();
    let answer = fetch(&mut client, &info).await.unwrap();
    assert_eq!(*answer[0].schema(), Schema::try_from(info).unwrap());
    let rows = "sales, main, orders, day, orders_pk, 1; sales, main, orders, id, orders_pk, 2";
    assert_eq!(data::text(&answer[0]), rows);
}

#[tokio::test]
async fn tells_tables_with_their_columns() {
    let served = Served::start();
    let mut client = served.standard().await;
    let filter = CommandGetTables {
        table_name_filter_pattern: Some("%e%".to_owned()),
        table_types: vec!["BASE TABLE".to_owned(), "VIEW".to_owned()],
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(filter.clone()).await.unwrap();
    let answer = fetch(&mut client, &info).await.unwrap().remove(0);
    assert_eq!(*answer.schema(), Schema::try_from(info).unwrap());
    let schema = answer.column(4).as_binary::<i32>().value(0).to_vec();
    let schema = Schema::try_from(IpcMessage(schema.into())).unwrap();
    assert_eq!(schema.field(0).name(), "42", "what SELECT * of it would give");
    let info = client.get_tables(CommandGetTables { include_schema: false, ..filter }).await.unwrap();
    let answer = fetch(&mut client, &info).await.unwrap();
    assert_eq!(data::text(&answer[0]), "sales, main, latest, VIEW; sales, main, orders, BASE TABLE");
}

#[tokio::test]
async fn tells_what_it_can_do() {
    let served = Served::start();
    let mut client = served.standard().await;
    let asked = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerTransaction];
    let info = client.get_sql_info(asked).await.unwrap();
    let answer = fetch(&mut client, &info).await.unwrap();
    assert_eq!(answer[0].num_rows(), 2);
    assert!(data::text(&answer[0]).contains("dbmux"), "{}", data::text(&answer[0]));
    // What the engine's SQL has.
    for (asked, expected) in [
        (SqlInfo::SqlDdlTable, "true"),
        (SqlInfo::SqlDdlSchema, "false"),
        (SqlInfo::SqlSavepointsSupported, "true"),
        (SqlInfo::SqlTransactionsSupported, "false"),
    ] {
        let info = client.get_sql_info(vec![asked]).await.unwrap();
        let answer = fetch(&mut client, &info).await.unwrap();
        assert!(data::text(&answer[0]).contains(expected), "{asked:?}: {}", data::text(&answer[0]));
    }
    let info = client.get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(12) }).await.unwrap();
    let answer = fetch(&mut client, &info).await.unwrap();
    assert!(data::text(&answer[0]).starts_with("UUID") || data::text(&answer[0]).starts_with("VARCHAR"));
    assert_eq!(answer[0].num_rows(), 2);
}
