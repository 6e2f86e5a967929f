//! The types that columns can have, in the words of ODBC and JDBC.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::{
    CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode,
    metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder},
};
use dbmux_engine::{ColumnType, TypeKind};
use tonic::Status;

use super::broken;
use crate::connection::Caller;

/// How it is said of a type.
fn told(column: &ColumnType) -> XdbcTypeInfo {
    let ColumnType { name, kind, size } = *column;
    let data_type = data_type(kind);
    match kind {
        TypeKind::Varchar | TypeKind::Varbinary => text(name, data_type, size),
        TypeKind::Date | TypeKind::Time | TypeKind::Timestamp | TypeKind::TimestampWithTimezone => {
            let datetime_subcode = subcode(kind);
            XdbcTypeInfo { datetime_subcode, case_sensitive: false, ..text(name, data_type, size) }
        }
        _ => number(name, data_type, size.unwrap_or_default()),
    }
}

fn data_type(kind: TypeKind) -> XdbcDataType {
    match kind {
        TypeKind::Bit => XdbcDataType::XdbcBit,
        TypeKind::Tinyint => XdbcDataType::XdbcTinyint,
        TypeKind::Smallint => XdbcDataType::XdbcSmallint,
        TypeKind::Integer => XdbcDataType::XdbcInteger,
        TypeKind::Bigint => XdbcDataType::XdbcBigint,
        TypeKind::Numeric => XdbcDataType::XdbcNumeric,
        TypeKind::Decimal => XdbcDataType::XdbcDecimal,
        TypeKind::Real => XdbcDataType::XdbcReal,
        TypeKind::Double => XdbcDataType::XdbcDouble,
        TypeKind::Varchar => XdbcDataType::XdbcVarchar,
        TypeKind::Varbinary => XdbcDataType::XdbcVarbinary,
        TypeKind::Date => XdbcDataType::XdbcDate,
        TypeKind::Time => XdbcDataType::XdbcTime,
        TypeKind::Timestamp | TypeKind::TimestampWithTimezone => XdbcDataType::XdbcTimestamp,
    }
}

fn subcode(kind: TypeKind) -> Option<XdbcDatetimeSubcode> {
    match kind {
        TypeKind::Date => Some(XdbcDatetimeSubcode::XdbcSubcodeYear),
        TypeKind::Time => Some(XdbcDatetimeSubcode::XdbcSubcodeTime),
        TypeKind::Timestamp => Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
        TypeKind::TimestampWithTimezone => Some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone),
        _ => None,
    }
}

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

fn data(types: &[ColumnType]) -> Result<XdbcTypeInfoData, Status> {
    let mut data = XdbcTypeInfoDataBuilder::new();
    types.iter().map(told).for_each(|told| data.append(told));
    data.build().map_err(|error| broken(&error))
}

pub(super) fn schema() -> Result<SchemaRef, Status> {
    Ok(data(&[])?.schema())
}

pub(super) fn info(caller: &Caller, command: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
    let types = caller.session.catalog_sql().features.types;
    data(types)?.record_batch(command.data_type).map_err(|error| broken(&error))
}
