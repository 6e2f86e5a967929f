//! Which Arrow type a column has.
//!
//! SQLite's values have their own types ("storage classes"), whatever their column declares. So a column's type is what it
//! declares only as long as the values agree; see docs/design/sqlite.md. The first rows of an answer are looked at before
//! its columns are told.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, UnionFields, UnionMode};
use rusqlite::types::ValueRef;

/// The largest whole number up to which every one is a double of its own.
const EXACT: i64 = 1 << 53;

/// How a column's values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No value so far, and no declared type.
    Null,
    /// `BIGINT`.
    Integer,
    /// Doubles, and whole numbers that are doubles.
    Real,
    /// UTF-8.
    Text,
    /// Bytes.
    Blob,
    /// A union of all of them.
    Mixed,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Null,
    /// A whole number that is a double as well.
    Exact,
    /// A whole number that no double is.
    Integer,
    Real,
    Text,
    /// Text that is not UTF-8.
    Bytes,
    Blob,
}

impl Class {
    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) if (-EXACT..=EXACT).contains(&value) => Self::Exact,
            ValueRef::Integer(_) => Self::Integer,
            ValueRef::Real(_) => Self::Real,
            ValueRef::Text(text) if std::str::from_utf8(text).is_ok() => Self::Text,
            ValueRef::Text(_) => Self::Bytes,
            ValueRef::Blob(_) => Self::Blob,
        }
    }

    /// SQLite's own word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Exact | Self::Integer => "integer",
            Self::Real => "real",
            Self::Text => "text",
            Self::Bytes => "text that is not UTF-8",
            Self::Blob => "blob",
        }
    }
}

impl Shape {
    /// What a declared type promises (sqlite.org/datatype3.html, "Determination Of Column Affinity"); `None`: nothing.
    pub(crate) fn declared(declared: Option<&str>) -> Option<Self> {
        let declared = declared?.to_ascii_uppercase();
        let has = |part: &str| declared.contains(part);
        Some(if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else if has("BOOL") {
            // NUMERIC from here on: SQLite keeps whatever it is given, or the number that a text is.
            Self::Integer
        } else if has("DATE") || has("TIME") || has("JSON") || has("UUID") {
            Self::Text
        } else if has("DEC") || has("NUM") {
            Self::Real
        } else {
            return None;
        })
    }

    /// Whether a value is one of these, and stays what it is.
    pub(crate) fn fits(self, class: Class) -> bool {
        matches!(
            (self, class),
            (Self::Mixed, _)
                | (_, Class::Null)
                | (Self::Integer, Class::Exact | Class::Integer)
                | (Self::Real, Class::Exact | Class::Real)
                | (Self::Text, Class::Text)
                | (Self::Blob, Class::Blob)
        )
    }

    /// The shape of a column by its declared type and its first values. `all`: there are no more.
    pub(crate) fn of(declared: Option<Self>, classes: &[Class], all: bool) -> Self {
        let fit = |shape: Self| classes.iter().all(|class| shape.fits(*class));
        if let Some(declared) = declared.filter(|declared| fit(*declared)) {
            return declared;
        }
        if classes.iter().all(|class| *class == Class::Null) {
            // Of what may come later nothing is known.
            return if all { Self::Null } else { Self::Mixed };
        }
        [Self::Integer, Self::Real, Self::Text, Self::Blob].into_iter().find(|shape| fit(*shape)).unwrap_or(Self::Mixed)
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Integer => DataType::Int64,
            Self::Real => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Blob => DataType::Binary,
            Self::Mixed => DataType::Union(union_fields(), UnionMode::Dense),
        }
    }

    pub(crate) fn field(self, name: &str) -> Field {
        Field::new(name, self.data_type(), true)
    }
}

/// What a mixed column's values may be; NULL is the first one's.
pub(crate) fn union_fields() -> UnionFields {
    let field = |number: i8, name: &str, kind| (number, Arc::new(Field::new(name, kind, true)));
    [
        field(0, "integer", DataType::Int64),
        field(1, "real", DataType::Float64),
        field(2, "text", DataType::Utf8),
        field(3, "blob", DataType::Binary),
        field(4, "text_bytes", DataType::Binary),
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_go_by_affinity() {
        for (declared, expected) in [
            ("INTEGER", Some(Shape::Integer)),
            ("unsigned big int", Some(Shape::Integer)),
            // SQLite's own example of a misleading name.
            ("FLOATING POINT", Some(Shape::Integer)),
            ("VARCHAR(20)", Some(Shape::Text)),
            ("BLOB", Some(Shape::Blob)),
            ("DOUBLE PRECISION", Some(Shape::Real)),
            ("BOOLEAN", Some(Shape::Integer)),
            ("DATETIME", Some(Shape::Text)),
            ("DECIMAL(10,2)", Some(Shape::Real)),
            ("STRING", None),
            ("", None),
        ] {
            assert_eq!(Shape::declared(Some(declared)), expected, "{declared}");
        }
        assert_eq!(Shape::declared(None), None);
    }

    #[test]
    fn values_that_do_not_fit_change_the_type_and_not_the_value() {
        use Class::{Blob, Bytes, Exact, Integer, Null, Real, Text};
        for (declared, classes, all, expected) in [
            (Some(Shape::Integer), &[Exact, Null][..], false, Shape::Integer),
            (Some(Shape::Integer), &[Exact, Text], true, Shape::Mixed),
            (Some(Shape::Integer), &[Text], true, Shape::Text),
            (Some(Shape::Real), &[Exact, Real], true, Shape::Real),
            (Some(Shape::Real), &[Integer, Real], true, Shape::Mixed),
            (Some(Shape::Real), &[Integer], true, Shape::Integer),
            (None, &[Exact], true, Shape::Integer),
            (None, &[Exact, Real], true, Shape::Real),
            (None, &[Text, Blob], true, Shape::Mixed),
            (None, &[Bytes], true, Shape::Mixed),
            (None, &[Null], true, Shape::Null),
            (None, &[Null], false, Shape::Mixed),
            (None, &[], true, Shape::Null),
            (Some(Shape::Text), &[], true, Shape::Text),
        ] {
            assert_eq!(Shape::of(declared, classes, all), expected, "{declared:?} {classes:?}");
        }
    }
}
