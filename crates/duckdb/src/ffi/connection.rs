//! A connection: one client's settings, transaction and temporary objects.

use std::{ffi::CString, sync::Arc};

use libduckdb_sys::v2;

use super::{Failure, Instance, Statement, call};

/// A connection of an instance, which it keeps alive.
pub(crate) struct Connection {
    pub(super) handle: v2::duckdb_v2_connection_handle,
    pub(super) instance: Arc<Instance>,
}

// SAFETY: DuckDB's client context takes its own lock in every call; `interrupt` and `progress` are atomics.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

impl Connection {
    pub(super) fn open(instance: &Arc<Instance>) -> Result<Self, Failure> {
        let mut handle: v2::duckdb_v2_connection_handle = std::ptr::null_mut();
        // SAFETY: the instance is alive; the slot receives an owned handle.
        call(|error| unsafe { v2::duckdb_v2_connection_create(instance.handle, &raw mut handle, error) })?;
        Ok(Self { handle, instance: Arc::clone(instance) })
    }

    /// Interrupts the running statement, from any thread.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the handle is alive; an error slot is optional, and there is nothing to fail.
        unsafe { v2::duckdb_v2_connection_interrupt(self.handle, std::ptr::null_mut()) };
    }

    /// Percent (negative: unknown), rows done, rows in all, of the running statement, from any thread.
    pub(crate) fn progress(&self) -> (f64, u64, u64) {
        let (mut percent, mut done, mut total) = (-1.0, 0, 0);
        // SAFETY: the handle is alive, and so are the slots.
        unsafe {
            v2::duckdb_v2_connection_progress_get(
                self.handle,
                &raw mut percent,
                &raw mut done,
                &raw mut total,
                std::ptr::null_mut(),
            )
        };
        (percent, done, total)
    }

    /// Splits text into parsed statements.
    pub(crate) fn parse(&self, sql: &str) -> Result<Vec<Statement>, Failure> {
        let Ok(text) = CString::new(sql) else {
            return Err(Failure {
                code: super::Code::DUCKDB_V2_ERROR_QUERY_PARSER,
                message: "Parser Error: the text has a null byte".to_owned(),
            });
        };
        let mut iterator: v2::duckdb_v2_statement_iterator_handle = std::ptr::null_mut();
        // SAFETY: the text outlives the call, which copies it; the slot receives an owned handle, destroyed below.
        call(|error| unsafe { v2::duckdb_v2_parse_sql(self.handle, text.as_ptr(), &raw mut iterator, error) })?;
        let mut statements = Vec::new();
        let parsed = loop {
            let mut statement: v2::duckdb_v2_sql_statement_handle = std::ptr::null_mut();
            // SAFETY: the iterator is alive; the slot receives an owned handle, or null at the end.
            let next =
                call(|error| unsafe { v2::duckdb_v2_statement_iterator_next(iterator, &raw mut statement, error) });
            match next {
                Err(failure) => break Err(failure),
                Ok(()) if statement.is_null() => break Ok(()),
                Ok(()) => statements.push(Statement::adopt(statement)),
            }
        };
        // SAFETY: owned by us, and not used again.
        unsafe { v2::duckdb_v2_statement_iterator_destroy(&raw mut iterator) };
        parsed.map(|()| statements)
    }

    /// Whether `SET` of this setting, with no word on its scope, is everybody's.
    pub(crate) fn is_global_setting(&self, name: &str) -> bool {
        use v2::DUCKDB_V2_SETTING_SCOPE::DUCKDB_V2_SETTING_SCOPE_SESSION as SESSION;
        let name = v2::duckdb_v2_str::from(name);
        let mut config: v2::duckdb_v2_config_handle = std::ptr::null_mut();
        let mut option: v2::duckdb_v2_option_handle = std::ptr::null_mut();
        // SAFETY: the handle and the slots are alive; the config is borrowed from the connection; a name that DuckDB
        // does not know (yet: an extension's) leaves the option null.
        unsafe {
            v2::duckdb_v2_connection_get_config(self.handle, &raw mut config, std::ptr::null_mut());
            let null = std::ptr::null_mut();
            v2::duckdb_v2_config_get_option_by_name(config, &raw const name, &raw mut option, null);
            let mut session = true;
            if !option.is_null() {
                v2::duckdb_v2_option_supports_scope(option, SESSION, &raw mut session, null);
                v2::duckdb_v2_option_destroy(&raw mut option);
            }
            !session
        }
    }

    /// Runs statements of our own, which answer nothing, to their end.
    pub(crate) fn run(&self, sql: &str) -> Result<(), Failure> {
        for statement in self.parse(sql)? {
            statement.execute(self, &[], 0)?.drain()?;
        }
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: owned by us, and not used again; an open transaction is rolled back.
        unsafe { v2::duckdb_v2_connection_destroy(&raw mut self.handle) };
        self.instance.close_unused_soon();
    }
}
