//! The types that columns can have, in the words of ODBC and JDBC.

use std::sync::LazyLock;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::{
    error::FlightError,
    sql::{
        CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode,
        metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder},
    },
};
use tonic::Status;

use super::broken;

static TYPES: LazyLock<Result<XdbcTypeInfoData, FlightError>> = LazyLock::new(|| {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for (name, kind, digits) in NUMBERS {
        types.append(number(name, *kind, *digits));
    }
    for (name, kind, size) in TEXTS {
        types.append(text(name, *kind, *size));
    }
    for (name, kind, subcode, size) in TIMES {
        let time = text(name, *kind, Some(*size));
        types.append(XdbcTypeInfo { datetime_subcode: Some(*subcode), case_sensitive: false, ..time });
    }
    types.build()
});

/// Name, kind, decimal digits.
const NUMBERS: &[(&str, XdbcDataType, i32)] = &[
    ("BOOLEAN", XdbcDataType::XdbcBit, 1),
    ("TINYINT", XdbcDataType::XdbcTinyint, 3),
    ("SMALLINT", XdbcDataType::XdbcSmallint, 5),
    ("INTEGER", XdbcDataType::XdbcInteger, 10),
    ("BIGINT", XdbcDataType::XdbcBigint, 19),
    ("HUGEINT", XdbcDataType::XdbcNumeric, 38),
    ("UTINYINT", XdbcDataType::XdbcTinyint, 3),
    ("USMALLINT", XdbcDataType::XdbcSmallint, 5),
    ("UINTEGER", XdbcDataType::XdbcInteger, 10),
    ("UBIGINT", XdbcDataType::XdbcBigint, 20),
    ("FLOAT", XdbcDataType::XdbcReal, 7),
    ("DOUBLE", XdbcDataType::XdbcDouble, 15),
    ("DECIMAL", XdbcDataType::XdbcDecimal, 38),
];

/// Name, kind, length; none: any length.
const TEXTS: &[(&str, XdbcDataType, Option<i32>)] = &[
    ("VARCHAR", XdbcDataType::XdbcVarchar, None),
    ("UUID", XdbcDataType::XdbcVarchar, Some(36)),
    ("BLOB", XdbcDataType::XdbcVarbinary, None),
];

/// Name, kind, subcode, length as text.
const TIMES: &[(&str, XdbcDataType, XdbcDatetimeSubcode, i32)] = &[
    ("DATE", XdbcDataType::XdbcDate, XdbcDatetimeSubcode::XdbcSubcodeYear, 10),
    ("TIME", XdbcDataType::XdbcTime, XdbcDatetimeSubcode::XdbcSubcodeTime, 15),
    ("TIMESTAMP", XdbcDataType::XdbcTimestamp, XdbcDatetimeSubcode::XdbcSubcodeTimestamp, 26),
    (
        "TIMESTAMP WITH TIME ZONE",
        XdbcDataType::XdbcTimestamp,
        XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone,
        32,
    ),
];

fn any(name: &str, kind: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: kind,
        sql_data_type: kind,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        ..XdbcTypeInfo::default()
    }
}

fn number(name: &str, kind: XdbcDataType, digits: i32) -> XdbcTypeInfo {
    let is_decimal = kind == XdbcDataType::XdbcDecimal;
    XdbcTypeInfo {
        column_size: Some(digits),
        create_params: is_decimal.then(|| vec!["precision".to_owned(), "scale".to_owned()]),
        unsigned_attribute: Some(name.starts_with('U')),
        auto_increment: Some(false),
        minimum_scale: is_decimal.then_some(0),
        maximum_scale: is_decimal.then_some(digits),
        num_prec_radix: Some(10),
        ..any(name, kind)
    }
}

fn text(name: &str, kind: XdbcDataType, size: Option<i32>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        column_size: size.or(Some(i32::MAX)),
        literal_prefix: Some("'".to_owned()),
        literal_suffix: Some("'".to_owned()),
        case_sensitive: kind == XdbcDataType::XdbcVarchar,
        ..any(name, kind)
    }
}

fn data() -> Result<&'static XdbcTypeInfoData, Status> {
    TYPES.as_ref().map_err(|error| broken(error))
}

pub(super) fn schema() -> Result<SchemaRef, Status> {
    Ok(data()?.schema())
}

pub(super) fn info(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
    data()?.record_batch(command.data_type).map_err(|error| broken(&error))
}
