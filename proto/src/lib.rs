//! dbmux's own messages: what a client and a broker say to each other beside Flight SQL.
//!
//! The code in `generated.rs` is made from `control.proto` by the test `generated_code_is_current` (run it with
//! `UPDATE=1` after a change), so that no build of dbmux needs `protoc`.

#[expect(missing_docs, clippy::allow_attributes, clippy::large_enum_variant, reason = "made by a generator; the .proto file is the documentation")]
#[rustfmt::skip]
mod generated;

pub use generated::*;

/// The protocol's major version: a peer with another one is refused.
pub const PROTOCOL_MAJOR: u32 = 1;
/// The protocol's minor version: the lower of both sides' is spoken.
pub const PROTOCOL_MINOR: u32 = 1;

/// The gRPC metadata key that names the session (binary: its value is the `session` of [`HelloReply`]).
pub const SESSION_HEADER: &str = "x-dbmux-session-bin";

/// The type URL under which a [`Statement`] is packed into a Flight ticket.
pub const STATEMENT_TYPE_URL: &str = "type.googleapis.com/dbmux.control.v1.Statement";

/// The protocol that this build speaks.
pub fn protocol() -> ProtocolVersion {
    ProtocolVersion { major: PROTOCOL_MAJOR, minor: PROTOCOL_MINOR }
}
