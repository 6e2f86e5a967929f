//! One suite for all engines: a test is a function of a [`dbmux_testkit::Kind`], named in one of these lists, and is run
//! once for each engine. What fails is called `holds::crash::the_test::sqlite`, for example.
//!
//! What is not run for each engine, and why:
//!
//! - Garbage and other protocols on the socket (`garbage`), standard clients (`adbc`) and what reports say of waiters
//!   (`reports`) end before any engine is asked.
//! - The hazards of an attached file (`hazards`) are statements of DuckDB; those of SQLite are statements that `dbmux-sqlite`
//!   refuses, and stand in its own tests.
//! - Two brokers that attach each other's file (`attach`): only DuckDB's sessions may attach files.
//! - A file of an older version, another state's log, a damaged block (`place`): each engine's format has its own.

/// Each engine.
macro_rules! on_each_engine {
    (async: $($test:ident),+ $(,)?) => { on_each_engine!(with async: $($test),+); };
    (soak: $($test:ident),+ $(,)?) => { on_each_engine!(with soak: $($test),+); };
    (with $how:ident: $($test:ident),+) => {
        $(mod $test {
            on_engine!($how "duckdb" duckdb DuckDb $test);
            on_engine!($how "sqlite" sqlite Sqlite $test);
        })+
    };
    ($($test:ident),+ $(,)?) => { on_each_engine!(with plain: $($test),+); };
}

/// The engines that have SQL that writes, transactions and temporary tables.
macro_rules! on_each_engine_with_sql {
    (async: $($test:ident),+ $(,)?) => { on_each_engine_with_sql!(with async: $($test),+); };
    (soak: $($test:ident),+ $(,)?) => { on_each_engine_with_sql!(with soak: $($test),+); };
    (with $how:ident: $($test:ident),+) => {
        $(mod $test {
            on_engine!($how "duckdb" duckdb DuckDb $test);
            on_engine!($how "sqlite" sqlite Sqlite $test);
        })+
    };
    ($($test:ident),+ $(,)?) => { on_each_engine_with_sql!(with plain: $($test),+); };
}

/// DuckDB alone: the test says why.
macro_rules! on_duckdb {
    (async: $($test:ident),+ $(,)?) => { on_duckdb!(with async: $($test),+); };
    (with $how:ident: $($test:ident),+) => {
        $(mod $test {
            on_engine!($how "duckdb" duckdb DuckDb $test);
        })+
    };
    ($($test:ident),+ $(,)?) => { on_duckdb!(with plain: $($test),+); };
}

/// The engines whose files several processes may write to at once, each for itself.
macro_rules! on_engines_with_many_writers {
    (soak: $($test:ident),+ $(,)?) => { on_engines_with_many_writers!(with soak: $($test),+); };
    (with $how:ident: $($test:ident),+) => {
        $(mod $test {
            on_engine!($how "sqlite" sqlite Sqlite $test);
        })+
    };
    ($($test:ident),+ $(,)?) => { on_engines_with_many_writers!(with plain: $($test),+); };
}

/// One test on one engine: as it is, with `async`, or for minutes.
macro_rules! on_engine {
    (plain $feature:literal $engine:ident $kind:ident $test:ident) => {
        #[cfg(feature = $feature)]
        #[test]
        fn $engine() {
            super::$test(dbmux_testkit::Kind::$kind);
        }
    };
    (async $feature:literal $engine:ident $kind:ident $test:ident) => {
        #[cfg(feature = $feature)]
        #[tokio::test(flavor = "multi_thread")]
        async fn $engine() -> Result<(), dbmux_client::ClientError> {
            super::$test(dbmux_testkit::Kind::$kind).await
        }
    };
    (soak $feature:literal $engine:ident $kind:ident $test:ident) => {
        #[cfg(feature = $feature)]
        #[test]
        #[ignore = "for minutes: just soak"]
        fn $engine() {
            super::$test(dbmux_testkit::Kind::$kind);
        }
    };
}
