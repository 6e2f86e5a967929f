//! Plain Arrow Flight: a statement's text is the command, and its rows are the stream.

use arrow::{array::AsArray, datatypes::Int32Type};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, Ticket,
    encode::FlightDataEncoderBuilder,
    flight_service_client::FlightServiceClient,
    sql::{
        ActionBeginTransactionRequest, ActionBeginTransactionResult, ActionEndTransactionRequest, Any, EndTransaction,
        ProstMessageExt,
    },
};
use dbmux_engine::ErrorCode;
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::{Code, transport::Channel};

use crate::{
    data,
    support::{Served, read, standard_detail},
};

async fn client(served: &Served) -> FlightServiceClient<Channel> {
    FlightServiceClient::new(served.connect().await)
}

fn ticket(text: &str) -> Ticket {
    Ticket { ticket: text.to_owned().into() }
}

async fn messages(text: &str, rows: i64) -> Vec<FlightData> {
    let batches = futures::stream::iter(data::rows(rows).into_iter().map(Ok));
    let descriptor = FlightDescriptor::new_cmd(text.to_owned());
    let encoder = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(descriptor)).build(batches);
    encoder.try_collect().await.unwrap()
}

#[tokio::test]
async fn a_ticket_may_be_the_statement_as_it_is_written() {
    let served = Served::start();
    let mut client = client(&served).await;
    let stream = client.do_get(ticket("SELECT 42")).await.unwrap().into_inner();
    assert_eq!(read(stream).await.unwrap()[0].column(0).as_primitive::<Int32Type>().value(0), 42);
    let bad = client.do_get(ticket("bad")).await.unwrap_err();
    assert_eq!((bad.code(), standard_detail(&bad).code()), (Code::InvalidArgument, ErrorCode::Sql));
    let info = client.get_flight_info(FlightDescriptor::new_cmd("SELECT 42")).await.unwrap().into_inner();
    let stream = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap().into_inner();
    assert_eq!(read(stream).await.unwrap()[0].num_rows(), 1);
    for (bytes, why) in
        [(&b""[..], "nothing"), (b" \n", "blanks"), (b"\xff\xfe", "no text"), (b"\x0a\x03abc", "packed")]
    {
        let refused = client.do_get(Ticket { ticket: bytes.to_vec().into() }).await.unwrap_err();
        assert!(matches!(refused.code(), Code::InvalidArgument | Code::Unimplemented), "{why}: {refused}");
    }
}

#[tokio::test]
async fn a_stream_is_the_rows_of_the_statement_in_its_descriptor() {
    let served = Served::start();
    let mut client = client(&served).await;
    let put = futures::stream::iter(messages("INSERT many", 3).await);
    let results: Vec<_> = client.do_put(put).await.unwrap().into_inner().try_collect().await.unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].app_metadata, r#"{"count":1}"#, "the fixture counts one row");
    let ran = served.service.ran();
    assert_eq!(ran, ["INSERT many 0, 0.0, 0; 1, 0.5, 1; 2, 1.0, 2"]);
    // No rows at all: the columns are told all the same.
    let put = futures::stream::iter(messages("INSERT none", 0).await);
    client.do_put(put).await.unwrap().into_inner().collect::<Vec<_>>().await;
    assert_eq!(served.service.ran().len(), 2);
}

#[tokio::test]
async fn an_action_answers_with_json() {
    let served = Served::start();
    let mut client = client(&served).await;
    let act = |text: &str| Action { r#type: "dbmux.Operation".to_owned(), body: text.to_owned().into() };
    let rows: Vec<_> = client.do_action(act("rows 3")).await.unwrap().into_inner().try_collect().await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(&row.body).into_owned()).collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[2].starts_with(r#"{"id":2,"#), "{rows:?}");
    let none: Vec<_> = client.do_action(act("nothing")).await.unwrap().into_inner().try_collect().await.unwrap();
    assert!(none.is_empty());
    let bad = client.do_action(act("bad")).await.unwrap_err();
    assert_eq!(standard_detail(&bad).code(), ErrorCode::Sql);
}

/// A client that announced a transaction means it for all that it does.
#[tokio::test]
async fn what_is_written_runs_in_the_sessions_transaction() {
    let served = Served::start();
    let mut client = client(&served).await;
    let act = |name: &str, body: Vec<u8>| Action { r#type: name.to_owned(), body: body.into() };
    let end = |transaction_id| ActionEndTransactionRequest { transaction_id, action: EndTransaction::Rollback.into() };
    for way in ["ticket", "rows", "action"] {
        let begin = ActionBeginTransactionRequest {}.as_any().encode_to_vec();
        let begun = client.do_action(act("BeginTransaction", begin)).await.unwrap().into_inner();
        let begun: Vec<_> = begun.try_collect().await.unwrap();
        let begun = Any::decode(begun[0].body.clone()).unwrap().unpack::<ActionBeginTransactionResult>();
        let transaction = begun.unwrap().unwrap().transaction_id;
        match way {
            "ticket" => drop(client.do_get(ticket("SELECT 42")).await.unwrap()),
            "rows" => {
                let put = futures::stream::iter(messages("INSERT many", 1).await);
                client.do_put(put).await.unwrap().into_inner().collect::<Vec<_>>().await;
            }
            _ => drop(client.do_action(act("dbmux.Operation", b"rows 1".to_vec())).await.unwrap()),
        }
        let ended = act("EndTransaction", end(transaction).as_any().encode_to_vec());
        client.do_action(ended).await.unwrap().into_inner().collect::<Vec<_>>().await;
        let ran = served.service.ran();
        let (first, last) = (&ran[ran.len() - 3], &ran[ran.len() - 1]);
        assert_eq!((first.as_str(), last.as_str()), ("BEGIN", "ROLLBACK"), "{way}: {ran:?}");
    }
}
