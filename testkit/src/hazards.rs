//! Statements that would make a database's owner lose its lock, or would replace, truncate or write its files behind the
//! engine's back: the list that every layer is held against.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// A database's files, and other names for each of them.
pub struct Hazards {
    database: PathBuf,
}

impl Hazards {
    /// Gives a database that is there, with its log and its sidecar, other names; puts other files beside it.
    ///
    /// The database is called `sales.duckdb`.
    pub fn around(database: &Path) -> Self {
        let folder = database.parent().expect("a folder");
        fs::write(folder.join("other.csv"), "a\n1\n").expect("a file");
        assert!(folder.join("sales.duckdb.wal").exists(), "there is a log to protect");
        for (file, name) in FILES {
            symlink(folder.join(file), folder.join(format!("{name}_symlink"))).expect("a link");
            // Made by another process: the wall of the one that has the file refuses even that.
            let linked =
                Command::new("ln").arg(folder.join(file)).arg(folder.join(format!("{name}_hardlink"))).status();
            assert!(linked.expect("ln runs").success());
        }
        fs::create_dir(folder.join("sub")).expect("a folder");
        symlink(folder, folder.join("sub/up")).expect("a link");
        let evil = folder.join("evil");
        fs::create_dir(&evil).expect("a folder");
        fs::write(evil.join("schema.sql"), "CREATE TABLE evil (x VARCHAR);\nDETACH sales;\n").expect("a file");
        fs::write(evil.join("load.sql"), format!("COPY evil FROM '{}';\n", database.display())).expect("a file");
        Self { database: database.to_owned() }
    }

    /// Removes the hard links, without which the database can be attached anew. By another process, as they were made.
    pub fn remove_hard_links(&self) {
        let links = FILES.map(|(_, name)| self.folder().join(format!("{name}_hardlink")));
        assert!(Command::new("rm").args(links).status().expect("rm runs").success());
    }

    fn folder(&self) -> &Path {
        self.database.parent().unwrap_or(Path::new("/"))
    }

    /// Every name of the database, of its log, and of its sidecar.
    pub fn names(&self) -> Vec<String> {
        let folder = self.folder().display();
        let of = |(file, short): (&str, &str)| {
            [
                format!("{folder}/{file}"),
                file.to_owned(),
                format!("./sub/../{file}"),
                format!("sub/up/{file}"),
                format!("file://{folder}/{file}"),
                format!("{folder}/{short}_symlink"),
                format!("{folder}/{short}_hardlink"),
            ]
        };
        FILES.into_iter().flat_map(of).collect()
    }

    /// Statements that read what has this name.
    pub fn reads(name: &str) -> Vec<String> {
        vec![
            format!("SELECT * FROM read_text('{name}')"),
            format!("SELECT * FROM read_blob('{name}')"),
            format!("SELECT * FROM read_csv('{name}')"),
            format!("SELECT * FROM read_csv('{name}', columns = {{'a': 'VARCHAR'}}, auto_detect = false)"),
            format!("SELECT * FROM parquet_metadata('{name}')"),
            format!("SELECT * FROM read_parquet('{name}')"),
            format!("SELECT * FROM read_json('{name}')"),
            format!("SELECT * FROM sniff_csv('{name}')"),
            format!("SELECT * FROM read_duckdb('{name}')"),
            format!("COPY orders FROM '{name}'"),
        ]
    }

    /// Patterns that match one of them.
    pub const GLOBS: [&str; 7] =
        ["*", "sales*", "*.duckdb", "**", "sales.duckdb.w?l", "[s]ales.duckdb", "sub/up/*.duckdb"];

    /// Statements that write to what has this name.
    pub fn writes(name: &str) -> Vec<String> {
        vec![
            format!("COPY (SELECT 1) TO '{name}'"),
            format!("COPY (SELECT 1) TO '{name}' (FORMAT parquet)"),
            format!("COPY (SELECT 1) TO '{name}' (FORMAT json)"),
            format!("COPY (SELECT 1) TO '{name}' (FORMAT csv, USE_TMP_FILE false)"),
            format!("COPY (SELECT 'x'::BLOB) TO '{name}' (FORMAT blob)"),
            format!("COPY (SELECT 1 a, 2 b) TO '{name}' (PARTITION_BY a, OVERWRITE)"),
            format!("COPY (SELECT 1) TO '{name}' (PER_THREAD_OUTPUT, OVERWRITE)"),
            format!("EXPORT DATABASE '{name}'"),
        ]
    }

    /// Names of the folder that they are in.
    pub fn folders(&self) -> [String; 4] {
        [self.folder().display().to_string(), ".".to_owned(), "sub/..".to_owned(), "sub/up".to_owned()]
    }

    /// Statements that overwrite a folder.
    pub fn overwrites(folder: &str) -> String {
        format!("COPY (SELECT 1 a, 2 b) TO '{folder}' (PARTITION_BY a, OVERWRITE)")
    }

    /// The ways round that DuckDB itself does not let anybody go, each with a part of its words.
    pub fn closed_by_duckdb(&self) -> Vec<(String, &'static str)> {
        let path = self.database.display();
        let folder = self.folder().display();
        let mut all = [
            ("DROP DATABASE sales", "syntax error"),
            ("DROP DATABASE IF EXISTS sales", "syntax error"),
            ("PREPARE p AS DETACH sales", "not a preparable statement"),
            ("USE memory", "No catalog + schema named"),
            ("USE system", "cannot be set to internal schema"),
            ("CREATE TABLE memory.main.lost (x INTEGER)", "does not exist"),
            ("SET search_path = 'memory'", "No catalog + schema named"),
        ]
        .map(|(sql, words)| (sql.to_owned(), words))
        .to_vec();
        all.extend([
            (format!("LOAD '{path}'"), "ending with '.duckdb_extension'"),
            (format!("INSTALL '{path}'"), "Permission denied"),
            (format!("FORCE INSTALL sales FROM '{folder}'"), "no access to the file"),
        ]);
        all
    }

    /// The ways round: other statements, settings and calls that would come to the same, and are refused by name.
    pub fn ways_round(&self) -> Vec<String> {
        let path = self.database.display();
        let mut all: Vec<String> = [
            "SELECT * FROM read_csv('/dev/stdin')",
            "SET allow_unsigned_extensions = true",
            "SET enable_external_access = false",
            "SET lock_configuration = true",
            "SET fsync_mode = 'none'",
            "IMPORT DATABASE 'evil'",
            "CONNECT sales",
            "DETACH sales",
            "DETACH DATABASE IF EXISTS \"SALES\"",
            "ALTER DATABASE sales SET ALIAS TO s",
            "ATTACH 'db_hardlink' AS again",
            "ATTACH 'db_symlink' AS again (READ_ONLY)",
        ]
        .map(str::to_owned)
        .to_vec();
        all.extend([
            format!("SET temp_directory = '{path}'"),
            format!("SET secret_directory = '{path}'"),
            format!("SET extension_directory = '{path}'"),
            format!("SET log_query_path = '{path}'"),
            format!("CALL enable_logging(storage = 'file', storage_config = {{'path': '{path}.wal'}})"),
            format!("SELECT * FROM enable_logging(storage_path = '{path}.wal')"),
            format!("ATTACH '{path}' AS again"),
            format!("ATTACH '{path}' AS again (READ_ONLY)"),
            format!("SELECT * FROM '{path}'"),
            format!("FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{path}'')'))"),
        ]);
        all
    }
}

/// The files to protect, and the beginnings of their other names.
const FILES: [(&str, &str); 3] =
    [("sales.duckdb", "db"), ("sales.duckdb.wal", "db_wal"), ("sales.duckdb.dbmux", "db_dbmux")];
