//! The C library's file calls, as everything in this process sees them.
//!
//! A binary that links this crate defines these symbols itself, so DuckDB, its loaded extensions and Rust's own library
//! call ours: the linker takes the first definition, and the dynamic linker prefers the program's to the C library's.
//! No linker flag is needed for that. Each does two things more than the original, and then makes the system call:
//!
//! - Lock translation. DuckDB locks the whole file by POSIX, and such a lock is gone when the process closes *any*
//!   descriptor of the file. While a database is attached, that lock becomes a POSIX lock on [0, 2⁶²) and one of the
//!   open file description on [2⁶², ∞). A foreign DuckDB asks for both; no close but that of its own descriptor can
//!   drop the second.
//! - The wall. Opening, removing, replacing or truncating a protected file fails with `EACCES`, unless `shim/`'s file
//!   system let this thread through; so does all of that but reading with the files of other databases.
//!
//! The variadic calls are defined with their longest argument list: on the 64-bit Linux targets the C calling convention
//! passes both alike.

use std::{
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicPtr, Ordering},
};

use libc::{AT_FDCWD, c_char, c_int, c_long, c_uint, c_void, mode_t, off_t};

use super::guard::{self, Operation};

/// Where the POSIX half ends and the other one begins.
const HALF: off_t = 1 << 62;

fn set_errno(errno: c_int) {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// Whether this thread may not touch the path; sets `errno`.
///
/// # Safety
/// `path` must be null or a C string.
unsafe fn refused(directory: c_int, path: *const c_char, operation: Operation) -> bool {
    if path.is_null() {
        return false;
    }
    // SAFETY: the caller says so.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    let refused = if directory == AT_FDCWD || path.is_absolute() {
        guard::is_refused(path, operation)
    } else {
        guard::is_refused(&PathBuf::from(format!("/proc/self/fd/{directory}")).join(path), operation)
    };
    if refused {
        set_errno(libc::EACCES);
    }
    refused
}

/// The system calls that take no part of the C library with them.
macro_rules! system_call {
    ($number:expr $(, $argument:expr)*) => {
        // The kernel's int comes back as a long.
        libc::syscall($number $(, $argument as c_long)*) as c_int
    };
}

unsafe fn open_at(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the C library's contract is the caller's.
    unsafe {
        let writes = flags & (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) != libc::O_RDONLY;
        if refused(directory, path, if writes { Operation::Write } else { Operation::Open }) {
            return -1;
        }
        // A child of ours must not keep the locks of a descriptor that it inherits.
        let flags = if guard::is_attaching() { flags | libc::O_CLOEXEC } else { flags };
        system_call!(libc::SYS_openat, directory, path, flags, mode)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { open_at(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { open_at(directory, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(directory: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { open_at(directory, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { open_at(AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat64(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { creat(path, mode) }
}

/// `fopen` makes more than a system call: the C library's own is asked for once.
unsafe fn open_stream(
    real: &AtomicPtr<c_void>,
    name: &CStr,
    path: *const c_char,
    mode: *const c_char,
) -> *mut libc::FILE {
    type Fopen = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut libc::FILE;
    // SAFETY: the symbol found is a function of this type, as its name says.
    unsafe {
        let writes = !mode.is_null() && CStr::from_ptr(mode).to_bytes().iter().any(|letter| b"wa+".contains(letter));
        if refused(AT_FDCWD, path, if writes { Operation::Write } else { Operation::Open }) {
            return std::ptr::null_mut();
        }
        let mut function = real.load(Ordering::Relaxed);
        if function.is_null() {
            function = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
            real.store(function, Ordering::Relaxed);
        }
        if function.is_null() {
            set_errno(libc::ENOSYS);
            return std::ptr::null_mut();
        }
        std::mem::transmute::<*mut c_void, Fopen>(function)(path, mode)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    // SAFETY: as the C library's.
    unsafe { open_stream(&REAL, c"fopen", path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fopen64(path: *const c_char, mode: *const c_char) -> *mut libc::FILE {
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    // SAFETY: as the C library's.
    unsafe { open_stream(&REAL, c"fopen64", path, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
    flags: c_uint,
) -> c_int {
    // SAFETY: as the C library's.
    unsafe {
        if refused(from_directory, from, Operation::Remove) || refused(to_directory, to, Operation::Write) {
            return -1;
        }
        system_call!(libc::SYS_renameat2, from_directory, from, to_directory, to, flags)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
) -> c_int {
    // SAFETY: as the C library's.
    unsafe { renameat2(from_directory, from, to_directory, to, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as the C library's.
    unsafe { renameat2(AT_FDCWD, from, AT_FDCWD, to, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: as the C library's.
    unsafe {
        if refused(directory, path, Operation::Remove) {
            return -1;
        }
        system_call!(libc::SYS_unlinkat, directory, path, flags)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: as the C library's.
    unsafe { unlinkat(AT_FDCWD, path, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn remove(path: *const c_char) -> c_int {
    // SAFETY: as the C library's.
    unsafe {
        let removed = unlinkat(AT_FDCWD, path, 0);
        let is_directory = removed == -1 && *libc::__errno_location() == libc::EISDIR;
        if is_directory { unlinkat(AT_FDCWD, path, libc::AT_REMOVEDIR) } else { removed }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn truncate(path: *const c_char, length: off_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe {
        if refused(AT_FDCWD, path, Operation::Write) { -1 } else { system_call!(libc::SYS_truncate, path, length) }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn truncate64(path: *const c_char, length: off_t) -> c_int {
    // SAFETY: as the C library's.
    unsafe { truncate(path, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn linkat(
    from_directory: c_int,
    from: *const c_char,
    to_directory: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: as the C library's.
    unsafe {
        if refused(from_directory, from, Operation::Open) || refused(to_directory, to, Operation::Write) {
            return -1;
        }
        system_call!(libc::SYS_linkat, from_directory, from, to_directory, to, flags)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as the C library's.
    unsafe { linkat(AT_FDCWD, from, AT_FDCWD, to, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(descriptor: c_int, command: c_int, argument: usize) -> c_int {
    // SAFETY: the argument is what the command says, by the C library's contract.
    unsafe {
        if command == libc::F_SETLK && guard::is_attaching() && argument != 0 {
            let wish = *(argument as *const libc::flock);
            if c_int::from(wish.l_whence) == libc::SEEK_SET && wish.l_start == 0 && wish.l_len == 0 {
                return lock_both_halves(descriptor, wish);
            }
        }
        system_call!(libc::SYS_fcntl, descriptor, command, argument)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl64(descriptor: c_int, command: c_int, argument: usize) -> c_int {
    // SAFETY: as the C library's.
    unsafe { fcntl(descriptor, command, argument) }
}

/// Locks or unlocks both halves, or neither.
unsafe fn lock_both_halves(descriptor: c_int, wish: libc::flock) -> c_int {
    let mut lower = libc::flock { l_start: 0, l_len: HALF, ..wish };
    // The kernel wants no process id for a lock of an open file description.
    let upper = libc::flock { l_start: HALF, l_len: 0, l_pid: 0, ..wish };
    // SAFETY: both structs are alive.
    unsafe {
        let locked = system_call!(libc::SYS_fcntl, descriptor, libc::F_SETLK, &raw const lower);
        if locked == -1 {
            return -1;
        }
        let locked = system_call!(libc::SYS_fcntl, descriptor, libc::F_OFD_SETLK, &raw const upper);
        if locked == -1 {
            let errno = *libc::__errno_location();
            lower.l_type = libc::F_UNLCK as libc::c_short;
            system_call!(libc::SYS_fcntl, descriptor, libc::F_SETLK, &raw const lower);
            set_errno(errno);
        }
        locked
    }
}

/// Referenced from the instance's start, so that no linker leaves this file out.
pub(super) fn installed() -> bool {
    let ours: unsafe extern "C" fn(c_int, c_int, usize) -> c_int = fcntl;
    ours as usize != 0
}
