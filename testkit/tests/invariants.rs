//! The architecture's invariants, held against the sources and `cargo metadata`. See docs/architecture.md.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    dbmux_testkit::checkout()
}

/// The library and binary sources of the crates, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for room in fs::read_dir(root().join("crates")).expect("the rooms") {
        collect(&room.expect("a room").path().join("src"), &mut all);
    }
    assert!(all.len() > 50, "the sources are not where they were");
    all
}

fn collect(directory: &Path, into: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            // What stands behind this line is a test's.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            into.push((path.strip_prefix(root()).expect("inside").to_owned(), code));
        }
    }
}

/// Lines of code outside these places that hold one of these words.
fn offenders(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if allowed.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

fn normal_dependencies() -> HashMap<String, BTreeSet<String>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).other_options(["--offline".to_owned()]);
    let packages = command.exec().expect("metadata").packages.into_iter().map(|package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        (package.name.to_string(), normal.map(|dependency| dependency.name.clone()).collect())
    });
    packages.collect()
}

/// Everything that a package needs, directly or not.
fn needs(direct: &HashMap<String, BTreeSet<String>>, of: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![of.to_owned()];
    while let Some(name) = open.pop() {
        for dependency in direct.get(&name).into_iter().flatten() {
            if all.insert(dependency.clone()) {
                open.push(dependency.clone());
            }
        }
    }
    all
}

#[test]
fn unsafe_and_platforms_live_in_os_and_in_a_backends_ffi() {
    let places = ["crates/os", "crates/duckdb/src/ffi", "crates/lance/src/ffi.rs", "crates/sqlite/src/ffi.rs"];
    let unsafe_code = offenders(&["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"], &places);
    assert!(unsafe_code.is_empty(), "{unsafe_code:#?}");
    let platforms = offenders(
        &["target_os", "target_family", "(windows", "(unix", "unix)", "windows)", "unix,", "windows,"],
        &places,
    );
    assert!(platforms.is_empty(), "{platforms:#?}");
}

#[test]
fn only_a_backend_names_its_engine_and_the_others_need_no_cpp() {
    let direct = normal_dependencies();
    let engines = ["libduckdb-sys", "duckdb", "rusqlite", "lancedb"];
    for (package, dependencies) in direct.iter().filter(|(package, _)| package.starts_with("dbmux")) {
        let names_engine = engines.iter().any(|engine| dependencies.contains(*engine));
        let is_backend = matches!(package.as_str(), "dbmux-duckdb" | "dbmux-lance" | "dbmux-sqlite");
        assert!(!names_engine || is_backend, "{package} names an engine");
    }
    let light = [
        "dbmux-os",
        "dbmux-lock",
        "dbmux-client",
        "dbmux-report",
        "dbmux-mcp",
        "dbmux-memory",
        "dbmux-dbt",
        "dbmux-engine",
        "dbmux-wire",
        "dbmux-broker",
        "mp",
    ];
    for package in light {
        assert!(!needs(&direct, package).contains("libduckdb-sys"), "{package} needs DuckDB's C++");
    }
    assert!(needs(&direct, "dbmux").contains("libduckdb-sys"), "this test sees nothing");
}

#[test]
fn only_wire_names_the_servers_of_others_protocols() {
    let found = offenders(&["flight_service_server", "pgwire", "FlightSqlService "], &["crates/wire"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_cli_reads_arguments_prints_and_exits() {
    let words = ["println!", "print!(", "process::exit", "env::args", "env::var"];
    // Where the system keeps run-time files is the system's to say; `other.rs` has no other way to know its own command.
    let allowed = ["crates/cli", "crates/os/src/runtime.rs", "crates/os/src/process/other.rs"];
    let found = offenders(&words, &allowed);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_client_opens_no_database_file() {
    let words = ["File::open", "OpenOptions", "fs::read(", "fs::read_to_string", "fs::write"];
    let found = offenders(
        &words,
        &["crates/os", "crates/lock", "crates/engine", "crates/duckdb", "crates/sqlite", "crates/broker"],
    );
    // The broker's log is the one file that it opens.
    let log = "crates/client/src/connect/spawn.rs";
    let opens: Vec<_> =
        found.iter().filter(|line| line.starts_with("crates/client") && !line.starts_with(log)).collect();
    assert!(opens.is_empty(), "{opens:#?}");
}

#[test]
fn raw_locks_live_in_os() {
    // DuckDB's own calls are translated where they are made.
    let places = ["crates/os", "crates/duckdb/src/ffi"];
    let found = offenders(&["flock(", "F_SETLK", "F_OFD_SETLK", "fcntl_lock"], &places);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn dependencies_go_one_way() {
    let allowed: HashMap<&str, &[&str]> = HashMap::from([
        ("dbmux-os", &[][..]),
        ("dbmux-proto", &[][..]),
        ("dbmux-lock", &["dbmux-os"][..]),
        ("dbmux-engine", &["dbmux-proto"][..]),
        ("dbmux-duckdb", &["dbmux-engine", "dbmux-os"][..]),
        ("dbmux-lance", &["dbmux-engine", "dbmux-os"][..]),
        ("dbmux-sqlite", &["dbmux-engine", "dbmux-os"][..]),
        ("dbmux-broker", &["dbmux-engine", "dbmux-lock", "dbmux-os", "dbmux-proto"][..]),
        ("dbmux-wire", &["dbmux-engine", "dbmux-proto"][..]),
        ("dbmux-client", &["dbmux-lock", "dbmux-os", "dbmux-proto"][..]),
        ("dbmux-report", &["dbmux-client", "dbmux-lock", "dbmux-os", "dbmux-proto"][..]),
        ("dbmux-memory", &["dbmux-client"][..]),
        ("dbmux-mcp", &["dbmux-client", "dbmux-dbt", "dbmux-lock", "dbmux-memory", "dbmux-os", "dbmux-report"][..]),
    ]);
    let direct = normal_dependencies();
    for (package, may) in allowed {
        let ours = direct[package].iter().filter(|name| name.starts_with("dbmux"));
        let wrong: Vec<_> = ours.filter(|name| !may.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{package} uses {wrong:?}");
    }
}
