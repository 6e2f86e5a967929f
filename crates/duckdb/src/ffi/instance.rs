//! A DuckDB instance: settings, buffer pool, threads, and the databases attached to it. It starts with none attached.

use std::sync::Arc;

use libduckdb_sys::v2;

use super::{Attaching, Code, Connection, Failure, call};

unsafe extern "C" {
    fn dbmux_instance_detach(
        instance: v2::duckdb_v2_instance_handle,
        name: *const v2::duckdb_v2_str,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
    fn dbmux_instance_close_unused(
        instance: v2::duckdb_v2_instance_handle,
        file_is_used: *mut bool,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
}

/// An instance and the environment that it lives in.
pub(crate) struct Instance {
    environment: v2::duckdb_v2_environment_handle,
    pub(super) handle: v2::duckdb_v2_instance_handle,
}

// SAFETY: DuckDB's instance synchronises its own state; every call below may come from any thread.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Instance {
    /// Starts an instance with these settings and no database.
    pub(crate) fn start(settings: &[(String, String)]) -> Result<Self, Failure> {
        let names: Vec<v2::duckdb_v2_str> = settings.iter().map(|(name, _)| name.into()).collect();
        let values: Vec<v2::duckdb_v2_str> = settings.iter().map(|(_, value)| value.into()).collect();
        let mut instance = Self { environment: std::ptr::null_mut(), handle: std::ptr::null_mut() };
        // SAFETY: the slot is null and receives an owned handle, destroyed on drop.
        call(|error| unsafe { v2::duckdb_v2_environment_create(&raw mut instance.environment, error) })?;
        // SAFETY: the arrays are parallel, and their views outlive the call.
        call(|error| unsafe {
            v2::duckdb_v2_instance_create_with_options(
                instance.environment,
                names.as_ptr(),
                values.as_ptr(),
                names.len() as u64,
                &raw mut instance.handle,
                error,
            )
        })?;
        instance.guard()?;
        instance.set_arrow_types()?;
        Ok(instance)
    }

    /// Attaches a file under a name, which becomes the default of connections opened afterwards.
    pub(crate) fn attach(&self, name: &str, path: &str, options: &[(&str, String)]) -> Result<(), Failure> {
        let mut handle: v2::duckdb_v2_attach_options_handle = std::ptr::null_mut();
        let _attaching = Attaching::begin();
        // SAFETY: the instance is alive, and the slot receives an owned handle, destroyed below.
        call(|error| unsafe { v2::duckdb_v2_attach_options_create(self.handle, &raw mut handle, error) })?;
        let attached = options
            .iter()
            .try_for_each(|(key, value)| {
                let (key, value) = (v2::duckdb_v2_str::from(*key), v2::duckdb_v2_str::from(value));
                // SAFETY: the views outlive the call, which copies them.
                call(|error| unsafe {
                    v2::duckdb_v2_attach_options_set(handle, &raw const key, &raw const value, error)
                })
            })
            .and_then(|()| {
                let (name, path) = (v2::duckdb_v2_str::from(name), v2::duckdb_v2_str::from(path));
                // SAFETY: the views outlive the call, which copies them.
                call(|error| unsafe {
                    v2::duckdb_v2_instance_attach(self.handle, &raw const name, &raw const path, handle, true, error)
                })
            });
        // SAFETY: owned by us, and not used again.
        unsafe { v2::duckdb_v2_attach_options_destroy(&raw mut handle) };
        attached
    }

    /// Detaches the database of this name, whoever has it as default, and closes it, unless somebody uses it still.
    pub(crate) fn detach(&self, name: &str) -> Result<(), Failure> {
        let name = v2::duckdb_v2_str::from(name);
        // SAFETY: the view outlives the call.
        call(|error| unsafe { dbmux_instance_detach(self.handle, &raw const name, error) })
    }

    /// Closes what was detached, or has been replaced, and is not used any more. Answers with whether the file still is,
    /// not a copy: what was opened by [`Self::attach`], or as [`super::Replacement::tracked`].
    pub(crate) fn close_unused(&self) -> bool {
        let mut file_is_used = false;
        // SAFETY: the handle and the slot are alive.
        let closed = call(|error| unsafe { dbmux_instance_close_unused(self.handle, &raw mut file_is_used, error) });
        if let Err(failure) = closed {
            tracing::warn!(
                error = failure.message,
                "a database was closed that could not be brought up to date before"
            );
        }
        file_is_used
    }

    /// Opens a connection.
    pub(crate) fn connect(self: &Arc<Self>) -> Result<Connection, Failure> {
        Connection::open(self)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // No connection is left, so nobody uses anything.
        if !self.handle.is_null() {
            self.close_unused();
        }
        // SAFETY: both are owned by us; null ones are ignored; connections keep an `Arc` of us, so none is left.
        unsafe {
            v2::duckdb_v2_instance_destroy(&raw mut self.handle);
            v2::duckdb_v2_environment_destroy(&raw mut self.environment);
        }
    }
}
