//! The calls of `shim/`.

use std::{borrow::Cow, ffi::c_void};

use arrow::{
    datatypes::Schema,
    ffi::{FFI_ArrowArray, FFI_ArrowSchema},
};
use libduckdb_sys::v2;

use super::{
    Code, Connection, Failure, Instance, ResultKind, Statement, StatementType, Value, call, result::import_schema,
};

unsafe extern "C" {
    fn dbmux_statement_signature(
        connection: v2::duckdb_v2_connection_handle,
        statement: v2::duckdb_v2_sql_statement_handle,
        columns: *mut FFI_ArrowSchema,
        parameters: *mut FFI_ArrowSchema,
        out: *mut RawSignature,
        calls: TextSink,
        user: *mut c_void,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_statement_describe(
        connection: v2::duckdb_v2_connection_handle,
        statement: v2::duckdb_v2_sql_statement_handle,
        sink: TextSink,
        user: *mut c_void,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_facts_get(
        connection: v2::duckdb_v2_connection_handle,
        out: *mut SessionFacts,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_instance_guard(
        instance: v2::duckdb_v2_instance_handle,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_instance_arrow_types(
        instance: v2::duckdb_v2_instance_handle,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_mark(
        connection: v2::duckdb_v2_connection_handle,
        directory: *const v2::duckdb_v2_str,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_statement_prefer_session(
        connection: v2::duckdb_v2_connection_handle,
        statement: v2::duckdb_v2_sql_statement_handle,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_attach(
        connection: v2::duckdb_v2_connection_handle,
        name: *const v2::duckdb_v2_str,
        path: *const v2::duckdb_v2_str,
        read_only: bool,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_session_detach(
        connection: v2::duckdb_v2_connection_handle,
        name: *const v2::duckdb_v2_str,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_insert_rows(
        connection: v2::duckdb_v2_connection_handle,
        statement: v2::duckdb_v2_sql_statement_handle,
        table: *const v2::duckdb_v2_str,
        cells: *const RawCell,
        rows: usize,
        width: usize,
        out: *mut bool,
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

/// A value of a row that is inserted.
pub(crate) enum Cell<'a> {
    /// `NULL`.
    Null,
    /// `TRUE`, `FALSE`.
    Boolean(bool),
    /// As it is written.
    Number(&'a str),
    /// Without its quotes.
    Text(Cow<'a, str>),
    /// A parameter's.
    Value(&'a Value),
}

/// As `shim/insert.cpp` has it.
#[repr(C)]
struct RawCell {
    kind: u8,
    text: *const u8,
    length: usize,
    value: v2::duckdb_v2_value_handle,
}

impl From<&Cell<'_>> for RawCell {
    fn from(cell: &Cell<'_>) -> Self {
        let (kind, text, value) = match cell {
            Cell::Null => (0, "", std::ptr::null_mut()),
            Cell::Boolean(true) => (1, "true", std::ptr::null_mut()),
            Cell::Boolean(false) => (1, "false", std::ptr::null_mut()),
            Cell::Number(text) => (2, *text, std::ptr::null_mut()),
            Cell::Text(text) => (3, text.as_ref(), std::ptr::null_mut()),
            Cell::Value(value) => (4, "", value.handle()),
        };
        Self { kind, text: text.as_ptr(), length: text.len(), value }
    }
}

#[repr(C)]
#[derive(Default)]
struct RawSignature {
    kind: u8,
    returns: u8,
    deferred: bool,
    modifies: bool,
}

/// What binding tells of a statement.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Its type, once PRAGMAs are written out as what they run.
    pub(crate) statement_type: u32,
    /// What it calls, a line each.
    calls: String,
    /// What it answers; `None`: it expands into several, and tells when it runs.
    pub(crate) returns: Option<ResultKind>,
    /// The columns of its rows; empty where it answers none.
    pub(crate) columns: Schema,
    /// Its parameters, in binding order.
    pub(crate) parameters: Schema,
    /// It changes a database: data, catalog or sequences.
    pub(crate) modifies: bool,
}

impl Signature {
    /// What it answers and does where nothing needs binding: `COMMIT` and its like.
    pub(crate) fn of_control(kind: StatementType) -> Self {
        Self {
            statement_type: kind as u32,
            calls: String::new(),
            returns: Some(ResultKind::Nothing),
            columns: Schema::empty(),
            parameters: Schema::empty(),
            modifies: false,
        }
    }

    /// The table functions that it calls, and the scalar ones that do more than answer; views and macros written out.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &str> {
        self.calls.lines()
    }
}

/// Receives a text from `shim/`, once.
type TextSink = unsafe extern "C" fn(*const u8, usize, *mut c_void);

/// Copies a text to the `String` that `user` points to.
unsafe extern "C" fn receive(text: *const u8, length: usize, user: *mut c_void) {
    if length == 0 {
        return;
    }
    // SAFETY: the caller gives a text of this length, and passes on the `String` that it was given.
    let (bytes, target) = unsafe { (std::slice::from_raw_parts(text, length), &mut *user.cast::<String>()) };
    *target = String::from_utf8_lossy(bytes).into_owned();
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

impl Instance {
    /// Puts the guard before its local files.
    pub(super) fn guard(&self) -> Result<(), Failure> {
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        std::hint::black_box(super::syscalls::installed());
        // SAFETY: the handle is alive.
        call(|error| unsafe { dbmux_instance_guard(self.handle, error) })
    }

    /// Sets up how its types cross to Arrow.
    pub(super) fn set_arrow_types(&self) -> Result<(), Failure> {
        // SAFETY: the handle is alive.
        call(|error| unsafe { dbmux_instance_arrow_types(self.handle, error) })
    }
}

impl Connection {
    /// Binds a statement without running it.
    pub(crate) fn signature(&self, statement: &Statement) -> Result<Signature, Failure> {
        let (mut columns, mut parameters) = (FFI_ArrowSchema::empty(), FFI_ArrowSchema::empty());
        let mut raw = RawSignature::default();
        let mut calls = String::new();
        // SAFETY: all handles and slots are alive; the schemas are released by their drop.
        call(|error| unsafe {
            dbmux_statement_signature(
                self.handle,
                statement.handle,
                &raw mut columns,
                &raw mut parameters,
                &raw mut raw,
                receive,
                (&raw mut calls).cast(),
                error,
            )
        })?;
        let returns = match (raw.deferred, raw.returns) {
            (true, _) => None,
            (false, 0) => Some(ResultKind::Rows),
            (false, 1) => Some(ResultKind::Changed),
            (false, _) => Some(ResultKind::Nothing),
        };
        Ok(Signature {
            statement_type: raw.kind.into(),
            calls,
            returns,
            columns: schema(&columns)?,
            parameters: schema(&parameters)?,
            modifies: raw.modifies,
        })
    }

    /// What a statement says of files, databases and settings: records of fields.
    pub(crate) fn describe(&self, statement: &Statement) -> Result<Vec<Vec<String>>, Failure> {
        let mut text = String::new();
        // SAFETY: both handles are alive, and so is the text that the sink writes to.
        call(|error| unsafe {
            dbmux_statement_describe(self.handle, statement.handle, receive, (&raw mut text).cast(), error)
        })?;
        let records = text.split_terminator('\u{1e}');
        Ok(records.map(|record| record.split_terminator('\u{1f}').map(str::to_owned).collect()).collect())
    }

    /// What the session holds now.
    pub(crate) fn facts(&self) -> Result<SessionFacts, Failure> {
        let mut facts = SessionFacts::default();
        // SAFETY: the handle and the slot are alive.
        call(|error| unsafe { dbmux_session_facts_get(self.handle, &raw mut facts, error) })?;
        Ok(facts)
    }

    /// Marks it as a client's, who is in this directory; `None`: it did not tell, and relative paths are refused.
    pub(crate) fn mark_client(&self, directory: Option<&str>) -> Result<(), Failure> {
        let directory = v2::duckdb_v2_str::from(directory.unwrap_or_default());
        // SAFETY: the handle and the view are alive; the text is copied.
        call(|error| unsafe { dbmux_session_mark(self.handle, &raw const directory, error) })
    }

    /// Makes a `SET` that says nothing of its scope this session's own, where the setting can be.
    pub(crate) fn prefer_session_scope(&self, statement: &Statement) -> Result<(), Failure> {
        // SAFETY: both handles are alive.
        call(|error| unsafe { dbmux_statement_prefer_session(self.handle, statement.handle, error) })
    }

    /// Attaches a database under a name that only this session knows. No two may attach at once.
    pub(crate) fn attach_own(&self, name: &str, path: &str, read_only: bool) -> Result<(), Failure> {
        let _attaching = super::Attaching::begin();
        let (name, path) = (v2::duckdb_v2_str::from(name), v2::duckdb_v2_str::from(path));
        // SAFETY: the handle and the views are alive.
        call(|error| unsafe { dbmux_session_attach(self.handle, &raw const name, &raw const path, read_only, error) })
    }

    /// Detaches what this session attached under a name; `None`: all of it.
    pub(crate) fn detach_own(&self, name: Option<&str>) -> Result<(), Failure> {
        let name = name.map(v2::duckdb_v2_str::from);
        let name = name.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the handle and the view are alive; null stands for all.
        let detached = call(|error| unsafe { dbmux_session_detach(self.handle, name, error) });
        self.instance.has_detached();
        self.instance.close_unused_soon();
        detached
    }

    /// Makes `name` what unqualified names mean, whether it is attached now or not.
    pub(crate) fn set_default(&self, name: &str) -> Result<(), Failure> {
        let name = v2::duckdb_v2_str::from(name);
        // SAFETY: the handle and the view are alive.
        call(|error| unsafe { dbmux_session_set_default(self.handle, &raw const name, error) })
    }

    /// Runs `INSERT INTO table [(columns)] FROM dbmux_rows` with these rows, cells row by row. `false`: the table would
    /// notice that it is one statement; nothing has happened then, as after an error.
    pub(crate) fn insert_rows(
        &self,
        statement: &Statement,
        table: &str,
        cells: &[Cell<'_>],
        width: usize,
    ) -> Result<bool, Failure> {
        let raw: Vec<RawCell> = cells.iter().map(RawCell::from).collect();
        let rows = raw.len().checked_div(width).unwrap_or(0);
        let table = v2::duckdb_v2_str::from(table);
        let mut done = false;
        // SAFETY: all handles and views are alive; there are `rows * width` cells at least.
        call(|error| unsafe {
            dbmux_insert_rows(
                self.handle,
                statement.handle,
                &raw const table,
                raw.as_ptr(),
                rows,
                width,
                &raw mut done,
                error,
            )
        })?;
        Ok(done)
    }

    /// Imports an Arrow struct's rows as one value a column, row by row.
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
