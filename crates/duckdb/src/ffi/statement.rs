//! Parsed and prepared statements.

use libduckdb_sys::v2;

use super::{ArrowResult, Connection, Failure, Value, call, owned};
pub(crate) use v2::DUCKDB_V2_STATEMENT_TYPE as StatementType;

/// A parsed statement. It belongs to no connection.
pub(crate) struct Statement {
    pub(super) handle: v2::duckdb_v2_sql_statement_handle,
}

// SAFETY: a parsed statement is a plain tree; calls on it copy it or read it.
unsafe impl Send for Statement {}

/// Values for a statement's parameters, by name (`1`, `2`, … for positional ones).
pub(crate) type Arguments<'a> = &'a [(&'a str, &'a Value)];

impl Statement {
    pub(super) fn adopt(handle: v2::duckdb_v2_sql_statement_handle) -> Self {
        Self { handle }
    }

    /// Its type, as the parser sees it.
    pub(crate) fn kind(&self) -> StatementType {
        let mut kind = StatementType::DUCKDB_V2_STATEMENT_TYPE_INVALID;
        // SAFETY: the statement and the slot are alive.
        unsafe { v2::duckdb_v2_sql_statement_get_type(self.handle, &raw mut kind, std::ptr::null_mut()) };
        kind
    }

    /// Its own text.
    pub(crate) fn text(&self) -> String {
        let mut text = v2::duckdb_v2_str::default();
        // SAFETY: the statement is alive, and the view is valid as long as it is.
        unsafe {
            v2::duckdb_v2_sql_statement_get_text(self.handle, &raw mut text, std::ptr::null_mut());
            owned(text)
        }
    }

    /// The names of its parameters, in binding order.
    pub(crate) fn parameter_names(&self) -> Vec<String> {
        let mut count = 0;
        // SAFETY: the statement and the slot are alive.
        unsafe { v2::duckdb_v2_sql_statement_get_parameter_count(self.handle, &raw mut count, std::ptr::null_mut()) };
        (0..count)
            .map(|index| {
                let mut name = v2::duckdb_v2_str::default();
                // SAFETY: the statement is alive, and the view is valid as long as it is.
                unsafe {
                    v2::duckdb_v2_sql_statement_get_parameter_name(
                        self.handle,
                        index,
                        &raw mut name,
                        std::ptr::null_mut(),
                    );
                    owned(name)
                }
            })
            .collect()
    }

    /// Starts it on a connection.
    pub(crate) fn execute(
        &self,
        connection: &Connection,
        arguments: Arguments<'_>,
        batch_rows: u64,
    ) -> Result<ArrowResult, Failure> {
        let (names, values) = views(arguments);
        let mut result: v2::duckdb_v2_arrow_result_handle = std::ptr::null_mut();
        // SAFETY: all handles are alive; the arrays are parallel and copied; the slot receives an owned handle.
        call(|error| unsafe {
            v2::duckdb_v2_statement_execute_arrow(
                connection.handle,
                self.handle,
                names.as_ptr(),
                values.as_ptr(),
                values.len() as u64,
                batch_rows,
                &raw mut result,
                error,
            )
        })?;
        Ok(ArrowResult::adopt(result, &connection.instance))
    }
}

fn views(arguments: Arguments<'_>) -> (Vec<v2::duckdb_v2_str>, Vec<v2::duckdb_v2_value_handle>) {
    // Numbered parameters are positional: a name would be taken for `$name`.
    arguments
        .iter()
        .map(|(name, value)| {
            let numbered = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            let name = if numbered { v2::duckdb_v2_str::default() } else { v2::duckdb_v2_str::from(*name) };
            (name, value.handle())
        })
        .unzip()
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: owned by us, and not used again.
        unsafe { v2::duckdb_v2_sql_statement_destroy(&raw mut self.handle) };
    }
}
