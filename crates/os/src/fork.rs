//! Descriptors that a forked child must not keep: a lock lives as long as any copy of its open file.
//!
//! `exec` closes them by `O_CLOEXEC`; a child that is forked and lives on without `exec` (Python's multiprocessing, a
//! prefork server) closes them in a handler that runs in the child before `fork` returns. It touches only atomics and
//! calls only `close`, which is all that a forked child of a threaded program may do.

use std::sync::{
    Once,
    atomic::{AtomicI32, Ordering},
};

/// Descriptors that can be watched at once. One more is simply not closed in a child.
const SLOTS: usize = 1024;
const FREE: i32 = -1;

static DESCRIPTORS: [AtomicI32; SLOTS] = [const { AtomicI32::new(FREE) }; SLOTS];
static HANDLER: Once = Once::new();

extern "C" fn close_all() {
    for slot in &DESCRIPTORS {
        let descriptor = slot.swap(FREE, Ordering::Relaxed);
        if descriptor != FREE {
            // SAFETY: the child's copy of a descriptor that the parent registered; its owner in the child knows, by the
            // process's number, that it is gone.
            unsafe {
                libc::close(descriptor);
            }
        }
    }
}

/// Closes the descriptor in every child that is forked from now on.
pub fn close_in_child(descriptor: i32) {
    HANDLER.call_once(|| {
        // SAFETY: the handler does what a forked child may do, and lives as long as the program.
        unsafe {
            libc::pthread_atfork(None, None, Some(close_all));
        }
    });
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// Takes that back: the descriptor is about to be closed.
pub fn forget(descriptor: i32) {
    for slot in &DESCRIPTORS {
        if slot.compare_exchange(descriptor, FREE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}
