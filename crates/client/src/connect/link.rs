//! One connection to a broker. It is never re-made behind the caller's back: when it is over, it says so, and that tells
//! what was never sent from what may have been.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arrow_flight::{FlightData, Ticket, flight_service_client::FlightServiceClient};
use bytes::Bytes;
use dbmux_proto::{
    ErrorDetail, HelloReply, HelloRequest, SESSION_HEADER, StatsReply, StatusReply, StopReply, StopRequest,
    control_client::ControlClient,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prost::Message;
use tokio::{net::UnixStream, runtime::Handle, time::sleep};
use tonic::{
    Request, Response, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use super::{
    Deadline,
    silence::{self, OWN_ANSWER, Silence},
};

/// HTTP/2 windows, in bytes: large enough that a big result is never held up by acknowledgements.
const WINDOW: u32 = 16 << 20;
/// The largest HTTP/2 frame that is taken, in bytes: a message of a big result is a few of them, not hundreds.
const FRAME: u32 = 1 << 20;
/// The largest message that is taken, in bytes.
const LARGEST_MESSAGE: usize = 256 << 20;
/// The longest pause before a socket whose queue is full is tried again: nothing wakes us for that.
const CROWDED: Duration = Duration::from_millis(50);

/// A connection to a broker.
#[derive(Clone)]
pub(crate) struct Link {
    channel: Channel,
    /// Which one it is, in this process.
    number: u64,
    /// The broker's process, where it has a number here.
    pid: Option<u32>,
    /// Its socket, while the channel lives: whether the other end is gone can be asked before anything is sent.
    socket: Weak<OwnedFd>,
    /// Where the connection lives, so that things can be sent over it from any thread.
    runtime: Handle,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoLink {
    /// Nobody listens.
    Nobody,
    /// Somebody listens, and takes nobody in.
    Silent(Silence),
    /// The system refuses.
    Refused(std::io::Error),
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
    /// The broker took it, and does not answer.
    Silent(Silence),
    /// The answer makes no sense.
    Undecodable(String),
}

/// Said by the connector when a connection that was already used is asked for again.
#[derive(Debug, thiserror::Error)]
#[error("the connection is over")]
struct Over;

impl Link {
    /// Connects to the broker that listens there.
    pub(crate) async fn connect(socket: &Path, deadline: Deadline) -> Result<Self, NoLink> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let stream = reach(socket, deadline).await?;
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()).and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.filter(|pid| *pid != 0);
        let socket = Arc::new(stream.as_fd().try_clone_to_owned().map_err(NoLink::Refused)?);
        let seen = Arc::downgrade(&socket);
        let stream = Arc::new(Mutex::new(Some(stream)));
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            // Kept for as long as the channel keeps its connector.
            let _ = &socket;
            let stream = stream.lock().take();
            async move { stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other(Over)) }
        });
        // The name is never resolved: the connector has the socket.
        let endpoint = Endpoint::from_static("http://dbmux.localhost")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME);
        let connecting = endpoint.connect_with_connector(connector);
        let channel = silence::answer(pid, deadline, OWN_ANSWER, connecting).await.map_err(NoLink::Silent)?;
        // It ended between the two steps: as if it had not been there.
        let channel = channel.map_err(|_| NoLink::Nobody)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { channel, number, pid, socket: seen, runtime: Handle::current() })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.number == other.number
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The broker has gone, whether or not the connection's own task has seen it yet.
    fn is_over(&self) -> bool {
        self.socket.upgrade().is_none_or(|socket| dbmux_os::socket::has_hung_up(socket.as_fd()))
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    /// Waits for the answer to a question that the broker answers at once.
    pub(crate) async fn ask<T>(
        &self,
        deadline: Deadline,
        question: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Trouble> {
        let answer = silence::answer(self.pid, deadline, OWN_ANSWER, question).await.map_err(Trouble::Silent)?;
        Ok(answer.map_err(trouble)?.into_inner())
    }

    pub(crate) async fn hello(&self, hello: HelloRequest, deadline: Deadline) -> Result<HelloReply, Trouble> {
        let mut control = self.control();
        self.ask(deadline, control.hello(hello)).await
    }

    pub(crate) async fn status(&self, deadline: Deadline) -> Result<StatusReply, Trouble> {
        let mut control = self.control();
        self.ask(deadline, control.status(dbmux_proto::StatusRequest {})).await
    }

    pub(crate) async fn stats(&self, deadline: Deadline) -> Result<StatsReply, Trouble> {
        let mut control = self.control();
        self.ask(deadline, control.stats(dbmux_proto::StatsRequest {})).await
    }

    pub(crate) async fn stop(&self, stop: StopRequest, deadline: Deadline) -> Result<StopReply, Trouble> {
        let mut control = self.control();
        self.ask(deadline, control.stop(stop)).await
    }

    /// Sends a statement; its answer is a stream of Flight messages.
    pub(crate) async fn run(
        &self,
        session: &[u8],
        statement: &dbmux_proto::Statement,
    ) -> Result<Streaming<FlightData>, Trouble> {
        if self.is_over() {
            return Err(Trouble::NotSent);
        }
        let any = Any { type_url: dbmux_proto::STATEMENT_TYPE_URL.to_owned(), value: statement.encode_to_vec() };
        let mut request = Request::new(Ticket { ticket: Bytes::from(any.encode_to_vec()) });
        request.metadata_mut().insert_bin(SESSION_HEADER, MetadataValue::from_bytes(session));
        let client = FlightServiceClient::new(self.channel.clone());
        let answer = client.max_decoding_message_size(LARGEST_MESSAGE).do_get(request).await;
        Ok(answer.map_err(trouble)?.into_inner())
    }
}

/// Connects to a socket. One whose queue is full is that of a broker that is stopped, or has a great crowd at its door.
async fn reach(socket: &Path, deadline: Deadline) -> Result<UnixStream, NoLink> {
    use std::io::ErrorKind;
    let mut pause = Duration::from_millis(1);
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => match error.kind() {
                // Reset: whoever listened ended while we stood in the queue.
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
                    return Err(NoLink::Nobody);
                }
                ErrorKind::WouldBlock if !deadline.passed() => {}
                ErrorKind::WouldBlock => return Err(NoLink::Silent(Silence::of(None, deadline))),
                _ => return Err(NoLink::Refused(error)),
            },
        }
        sleep(pause).await;
        pause = CROWDED.min(pause * 2);
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
    if was_over(&status) {
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
fn was_over(status: &Status) -> bool {
    // What tonic's generated clients say, without a source, when the channel itself is gone: its runtime has ended.
    if status.message().starts_with("Service was not ready") {
        return true;
    }
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
