//! The socket: who may connect, what serves them, and how it ends.
//!
//! Every connection is a task of its own, so that what one peer sends or does not send is no other one's concern.

use std::{convert::Infallible, future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use arrow_flight::flight_service_server::FlightServiceServer;
use dbmux_engine::{Peer, Service};
use dbmux_proto::control_server::ControlServer;
use futures::FutureExt;
use hyper::{Request, Response, body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, codegen::Service as _, server::NamedService};

use crate::{
    WireError,
    calls::{Call, Calls, Counted},
    connection::Connection,
    control::Control,
    details,
    flight::Flight,
    socket::Prefaced,
    status::{internal, unsupported},
};

/// HTTP/2 windows, in bytes: an ingest is never held up by acknowledgements.
const WINDOW: u32 = 16 << 20;
/// The largest HTTP/2 frame that is taken, in bytes.
const FRAME: u32 = 1 << 20;
/// What a result may have on its way to the socket, in bytes.
const SEND_BUFFER: usize = 4 << 20;
/// The largest message that is taken, in bytes: an ingested batch.
const LARGEST_MESSAGE: usize = 256 << 20;
/// Calls at once over one connection.
const STREAMS: u32 = 4096;
/// Headers of a call, in bytes.
const HEADERS: u32 = 64 << 10;
/// Where standard clients call.
const FLIGHT_PATH: &str = "/arrow.flight.protocol.FlightService/";
/// The pause after an accept failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves Flight SQL and Control until `shutdown`, then ends running calls in peace and returns.
///
/// Calls that never end keep it waiting: drop the future to end them.
///
/// # Errors
/// [`WireError::Accept`] when the socket itself is no longer usable.
pub async fn serve(
    listener: UnixListener,
    service: Arc<dyn Service>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), WireError> {
    let server = Server::new(service);
    let leaving = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let outcome = loop {
        tokio::select! {
            () = &mut shutdown => break Ok(()),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if let Some(peer) = admitted(&stream) {
                        connections.spawn(server.clone().connection(stream, peer, leaving.clone()));
                    }
                }
                Err(error) if is_fatal(&error) => break Err(WireError::Accept(error)),
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    };
    drop(listener);
    leaving.cancel();
    while connections.join_next().await.is_some() {}
    outcome
}

fn is_fatal(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP))
}

/// Lets our own user in, and root.
fn admitted(stream: &UnixStream) -> Option<Peer> {
    let credentials = match stream.peer_cred() {
        Ok(credentials) => credentials,
        Err(error) => {
            tracing::warn!(%error, "a connection without credentials was refused");
            return None;
        }
    };
    let uid = credentials.uid();
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default();
    if !may_connect(uid, rustix::process::geteuid().as_raw()) {
        tracing::warn!(uid, pid, "a connection of another user was refused");
        return None;
    }
    Some(Peer { pid, uid: Some(uid) })
}

fn may_connect(theirs: u32, ours: u32) -> bool {
    theirs == ours || theirs == 0
}

/// What all connections share.
#[derive(Clone)]
struct Server {
    service: Arc<dyn Service>,
    flight: FlightServiceServer<Flight>,
    control: ControlServer<Control>,
}

impl Server {
    fn new(service: Arc<dyn Service>) -> Self {
        let flight = FlightServiceServer::new(Flight)
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(usize::MAX);
        let control = ControlServer::new(Control::new(Arc::clone(&service)));
        Self { service, flight, control }
    }

    /// Serves one connection to its end.
    async fn connection(self, stream: UnixStream, peer: Peer, leaving: CancellationToken) {
        let pid = peer.pid;
        let io = tokio::select! {
            io = Prefaced::expect(stream) => io,
            () = leaving.cancelled() => return,
        };
        let io = match io {
            Ok(io) => TokioIo::new(io),
            Err(reason) => return tracing::debug!(pid, %reason, "a connection was closed"),
        };
        let connection = Connection::new(Arc::clone(&self.service), peer);
        let calls = Calls::default();
        let answer = {
            let (connection, calls) = (Arc::clone(&connection), calls.clone());
            hyper::service::service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Arc::clone(&connection));
                self.clone().call(request, calls.enter())
            })
        };
        let mut http = pin!(http2().serve_connection(io, answer));
        let ended = tokio::select! {
            ended = &mut http => ended,
            () = leaving.cancelled() => {
                http.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = &mut http => ended,
                    () = calls.quiet() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(pid, %error, "a connection ended with an error");
        }
        connection.close().await;
    }

    async fn call(self, request: Request<Incoming>, call: Call) -> Result<Response<Counted>, Infallible> {
        let standard = request.uri().path().starts_with(FLIGHT_PATH) && details::is_standard(request.headers());
        // A panic is a defect, of ours or of what decodes a peer's bytes; it ends this call and nothing else.
        let response = AssertUnwindSafe(self.route(request)).catch_unwind().await;
        let response = response.unwrap_or_else(|_| internal("the call failed unexpectedly; see the log").into_http());
        let mut response = response.map(|body| Counted::new(body, standard, call));
        if standard {
            details::pack(response.headers_mut());
        }
        Ok(response)
    }

    async fn route(mut self, request: Request<Incoming>) -> Response<Body> {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let answered = if service == FlightServiceServer::<Flight>::NAME {
            self.flight.call(request).await
        } else if service == ControlServer::<Control>::NAME {
            self.control.call(request).await
        } else {
            Ok(unsupported(format!("this socket has no service {service:?}")).into_http())
        };
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(SEND_BUFFER)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .auto_date_header(false);
    builder
}

#[cfg(test)]
mod tests {
    use super::may_connect;

    #[test]
    fn only_ourselves_and_root() {
        assert!(may_connect(1000, 1000));
        assert!(may_connect(0, 1000));
        assert!(!may_connect(1001, 1000));
        assert!(!may_connect(1001, 0));
    }
}
