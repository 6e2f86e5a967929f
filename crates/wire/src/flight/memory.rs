//! What Flight SQL remembers of a session between calls.

/// What is remembered of one session.
#[derive(Default)]
pub(crate) struct Memory {}
