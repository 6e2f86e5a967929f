//! dbmux's engine on DuckDB 2.0, statically linked.
//!
//! One instance of DuckDB with no database of its own; the file is attached to it, and detached from it, under the name
//! that DuckDB would give it, while sessions live on. Results cross as Arrow, as they are made.
//!
//! How DuckDB's types cross to Arrow; what is not named here is Arrow's own type of that name:
//!
//! | DuckDB | Arrow |
//! |---|---|
//! | `HUGEINT` | decimal128(38, 0), with all its bits: a value of 39 digits is one more than the type says |
//! | `UHUGEINT`, `UUID`, `BIT`, `TIMETZ`, `BIGNUM` | their text, as utf8 marked `arrow.opaque` (`{"type_name": "uuid", "vendor_name": "DuckDB"}`) |
//! | `INTERVAL` | month-day-nano interval |
//! | `ENUM` | dictionary of utf8 |
//! | `TIMESTAMP WITH TIME ZONE` | timestamp in the session's time zone (`UTC`) |
//! | `TIME` | time64: `24:00:00` is a day's microseconds |
//! | `DATE`, `TIMESTAMP` `infinity` | their largest and smallest values |
//! | `JSON` | utf8 marked `arrow.json` |
//! | `VARIANT` | struct marked `arrow.parquet.variant` |
//! | `GEOMETRY` | binary marked `geoarrow.wkb` |
//! | `UNION` | union; a `NULL` one is its first member's `NULL` |
//! | `STRUCT`, `TUPLE`, `MAP`, `LIST`, `ARRAY` | struct, struct, map, list, fixed-size list |
//!
//! Marked values are taken back as parameters of their type.
//!
//! What always holds: the file is opened by [`dbmux_engine::Engine::attach`] and by nothing else in this crate,
//! [`check_kind`] aside, which looks at its first bytes before anything begins, and [`plain`], which is for programs that
//! have no broker.

mod attached;
mod catalog;
mod classify;
mod engine;
mod errors;
mod facts;
mod ffi;
mod ingest;
mod insert;
mod interrupt;
mod merged;
mod name;
mod options;
mod parameters;
mod parsed;
pub mod plain;
mod policy;
mod read_only;
mod ready;
mod rows;
mod session;
mod shared;
mod snapshot;
mod state;

pub use catalog::CATALOG;
pub use engine::{DuckDbEngine, check_kind};
pub use options::DuckDbOptions;
