//! Errors on their way out: a gRPC status whose code standard clients understand, and whose details are ours.

use dbmux_engine::{ErrorCode, ServiceError};
use prost::Message;
use tonic::{Code, Status};

/// The largest message that is put into a status, in bytes: it travels in a header, and clients limit those.
const LONGEST_MESSAGE: usize = 4096;

/// Makes the status that carries an error.
pub(crate) fn status(mut error: ServiceError) -> Status {
    shorten(&mut error.0.message);
    shorten(&mut error.0.suggestion);
    let details = error.0.encode_to_vec();
    Status::with_details(grpc_code(error.code()), error.0.message, details.into())
}

/// An error of the caller's: what it sent makes no sense.
pub(crate) fn invalid(message: impl Into<String>) -> Status {
    status(ServiceError::new(ErrorCode::InvalidArgument, message))
}

/// What was asked is not done here.
pub(crate) fn unsupported(message: impl Into<String>) -> Status {
    status(ServiceError::new(ErrorCode::Unsupported, message))
}

/// A defect of ours, or of the engine's answer.
pub(crate) fn internal(message: impl Into<String>) -> Status {
    status(ServiceError::new(ErrorCode::Internal, message))
}

/// The gRPC code that fits best.
fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::Sql | ErrorCode::InvalidArgument | ErrorCode::NotADatabase => Code::InvalidArgument,
        ErrorCode::TransactionConflict => Code::Aborted,
        ErrorCode::QueueFull | ErrorCode::DiskFull | ErrorCode::OutOfMemory => Code::ResourceExhausted,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorCode::DatabaseLocked | ErrorCode::Reconnect | ErrorCode::BrokerUnavailable => Code::Unavailable,
        ErrorCode::Cancelled => Code::Cancelled,
        ErrorCode::ReadOnly | ErrorCode::Refused | ErrorCode::PermissionDenied => Code::PermissionDenied,
        ErrorCode::Unsupported | ErrorCode::NetworkFileSystem => Code::Unimplemented,
        ErrorCode::SessionLost | ErrorCode::NoSuchDatabase => Code::NotFound,
        ErrorCode::SessionBusy | ErrorCode::IdleTimeout | ErrorCode::Protocol | ErrorCode::ExtensionMissing => {
            Code::FailedPrecondition
        }
        ErrorCode::OutcomeUnknown => Code::Unknown,
        ErrorCode::FileLost | ErrorCode::DatabaseDamaged => Code::DataLoss,
        ErrorCode::Internal | ErrorCode::Unspecified => Code::Internal,
    }
}

fn shorten(text: &mut String) {
    if text.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
}
