//! A served socket of its own for each test, and clients for it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::array::RecordBatch;
use arrow_flight::{
    FlightData, Ticket, decode::FlightRecordBatchStream, error::FlightError,
    flight_service_client::FlightServiceClient, sql::Any,
};
use dbmux_proto::{
    AnswerHead, ErrorDetail, HelloReply, HelloRequest, SESSION_HEADER, STATEMENT_TYPE_URL, Statement,
    control_client::ControlClient,
};
use futures::{StreamExt, TryStreamExt};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{
    Request, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Endpoint, Uri},
};

use crate::service::TestService;

/// A socket that is served until this is dropped or stopped.
pub(crate) struct Served {
    pub(crate) service: Arc<TestService>,
    pub(crate) socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), dbmux_wire::WireError>>,
    _folder: tempfile::TempDir,
}

impl Served {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let service = TestService::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(dbmux_wire::serve(listener, service.clone(), shutdown));
        Self { service, socket, stop: Some(stop), ended, _folder: folder }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Channel {
        connect(&self.socket).await
    }

    /// A connection and a session, as our own client has them.
    pub(crate) async fn session(&self) -> TestSession {
        let channel = self.connect().await;
        let hello = ControlClient::new(channel.clone()).hello(hello()).await.unwrap().into_inner();
        TestSession { channel, hello }
    }

    /// Begins the shutdown; the returned task ends with `serve`.
    pub(crate) fn stop(mut self) -> JoinHandle<Result<(), dbmux_wire::WireError>> {
        self.stop.take().unwrap().send(()).unwrap();
        self.ended
    }
}

pub(crate) async fn connect(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
    });
    Endpoint::from_static("http://dbmux.localhost").connect_with_connector(connector).await.unwrap()
}

pub(crate) fn hello() -> HelloRequest {
    HelloRequest { protocol: Some(dbmux_proto::protocol()), version: "9.9".to_owned(), ..HelloRequest::default() }
}

/// A session of our own protocol.
pub(crate) struct TestSession {
    pub(crate) channel: Channel,
    pub(crate) hello: HelloReply,
}

impl TestSession {
    pub(crate) fn flight(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    /// Adds the session to a call.
    pub(crate) fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert_bin(SESSION_HEADER, MetadataValue::from_bytes(&self.hello.session));
        request
    }

    pub(crate) async fn open(&self, statement: Statement) -> Result<Streaming<FlightData>, Status> {
        let stream = self.flight().do_get(self.call(ticket(&statement))).await?;
        Ok(stream.into_inner())
    }

    pub(crate) async fn ask(&self, sql: &str) -> Result<Vec<RecordBatch>, Status> {
        let stream = self.open(Statement { sql: sql.to_owned(), ..Statement::default() }).await?;
        read(stream).await
    }
}

pub(crate) fn ticket(statement: &Statement) -> Ticket {
    let any = Any { type_url: STATEMENT_TYPE_URL.to_owned(), value: statement.encode_to_vec().into() };
    Ticket { ticket: any.encode_to_vec().into() }
}

/// Reads a stream to its end.
pub(crate) async fn read(stream: Streaming<FlightData>) -> Result<Vec<RecordBatch>, Status> {
    let stream = FlightRecordBatchStream::new_from_flight_data(stream.map_err(FlightError::from));
    stream.try_collect().await.map_err(|error| match error {
        FlightError::Tonic(status) => *status,
        other => panic!("not a status: {other}"),
    })
}

/// The first message's metadata.
pub(crate) async fn head(stream: &mut Streaming<FlightData>) -> AnswerHead {
    let first = stream.next().await.unwrap().unwrap();
    AnswerHead::decode(first.app_metadata).unwrap()
}

/// What a status carries for our own client.
pub(crate) fn detail(status: &Status) -> ErrorDetail {
    assert!(!status.details().is_empty(), "no details: {status:?}");
    let detail = ErrorDetail::decode(status.details()).unwrap();
    assert_eq!(detail.message, status.message());
    detail
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// What a status carries for a standard client, as gRPC's convention has it.
pub(crate) fn standard_detail(status: &Status) -> ErrorDetail {
    let packed = RpcStatus::decode(status.details()).unwrap();
    assert_eq!((packed.code, packed.message.as_str()), (status.code() as i32, status.message()));
    assert_eq!(packed.details[0].type_url, "type.googleapis.com/dbmux.control.v1.ErrorDetail");
    ErrorDetail::decode(packed.details[0].value.clone()).unwrap()
}
