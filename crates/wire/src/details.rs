//! An error's details for standard clients.
//!
//! gRPC has a place for them, `grpc-status-details-bin`, and a convention for what stands there: a `google.rpc.Status`
//! with the same code. Go's gRPC, and so ADBC, insists on it. Our own client, which names its session, reads our
//! `ErrorDetail` there as it is; for everybody else it is packed as the convention has it.

use dbmux_proto::{ErrorDetail, SESSION_HEADER};
use hyper::HeaderMap;
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};

const DETAILS: &str = "grpc-status-details-bin";
const STATUS: &str = "grpc-status";
/// The type under which our details are packed.
const TYPE_URL: &str = "type.googleapis.com/dbmux.control.v1.ErrorDetail";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<arrow_flight::sql::Any>,
}

/// Whether a call comes from a client that knows nothing of us.
pub(crate) fn is_standard(headers: &HeaderMap) -> bool {
    !headers.contains_key(SESSION_HEADER)
}

/// Packs the details in an answer's headers or trailers, if there are some.
pub(crate) fn pack(headers: &mut HeaderMap) {
    if !headers.contains_key(DETAILS) {
        return;
    }
    let code = headers.get(STATUS).and_then(|code| code.to_str().ok()).and_then(|code| code.parse().ok());
    let mut metadata = MetadataMap::from_headers(std::mem::take(headers));
    let details = metadata.get_bin(DETAILS).and_then(|details| details.to_bytes().ok()).unwrap_or_default();
    let message = ErrorDetail::decode(details.clone()).map(|detail| detail.message).unwrap_or_default();
    let any = arrow_flight::sql::Any { type_url: TYPE_URL.to_owned(), value: details };
    let status = RpcStatus { code: code.unwrap_or_default(), message, details: vec![any] };
    metadata.insert_bin(DETAILS, MetadataValue::from_bytes(&status.encode_to_vec()));
    *headers = metadata.into_headers();
}
