//! The client library against real brokers: pooling, retries, deadlines, laziness.

mod blocking;
mod lazy;
mod lease;
mod retry;
mod sessions;
mod stopped;
