//! An answer's rows, read value by value.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Float64Type, Int64Type},
};
use jiff::Timestamp;

use crate::{Memory, MemoryError, Metadata};

/// What a memory is read from, in the order of [`memory`]. `m` is the memory's row.
pub(crate) const MEMORY: &str = "m.id, m.hash, m.content, m.type, m.metadata, m.created, m.updated, \
     (SELECT json_group_array(t.tag) FROM (SELECT tag FROM memory_tags WHERE memory = m.id ORDER BY tag) AS t), \
     (SELECT v.model FROM memory_vectors AS v WHERE v.memory = m.id)";

/// The column behind those of [`MEMORY`].
pub(crate) const AFTER_MEMORY: usize = 9;

/// An answer.
#[derive(Debug)]
pub(crate) struct Rows {
    batches: Vec<RecordBatch>,
    /// Set where a snapshot answered: as of when.
    pub(crate) as_of: Option<String>,
}

/// One row of it.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Rows {
    pub(crate) fn new(batches: Vec<RecordBatch>, as_of: Option<String>) -> Self {
        Self { batches, as_of }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| Row { batch, row }))
    }

    /// The first row, where there is one.
    pub(crate) fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }

    /// All of them as memories, each behind its number.
    pub(crate) fn memories(&self) -> Result<Vec<(i64, Memory)>, MemoryError> {
        self.iter().map(memory).collect()
    }

    /// The first column's texts.
    pub(crate) fn texts(&self) -> Result<Vec<String>, MemoryError> {
        self.iter().map(|row| row.text(0)).collect()
    }
}

impl<'a> Row<'a> {
    fn column(self, index: usize) -> Result<Option<&'a ArrayRef>, MemoryError> {
        let column = self.batch.columns().get(index).ok_or_else(|| missing(index))?;
        Ok((*column.data_type() != DataType::Null && column.is_valid(self.row)).then_some(column))
    }

    pub(crate) fn maybe_text(self, index: usize) -> Result<Option<String>, MemoryError> {
        let Some(column) = self.column(index)? else { return Ok(None) };
        let texts = column.as_string_opt::<i32>().ok_or_else(|| other(index, column))?;
        Ok(Some(texts.value(self.row).to_owned()))
    }

    pub(crate) fn text(self, index: usize) -> Result<String, MemoryError> {
        self.maybe_text(index)?.ok_or_else(|| missing(index))
    }

    pub(crate) fn integer(self, index: usize) -> Result<i64, MemoryError> {
        let column = self.column(index)?.ok_or_else(|| missing(index))?;
        let numbers = column.as_primitive_opt::<Int64Type>().ok_or_else(|| other(index, column))?;
        Ok(numbers.value(self.row))
    }

    /// `None` where SQLite has no number: that of a vector of zeros, for example.
    pub(crate) fn maybe_real(self, index: usize) -> Result<Option<f64>, MemoryError> {
        let Some(column) = self.column(index)? else { return Ok(None) };
        let numbers = column.as_primitive_opt::<Float64Type>().ok_or_else(|| other(index, column))?;
        Ok(Some(numbers.value(self.row)))
    }

    pub(crate) fn maybe_blob(self, index: usize) -> Result<Option<&'a [u8]>, MemoryError> {
        let Some(column) = self.column(index)? else { return Ok(None) };
        let blobs = column.as_binary_opt::<i32>().ok_or_else(|| other(index, column))?;
        Ok(Some(blobs.value(self.row)))
    }

    fn moment(self, index: usize) -> Result<Timestamp, MemoryError> {
        let micros = self.integer(index)?;
        Timestamp::from_microsecond(micros).map_err(|error| MemoryError::Decode(error.to_string()))
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(self, index: usize) -> Result<T, MemoryError> {
        let text = self.text(index)?;
        serde_json::from_str(&text).map_err(|error| MemoryError::Decode(format!("column {index}: {error}")))
    }
}

/// A memory and its number, of [`MEMORY`].
pub(crate) fn memory(row: Row<'_>) -> Result<(i64, Memory), MemoryError> {
    let memory = Memory {
        content_hash: row.text(1)?,
        content: row.text(2)?,
        memory_type: row.maybe_text(3)?,
        metadata: row.json::<Metadata>(4)?,
        created_at: row.moment(5)?,
        updated_at: row.moment(6)?,
        tags: row.json(7)?,
        embedding_model: row.maybe_text(8)?,
    };
    Ok((row.integer(0)?, memory))
}

fn missing(index: usize) -> MemoryError {
    MemoryError::Decode(format!("column {index} has no value"))
}

fn other(index: usize, column: &ArrayRef) -> MemoryError {
    MemoryError::Decode(format!("column {index} is of type {}", column.data_type()))
}
