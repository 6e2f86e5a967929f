//! Our own way of asking: a statement as a ticket.

use arrow::{array::AsArray, datatypes::Int32Type};
use dbmux_engine::ErrorCode;
use dbmux_proto::{CancelRequest, Statement, StatementKind};
use tonic::Code;

use crate::{
    data,
    support::{Served, detail, head, read},
};

#[tokio::test]
async fn answers_in_one_round_trip() {
    let served = Served::start();
    let session = served.session().await;
    let mut stream = session.open(Statement { sql: "SELECT 42".to_owned(), ..Statement::default() }).await.unwrap();
    let head = head(&mut stream).await;
    assert_eq!(head.kind(), StatementKind::Read);
    assert!(!head.rows_changed);
    assert_eq!(head.notices, ["told"]);
    let batches = session.ask("SELECT 42").await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int32Type>().value(0), 42);
}

#[tokio::test]
async fn carries_every_kind_of_result() {
    let served = Served::start();
    let session = served.session().await;
    let types = session.ask("types").await.unwrap();
    assert_eq!(types, data::types());
    assert_eq!(data::text(&types[0]).lines().count(), 1);
    assert!(session.ask("empty").await.unwrap().is_empty());
    let mut stream = session.open(Statement { sql: "nothing".to_owned(), ..Statement::default() }).await.unwrap();
    head(&mut stream).await;
    assert!(stream.message().await.unwrap().is_none());
    let rows = session.ask("rows 250000").await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 250_000);
}

#[tokio::test]
async fn cuts_what_is_large() {
    let served = Served::start();
    let session = served.session().await;
    let mut stream = session.open(Statement { sql: "big".to_owned(), ..Statement::default() }).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        sizes.push(message.data_body.len());
    }
    assert!(sizes.len() > 5, "{sizes:?}");
    let stream = session.open(Statement { sql: "big".to_owned(), ..Statement::default() }).await.unwrap();
    let batches = read(stream).await.unwrap();
    let expected = data::answer("big", None).unwrap().2;
    assert_eq!(arrow::compute::concat_batches(&expected[0].schema(), &batches).unwrap(), expected[0]);
}

#[tokio::test]
async fn keeps_an_error_whole() {
    let served = Served::start();
    let session = served.session().await;
    let bad = session.ask("bad").await.unwrap_err();
    assert_eq!((bad.code(), bad.message()), (Code::InvalidArgument, "no such table: bad"));
    let detail_of = detail(&bad);
    assert_eq!(detail_of.code(), ErrorCode::Sql);
    assert_eq!((detail_of.sqlstate.as_str(), detail_of.suggestion.as_str()), ("42P01", "look at SHOW TABLES"));
    let midway = session.ask("fail midway").await.unwrap_err();
    assert_eq!(midway.code(), Code::ResourceExhausted);
    assert_eq!(detail(&midway).code(), ErrorCode::OutOfMemory);
}

#[tokio::test]
async fn cancels_by_number() {
    let served = Served::start();
    let session = served.session().await;
    let waiting = session.open(Statement { sql: "wait".to_owned(), statement_id: 7, ..Statement::default() });
    let cancelling = async {
        let cancel = |statement_id| CancelRequest { session: session.hello.session.clone(), statement_id };
        while !session.control().cancel(cancel(7)).await.unwrap().into_inner().found {
            tokio::task::yield_now().await;
        }
        assert!(!session.control().cancel(cancel(8)).await.unwrap().into_inner().found);
    };
    let (ended, ()) = tokio::join!(waiting, cancelling);
    let ended = ended.unwrap_err();
    assert_eq!(ended.code(), Code::Cancelled);
    assert_eq!(detail(&ended).code(), ErrorCode::Cancelled);
}
