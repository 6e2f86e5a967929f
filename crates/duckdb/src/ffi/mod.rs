//! The only room of this crate with `unsafe`: DuckDB's C API (v2), our own `shim/`, and the C library's calls that we
//! stand in for, each behind a safe face.
//!
//! A handle owns what it names and keeps alive what it depends on. DuckDB takes its own lock in every call on a
//! connection, so handles may be sent between threads; a result is read by one thread at a time (`&mut`).

#![expect(unsafe_code, reason = "this is where the foreign functions are")]

mod connection;
mod guard;
mod instance;
mod result;
mod shim;
mod stand_in;
mod statement;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod syscalls;
mod value;

pub(crate) use connection::Connection;
pub(crate) use guard::{Attaching, Door, Protection};
pub(crate) use instance::Instance;
use libduckdb_sys::v2;
pub(crate) use result::{ArrowResult, FirstBatch, ResultKind};
pub(crate) use shim::{Cell, Signature};
pub(crate) use stand_in::Replacement;
pub(crate) use statement::{Statement, StatementType};
pub(crate) use v2::DUCKDB_V2_ERROR as Code;
pub(crate) use value::Value;

/// What DuckDB said when a call failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The kind of failure.
    pub(crate) code: Code,
    /// `Binder Error: …`.
    pub(crate) message: String,
}

/// Runs one call of the C API and turns its error slot into a [`Failure`].
fn call(function: impl FnOnce(*mut v2::duckdb_v2_error_info_handle) -> Code) -> Result<(), Failure> {
    let mut info: v2::duckdb_v2_error_info_handle = std::ptr::null_mut();
    let code = function(&raw mut info);
    if code == Code::DUCKDB_V2_ERROR_NONE {
        return Ok(());
    }
    let mut text = v2::duckdb_v2_str::default();
    // SAFETY: `info` is null or an owned error; the text is borrowed from it and copied before it is destroyed.
    let message = unsafe {
        v2::duckdb_v2_error_info_get_text(info, &raw mut text);
        let message = owned(text);
        v2::duckdb_v2_error_info_destroy(&raw mut info);
        message
    };
    Err(Failure { code, message })
}

/// Copies a borrowed view.
///
/// # Safety
/// The view must be valid now.
unsafe fn owned(view: v2::duckdb_v2_str) -> String {
    if view.ptr.is_null() || view.len == 0 {
        return String::new();
    }
    // SAFETY: the caller says that the view is valid, and it is not empty.
    let bytes = unsafe { std::slice::from_raw_parts(view.ptr.cast::<u8>(), usize::try_from(view.len).unwrap_or(0)) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// DuckDB's version: `v2.0.0`.
pub(crate) fn library_version() -> String {
    let mut text = v2::duckdb_v2_str::default();
    match call(|error| {
        // SAFETY: the view points to static memory.
        unsafe { v2::duckdb_v2_library_version(&raw mut text, error) }
    }) {
        // SAFETY: as above.
        Ok(()) => unsafe { owned(text) },
        Err(_) => String::new(),
    }
}

/// Gives freed memory back to the system.
pub(crate) fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer, and is safe to call from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
