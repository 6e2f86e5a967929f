//! Compiles `src/shim/` against the DuckDB sources that libduckdb-sys links.

#![expect(clippy::expect_used, reason = "a build script ends by panicking")]

const SOURCES: [&str; 4] =
    ["src/shim/describe.cpp", "src/shim/guard.cpp", "src/shim/session.cpp", "src/shim/statement.cpp"];

fn main() {
    println!("cargo:rerun-if-changed=src/shim");
    let include = std::env::var("DEP_DUCKDB_INCLUDE").expect("libduckdb-sys tells where DuckDB's headers are");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").files(SOURCES).include(include).warnings(false);
    // The sources assume that exactly one of the two is set, and class layouts depend on it.
    let debug = std::env::var("DEBUG").is_ok_and(|debug| debug != "false" && debug != "0");
    build.define(if debug { "DEBUG" } else { "NDEBUG" }, None);
    build.compile("dbmux_duckdb_shim");
}
