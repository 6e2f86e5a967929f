//! Values for a statement's parameters.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, RecordBatchOptions,
        StringArray,
    },
    datatypes::{Field, Schema},
};

use crate::ClientError;

/// A value for a parameter. Anything else can be given as an Arrow batch of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `NULL`.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from! {
    bool => Boolean, i64 => Integer, i32 => Integer, u32 => Integer, i16 => Integer, u16 => Integer, i8 => Integer,
    u8 => Integer, f64 => Real, f32 => Real, &str => Text, String => Text, Vec<u8> => Blob, &[u8] => Blob,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    fn into_array(self) -> ArrayRef {
        match self {
            Self::Null => Arc::new(NullArray::new(1)),
            Self::Boolean(value) => Arc::new(BooleanArray::from(vec![value])),
            Self::Integer(value) => Arc::new(Int64Array::from(vec![value])),
            Self::Real(value) => Arc::new(Float64Array::from(vec![value])),
            Self::Text(value) => Arc::new(StringArray::from(vec![value])),
            Self::Blob(value) => Arc::new(BinaryArray::from_vec(vec![&value])),
        }
    }
}

/// A batch of one row for `$1`, `$2`, … or, where names are given, for `$name`.
pub(crate) fn batch(values: Vec<(Option<String>, Value)>) -> Result<RecordBatch, ClientError> {
    let mut fields = Vec::with_capacity(values.len());
    let mut arrays = Vec::with_capacity(values.len());
    for (number, (name, value)) in values.into_iter().enumerate() {
        let array = value.into_array();
        let name = name.unwrap_or_else(|| (number + 1).to_string());
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| ClientError::InvalidArgument(error.to_string()))
}
