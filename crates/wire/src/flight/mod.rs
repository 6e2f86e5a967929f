//! Arrow Flight SQL, as the specification has it, with one shortcut: `DoGet` takes a statement itself as its ticket, so
//! that a question and its answer are one round trip. Where Flight SQL has a packed message, a statement's text is taken
//! too: with it, plain Arrow Flight is enough.
//!
//! The generated service is implemented as it is: every message from outside is decoded here, and what cannot be decoded
//! is refused by name.

mod action;
mod ask;
mod catalog;
mod encode;
mod info;
mod ingest;
mod options;
mod prepared;
mod put;
mod transaction;
mod upload;

use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket, flight_service_server::FlightService,
};
use futures::{StreamExt, stream::BoxStream};
use tonic::{Request, Response, Status, Streaming};

use crate::{connection::Connection, status::unsupported};

/// Answers `arrow.flight.protocol.FlightService`.
pub(crate) struct Flight;

type Messages<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;
    type DoExchangeStream = Messages<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        // The socket has told who it is: whatever is said here is fine, and is said back.
        let replies = request.into_inner().map(|request| {
            request.map(|said| HandshakeResponse { protocol_version: said.protocol_version, payload: said.payload })
        });
        Ok(Response::new(replies.boxed()))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(unsupported("ListFlights: ask for tables with GetTables"))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = Connection::caller(&request).await?;
        Ok(Response::new(info::info(&caller, request.into_inner()).await?))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(unsupported("PollFlightInfo: answers are not kept"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = Connection::caller(&request).await?;
        Ok(Response::new(info::schema(&caller, request.into_inner()).await?))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = Connection::caller(&request).await?;
        let answer = ask::ticket(&caller, request.into_inner().ticket).await?;
        Ok(Response::new(answer))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = Connection::caller(&request).await?;
        let result = put::put(&caller, request.into_inner()).await?;
        Ok(Response::new(futures::stream::iter([Ok(result)]).boxed()))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(unsupported("DoExchange"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let results = action::act(request).await?.into_iter().map(|body| Ok(arrow_flight::Result { body }));
        Ok(Response::new(futures::stream::iter(results).boxed()))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(futures::stream::iter(action::list().map(Ok)).boxed()))
    }
}
