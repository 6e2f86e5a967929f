//! A DuckDB instance: settings, buffer pool, threads, and the databases attached to it. It starts with none attached.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

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
        wait: bool,
        file: *mut bool,
        any: *mut bool,
        error: *mut v2::duckdb_v2_error_info_handle,
    ) -> Code;
}

/// An instance and the environment that it lives in.
pub(crate) struct Instance {
    environment: v2::duckdb_v2_environment_handle,
    pub(super) handle: v2::duckdb_v2_instance_handle,
    /// How much has been detached, ever, and of how much of that nothing was left: where they are equal, there is nothing
    /// to close.
    detached: AtomicU64,
    closed: AtomicU64,
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
        let (environment, handle) = (std::ptr::null_mut(), std::ptr::null_mut());
        let mut instance = Self { environment, handle, detached: AtomicU64::new(0), closed: AtomicU64::new(0) };
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
        let detached = call(|error| unsafe { dbmux_instance_detach(self.handle, &raw const name, error) });
        self.has_detached();
        self.close_unused();
        detached
    }

    /// Something has lost its name, and waits to be closed.
    pub(super) fn has_detached(&self) {
        self.detached.fetch_add(1, Ordering::AcqRel);
    }

    /// Closes what was detached, or has been replaced, and is not used any more. Answers with whether the file still is,
    /// not a copy: what was opened by [`Self::attach`], or as [`super::Replacement::tracked`].
    pub(crate) fn close_unused(&self) -> bool {
        self.close(true)
    }

    /// The same, where no other thread is at it.
    pub(super) fn close_unused_soon(&self) {
        self.close(false);
    }

    fn close(&self, wait: bool) -> bool {
        let detached = self.detached.load(Ordering::Acquire);
        if detached == self.closed.load(Ordering::Acquire) {
            return false;
        }
        let (mut file, mut any) = (true, true);
        // SAFETY: the handle and the slots are alive.
        let closed =
            call(|error| unsafe { dbmux_instance_close_unused(self.handle, wait, &raw mut file, &raw mut any, error) });
        if let Err(failure) = closed {
            tracing::warn!(
                error = failure.message,
                "a database was closed that could not be brought up to date before"
            );
        }
        if !any {
            // What was detached meanwhile is not among it.
            self.closed.fetch_max(detached, Ordering::AcqRel);
        }
        file
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
