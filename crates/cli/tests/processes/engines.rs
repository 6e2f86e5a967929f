//! One suite for all engines: a test is a function of a [`dbmux_testkit::Kind`], named in one of these lists, and is run
//! once for each engine. What fails is called `holds::crash::the_test::sqlite`, for example.
//!
//! What is not run for each engine, and why:
//!
//! - LanceDB has no transactions, no temporary tables, no keys, no SQL that writes, and nobody can be kept out of its files:
//!   what is about these is run [`on_each_engine_with_sql`]. Its foreign tools are never waited for.
//! - Garbage and other protocols on the socket (`garbage`), standard clients (`adbc`) and what reports say of waiters
//!   (`reports`) end before any engine is asked.
//! - The hazards of an attached file (`hazards`) are statements of DuckDB; those of SQLite are statements that `dbmux-sqlite`
//!   refuses, and stand in its own tests.
//! - Two brokers that attach each other's file (`attach`): only DuckDB's sessions may attach files.
//! - A file of an older version, another state's log, a damaged block (`place`): each engine's format has its own.

/// Each engine.
macro_rules! on_each_engine {
    ($($tests:tt)+) => { tests_on!([duckdb sqlite lance] $($tests)+); };
}

/// The engines that have SQL that writes, transactions, keys and temporary tables.
macro_rules! on_each_engine_with_sql {
    ($($tests:tt)+) => { tests_on!([duckdb sqlite] $($tests)+); };
}

/// The engines whose files several processes may write to at once, each for itself.
macro_rules! on_engines_with_many_writers {
    ($($tests:tt)+) => { tests_on!([sqlite lance] $($tests)+); };
}

/// DuckDB alone: the list says why.
macro_rules! on_duckdb {
    ($($tests:tt)+) => { tests_on!([duckdb] $($tests)+); };
}

/// A module for each test, with a test for each engine: of functions as they are, of `async:` ones, and of such as last for
/// minutes (`soak:`).
macro_rules! tests_on {
    ($engines:tt async: $($test:ident),+ $(,)?) => { $(mod $test { test_on!($engines async $test); })+ };
    ($engines:tt soak: $($test:ident),+ $(,)?) => { $(mod $test { test_on!($engines soak $test); })+ };
    ($engines:tt $($test:ident),+ $(,)?) => { $(mod $test { test_on!($engines plain $test); })+ };
}

macro_rules! test_on {
    ([$($engine:ident)+] $how:ident $test:ident) => { $(test_on!($engine $how $test);)+ };
    (duckdb $how:ident $test:ident) => { test_on!("duckdb" duckdb DuckDb $how $test); };
    (sqlite $how:ident $test:ident) => { test_on!("sqlite" sqlite Sqlite $how $test); };
    (lance $how:ident $test:ident) => { test_on!("lance" lance Lance $how $test); };
    ($feature:literal $engine:ident $kind:ident plain $test:ident) => {
        #[cfg(feature = $feature)]
        #[test]
        fn $engine() {
            super::$test(dbmux_testkit::Kind::$kind);
        }
    };
    ($feature:literal $engine:ident $kind:ident async $test:ident) => {
        #[cfg(feature = $feature)]
        #[tokio::test(flavor = "multi_thread")]
        async fn $engine() -> Result<(), dbmux_client::ClientError> {
            super::$test(dbmux_testkit::Kind::$kind).await
        }
    };
    ($feature:literal $engine:ident $kind:ident soak $test:ident) => {
        #[cfg(feature = $feature)]
        #[test]
        #[ignore = "for minutes: just soak"]
        fn $engine() {
            super::$test(dbmux_testkit::Kind::$kind);
        }
    };
}
