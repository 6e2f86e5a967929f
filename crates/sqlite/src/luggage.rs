//! What a session has of its own, from one connection to its next.

use rusqlite::{Connection as Database, backup::Backup};

use crate::{connection::Connection, ffi::Failure};

/// Its temporary objects, and the databases that it attached, which are in memory.
pub(crate) struct Luggage {
    temporary: Option<Database>,
    attached: Vec<(String, Database)>,
}

impl Luggage {
    /// Copies what a connection has, which is about to be closed.
    pub(crate) fn pack(connection: &Connection) -> Result<Self, Failure> {
        let watch = &connection.watch;
        watch.clear(false);
        let luggage = connection.handle.with(|from| {
            let names = names(from)?;
            let mut luggage = Self { temporary: None, attached: Vec::new() };
            for name in names {
                // A file of its own, which nobody else sees: it may be large.
                let mut copy = Database::open("")?;
                Backup::new_with_names(from, name.as_str(), &mut copy, "main")?.step(-1)?;
                match name.as_str() {
                    "temp" => luggage.temporary = Some(copy),
                    _ => luggage.attached.push((name, copy)),
                }
            }
            Ok::<_, rusqlite::Error>(luggage)
        })?;
        Ok(luggage)
    }

    /// Gives it to another connection, which has none yet.
    pub(crate) fn unpack(&self, connection: &Connection) -> Result<(), Failure> {
        connection.handle.with(|to| {
            for (name, copy) in &self.attached {
                to.execute("ATTACH ':memory:' AS ?1", [name])?;
                Backup::new_with_names(copy, "main", to, name.as_str())?.step(-1)?;
            }
            if let Some(copy) = &self.temporary {
                Backup::new_with_names(copy, "main", to, "temp")?.step(-1)?;
            }
            Ok::<_, rusqlite::Error>(())
        })?;
        Ok(())
    }
}

/// All databases of a connection but the file.
pub(crate) fn names(connection: &Database) -> rusqlite::Result<Vec<String>> {
    let mut list = connection.prepare("SELECT name FROM pragma_database_list WHERE name <> 'main' ORDER BY seq")?;
    let names = list.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Whether a connection has anything but the file.
pub(crate) fn has_any(connection: &Connection) -> Result<bool, Failure> {
    connection.watch.clear(false);
    let any = connection.handle.with(|connection| {
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let attached = count("SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')")?;
        Ok::<_, rusqlite::Error>(attached + count("SELECT count(*) FROM temp.sqlite_schema")? > 0)
    })?;
    Ok(any)
}
