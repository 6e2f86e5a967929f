//! What makes no sense is refused by name, and the next client is served.

use arrow_flight::{
    Action, FlightData, FlightDescriptor, Ticket,
    sql::{Any, CommandStatementQuery, CommandStatementSubstraitPlan},
};
use dbmux_engine::ErrorCode;
use dbmux_proto::{SESSION_HEADER, STATEMENT_TYPE_URL, Statement, control_client::ControlClient};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tonic::{Code, Request, Status, metadata::MetadataValue};

use crate::support::{Served, TestSession, detail, hello};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that look like noise, the same for the same seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

/// Sends bytes, and waits for the other end to close.
async fn send(served: &Served, bytes: &[u8]) {
    let mut stream = UnixStream::connect(&served.socket).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let closed = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await;
    assert!(closed.is_ok(), "the server keeps a connection that sent {} bytes of garbage", bytes.len());
}

#[tokio::test]
async fn noise_harms_nobody() {
    let served = Served::start();
    let other = served.session().await;
    for seed in 1..40 {
        send(&served, &noise(seed, 500)).await;
        let behind_the_preface = [PREFACE, &noise(seed, 2000)].concat();
        send(&served, &behind_the_preface).await;
        let settings = [PREFACE, b"\0\0\0\x04\0\0\0\0\0", &noise(seed, 2000)].concat();
        send(&served, &settings).await;
        // A frame of 16 MB, and one that never ends.
        send(&served, &[PREFACE, b"\0\0\0\x04\0\0\0\0\0\xff\xff\xff\0\0\0\0\0\x01"].concat()).await;
    }
    send(&served, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    send(&served, b"").await;
    other.ask("SELECT 42").await.unwrap();
    served.session().await.ask("SELECT 42").await.unwrap();
}

/// Redeems a ticket of these bytes, and gives the refusal.
async fn refusal(session: &TestSession, ticket: Vec<u8>) -> Status {
    session.flight().do_get(session.call(Ticket { ticket: ticket.into() })).await.unwrap_err()
}

fn any(url: &str, value: Vec<u8>) -> Vec<u8> {
    Any { type_url: url.to_owned(), value: value.into() }.encode_to_vec()
}

fn expect(status: &Status, code: Code, error: ErrorCode, says: &str) {
    assert_eq!((status.code(), detail(status).code()), (code, error), "{status:?}");
    assert!(status.message().contains(says), "{:?} does not say {says:?}", status.message());
}

#[tokio::test]
async fn bad_tickets_are_named() {
    let served = Served::start();
    let session = served.session().await;
    let bad = |status: &Status, says: &str| expect(status, Code::InvalidArgument, ErrorCode::InvalidArgument, says);
    let whole = any(STATEMENT_TYPE_URL, Statement { sql: "SELECT 42".into(), ..Statement::default() }.encode_to_vec());
    bad(&refusal(&session, whole[..whole.len() - 3].to_vec()).await, "the ticket cannot be decoded");
    bad(&refusal(&session, any(STATEMENT_TYPE_URL, vec![0x0a, 0x05, b'a'])).await, "the statement cannot be decoded");
    bad(
        &refusal(&session, any(STATEMENT_TYPE_URL, vec![0x0a, 0x02, 0xff, 0xfe])).await,
        "the statement cannot be decoded",
    );
    let parameters = |parameters| {
        any(STATEMENT_TYPE_URL, Statement { sql: "echo".into(), parameters, ..Statement::default() }.encode_to_vec())
    };
    bad(&refusal(&session, parameters(b"no stream".to_vec())).await, "no Arrow IPC stream");
    let strange = Statement { sql: "SELECT 42".into(), priority: 99, ..Statement::default() }.encode_to_vec();
    bad(&refusal(&session, any(STATEMENT_TYPE_URL, strange)).await, "no priority 99");
    let query = "type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery";
    bad(&refusal(&session, any(query, vec![0x0a, 0x02, 0xff, 0xfe])).await, query);
    let ticket = "type.googleapis.com/arrow.flight.protocol.sql.TicketStatementQuery";
    bad(&refusal(&session, any(ticket, vec![0x0a, 0x01, 0xff])).await, "handle cannot be decoded");
    let unknown = refusal(&session, any("type.googleapis.com/nobody.Knows", vec![])).await;
    expect(&unknown, Code::Unimplemented, ErrorCode::Unsupported, "nobody.Knows");
    let substrait = Any::pack(&CommandStatementSubstraitPlan::default()).unwrap().encode_to_vec();
    expect(&refusal(&session, substrait).await, Code::Unimplemented, ErrorCode::Unsupported, "Substrait");
    session.ask("SELECT 42").await.unwrap();
}

#[tokio::test]
async fn parameters_that_were_cut_or_changed_are_refused() {
    let served = Served::start();
    let session = served.session().await;
    let row = crate::data::rows(1).remove(0);
    let mut whole = Vec::new();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut whole, &row.schema()).unwrap();
    writer.write(&row).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let ask = |parameters: Vec<u8>| {
        let statement = Statement { sql: "echo".to_owned(), parameters, ..Statement::default() };
        let session = &session;
        async move { session.open(statement).await }
    };
    ask(whole.clone()).await.unwrap();
    for (round, wild) in noise(7, whole.len()).into_iter().enumerate() {
        let cut = whole[..round].to_vec();
        let mut changed = whole.clone();
        changed[round] = wild;
        for bytes in [cut, changed] {
            if let Err(refused) = ask(bytes).await {
                let fitting = matches!(refused.code(), Code::InvalidArgument);
                assert!(fitting, "byte {round}: {refused:?}");
            }
        }
    }
    ask(whole).await.unwrap();
}

#[tokio::test]
async fn bad_calls_are_named() {
    let served = Served::start();
    let session = served.session().await;
    let mut flight = session.flight();
    let path = flight.get_flight_info(session.call(FlightDescriptor::new_path(vec!["t".into()]))).await.unwrap_err();
    expect(&path, Code::InvalidArgument, ErrorCode::InvalidArgument, "not a path");
    let action = Action { r#type: "Explode".into(), body: vec![].into() };
    let unknown = flight.do_action(session.call(action)).await.unwrap_err();
    expect(&unknown, Code::Unimplemented, ErrorCode::Unsupported, "Explode");
    let body = Any::pack(&CommandStatementQuery::default()).unwrap().encode_to_vec();
    let action = Action { r#type: "BeginTransaction".into(), body: vec![].into() };
    flight.do_action(session.call(action)).await.unwrap();
    let action = Action { r#type: "EndTransaction".into(), body: body.into() };
    let wrong = flight.do_action(session.call(action)).await.unwrap_err();
    expect(&wrong, Code::InvalidArgument, ErrorCode::InvalidArgument, "CommandStatementQuery");
    let empty = flight.do_put(session.call(futures::stream::iter([FlightData::default()]))).await.unwrap_err();
    expect(&empty, Code::InvalidArgument, ErrorCode::InvalidArgument, "descriptor");
    let nothing = flight.do_put(session.call(futures::stream::iter([]))).await.unwrap_err();
    expect(&nothing, Code::InvalidArgument, ErrorCode::InvalidArgument, "without a message");
}

#[tokio::test]
async fn bad_sessions_are_named() {
    let served = Served::start();
    let session = served.session().await;
    let mut control = ControlClient::new(session.channel.clone());
    let named = |name: &[u8]| {
        let mut request = Request::new(dbmux_proto::CancelRequest::default());
        request.metadata_mut().insert_bin(SESSION_HEADER, MetadataValue::from_bytes(name));
        request
    };
    let short = control.cancel(named(b"short")).await.unwrap_err();
    expect(&short, Code::InvalidArgument, ErrorCode::InvalidArgument, "16 bytes");
    let unknown = control.cancel(named(&[9; 16])).await.unwrap_err();
    expect(&unknown, Code::NotFound, ErrorCode::SessionLost, "session");
    control.hello(hello()).await.unwrap();
}
