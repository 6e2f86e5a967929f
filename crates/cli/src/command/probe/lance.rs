//! The tables in LanceDB's operations: see docs/design/lance.md. Rows are what goes with the text.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{Float32Type, SchemaRef},
};
use serde_json::{Value, json};

use super::{
    dialect::{Dialect, NEAREST, NewChunk, Operation, columns, integer, row, schema, text},
    embed::seed_text,
    job::CHUNKS_OF_A_FILE,
};

/// Two tables of one directory.
pub(super) struct Lance {
    files: String,
    chunks: String,
    dims: u16,
    add_file: Arc<str>,
    add_chunk: Arc<str>,
    merge: Arc<str>,
    /// The rows of each.
    file: SchemaRef,
    chunk: SchemaRef,
}

impl Lance {
    pub(super) fn new(prefix: &str, dims: u16) -> Self {
        let (files, chunks) = (format!("{prefix}files"), format!("{prefix}chunks"));
        let merge = json!({ "merge_insert": { "table": &chunks, "on": ["id"], "when_not_matched": null } });
        Self {
            add_file: json!({ "add": { "table": &files } }).to_string().into(),
            add_chunk: json!({ "add": { "table": &chunks } }).to_string().into(),
            merge: merge.to_string().into(),
            file: schema(&["id", "path"], dims),
            chunk: schema(&["id", "file_id", "provider", "model", "text", "writer", "version", "embedding"], dims),
            files,
            chunks,
            dims,
        }
    }
}

fn operation(value: &Value) -> Operation {
    Operation::new(value.to_string())
}

fn made(table: &str, columns: &[(&str, &str)]) -> Operation {
    let columns: Vec<Value> = columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    operation(&json!({ "create_table": { "table": table, "schema": columns } }))
}

impl Dialect for Lance {
    fn tables(&self) -> Vec<Operation> {
        let embedding = format!("vector({})", self.dims);
        let chunks = [
            ("id", "int64"),
            ("file_id", "int64"),
            ("provider", "string"),
            ("model", "string"),
            ("text", "string"),
            ("writer", "int64"),
            ("version", "int64"),
            ("embedding", embedding.as_str()),
        ];
        vec![made(&self.files, &[("id", "int64"), ("path", "string")]), made(&self.chunks, &chunks)]
    }

    fn insert_file(&self, id: i64) -> Operation {
        Operation::with(&self.add_file, row(&self.file, vec![integer(id), text(&format!("src/file{id}.rs"))]))
    }

    fn insert_chunk(&self, new: &NewChunk) -> Operation {
        Operation::with(&self.add_chunk, row(&self.chunk, columns(new)))
    }

    fn embed(&self, id: i64, writer: i64, version: i64, embedding: &ArrayRef) -> Operation {
        // Rows are replaced whole: all but the embedding is as it was.
        let (text, embedding) = (seed_text(id), Arc::clone(embedding));
        let whole = NewChunk { id, file: id / CHUNKS_OF_A_FILE, text, writer, version, embedding };
        Operation::with(&self.merge, row(&self.chunk, columns(&whole)))
    }

    fn search(&self, embedding: &ArrayRef, provider: &str, model: &str) -> Operation {
        let values = embedding.as_fixed_size_list_opt().map(|list| list.value(0));
        let vector = values.as_ref().and_then(|values| values.as_primitive_opt::<Float32Type>());
        operation(&json!({ "search": {
            "table": self.chunks,
            "vector": vector.map(|vector| vector.values().to_vec()),
            "where": format!("provider = '{provider}' AND model = '{model}'"),
            "select": ["id"],
            "limit": NEAREST,
            "metric": "cosine",
        }}))
    }

    fn count_new(&self, rows: u32) -> Operation {
        operation(&json!({ "count": { "table": self.chunks, "where": format!("id >= {rows}") } }))
    }

    fn all_files(&self) -> Operation {
        operation(&json!({ "search": { "table": self.files, "select": ["id"] } }))
    }

    fn all_chunks(&self) -> Operation {
        operation(&json!({ "search": { "table": self.chunks, "select": ["id", "writer", "version", "embedding"] } }))
    }
}
