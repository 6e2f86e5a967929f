//! What an engine's SQL has, for wire protocols that tell their clients.

/// What an engine's SQL has.
#[derive(Debug, Clone, Copy)]
pub struct SqlFeatures {
    /// What a column can be declared as.
    pub types: &'static [ColumnType],
    /// Statements make tables, and put rows into them.
    pub tables: bool,
    /// Databases have schemas, and statements make them.
    pub schemas: bool,
    /// What a transaction sees of others; `None`: there are no transactions.
    pub isolation: Option<Isolation>,
    /// A transaction can be rolled back to a point in it.
    pub savepoints: bool,
}

/// What a transaction sees of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All of it is of one moment; two that change different rows may both commit.
    Snapshot,
    /// As if one had run after the other.
    Serializable,
}

/// What a column can be declared as.
#[derive(Debug, Clone, Copy)]
pub struct ColumnType {
    /// As SQL writes it.
    pub name: &'static str,
    /// What it holds.
    pub kind: TypeKind,
    /// The longest value: in decimal digits of a number, in characters or bytes of anything else; `None`: any length.
    pub size: Option<i32>,
}

impl ColumnType {
    /// A type.
    pub const fn new(name: &'static str, kind: TypeKind, size: i32) -> Self {
        Self { name, kind, size: Some(size) }
    }

    /// A type whose values can have any length.
    pub const fn of_any_length(name: &'static str, kind: TypeKind) -> Self {
        Self { name, kind, size: None }
    }
}

/// What a column holds, in the words of SQL's standard, and of ODBC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "SQL's own words")]
pub enum TypeKind {
    Bit,
    Tinyint,
    Smallint,
    Integer,
    Bigint,
    Numeric,
    Decimal,
    Real,
    Double,
    Varchar,
    Varbinary,
    Date,
    Time,
    Timestamp,
    TimestampWithTimezone,
}
