//! Which of a profile's paths are DuckDB files on this machine.
//!
//! As DuckDB 2.0 and dbt-duckdb 1.11 understand them: a path is relative to dbt's working directory (not the project's), a
//! leading `~` is the home directory, and what stands before a first colon is an extension that opens it, or a scheme.

use std::path::PathBuf;

use dbmux_os::runtime::canonical_database_path;

use super::ProfileOptions;

/// The files that this adapter would open with DuckDB's lock on them.
pub(super) fn databases(adapter: &str, paths: &[(String, Option<String>)], options: &ProfileOptions) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in names(adapter, paths).filter_map(|name| place(name, options)) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// The file that this adapter would open by a profile's own path; `None`: it is none.
pub(super) fn database(adapter: &str, path: &str, options: &ProfileOptions) -> Option<PathBuf> {
    place(file(path, None).filter(|_| adapter == "duckdb")?, options)
}

/// Where a file of this name is; `None`: its directory is missing.
fn place(name: &str, options: &ProfileOptions) -> Option<PathBuf> {
    let place = match (name.strip_prefix('~'), &options.home) {
        (Some(rest), Some(home)) if is_home(name) => home.join(rest.trim_matches('/')),
        _ => options.directory.join(name),
    };
    canonical_database_path(&place).ok()
}

/// Those of them that are named relative to dbt's working directory, by these names.
pub(super) fn relative(adapter: &str, paths: &[(String, Option<String>)]) -> Vec<PathBuf> {
    let relative = names(adapter, paths).filter(|name| !name.starts_with('/') && !is_home(name));
    let mut found: Vec<PathBuf> = relative.map(PathBuf::from).collect();
    found.sort();
    found.dedup();
    found
}

fn names<'a>(adapter: &str, paths: &'a [(String, Option<String>)]) -> impl Iterator<Item = &'a str> {
    let paths = if adapter == "duckdb" { paths } else { &[] };
    paths.iter().filter_map(|(path, kind)| file(path, kind.as_deref()))
}

/// Whether DuckDB takes it for a path below the home directory.
fn is_home(name: &str) -> bool {
    name.strip_prefix('~').is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The name of the DuckDB file that a path means; `None`: it means none.
fn file<'a>(path: &'a str, kind: Option<&str>) -> Option<&'a str> {
    if path.is_empty() || path.starts_with(":memory:") {
        return None;
    }
    match kind.map(str::to_ascii_lowercase).as_deref() {
        None | Some("duckdb") => plain(path),
        // Its catalog is a DuckDB file, unless it says otherwise.
        Some("ducklake") => plain(path.strip_prefix("ducklake:").unwrap_or(path)),
        // SQLite, PostgreSQL, MySQL, …: other locks than DuckDB's.
        Some(_) => None,
    }
}

fn plain(path: &str) -> Option<&str> {
    let Some((prefix, rest)) = path.split_once(':') else { return Some(path) };
    let is_prefix = prefix.len() > 1 && prefix.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match prefix {
        "file" => Some(rest.strip_prefix("//").unwrap_or(rest)),
        "duckdb" | "ducklake" if !rest.starts_with("//") => plain(rest),
        // `md:`, `sqlite:`, `postgres:`, `s3://`, …
        _ if is_prefix || rest.starts_with("//") => None,
        _ => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn only_what_duckdb_opens_as_a_file_here_counts() {
        for (path, kind, is) in [
            ("a.duckdb", None, Some("a.duckdb")),
            ("/x/a.db", Some("duckdb"), Some("/x/a.db")),
            ("a:b/c.duckdb", None, Some("a:b/c.duckdb")),
            ("file:/x/a.db", None, Some("/x/a.db")),
            ("file:///x/a.db", None, Some("/x/a.db")),
            ("ducklake:meta.ducklake", None, Some("meta.ducklake")),
            ("meta.ducklake", Some("DUCKLAKE"), Some("meta.ducklake")),
            ("ducklake:postgres:dbname=x", None, None),
            ("ducklake:sqlite:meta.sqlite", None, None),
            (":memory:", None, None),
            (":memory:named", None, None),
            ("", None, None),
            ("md:my_db?motherduck_token=secret", None, None),
            ("motherduck:", None, None),
            ("s3://bucket/a.duckdb", None, None),
            ("https://example.org/a.duckdb", None, None),
            ("a.sqlite", Some("sqlite"), None),
            ("sqlite:a.sqlite", None, None),
            ("host=localhost dbname=x", Some("postgres"), None),
        ] {
            assert_eq!(file(path, kind), is, "{path} {kind:?}");
        }
    }
}
