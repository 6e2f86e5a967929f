//! How DuckDB is asked what there is.

use dbmux_engine::CatalogSql;

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
};
