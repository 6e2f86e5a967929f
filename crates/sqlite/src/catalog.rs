//! How SQLite is asked what there is. It has no schemas: their name is empty. Temporary tables are in the database `temp`.

use dbmux_engine::{
    CatalogSql, ColumnType, Isolation, SqlFeatures,
    TypeKind::{Bigint, Bit, Date, Double, Numeric, Time, Timestamp, Varbinary, Varchar},
};

/// What a column is usually declared as: SQLite takes any word, and goes by its affinity
/// (<https://sqlite.org/datatype3.html>).
const TYPES: &[ColumnType] = &[
    ColumnType::new("INTEGER", Bigint, 19),
    ColumnType::new("REAL", Double, 15),
    ColumnType::new("NUMERIC", Numeric, 15),
    ColumnType::of_any_length("TEXT", Varchar),
    ColumnType::of_any_length("BLOB", Varbinary),
    ColumnType::new("BOOLEAN", Bit, 1),
    ColumnType::new("DATE", Date, 10),
    ColumnType::new("TIME", Time, 15),
    ColumnType::new("TIMESTAMP", Timestamp, 26),
];

/// Tables and views of both databases, with how they were made.
macro_rules! objects {
    () => {
        "SELECT 'main' AS database, '' AS schema, name, \
           CASE type WHEN 'view' THEN 'VIEW' ELSE 'BASE TABLE' END AS kind, sql \
         FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         UNION ALL \
         SELECT 'temp', '', name, CASE type WHEN 'view' THEN 'VIEW' ELSE 'LOCAL TEMPORARY' END, sql \
         FROM temp.sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    };
}

/// A foreign key's rule, by its number in Flight SQL.
macro_rules! rule {
    ($column:literal) => {
        concat!(
            "CASE f.",
            $column,
            " WHEN 'CASCADE' THEN 0 WHEN 'RESTRICT' THEN 1 WHEN 'SET NULL' THEN 2 WHEN 'SET DEFAULT' THEN 4 ELSE 3 END"
        )
    };
}

/// The questions, in SQLite's SQL.
pub const CATALOG: CatalogSql = CatalogSql {
    current: "SELECT 'main' AS database, '' AS schema",
    databases: "SELECT 'main' AS database",
    schemas: "SELECT 'main' AS database, '' AS schema",
    tables: concat!("SELECT database, schema, name, kind FROM (", objects!(), ")"),
    definitions: concat!("SELECT database, schema, name, sql FROM (", objects!(), ")"),
    primary_keys: "SELECT 'main' AS database, '' AS schema, m.name AS name, p.name AS column_name, NULL AS key_name, \
         p.pk AS position FROM main.sqlite_schema m, pragma_table_info(m.name) p WHERE m.type = 'table' AND p.pk > 0",
    foreign_keys: concat!(
        "SELECT 'main' AS pk_database, '' AS pk_schema, f.\"table\" AS pk_table, coalesce(f.\"to\", '') AS pk_column, \
           'main' AS fk_database, '' AS fk_schema, m.name AS fk_table, f.\"from\" AS fk_column, f.seq + 1 AS position, \
           NULL AS fk_name, NULL AS pk_name, ",
        rule!("on_update"),
        " AS on_update, ",
        rule!("on_delete"),
        " AS on_delete \
         FROM main.sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
    ),
    features: SqlFeatures {
        types: TYPES,
        tables: true,
        schemas: false,
        isolation: Some(Isolation::Serializable),
        savepoints: true,
    },
};
