//! dbmux's own service: greeting, cancelling, watching, and what a broker tells of itself.

use std::{pin::Pin, sync::Arc, time::Duration};

use dbmux_engine::{ErrorCode, Service, ServiceError, Session};
use dbmux_proto::{
    CancelReply, CancelRequest, CloseSessionReply, CloseSessionRequest, HelloReply, HelloRequest, LeaseAsk, LeaseEvent,
    PROTOCOL_MAJOR, PROTOCOL_MINOR, ProtocolVersion, StatementEvent, StatsReply, StatsRequest, StatusReply,
    StatusRequest, StopReply, StopRequest, WatchRequest,
};
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    connection::{Connection, session_id},
    status::status,
};

/// Answers `dbmux.control.v1.Control`.
pub(crate) struct Control {
    service: Arc<dyn Service>,
}

impl Control {
    pub(crate) fn new(service: Arc<dyn Service>) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl dbmux_proto::control_server::Control for Control {
    type LeaseStream = Pin<Box<dyn Stream<Item = Result<LeaseEvent, Status>> + Send>>;
    type WatchStream = Pin<Box<dyn Stream<Item = Result<StatementEvent, Status>> + Send>>;

    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let connection = Connection::of(&request)?;
        let hello = request.into_inner();
        let protocol = agree(hello.protocol, &hello.version)?;
        let (mut reply, _) = connection.open(hello).await?;
        reply.protocol = Some(protocol);
        Ok(Response::new(reply))
    }

    async fn close_session(
        &self,
        request: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionReply>, Status> {
        let connection = Connection::of(&request)?;
        let session = session_id(&request.into_inner().session)?;
        connection.close_session(session).await;
        Ok(Response::new(CloseSessionReply {}))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<CancelReply>, Status> {
        let session = session(&request, &request.get_ref().session).await?;
        let found = session.cancel(request.into_inner().statement_id);
        Ok(Response::new(CancelReply { found }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let session = session(&request, &request.get_ref().session).await?;
        let events = session.watch(request.into_inner().statement_id);
        Ok(Response::new(events.map(Ok).boxed()))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(self.service.status().await))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsReply>, Status> {
        Ok(Response::new(self.service.stats().await))
    }

    async fn lease(&self, request: Request<Streaming<LeaseAsk>>) -> Result<Response<Self::LeaseStream>, Status> {
        let peer = Connection::of(&request)?.peer();
        // A message that cannot be read ends what is asked, as a connection that is over does.
        let asks = request.into_inner().scan((), |(), ask| std::future::ready(ask.ok()));
        let events = self.service.lease(asks.boxed(), peer);
        Ok(Response::new(events.map(|event| event.map_err(status)).boxed()))
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        self.service.stop(Duration::from_millis(request.into_inner().drain_ms)).await;
        Ok(Response::new(StopReply { pid: std::process::id() }))
    }
}

/// The session that a request names in its body, else the one of its call.
async fn session<T>(request: &Request<T>, name: &[u8]) -> Result<Arc<dyn Session>, Status> {
    if name.is_empty() {
        return Ok(Connection::caller(request).await?.session);
    }
    Connection::of(request)?.named(name)
}

/// The protocol that both sides speak.
fn agree(theirs: Option<ProtocolVersion>, version: &str) -> Result<ProtocolVersion, Status> {
    let theirs = theirs.unwrap_or_default();
    if theirs.major == PROTOCOL_MAJOR {
        return Ok(ProtocolVersion { major: PROTOCOL_MAJOR, minor: theirs.minor.min(PROTOCOL_MINOR) });
    }
    let client = if version.is_empty() { String::new() } else { format!(" (dbmux {version})") };
    let error = ServiceError::new(
        ErrorCode::Protocol,
        format!(
            "the client{client} speaks protocol {}.{}, and this broker (dbmux {}) speaks {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}",
            theirs.major,
            theirs.minor,
            env!("CARGO_PKG_VERSION"),
        ),
    );
    let suggestion = match theirs.major > PROTOCOL_MAJOR {
        true => "end this broker (dbmux stop); the newer dbmux starts its own",
        false => "use the newer dbmux for the client too",
    };
    Err(status(error.suggest(suggestion)))
}
