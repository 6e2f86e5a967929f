//! The calls of `shim.cpp`.

use arrow::{
    datatypes::Schema,
    ffi::{FFI_ArrowArray, FFI_ArrowSchema},
};
use libduckdb_sys::v2;

use super::{Code, Connection, Failure, ResultKind, Statement, call, result::import_schema};

unsafe extern "C" {
    fn dbmux_statement_signature(
        connection: v2::duckdb_v2_connection_handle,
        statement: v2::duckdb_v2_sql_statement_handle,
        columns: *mut FFI_ArrowSchema,
        parameters: *mut FFI_ArrowSchema,
        out: *mut RawSignature,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_facts_get(
        connection: v2::duckdb_v2_connection_handle,
        out: *mut SessionFacts,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_set_default(
        connection: v2::duckdb_v2_connection_handle,
        name: *const v2::duckdb_v2_str,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_parameter_values(
        connection: v2::duckdb_v2_connection_handle,
        schema: *const FFI_ArrowSchema,
        array: *mut FFI_ArrowArray,
        values: *mut v2::duckdb_v2_value_handle,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
}

#[repr(C)]
#[derive(Default)]
struct RawSignature {
    returns: u8,
    deferred: bool,
    modifies: bool,
}

/// What binding tells of a statement.
#[derive(Debug)]
pub(crate) struct Signature {
    /// What it answers; `None`: it expands into several, and tells when it runs.
    pub(crate) returns: Option<ResultKind>,
    /// The columns of its rows; empty where it answers none.
    pub(crate) columns: Schema,
    /// Its parameters, in binding order.
    pub(crate) parameters: Schema,
    /// It changes a database: data, catalog or sequences.
    pub(crate) modifies: bool,
}

/// What a session holds.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionFacts {
    /// A transaction was begun.
    pub(crate) in_transaction: bool,
    /// It was broken by an error.
    pub(crate) transaction_failed: bool,
}

impl Connection {
    /// Binds a statement without running it.
    pub(crate) fn signature(&self, statement: &Statement) -> Result<Signature, Failure> {
        let (mut columns, mut parameters) = (FFI_ArrowSchema::empty(), FFI_ArrowSchema::empty());
        let mut raw = RawSignature::default();
        // SAFETY: all handles and slots are alive; the schemas are released by their drop.
        call(|error| unsafe {
            dbmux_statement_signature(
                self.handle,
                statement.handle,
                &raw mut columns,
                &raw mut parameters,
                &raw mut raw,
                error,
            )
        })?;
        let returns = match (raw.deferred, raw.returns) {
            (true, _) => None,
            (false, 0) => Some(ResultKind::Rows),
            (false, 1) => Some(ResultKind::Changed),
            (false, _) => Some(ResultKind::Nothing),
        };
        Ok(Signature { returns, columns: schema(&columns)?, parameters: schema(&parameters)?, modifies: raw.modifies })
    }

    /// What the session holds now.
    pub(crate) fn facts(&self) -> Result<SessionFacts, Failure> {
        let mut facts = SessionFacts::default();
        // SAFETY: the handle and the slot are alive.
        call(|error| unsafe { dbmux_session_facts_get(self.handle, &raw mut facts, error) })?;
        Ok(facts)
    }

    /// Makes `name` what unqualified names mean, whether it is attached now or not.
    pub(crate) fn set_default(&self, name: &str) -> Result<(), Failure> {
        let name = v2::duckdb_v2_str::from(name);
        // SAFETY: the handle and the view are alive.
        call(|error| unsafe { dbmux_session_set_default(self.handle, &raw const name, error) })
    }

    /// Imports a one-row Arrow struct as one value a column.
    pub(super) fn import_values(
        &self,
        schema: &FFI_ArrowSchema,
        array: &mut FFI_ArrowArray,
        values: &mut [v2::duckdb_v2_value_handle],
    ) -> Result<(), Failure> {
        // SAFETY: the caller exported both together, and has a slot for each column; the array is consumed or left.
        call(|error| unsafe { dbmux_parameter_values(self.handle, schema, array, values.as_mut_ptr(), error) })
    }
}

/// An empty schema where none was given.
fn schema(schema: &FFI_ArrowSchema) -> Result<Schema, Failure> {
    if schema.children().next().is_none() { Ok(Schema::empty()) } else { import_schema(schema) }
}
