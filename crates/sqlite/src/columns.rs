//! From rows to columns.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryBuilder, Float64Builder, Int64Builder, NullArray, RecordBatch, RecordBatchOptions,
        StringBuilder, UnionArray,
    },
    buffer::ScalarBuffer,
    datatypes::SchemaRef,
    error::ArrowError,
};
use rusqlite::types::ValueRef;

use crate::types::{Class, Shape, union_fields};

/// The values of one column of a batch.
pub(crate) struct Column {
    shape: Shape,
    values: Values,
}

enum Values {
    Null(usize),
    Integer(Int64Builder),
    Real(Float64Builder),
    Text(StringBuilder),
    Blob(BinaryBuilder),
    Mixed(Box<Mixed>),
}

/// The values of a column that is a union.
#[derive(Default)]
struct Mixed {
    kinds: Vec<i8>,
    places: Vec<i32>,
    integers: Int64Builder,
    reals: Float64Builder,
    texts: StringBuilder,
    blobs: BinaryBuilder,
    bytes: BinaryBuilder,
}

/// A value that outlives its row.
pub(crate) enum Stored {
    Null,
    Integer(i64),
    Real(f64),
    /// UTF-8 or not.
    Text(Box<[u8]>),
    Blob(Box<[u8]>),
}

impl Stored {
    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(bytes) => Self::Text(bytes.into()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.into()),
        }
    }

    pub(crate) fn get(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    pub(crate) fn class(&self) -> Class {
        Class::of(self.get())
    }
}

/// A value does not fit its column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Misfit(pub(crate) Class);

impl Column {
    pub(crate) fn new(shape: Shape) -> Self {
        let values = match shape {
            Shape::Null => Values::Null(0),
            Shape::Integer => Values::Integer(Int64Builder::new()),
            Shape::Real => Values::Real(Float64Builder::new()),
            Shape::Text => Values::Text(StringBuilder::new()),
            Shape::Blob => Values::Blob(BinaryBuilder::new()),
            Shape::Mixed => Values::Mixed(Box::default()),
        };
        Self { shape, values }
    }

    /// Adds a value; answers with its size in bytes, about.
    pub(crate) fn push(&mut self, value: ValueRef<'_>) -> Result<usize, Misfit> {
        let size = size(value);
        match (&mut self.values, value) {
            (Values::Null(count), ValueRef::Null) => *count += 1,
            (Values::Integer(values), ValueRef::Null) => values.append_null(),
            (Values::Integer(values), ValueRef::Integer(value)) => values.append_value(value),
            (Values::Real(values), ValueRef::Null) => values.append_null(),
            (Values::Real(values), ValueRef::Real(value)) => values.append_value(value),
            (Values::Real(values), ValueRef::Integer(value))
                if self.shape.fits(Class::of(ValueRef::Integer(value))) =>
            {
                // Exact: that is what fits.
                #[expect(clippy::cast_precision_loss, reason = "looked at just now")]
                values.append_value(value as f64);
            }
            (Values::Text(values), ValueRef::Null) => values.append_null(),
            (Values::Text(values), ValueRef::Text(text)) => match std::str::from_utf8(text) {
                Ok(text) => values.append_value(text),
                Err(_) => return Err(Misfit(Class::Bytes)),
            },
            (Values::Blob(values), ValueRef::Null) => values.append_null(),
            (Values::Blob(values), ValueRef::Blob(bytes)) => values.append_value(bytes),
            (Values::Mixed(mixed), value) => mixed.push(value),
            (_, value) => return Err(Misfit(Class::of(value))),
        }
        Ok(size)
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match &mut self.values {
            Values::Null(count) => Arc::new(NullArray::new(std::mem::take(count))),
            Values::Integer(values) => Arc::new(values.finish()),
            Values::Real(values) => Arc::new(values.finish()),
            Values::Text(values) => Arc::new(values.finish()),
            Values::Blob(values) => Arc::new(values.finish()),
            Values::Mixed(mixed) => Arc::new(mixed.finish()?),
        })
    }
}

impl Mixed {
    fn push(&mut self, value: ValueRef<'_>) {
        use arrow::array::ArrayBuilder;
        let (kind, place) = match value {
            ValueRef::Null => {
                self.integers.append_null();
                (0, self.integers.len())
            }
            ValueRef::Integer(value) => {
                self.integers.append_value(value);
                (0, self.integers.len())
            }
            ValueRef::Real(value) => {
                self.reals.append_value(value);
                (1, self.reals.len())
            }
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => {
                    self.texts.append_value(text);
                    (2, self.texts.len())
                }
                Err(_) => {
                    self.bytes.append_value(text);
                    (4, self.bytes.len())
                }
            },
            ValueRef::Blob(bytes) => {
                self.blobs.append_value(bytes);
                (3, self.blobs.len())
            }
        };
        self.kinds.push(kind);
        // A batch has a few thousand rows.
        self.places.push(i32::try_from(place - 1).unwrap_or(i32::MAX));
    }

    fn finish(&mut self) -> Result<UnionArray, ArrowError> {
        let kinds = ScalarBuffer::from(std::mem::take(&mut self.kinds));
        let places = ScalarBuffer::from(std::mem::take(&mut self.places));
        let children: Vec<ArrayRef> = vec![
            Arc::new(self.integers.finish()),
            Arc::new(self.reals.finish()),
            Arc::new(self.texts.finish()),
            Arc::new(self.blobs.finish()),
            Arc::new(self.bytes.finish()),
        ];
        UnionArray::try_new(union_fields(), kinds, Some(places), children)
    }
}

/// A batch of what the columns hold; they are empty then.
pub(crate) fn batch(schema: &SchemaRef, columns: &mut [Column], rows: usize) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}

/// Bytes that a value takes, about.
pub(crate) fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => 8 + bytes.len(),
    }
}
