//! How DuckDB is asked what there is.

use dbmux_engine::{
    CatalogSql, ColumnType, Isolation, SqlFeatures,
    TypeKind::{
        Bigint, Bit, Date, Decimal, Double, Integer, Numeric, Real, Smallint, Time, Timestamp, TimestampWithTimezone,
        Tinyint, Varbinary, Varchar,
    },
};

/// What a column can be declared as.
const TYPES: &[ColumnType] = &[
    ColumnType::new("BOOLEAN", Bit, 1),
    ColumnType::new("TINYINT", Tinyint, 3),
    ColumnType::new("SMALLINT", Smallint, 5),
    ColumnType::new("INTEGER", Integer, 10),
    ColumnType::new("BIGINT", Bigint, 19),
    ColumnType::new("HUGEINT", Numeric, 38),
    ColumnType::new("UTINYINT", Tinyint, 3),
    ColumnType::new("USMALLINT", Smallint, 5),
    ColumnType::new("UINTEGER", Integer, 10),
    ColumnType::new("UBIGINT", Bigint, 20),
    ColumnType::new("FLOAT", Real, 7),
    ColumnType::new("DOUBLE", Double, 15),
    ColumnType::new("DECIMAL", Decimal, 38),
    ColumnType::of_any_length("VARCHAR", Varchar),
    ColumnType::new("UUID", Varchar, 36),
    ColumnType::of_any_length("BLOB", Varbinary),
    ColumnType::new("DATE", Date, 10),
    ColumnType::new("TIME", Time, 15),
    ColumnType::new("TIMESTAMP", Timestamp, 26),
    ColumnType::new("TIMESTAMP WITH TIME ZONE", TimestampWithTimezone, 32),
];

/// Files are what a client may know of: the broker's own database, in memory, is nobody's business. Temporary tables are in
/// the database `temp`.
macro_rules! files {
    () => {
        "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND path IS NOT NULL"
    };
}

/// The questions, in DuckDB's SQL.
pub const CATALOG: CatalogSql = CatalogSql {
    current: "SELECT current_database() AS database, current_schema() AS schema",
    databases: concat!("SELECT database_name AS database FROM (", files!(), ")"),
    schemas: concat!(
        "SELECT database_name AS database, schema_name AS schema FROM duckdb_schemas() WHERE database_name IN (",
        files!(),
        ") AND schema_name NOT IN ('information_schema', 'pg_catalog')"
    ),
    tables: concat!(
        "SELECT database_name AS database, schema_name AS schema, table_name AS name, \
           CASE WHEN temporary THEN 'LOCAL TEMPORARY' ELSE 'BASE TABLE' END AS kind \
         FROM duckdb_tables() WHERE NOT internal AND (temporary OR database_name IN (",
        files!(),
        ")) UNION ALL SELECT database_name, schema_name, view_name, 'VIEW' \
         FROM duckdb_views() WHERE NOT internal AND (temporary OR database_name IN (",
        files!(),
        "))"
    ),
    definitions: "SELECT database_name AS database, schema_name AS schema, table_name AS name, sql FROM duckdb_tables() \
         WHERE database_name = current_database() UNION ALL SELECT database_name, schema_name, view_name, sql \
         FROM duckdb_views() WHERE database_name = current_database() AND NOT internal",
    primary_keys: "SELECT database_name AS database, schema_name AS schema, table_name AS name, \
         unnest(constraint_column_names) AS column_name, constraint_name AS key_name, \
         generate_subscripts(constraint_column_names, 1) AS position \
         FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'",
    // What happens on update and delete is always `NO ACTION` (3). A key refers to a table of its own schema.
    foreign_keys: "SELECT f.database_name AS pk_database, f.schema_name AS pk_schema, f.referenced_table AS pk_table, \
         unnest(f.referenced_column_names) AS pk_column, f.database_name AS fk_database, f.schema_name AS fk_schema, \
         f.table_name AS fk_table, unnest(f.constraint_column_names) AS fk_column, \
         generate_subscripts(f.constraint_column_names, 1) AS position, f.constraint_name AS fk_name, \
         NULL::VARCHAR AS pk_name, 3 AS on_update, 3 AS on_delete \
         FROM duckdb_constraints() f WHERE f.constraint_type = 'FOREIGN KEY'",
    features: SqlFeatures {
        types: TYPES,
        tables: true,
        schemas: true,
        isolation: Some(Isolation::Snapshot),
        savepoints: false,
    },
};
