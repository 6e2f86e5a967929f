//! What is done to the tables, in the words of each engine.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Float32Type, Schema, SchemaRef},
    util::display::array_value_to_string,
};

use super::{
    embed,
    job::{Chunk, Found, Job},
    lance::Lance,
    sql::Sql,
};

/// Rows that a search asks for.
pub(super) const NEAREST: u64 = 10;

/// One call: a text, and the values for it.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) text: Arc<str>,
    pub(super) parameters: Option<RecordBatch>,
}

impl Operation {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), parameters: None }
    }

    pub(super) fn with(text: &Arc<str>, parameters: RecordBatch) -> Self {
        Self { text: Arc::clone(text), parameters: Some(parameters) }
    }
}

/// The tables of files and of chunks, in one engine's words.
pub(super) trait Dialect {
    /// Makes the tables.
    fn tables(&self) -> Vec<Operation>;
    fn insert_file(&self, id: i64) -> Operation;
    fn insert_chunk(&self, new: &NewChunk) -> Operation;
    /// Gives a row another embedding.
    fn embed(&self, id: i64, writer: i64, version: i64, embedding: &ArrayRef) -> Operation;
    /// The nearest of one provider's model.
    fn search(&self, embedding: &ArrayRef, provider: &str, model: &str) -> Operation;
    /// The rows that are newer than the seed.
    fn count_new(&self, rows: u32) -> Operation;
    /// `id` of all files.
    fn all_files(&self) -> Operation;
    /// `id`, `writer`, `version`, `embedding` of all chunks.
    fn all_chunks(&self) -> Operation;
}

/// The words of the engine that a job names.
pub(super) fn of(job: &Job) -> Box<dyn Dialect> {
    match job.engine.as_str() {
        "lance" => Box::new(Lance::new(&job.prefix, job.dims)),
        engine => Box::new(Sql::new(engine == "sqlite", &job.prefix, job.dims)),
    }
}

/// A chunk to insert.
#[derive(Debug, Clone)]
pub(super) struct NewChunk {
    pub(super) id: i64,
    pub(super) file: i64,
    pub(super) text: String,
    /// Who makes its embedding; -1: the seed.
    pub(super) writer: i64,
    pub(super) version: i64,
    pub(super) embedding: ArrayRef,
}

/// Whose embedding a chunk has: a quarter of the chunks each.
pub(super) fn provider_and_model(id: i64) -> (&'static str, &'static str) {
    let provider = if id % 2 == 0 { "local" } else { "remote" };
    let model = if id / 2 % 2 == 0 { "small" } else { "large" };
    (provider, model)
}

/// An embedding as a column of one row.
pub(super) fn column(embedding: Vec<f32>) -> Result<ArrayRef, String> {
    let width = i32::try_from(embedding.len()).map_err(|error| error.to_string())?;
    let values: ArrayRef = Arc::new(Float32Array::from(embedding));
    let list = FixedSizeListArray::try_new(item(), width, values, None).map_err(|error| error.to_string())?;
    Ok(Arc::new(list))
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

/// Columns of one row, and their names.
pub(super) fn schema(names: &[&str], dims: u16) -> SchemaRef {
    let field = |name: &&str| {
        let kind = match *name {
            "id" | "file_id" | "writer" | "version" => DataType::Int64,
            "embedding" => DataType::FixedSizeList(item(), i32::from(dims)),
            _ => DataType::Utf8,
        };
        Field::new(*name, kind, true)
    };
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// The same columns, called `1`, `2`, …: in the order of a statement's parameters.
pub(super) fn numbered(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().enumerate();
    let fields = fields.map(|(index, field)| field.as_ref().clone().with_name((index + 1).to_string()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// One row. Columns that do not fit are a fault of the probe's: the engine refuses the empty row.
pub(super) fn row(schema: &SchemaRef, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(schema)))
}

pub(super) fn integer(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

pub(super) fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// The columns of a new chunk: id, file, provider, model, text, writer, version, embedding.
pub(super) fn columns(new: &NewChunk) -> Vec<ArrayRef> {
    let (provider, model) = provider_and_model(new.id);
    vec![
        integer(new.id),
        integer(new.file),
        text(provider),
        text(model),
        text(&new.text),
        integer(new.writer),
        integer(new.version),
        Arc::clone(&new.embedding),
    ]
}

/// The one number that was answered.
pub(super) fn number(batches: &[RecordBatch]) -> Option<u64> {
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    array_value_to_string(batch.columns().first()?, 0).ok()?.parse().ok()
}

/// What is in the tables, of what was answered about them.
pub(super) fn found(files: &[RecordBatch], chunks: &[RecordBatch], dims: u16) -> Option<Found> {
    let mut found = Found::default();
    for batch in files {
        found.files.extend(integers(batch, "id")?);
    }
    for batch in chunks {
        let (ids, writers, versions) =
            (integers(batch, "id")?, integers(batch, "writer")?, integers(batch, "version")?);
        let embeddings = batch.column_by_name("embedding")?;
        for (index, ((id, writer), version)) in ids.into_iter().zip(writers).zip(versions).enumerate() {
            let text = if writer < 0 { embed::seed_text(id) } else { embed::text(writer, version) };
            let whole = floats(embeddings, index).is_some_and(|found| found == embed::embed(&text, dims));
            found.chunks.push(Chunk { id, writer, version, whole });
        }
    }
    Some(found)
}

fn integers(batch: &RecordBatch, column: &str) -> Option<Vec<i64>> {
    let column = batch.column_by_name(column)?;
    (0..column.len()).map(|row| array_value_to_string(column, row).ok()?.parse().ok()).collect()
}

/// An embedding, as a list or as the bytes of one.
fn floats(column: &ArrayRef, row: usize) -> Option<Vec<f32>> {
    if column.is_null(row) {
        return None;
    }
    if let Some(bytes) = column.as_binary_opt::<i32>() {
        return Some(bytes.value(row).as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect());
    }
    let values = column.as_fixed_size_list_opt()?.value(row);
    Some(values.as_primitive_opt::<Float32Type>()?.values().to_vec())
}
