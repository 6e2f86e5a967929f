//! The tables in SQL, as DuckDB and SQLite have it.

use std::sync::Arc;

use arrow::{array::ArrayRef, datatypes::SchemaRef};

use super::dialect::{Dialect, NEAREST, NewChunk, Operation, columns, integer, numbered, row, schema, text};

/// DuckDB's `FLOAT[n]`; or SQLite's blobs, with the functions of sqlite-vec.
pub(super) struct Sql {
    tables: [String; 2],
    insert_file: Arc<str>,
    insert_chunk: Arc<str>,
    embed: Arc<str>,
    search: Arc<str>,
    count_new: String,
    all_files: Arc<str>,
    all_chunks: Arc<str>,
    /// The parameters of each.
    file: SchemaRef,
    chunk: SchemaRef,
    embedded: SchemaRef,
    searched: SchemaRef,
}

impl Sql {
    pub(super) fn new(sqlite: bool, prefix: &str, dims: u16) -> Self {
        let (files, chunks) = (format!("{prefix}files"), format!("{prefix}chunks"));
        let (id, vector, distance) = if sqlite {
            ("INTEGER PRIMARY KEY", "BLOB".to_owned(), "vec_distance_cosine(embedding, $1)".to_owned())
        } else {
            let vector = format!("FLOAT[{dims}]");
            let distance = format!("array_cosine_distance(embedding, $1::{vector})");
            ("BIGINT NOT NULL", vector, distance)
        };
        let types = "BIGINT NOT NULL, provider VARCHAR NOT NULL, model VARCHAR NOT NULL, text VARCHAR NOT NULL, \
                     writer BIGINT NOT NULL, version BIGINT NOT NULL";
        let parameters = |names: &[&str]| numbered(&schema(names, dims));
        Self {
            tables: [
                format!("CREATE TABLE {files} (id {id}, path VARCHAR NOT NULL)"),
                format!("CREATE TABLE {chunks} (id {id}, file_id {types}, embedding {vector} NOT NULL)"),
            ],
            insert_file: format!("INSERT INTO {files} VALUES ($1, $2)").into(),
            insert_chunk: format!("INSERT INTO {chunks} VALUES ($1, $2, $3, $4, $5, $6, $7, $8)").into(),
            embed: format!("UPDATE {chunks} SET embedding = $1, writer = $2, version = $3 WHERE id = $4").into(),
            search: format!(
                "SELECT id, {distance} AS distance FROM {chunks} WHERE provider = $2 AND model = $3 \
                 ORDER BY distance LIMIT {NEAREST}"
            )
            .into(),
            count_new: format!("SELECT count(*) FROM {chunks} WHERE id >= "),
            all_files: format!("SELECT id FROM {files}").into(),
            all_chunks: format!("SELECT id, writer, version, embedding FROM {chunks}").into(),
            file: parameters(&["id", "path"]),
            chunk: parameters(&["id", "file_id", "provider", "model", "text", "writer", "version", "embedding"]),
            embedded: parameters(&["embedding", "writer", "version", "id"]),
            searched: parameters(&["embedding", "provider", "model"]),
        }
    }
}

impl Dialect for Sql {
    fn tables(&self) -> Vec<Operation> {
        self.tables.iter().map(|sql| Operation::new(sql.as_str())).collect()
    }

    fn insert_file(&self, id: i64) -> Operation {
        Operation::with(&self.insert_file, row(&self.file, vec![integer(id), text(&format!("src/file{id}.rs"))]))
    }

    fn insert_chunk(&self, new: &NewChunk) -> Operation {
        Operation::with(&self.insert_chunk, row(&self.chunk, columns(new)))
    }

    fn embed(&self, id: i64, writer: i64, version: i64, embedding: &ArrayRef) -> Operation {
        let values = vec![Arc::clone(embedding), integer(writer), integer(version), integer(id)];
        Operation::with(&self.embed, row(&self.embedded, values))
    }

    fn search(&self, embedding: &ArrayRef, provider: &str, model: &str) -> Operation {
        let values = vec![Arc::clone(embedding), text(provider), text(model)];
        Operation::with(&self.search, row(&self.searched, values))
    }

    fn count_new(&self, rows: u32) -> Operation {
        Operation::new(format!("{}{rows}", self.count_new))
    }

    fn all_files(&self) -> Operation {
        Operation::new(Arc::clone(&self.all_files))
    }

    fn all_chunks(&self) -> Operation {
        Operation::new(Arc::clone(&self.all_chunks))
    }
}
