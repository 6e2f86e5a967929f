//! One connection to a broker. It is never re-made behind the caller's back: when it is over, it says so, and that tells
//! what was never sent from what may have been.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use arrow_flight::{Ticket, flight_service_client::FlightServiceClient};
use bytes::Bytes;
use dbmux_proto::{
    ErrorDetail, HelloReply, HelloRequest, SESSION_HEADER, StatsReply, StatusReply, StopReply, StopRequest,
    control_client::ControlClient,
};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

/// HTTP/2 windows, in bytes: large enough that a big result is never held up by acknowledgements.
const WINDOW: u32 = 16 << 20;
/// The largest HTTP/2 frame that is taken, in bytes: a message of a big result is a few of them, not hundreds.
const FRAME: u32 = 1 << 20;
/// The largest message that is taken, in bytes.
const LARGEST_MESSAGE: usize = 256 << 20;

/// A connection to a broker.
#[derive(Clone)]
pub(crate) struct Link {
    channel: Channel,
}

/// Why a call gave no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The broker's own word.
    Broker(Box<ErrorDetail>),
    /// It was never sent.
    NotSent,
    /// The connection ended while it was on its way.
    Lost,
    /// The answer makes no sense.
    Undecodable(String),
}

/// Said by the connector when a connection that was already used is asked for again.
#[derive(Debug, thiserror::Error)]
#[error("the connection is over")]
struct Over;

impl Link {
    pub(crate) async fn connect(socket: &Path) -> Result<Self, tonic::transport::Error> {
        let socket: PathBuf = socket.to_owned();
        let used = std::sync::Arc::new(AtomicBool::new(false));
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            let (socket, used) = (socket.clone(), std::sync::Arc::clone(&used));
            async move {
                if used.swap(true, Ordering::AcqRel) {
                    return Err(std::io::Error::other(Over));
                }
                Ok(TokioIo::new(UnixStream::connect(socket).await?))
            }
        });
        // The name is never resolved: the connector knows the socket.
        let channel = Endpoint::from_static("http://dbmux.localhost")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .connect_with_connector(connector)
            .await?;
        Ok(Self { channel })
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    pub(crate) fn flight(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(crate) async fn hello(&mut self, hello: HelloRequest) -> Result<HelloReply, Trouble> {
        Ok(self.control().hello(hello).await.map_err(trouble)?.into_inner())
    }

    pub(crate) async fn status(&mut self) -> Result<StatusReply, Trouble> {
        let reply = self.control().status(dbmux_proto::StatusRequest {}).await;
        Ok(reply.map_err(trouble)?.into_inner())
    }

    pub(crate) async fn stats(&mut self) -> Result<StatsReply, Trouble> {
        Ok(self.control().stats(dbmux_proto::StatsRequest {}).await.map_err(trouble)?.into_inner())
    }

    pub(crate) async fn stop(&mut self, stop: StopRequest) -> Result<StopReply, Trouble> {
        Ok(self.control().stop(stop).await.map_err(trouble)?.into_inner())
    }

    /// Sends a statement; its answer is a stream of Flight messages.
    pub(crate) async fn run(
        &self,
        session: &[u8],
        statement: &dbmux_proto::Statement,
    ) -> Result<tonic::Streaming<arrow_flight::FlightData>, Trouble> {
        let any = Any { type_url: dbmux_proto::STATEMENT_TYPE_URL.to_owned(), value: statement.encode_to_vec() };
        let mut request = Request::new(Ticket { ticket: Bytes::from(any.encode_to_vec()) });
        request.metadata_mut().insert_bin(SESSION_HEADER, MetadataValue::from_bytes(session));
        Ok(self.flight().do_get(request).await.map_err(trouble)?.into_inner())
    }
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// What a status means: the broker's own word, or the connection's.
pub(crate) fn trouble(status: Status) -> Trouble {
    if !status.details().is_empty() {
        return match ErrorDetail::decode(status.details()) {
            Ok(detail) => Trouble::Broker(Box::new(detail)),
            Err(error) => Trouble::Undecodable(error.to_string()),
        };
    }
    if is_over(&status) {
        return Trouble::NotSent;
    }
    match std::error::Error::source(&status) {
        Some(_) => Trouble::Lost,
        None => match status.code() {
            tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::Unknown => Trouble::Lost,
            _ => Trouble::Undecodable(status.to_string()),
        },
    }
}

/// Whether the connection was over before the call was sent.
fn is_over(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.downcast_ref::<Over>().is_some() {
            return true;
        }
        // An `io::Error` shows the cause of its payload as its own, not the payload itself.
        let io = error.downcast_ref::<std::io::Error>();
        if io.and_then(std::io::Error::get_ref).is_some_and(|inner| inner.is::<Over>()) {
            return true;
        }
        cause = error.source();
    }
    false
}
