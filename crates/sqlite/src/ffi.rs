//! The one room with `unsafe`: SQLite's statements, and the vector extension's registration.
//!
//! Connections are rusqlite's. Its statements borrow their connection, and may not leave their thread; rows of a session
//! are read from whichever thread the broker has free, and outlive the call that made them. So statements are kept here:
//! each holds its connection, which is therefore closed after the last of them.
//!
//! What always holds: every connection is opened in SQLite's serialized mode, in which its calls may come from any thread;
//! a value borrows its statement, which cannot step meanwhile.

use std::{
    ffi::{CStr, c_char, c_int},
    path::Path,
    ptr::{self, NonNull},
    sync::{Arc, Once},
};

use parking_lot::Mutex;
use rusqlite::{OpenFlags, ffi, types::ValueRef};

/// What SQLite said when it failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The extended result code.
    pub(crate) code: c_int,
    pub(crate) message: String,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map_or(ffi::SQLITE_ERROR, |error| error.extended_code);
        Self { code, message: error.to_string() }
    }
}

/// An open connection.
pub(crate) struct Handle {
    raw: NonNull<ffi::sqlite3>,
    /// Owns `raw`; for whatever rusqlite has a call for.
    owner: Mutex<rusqlite::Connection>,
}

// SAFETY: the connection is opened in serialized mode (`FULL_MUTEX`): SQLite itself lets its calls in one by one.
unsafe impl Send for Handle {}
// SAFETY: as above; rusqlite's own state is behind a mutex.
unsafe impl Sync for Handle {}

impl Handle {
    /// Opens a file, by its path or as `flags` say by its URI.
    pub(crate) fn open(path: &Path, flags: OpenFlags) -> Result<Self, Failure> {
        set_up_once();
        let flags = (flags | OpenFlags::SQLITE_OPEN_FULL_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE)
            .difference(OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let owner = rusqlite::Connection::open_with_flags(path, flags)?;
        // SAFETY: the pointer is used no longer than its connection lives, which is as long as this does.
        let raw = unsafe { owner.handle() };
        let raw = NonNull::new(raw).ok_or_else(out_of_memory)?;
        Ok(Self { raw, owner: Mutex::new(owner) })
    }

    /// rusqlite's face of the connection. Nobody keeps it across a step of a statement.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut rusqlite::Connection) -> T) -> T {
        call(&mut self.owner.lock())
    }

    /// Whether no transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_get_autocommit(self.raw.as_ptr()) != 0 }
    }

    /// Rows changed by the statement that ended last.
    pub(crate) fn changes(&self) -> i64 {
        // SAFETY: the connection is open.
        unsafe { ffi::sqlite3_changes64(self.raw.as_ptr()) }
    }

    fn failure(&self, code: c_int) -> Failure {
        // SAFETY: the connection is open; the message is copied before anything else is asked of it.
        let message = unsafe { text_of(ffi::sqlite3_errmsg(self.raw.as_ptr())) };
        Failure { code, message }
    }
}

/// A prepared statement. Dropping it ends its run.
pub(crate) struct Statement {
    raw: NonNull<ffi::sqlite3_stmt>,
    handle: Arc<Handle>,
}

// SAFETY: its connection is in serialized mode, and lives as long as it does.
unsafe impl Send for Statement {}

impl Statement {
    /// Prepares the first statement of a text; answers with it, and with where the text goes on. `None`: there is none, but
    /// blanks and comments.
    pub(crate) fn prepare(handle: &Arc<Handle>, sql: &str) -> Result<(Option<Self>, usize), Failure> {
        let length = c_int::try_from(sql.len())
            .map_err(|_| Failure { code: ffi::SQLITE_TOOBIG, message: "the statement is too long".into() })?;
        let (mut raw, mut tail) = (ptr::null_mut(), ptr::null());
        let start = sql.as_ptr().cast::<c_char>();
        let flags = ffi::SQLITE_PREPARE_PERSISTENT;
        // SAFETY: the text is `length` bytes long, and outlives the call; SQLite copies it.
        let code =
            unsafe { ffi::sqlite3_prepare_v3(handle.raw.as_ptr(), start, length, flags, &raw mut raw, &raw mut tail) };
        if code != ffi::SQLITE_OK {
            return Err(handle.failure(code));
        }
        // `tail` points into the text, or at its end.
        let end = (tail as usize).saturating_sub(start as usize).min(sql.len());
        Ok((NonNull::new(raw).map(|raw| Self { raw, handle: Arc::clone(handle) }), end))
    }

    /// SQLite's own word: it changes no database file.
    pub(crate) fn is_read_only(&self) -> bool {
        // SAFETY: the statement is not finalized; so for all calls below.
        unsafe { ffi::sqlite3_stmt_readonly(self.raw.as_ptr()) != 0 }
    }

    /// `EXPLAIN`, of either kind.
    pub(crate) fn is_explain(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_stmt_isexplain(self.raw.as_ptr()) != 0 }
    }

    pub(crate) fn column_count(&self) -> usize {
        // SAFETY: as above.
        usize::try_from(unsafe { ffi::sqlite3_column_count(self.raw.as_ptr()) }).unwrap_or_default()
    }

    pub(crate) fn column_name(&self, column: usize) -> String {
        // SAFETY: as above; the name is copied before the statement is asked anything else.
        unsafe { text_of(ffi::sqlite3_column_name(self.raw.as_ptr(), number(column))) }
    }

    /// The type with which the column's table declares it; `None`: it has none, or the column is no table's.
    pub(crate) fn column_decltype(&self, column: usize) -> Option<String> {
        // SAFETY: as above.
        unsafe {
            let declared = ffi::sqlite3_column_decltype(self.raw.as_ptr(), number(column));
            (!declared.is_null()).then(|| text_of(declared))
        }
    }

    pub(crate) fn parameter_count(&self) -> usize {
        // SAFETY: as above.
        usize::try_from(unsafe { ffi::sqlite3_bind_parameter_count(self.raw.as_ptr()) }).unwrap_or_default()
    }

    /// `?2`, `:a`, `@a`, `$a`; `None`: the parameter, numbered from 1, has only its number.
    pub(crate) fn parameter_name(&self, parameter: usize) -> Option<String> {
        // SAFETY: as above.
        unsafe {
            let name = ffi::sqlite3_bind_parameter_name(self.raw.as_ptr(), number(parameter));
            (!name.is_null()).then(|| text_of(name))
        }
    }

    /// Gives a parameter, numbered from 1, its value.
    pub(crate) fn bind(&mut self, parameter: usize, value: ValueRef<'_>) -> Result<(), Failure> {
        let (raw, index) = (self.raw.as_ptr(), number(parameter));
        let copied = ffi::SQLITE_TRANSIENT();
        // SAFETY: SQLite copies text and bytes before it returns.
        let code = unsafe {
            match value {
                ValueRef::Null => ffi::sqlite3_bind_null(raw, index),
                ValueRef::Integer(value) => ffi::sqlite3_bind_int64(raw, index, value),
                ValueRef::Real(value) => ffi::sqlite3_bind_double(raw, index, value),
                ValueRef::Text(text) => {
                    let utf8 = ffi::SQLITE_UTF8 as u8;
                    ffi::sqlite3_bind_text64(raw, index, address(text).cast(), text.len() as u64, copied, utf8)
                }
                ValueRef::Blob(bytes) => {
                    ffi::sqlite3_bind_blob64(raw, index, address(bytes).cast(), bytes.len() as u64, copied)
                }
            }
        };
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(self.handle.failure(code)) }
    }

    /// Goes on to the next row; `false`: the statement has ended.
    pub(crate) fn step(&mut self) -> Result<bool, Failure> {
        // SAFETY: as above; no value of the present row is borrowed.
        match unsafe { ffi::sqlite3_step(self.raw.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => Err(self.handle.failure(code)),
        }
    }

    /// A value of the present row.
    pub(crate) fn value(&self, column: usize) -> ValueRef<'_> {
        let (raw, index) = (self.raw.as_ptr(), number(column));
        // SAFETY: text and bytes are SQLite's until the next step or reset, for which the statement must be borrowed
        // mutably; their length is asked after their address, as SQLite wants it.
        unsafe {
            match ffi::sqlite3_column_type(raw, index) {
                ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_column_int64(raw, index)),
                ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_column_double(raw, index)),
                ffi::SQLITE_TEXT => {
                    let start = ffi::sqlite3_column_text(raw, index);
                    ValueRef::Text(bytes(start.cast(), ffi::sqlite3_column_bytes(raw, index)))
                }
                ffi::SQLITE_BLOB => {
                    let start = ffi::sqlite3_column_blob(raw, index);
                    ValueRef::Blob(bytes(start.cast(), ffi::sqlite3_column_bytes(raw, index)))
                }
                _ => ValueRef::Null,
            }
        }
    }

    /// Ends its run, and forgets its parameters.
    pub(crate) fn reset(&mut self) {
        // SAFETY: as above; what a run failed with was told by its step.
        unsafe {
            ffi::sqlite3_reset(self.raw.as_ptr());
            ffi::sqlite3_clear_bindings(self.raw.as_ptr());
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: nobody has it any more.
        unsafe { ffi::sqlite3_finalize(self.raw.as_ptr()) };
    }
}

/// Whether a text ends where a statement does, as SQLite's own shell asks.
pub(crate) fn is_complete(sql: &CStr) -> bool {
    // SAFETY: the text ends with a NUL.
    unsafe { ffi::sqlite3_complete(sql.as_ptr()) != 0 }
}

/// What a statement in a transaction may keep of the pages as they were before it, in bytes, until that goes to a temporary
/// file: sixteen memories that are stored at once are some 80 pages.
const STATEMENT_JOURNAL: c_int = 1 << 20;

/// Every connection of this process gets `vec0` and its functions. And nobody counts SQLite's memory: that would be one mutex
/// around each allocation of all connections.
fn set_up_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: nothing of SQLite's runs yet; where another has begun, it refuses, and goes on as it is.
        unsafe {
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_STMTJRNL_SPILL, STATEMENT_JOURNAL);
        }
        type Init =
            unsafe extern "C" fn(*mut ffi::sqlite3, *mut *mut c_char, *const ffi::sqlite3_api_routines) -> c_int;
        // SAFETY: the crate declares the function without its parameters; in C it has exactly those of an extension's
        // entry, and lives as long as the process.
        unsafe {
            let init = std::mem::transmute::<*const (), Init>(sqlite_vec::sqlite3_vec_init as *const ());
            ffi::sqlite3_auto_extension(Some(init));
        }
    });
}

fn number(index: usize) -> c_int {
    c_int::try_from(index).unwrap_or(-1)
}

/// Never null: to SQLite a null address is NULL, whatever its length.
fn address(bytes: &[u8]) -> *const u8 {
    if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr() }
}

/// # Safety
/// Null, or the address of `length` bytes that live as long as `'a`.
unsafe fn bytes<'a>(start: *const u8, length: c_int) -> &'a [u8] {
    let length = usize::try_from(length).unwrap_or_default();
    if start.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: the caller's word.
    unsafe { std::slice::from_raw_parts(start, length) }
}

/// # Safety
/// Null, or a text that ends with a NUL.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's word.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn out_of_memory() -> Failure {
    Failure { code: ffi::SQLITE_NOMEM, message: "out of memory".to_owned() }
}
