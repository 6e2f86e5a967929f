//! Single values: what parameters and inserted constants become.

use arrow::{
    array::{Array, RecordBatch, StructArray},
    ffi::to_ffi,
};
use libduckdb_sys::v2;

use super::{Code, Connection, Failure, call};

/// A value with its type.
pub(crate) struct Value {
    handle: v2::duckdb_v2_value_handle,
}

// SAFETY: a value is a plain tree that only its owner touches.
unsafe impl Send for Value {}

/// Makes a constructor of a plain value.
macro_rules! constructor {
    ($(#[$doc:meta])* $name:ident, $create:ident, $type:ty) => {
        $(#[$doc])*
        pub(crate) fn $name(connection: &Connection, value: $type) -> Result<Self, Failure> {
            Self::make(connection, |factory, slot, error| {
                // SAFETY: the factory and the slots are alive.
                unsafe { v2::$create(factory, value, slot, error) }
            })
        }
    };
}

impl Value {
    constructor!(
        /// A `BOOLEAN`.
        boolean, duckdb_v2_value_create_bool, bool
    );
    constructor!(
        /// A `TINYINT`.
        tinyint, duckdb_v2_value_create_tinyint, i8
    );
    constructor!(
        /// A `SMALLINT`.
        smallint, duckdb_v2_value_create_smallint, i16
    );
    constructor!(
        /// An `INTEGER`.
        integer, duckdb_v2_value_create_int, i32
    );
    constructor!(
        /// A `BIGINT`.
        bigint, duckdb_v2_value_create_bigint, i64
    );
    constructor!(
        /// A `FLOAT`.
        float, duckdb_v2_value_create_float, f32
    );
    constructor!(
        /// A `DOUBLE`.
        double, duckdb_v2_value_create_double, f64
    );

    /// A `VARCHAR`.
    pub(crate) fn varchar(connection: &Connection, value: &str) -> Result<Self, Failure> {
        let view = v2::duckdb_v2_str::from(value);
        Self::make(connection, |factory, slot, error| {
            // SAFETY: the factory, the view and the slots are alive; the text is copied.
            unsafe { v2::duckdb_v2_value_create_varchar(factory, &raw const view, slot, error) }
        })
    }

    /// Imports a batch of one row: one value a column.
    pub(crate) fn from_row(connection: &Connection, row: &RecordBatch) -> Result<Vec<Self>, Failure> {
        let data = StructArray::from(row.clone()).into_data();
        let (mut array, schema) = to_ffi(&data).map_err(|error| Failure {
            code: Code::DUCKDB_V2_ERROR_QUERY_NOT_IMPLEMENTED,
            message: format!("Arrow: {error}"),
        })?;
        let mut handles = vec![std::ptr::null_mut(); row.num_columns()];
        let imported = connection.import_values(&schema, &mut array, &mut handles);
        let values = handles.into_iter().map(|handle| Self { handle }).collect();
        imported.map(|()| values)
    }

    pub(super) fn handle(&self) -> v2::duckdb_v2_value_handle {
        self.handle
    }

    fn make(
        connection: &Connection,
        create: impl FnOnce(
            v2::duckdb_v2_factory_handle,
            *mut v2::duckdb_v2_value_handle,
            *mut v2::duckdb_v2_error_info_handle,
        ) -> Code,
    ) -> Result<Self, Failure> {
        let mut factory: v2::duckdb_v2_factory_handle = std::ptr::null_mut();
        // SAFETY: the connection and the slot are alive; the factory is borrowed from the connection.
        call(|error| unsafe { v2::duckdb_v2_connection_get_factory(connection.handle, &raw mut factory, error) })?;
        let mut handle: v2::duckdb_v2_value_handle = std::ptr::null_mut();
        call(|error| create(factory, &raw mut handle, error))?;
        Ok(Self { handle })
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: owned by us or null, and not used again.
        unsafe { v2::duckdb_v2_value_destroy(&raw mut self.handle) };
    }
}
