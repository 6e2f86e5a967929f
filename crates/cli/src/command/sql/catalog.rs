//! What the prompt asks to tell what there is: in the words of the database's engine.

/// A database's questions about itself.
pub(super) struct Catalog {
    /// `database`, `schema`, `name`, `kind`.
    pub(super) tables: &'static str,
    /// `database`, `schema`, `name`, `sql`.
    pub(super) definitions: &'static str,
    /// Its own name.
    pub(super) database: String,
}

impl Catalog {
    /// Of an engine, by its name; `None`: this build does not have it.
    pub(super) fn of(engine: &str, database: &str) -> Option<Self> {
        #[cfg(feature = "broker")]
        return crate::engine::catalog(engine).map(|sql| Self {
            tables: sql.tables,
            definitions: sql.definitions,
            database: database.to_owned(),
        });
        #[cfg(not(feature = "broker"))]
        {
            let _ = (engine, database);
            None
        }
    }

    /// Tables and views.
    pub(super) fn all_tables(&self) -> String {
        let Self { tables, .. } = self;
        format!(
            "SELECT schema, name, CASE kind WHEN 'VIEW' THEN 'view' ELSE 'table' END AS kind FROM ({tables}) AS found \
             WHERE {} ORDER BY 1, 2, 3;",
            self.is_own()
        )
    }

    /// How they were made: all, or one.
    pub(super) fn all_definitions(&self, table: Option<&str>) -> String {
        let Self { definitions, .. } = self;
        let only = table.map(|name| format!(" AND name = {}", literal(name.trim_end_matches(';'))));
        let only = only.unwrap_or_default();
        format!("SELECT sql FROM ({definitions}) AS found WHERE {}{only} ORDER BY name;", self.is_own())
    }

    fn is_own(&self) -> String {
        format!("database = {}", literal(&self.database))
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
