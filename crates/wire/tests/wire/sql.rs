//! Standard Flight SQL: statements, prepared ones, transactions, cancelling.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::Schema,
};
use arrow_flight::{
    Action, CancelFlightInfoRequest, FlightDescriptor, FlightInfo,
    decode::FlightRecordBatchStream,
    error::FlightError,
    sql::{
        ActionCancelQueryRequest, ActionCancelQueryResult, Any, CommandStatementQuery, EndTransaction,
        client::FlightSqlServiceClient,
    },
};
use dbmux_engine::ErrorCode;
use futures::TryStreamExt;
use prost::Message;
use tonic::{Code, Status, transport::Channel};

use crate::{
    data,
    support::{Served, standard_detail},
};

pub(crate) type Client = FlightSqlServiceClient<Channel>;

impl Served {
    pub(crate) async fn standard(&self) -> Client {
        FlightSqlServiceClient::new(self.connect().await)
    }
}

/// Redeems a ticket.
pub(crate) async fn fetch(client: &mut Client, info: &FlightInfo) -> Result<Vec<RecordBatch>, Status> {
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let stream = client.inner_mut().do_get(ticket).await?.into_inner();
    let stream = FlightRecordBatchStream::new_from_flight_data(stream.map_err(FlightError::from));
    stream.try_collect().await.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        other => panic!("not a status: {other}"),
    })
}

/// The status inside a client's error.
pub(crate) fn status_of(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("not a status: {other:?}"),
    }
}

fn row(values: &[i64]) -> RecordBatch {
    // Names as ADBC gives them: counted from 0.
    let column =
        |(index, value): (usize, &i64)| (index.to_string(), Arc::new(Int64Array::from(vec![*value])) as ArrayRef);
    RecordBatch::try_from_iter(values.iter().enumerate().map(column)).unwrap()
}

#[tokio::test]
async fn a_query_runs_once() {
    let served = Served::start();
    let mut client = served.standard().await;
    client.handshake("anybody", "anything").await.unwrap();
    let info = client.execute("types".to_owned(), None).await.unwrap();
    assert_eq!(Schema::try_from(info.clone()).unwrap(), *data::types()[0].schema());
    assert_eq!(served.service.ran(), ["forget 1"], "GetFlightInfo only looks");
    assert_eq!(fetch(&mut client, &info).await.unwrap(), data::types());
    assert_eq!(served.service.ran().iter().filter(|ran| *ran == "types").count(), 1);
}

#[tokio::test]
async fn a_ticket_of_a_write_works_once() {
    let served = Served::start();
    let mut client = served.standard().await;
    let info = client.execute("INSERT INTO t VALUES (1)".to_owned(), None).await.unwrap();
    assert!(info.schema.is_empty(), "whoever asks waits until it is done");
    fetch(&mut client, &info).await.unwrap();
    let again = fetch(&mut client, &info).await.unwrap_err();
    assert_eq!(again.code(), Code::InvalidArgument);
    assert!(standard_detail(&again).message.contains("used already"), "{again:?}");
    assert_eq!(served.service.ran().iter().filter(|ran| ran.starts_with("INSERT")).count(), 1);
}

#[tokio::test]
async fn updates_and_schemas() {
    let served = Served::start();
    let mut client = served.standard().await;
    assert_eq!(client.execute_update("UPDATE t SET a = 1".to_owned(), None).await.unwrap(), 1);
    let command = CommandStatementQuery { query: "types".to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(Any::pack(&command).unwrap().encode_to_vec());
    let schema = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
    assert_eq!(Schema::try_from(&schema).unwrap(), *data::types()[0].schema());
    let bad = status_of(client.execute("bad".to_owned(), None).await.unwrap_err());
    assert_eq!(standard_detail(&bad).sqlstate, "42P01");
}

#[tokio::test]
async fn prepared_statements_take_parameters_by_position() {
    let served = Served::start();
    let mut client = served.standard().await;
    let mut echo = client.prepare("echo ? ?".to_owned(), None).await.unwrap();
    assert_eq!(echo.parameter_schema().unwrap().fields().len(), 2);
    echo.set_parameters(row(&[7, 8])).unwrap();
    let info = echo.execute().await.unwrap();
    let answer = fetch(&mut client, &info).await.unwrap();
    assert_eq!(data::text(&answer[0]), "7, 8");
    assert_eq!(answer[0].schema().field(0).name(), "1", "counted from 1, as SQL does");
    echo.close().await.unwrap();
    assert_eq!(served.service.ran(), ["echo ? ? 7, 8", "forget 1"]);
    let gone = fetch(&mut client, &info).await.unwrap_err();
    assert_eq!(standard_detail(&gone).code(), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn many_rows_of_parameters_are_one_transaction() {
    let served = Served::start();
    let mut client = served.standard().await;
    let mut insert = client.prepare("INSERT INTO t VALUES (?, ?)".to_owned(), None).await.unwrap();
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    insert.set_parameters(RecordBatch::try_from_iter([("0", numbers), ("1", names)]).unwrap()).unwrap();
    assert_eq!(insert.execute_update().await.unwrap(), 3);
    let sql = "INSERT INTO t VALUES (?, ?)";
    let expected = ["BEGIN".to_owned(), format!("{sql} 1, a"), format!("{sql} 2, b"), format!("{sql} 3, c")];
    assert_eq!(served.service.ran(), [&expected[..], &["COMMIT".to_owned()]].concat());
}

#[tokio::test]
async fn a_query_with_many_rows_of_parameters_answers_them_all() {
    let served = Served::start();
    let mut client = served.standard().await;
    let mut echo = client.prepare("echo ?".to_owned(), None).await.unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    echo.set_parameters(RecordBatch::try_from_iter([("x", numbers)]).unwrap()).unwrap();
    let info = echo.execute().await.unwrap();
    let answers = fetch(&mut client, &info).await.unwrap();
    assert_eq!(answers.iter().map(data::text).collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_transaction_begins_with_its_first_statement() {
    let served = Served::start();
    let mut client = served.standard().await;
    let idle = client.begin_transaction().await.unwrap();
    let second = status_of(client.begin_transaction().await.unwrap_err());
    assert_eq!(standard_detail(&second).sqlstate, "25001");
    client.end_transaction(idle.clone(), EndTransaction::Commit).await.unwrap();
    assert!(served.service.ran().is_empty(), "nothing was done in it");
    let used = client.begin_transaction().await.unwrap();
    client.execute_update("INSERT 1".to_owned(), Some(used.clone())).await.unwrap();
    let mut prepared = client.prepare("INSERT 2".to_owned(), Some(used.clone())).await.unwrap();
    prepared.execute_update().await.unwrap();
    client.end_transaction(used, EndTransaction::Commit).await.unwrap();
    let third = client.begin_transaction().await.unwrap();
    prepared.execute_update().await.unwrap();
    client.end_transaction(third, EndTransaction::Rollback).await.unwrap();
    assert_eq!(served.service.ran(), ["BEGIN", "INSERT 1", "INSERT 2", "COMMIT", "BEGIN", "INSERT 2", "ROLLBACK"]);
    let over = status_of(client.execute("SELECT 42".to_owned(), Some(idle.clone())).await.unwrap_err());
    assert_eq!(standard_detail(&over).code(), ErrorCode::InvalidArgument);
    client.end_transaction(idle, EndTransaction::Commit).await.unwrap_err();
}

#[tokio::test]
async fn a_statement_that_names_no_transaction_runs_in_the_sessions() {
    let served = Served::start();
    let mut client = served.standard().await;
    let transaction = client.begin_transaction().await.unwrap();
    client.get_catalogs().await.unwrap();
    assert!(served.service.ran().is_empty(), "looking at the catalog begins nothing");
    client.execute_update("INSERT 1".to_owned(), None).await.unwrap();
    client.end_transaction(transaction, EndTransaction::Rollback).await.unwrap();
    assert_eq!(served.service.ran(), ["BEGIN", "INSERT 1", "ROLLBACK"]);
}

#[tokio::test]
async fn cancels_the_statement_of_a_ticket() {
    let served = Served::start();
    let mut client = served.standard().await;
    let info = client.execute("wait".to_owned(), None).await.unwrap();
    let other = client.execute("SELECT 42".to_owned(), None).await.unwrap();
    let mut cancelling = client.inner().clone();
    let cancel = |info: &FlightInfo| {
        let command = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
        Action { r#type: "CancelQuery".to_owned(), body: Any::pack(&command).unwrap().encode_to_vec().into() }
    };
    let cancelling = async {
        loop {
            let result = cancelling.do_action(cancel(&info)).await.unwrap().into_inner().message().await.unwrap();
            let result: ActionCancelQueryResult = Any::decode(result.unwrap().body).unwrap().unpack().unwrap().unwrap();
            if result.result == 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let info = CancelFlightInfoRequest { info: Some(other.clone()) };
        let action = Action { r#type: "CancelFlightInfo".to_owned(), body: info.encode_to_vec().into() };
        let result = cancelling.do_action(action).await.unwrap().into_inner().message().await.unwrap().unwrap();
        let result = arrow_flight::CancelFlightInfoResult::decode(result.body).unwrap();
        assert_eq!(result.status, 3, "it does not run");
    };
    let (ended, ()) = tokio::join!(fetch(&mut client, &info), cancelling);
    assert_eq!(ended.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test]
async fn an_error_midway_keeps_its_details() {
    let served = Served::start();
    let mut client = served.standard().await;
    let info = client.execute("fail midway".to_owned(), None).await.unwrap();
    let midway = fetch(&mut client, &info).await.unwrap_err();
    assert_eq!(standard_detail(&midway).code(), ErrorCode::OutOfMemory);
}

#[tokio::test]
async fn a_batch_that_is_not_as_announced_is_an_error_and_no_wrong_answer() {
    let served = Served::start();
    let mut client = served.standard().await;
    let info = client.execute("liar".to_owned(), None).await.unwrap();
    let refused = fetch(&mut client, &info).await.unwrap_err();
    assert_eq!(standard_detail(&refused).code(), ErrorCode::Internal);
    assert!(refused.message().contains("announced"), "{refused:?}");
}
