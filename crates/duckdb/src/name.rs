//! The name of a database in SQL.

use std::path::Path;

/// What DuckDB calls a database by default: the file's name up to its first dot, with `_db` behind reserved words.
/// The second part is what to tell a person, where the name is not the obvious one.
pub(crate) fn catalog_name(path: &Path) -> (String, Option<String>) {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let base = file.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    let base = base.split('?').next().unwrap_or_default();
    let name = match base.to_ascii_lowercase().as_str() {
        "" => "db".to_owned(),
        "main" | "temp" | "system" => format!("{base}_db"),
        _ => return (base.to_owned(), None),
    };
    let notice = format!("the database is called \"{name}\" in SQL: \"{base}\" is a reserved name");
    (name, Some(notice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_duckdbs_own() {
        for (path, name, told) in [
            ("/a/sales.duckdb", "sales", false),
            ("/a/sales.2024.db", "sales", false),
            ("/a/memory.db", "memory", false),
            ("/a/system.duckdb", "system_db", true),
            ("/a/Temp.duckdb", "Temp_db", true),
            ("/a/main.db", "main_db", true),
            ("/a/.hidden.db", "hidden", false),
            ("/a/we ird-näme.db", "we ird-näme", false),
            ("/a/...", "db", true),
        ] {
            let (found, notice) = catalog_name(Path::new(path));
            assert_eq!((found.as_str(), notice.is_some()), (name, told), "{path}");
        }
    }
}
