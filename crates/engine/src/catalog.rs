//! How a wire protocol asks what there is: texts in the engine's own SQL, asked in the caller's own session, so that its
//! temporary tables and its open transaction are seen.

use crate::{SqlFeatures, quote::quoted};

/// Questions about the catalog. Each answers with the columns that stand here, in this order, and can be a subquery.
#[derive(Debug, Clone, Copy)]
pub struct CatalogSql {
    /// `database`, `schema`: where a name without them is looked up.
    pub current: &'static str,
    /// `database`: those that a client may know of.
    pub databases: &'static str,
    /// `database`, `schema`: an engine without schemas has one with an empty name.
    pub schemas: &'static str,
    /// `database`, `schema`, `name`, `kind`: `BASE TABLE`, `LOCAL TEMPORARY` or `VIEW`.
    pub tables: &'static str,
    /// `database`, `schema`, `name`, `sql`: how tables and views were made.
    pub definitions: &'static str,
    /// `database`, `schema`, `name`, `column_name`, `key_name`, `position` (from 1).
    pub primary_keys: &'static str,
    /// `pk_database`, `pk_schema`, `pk_table`, `pk_column`, `fk_database`, `fk_schema`, `fk_table`, `fk_column`, `position`
    /// (from 1), `fk_name`, `pk_name`, `on_update`, `on_delete`: the rules by their numbers in Flight SQL.
    pub foreign_keys: &'static str,
    /// What the engine's SQL has.
    pub features: SqlFeatures,
}

impl CatalogSql {
    /// The name of a table as a statement takes it: parts that an engine does not have are empty.
    pub fn name(parts: [&str; 3]) -> String {
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.map(quoted).collect::<Vec<_>>().join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::CatalogSql;

    #[test]
    fn names_are_quoted_and_leave_out_what_is_not_there() {
        assert_eq!(CatalogSql::name(["sales", "main", "a \"b\""]), "\"sales\".\"main\".\"a \"\"b\"\"\"");
        assert_eq!(CatalogSql::name(["main", "", "t"]), "\"main\".\"t\"");
    }
}
