//! Compiles `src/shim/` against the DuckDB sources that libduckdb-sys links.

#![expect(clippy::expect_used, reason = "a build script ends by panicking")]

const SOURCES: [&str; 8] = [
    "src/shim/arrow.cpp",
    "src/shim/describe.cpp",
    "src/shim/detached.cpp",
    "src/shim/guard.cpp",
    "src/shim/insert.cpp",
    "src/shim/session.cpp",
    "src/shim/stand_in.cpp",
    "src/shim/statement.cpp",
];

fn main() {
    for file in SOURCES.iter().chain(["src/shim/detached.hpp", "src/shim/session.hpp"].iter()) {
        println!("cargo:rerun-if-changed={file}");
    }
    let include = std::env::var("DEP_DUCKDB_INCLUDE").expect("libduckdb-sys tells where DuckDB's headers are");
    let include = std::path::PathBuf::from(include);
    // Some of DuckDB's headers want this one.
    let fmt = include.join("../../third_party/fmt/include");
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").files(SOURCES).includes([&include, &fmt]).warnings(false);
    // The sources assume that exactly one of the two is set, and class layouts depend on it.
    let debug = std::env::var("DEBUG").is_ok_and(|debug| debug != "false" && debug != "0");
    build.define(if debug { "DEBUG" } else { "NDEBUG" }, None);
    build.compile("dbmux_duckdb_shim");
}
