//! The store against real brokers. The binary is the one that the workspace's build has put beside these tests, or
//! `DBMUX_TEST_DBMUX`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod changing;
mod embedding;
mod endpoint;
mod exchanging;
mod model;
mod searching;
mod storing;
mod support;
