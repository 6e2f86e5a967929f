//! Why a wire protocol could not be served at all. What goes wrong with one peer is told to that peer, and logged.

/// What ends [`serve`](crate::serve).
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The socket takes no more connections.
    #[error("failed to accept a connection: {0}")]
    Accept(#[source] std::io::Error),
}
