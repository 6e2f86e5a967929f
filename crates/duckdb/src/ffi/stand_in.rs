//! The calls of `shim/stand_in.cpp`: one database in another one's place.

use libduckdb_sys::v2;

use super::{Attaching, Code, Connection, Failure, Instance, call};

unsafe extern "C" {
    fn dbmux_instance_replace(
        instance: v2::duckdb_v2_instance_handle,
        name: *const v2::duckdb_v2_str,
        path: *const v2::duckdb_v2_str,
        storage_version: *const v2::duckdb_v2_str,
        read_only: bool,
        tracked: bool,
        number: *mut u64,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_source(
        connection: v2::duckdb_v2_connection_handle,
        name: *const v2::duckdb_v2_str,
        number: *mut u64,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_stay(
        connection: v2::duckdb_v2_connection_handle,
        name: *const v2::duckdb_v2_str,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_in_file(
        connection: v2::duckdb_v2_connection_handle,
        name: *const v2::duckdb_v2_str,
        in_file: *mut bool,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
}

/// What takes the place of an attached database.
pub(crate) struct Replacement<'a> {
    pub(crate) path: &'a str,
    /// Of a file that is made.
    pub(crate) storage_version: Option<&'a str>,
    pub(crate) read_only: bool,
    /// Nobody else attaches the path meanwhile.
    pub(crate) tracked: bool,
}

impl Instance {
    /// Opens a database in the place of the one that has the name. Statements that have begun go on with that one
    /// ([`Instance::close_unused`]). Answers with the number by which [`Connection::source`] tells it.
    pub(crate) fn replace(&self, name: &str, new: &Replacement<'_>) -> Result<u64, Failure> {
        let _attaching = Attaching::begin();
        let mut number = 0;
        let (name, path) = (v2::duckdb_v2_str::from(name), v2::duckdb_v2_str::from(new.path));
        let version = v2::duckdb_v2_str::from(new.storage_version.unwrap_or_default());
        // SAFETY: the handle, the views and the slot are alive.
        let replaced = call(|error| unsafe {
            dbmux_instance_replace(
                self.handle,
                &raw const name,
                &raw const path,
                &raw const version,
                new.read_only,
                new.tracked,
                &raw mut number,
                error,
            )
        });
        self.has_detached();
        self.close_unused();
        replaced.map(|()| number)
    }
}

impl Connection {
    /// The number of the database that the present transaction means by this name; `None`: it means none yet.
    pub(crate) fn source(&self, name: &str) -> Option<u64> {
        let (name, mut number) = (v2::duckdb_v2_str::from(name), 0);
        // SAFETY: the handle, the view and the slot are alive.
        call(|error| unsafe { dbmux_session_source(self.handle, &raw const name, &raw mut number, error) }).ok()?;
        (number != 0).then_some(number)
    }

    /// Has the present transaction mean the copy that has this name now, to its end; where a copy has it.
    pub(crate) fn stay(&self, name: &str) -> Result<(), Failure> {
        let name = v2::duckdb_v2_str::from(name);
        // SAFETY: the handle and the view are alive.
        call(|error| unsafe { dbmux_session_stay(self.handle, &raw const name, error) })
    }

    /// Whether the present transaction means the file by this name, or may yet, or has begun in it all the same.
    pub(crate) fn is_in_file(&self, name: &str) -> bool {
        let (name, mut in_file) = (v2::duckdb_v2_str::from(name), false);
        // SAFETY: the handle, the view and the slot are alive.
        let asked =
            call(|error| unsafe { dbmux_session_in_file(self.handle, &raw const name, &raw mut in_file, error) });
        asked.is_err() || in_file
    }
}
