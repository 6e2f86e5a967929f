//! What this server is and can do.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlSupportedCaseSensitivity, SqlSupportedTransaction, SqlTransactionIsolationLevel,
    metadata::{SqlInfoData, SqlInfoDataBuilder},
};
use dbmux_engine::{Isolation, SqlFeatures};
use tonic::Status;

use super::broken;
use crate::connection::Caller;

fn data(features: &SqlFeatures) -> Result<SqlInfoData, Status> {
    let transactions = features.isolation.is_some();
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, "dbmux");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    info.append(SqlInfo::FlightSqlServerReadOnly, false);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    let supported = if transactions { SqlSupportedTransaction::Transaction } else { SqlSupportedTransaction::None };
    info.append(SqlInfo::FlightSqlServerTransaction, supported as i32);
    info.append(SqlInfo::FlightSqlServerCancel, true);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, features.tables);
    info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, features.tables && transactions);
    info.append(SqlInfo::FlightSqlServerStatementTimeout, 0);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, features.schemas);
    info.append(SqlInfo::SqlDdlTable, features.tables);
    let insensitive = SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i32;
    info.append(SqlInfo::SqlIdentifierCase, insensitive);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlQuotedIdentifierCase, insensitive);
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlCatalogTerm, "database");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    let isolation = match features.isolation {
        Some(Isolation::Snapshot) => SqlTransactionIsolationLevel::SqlTransactionRepeatableRead,
        Some(Isolation::Serializable) => SqlTransactionIsolationLevel::SqlTransactionSerializable,
        None => SqlTransactionIsolationLevel::SqlTransactionNone,
    };
    info.append(SqlInfo::SqlDefaultTransactionIsolation, i64::from(isolation as i32));
    info.append(SqlInfo::SqlTransactionsSupported, transactions);
    info.append(SqlInfo::SqlBatchUpdatesSupported, true);
    info.append(SqlInfo::SqlSavepointsSupported, features.savepoints);
    info.append(SqlInfo::SqlNamedParametersSupported, true);
    info.build().map_err(|error| broken(&error))
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

pub(super) fn info(caller: &Caller, command: CommandGetSqlInfo) -> Result<RecordBatch, Status> {
    let features = caller.session.catalog_sql().features;
    data(&features)?.record_batch(command.info).map_err(|error| broken(&error))
}
