//! What a forked child must not keep, and must not believe: its parent's locks, and its parent's name.
//!
//! A lock of an open file lives as long as any copy of that file. `exec` closes the copies by `O_CLOEXEC`; a child that
//! lives on without `exec` (Python's multiprocessing, a prefork server) closes them in a handler that runs in the child
//! before `fork` returns. It touches only atomics and calls only `close`, which is all that a forked child of a threaded
//! program may do.
//!
//! The handlers come with the first such file: a fork that another thread had begun before that knows none of it.
//!
//! Nothing here waits for a mutex, for another thread of the parent may have held it at the moment of the fork, and that
//! thread is not in the child.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    ptr,
    sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering},
};

/// Descriptors that are watched together; as many such groups as are needed hang together in a chain.
const GROUP: usize = 256;
const FREE: i32 = -1;

struct Group {
    descriptors: [AtomicI32; GROUP],
    /// Null, or a group that is never freed.
    next: AtomicPtr<Group>,
}

impl Group {
    const fn new() -> Self {
        Self { descriptors: [const { AtomicI32::new(FREE) }; GROUP], next: AtomicPtr::new(ptr::null_mut()) }
    }

    fn following(&self) -> Option<&'static Self> {
        // SAFETY: null, or a leaked box: see `grow`.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }

    /// The next group, made where it is missing.
    fn grow(&self) -> &'static Self {
        if let Some(next) = self.following() {
            return next;
        }
        let new = Box::into_raw(Box::new(Self::new()));
        match self.next.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: both are leaked boxes; the one that lost the race is nobody else's and is freed.
            Ok(_) => unsafe { &*new },
            Err(other) => unsafe {
                drop(Box::from_raw(new));
                &*other
            },
        }
    }
}

static FIRST: Group = Group::new();
static HANDLED: AtomicBool = AtomicBool::new(false);
static IN_CHILD: AtomicBool = AtomicBool::new(false);
/// Forks that have begun in this process, and those of them that are over.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);

fn groups() -> impl Iterator<Item = &'static Group> {
    std::iter::successors(Some(&FIRST), |group| group.following())
}

extern "C" fn begin() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn end() {
    OVER.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn close_all() {
    IN_CHILD.store(true, Ordering::Relaxed);
    // Whoever else was about to fork is not in the child.
    OVER.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    for descriptor in groups().flat_map(|group| &group.descriptors) {
        let descriptor = descriptor.swap(FREE, Ordering::Relaxed);
        if descriptor != FREE {
            // SAFETY: the child's copy of a descriptor that the parent registered; its owner in the child knows, by the
            // process's number, that it is gone.
            unsafe {
                libc::close(descriptor);
            }
        }
    }
}

/// Opens a file of which no forked child keeps a copy, not even one that is forked at this moment.
///
/// # Errors
/// Those of `open`.
pub fn open_private(open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    if !HANDLED.load(Ordering::Acquire) {
        // Twice does no harm: two threads may come here at once.
        // SAFETY: the handlers do what they may around a fork, and live as long as the program.
        unsafe {
            libc::pthread_atfork(Some(begin), Some(end), Some(close_all));
        }
        HANDLED.store(true, Ordering::Release);
    }
    loop {
        // In this order: as many over as begun means that at the second look none was under way.
        let over = OVER.load(Ordering::SeqCst);
        let begun = BEGUN.load(Ordering::SeqCst);
        if over < begun {
            // Its child would have a copy that its handler does not know; it takes as long as the kernel takes to fork.
            std::thread::yield_now();
            continue;
        }
        let file = open()?;
        watch(file.as_raw_fd());
        if BEGUN.load(Ordering::SeqCst) == begun {
            return Ok(file);
        }
        // A child that was forked between the two may have a copy that its handler did not know: this file is no good.
        forget(file.as_raw_fd());
    }
}

fn watch(descriptor: i32) {
    let mut group = &FIRST;
    loop {
        for slot in &group.descriptors {
            if slot.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
        group = group.grow();
    }
}

/// Takes that back: the file is about to be closed. It must have no lock any more, for a child that is forked between this
/// and the close keeps a copy.
pub fn forget(descriptor: i32) {
    for slot in groups().flat_map(|group| &group.descriptors) {
        if slot.compare_exchange(descriptor, FREE, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
    }
}

/// Whether this process is a forked child of one that had private files, and has not called `exec`: it must start no thread.
/// What the standard library does to start one has a mutex (for its guard against stack overflows), which another thread of
/// the parent may have held at the moment of the fork.
pub fn in_child() -> bool {
    IN_CHILD.load(Ordering::Relaxed)
}

/// This process's number, without a call to the kernel each time: it stands on a page that the kernel empties in a forked
/// child.
pub fn own_pid() -> u32 {
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
    // SAFETY: null, or a page that is never unmapped and holds a number, or zeroes after a fork.
    let known = unsafe { PAGE.load(Ordering::Acquire).as_ref() };
    if let Some(pid) = known.map(|known| known.load(Ordering::Relaxed)).filter(|pid| *pid != 0) {
        return pid;
    }
    let pid = std::process::id();
    if let Some(known) = known.or_else(|| emptied_by_fork(&PAGE)) {
        known.store(pid, Ordering::Relaxed);
    }
    pid
}

/// A page that a forked child finds empty; `None`: this system has none, and the kernel is asked each time.
#[cfg(target_os = "linux")]
fn emptied_by_fork(place: &AtomicPtr<AtomicU32>) -> Option<&'static AtomicU32> {
    let size = rustix::param::page_size();
    // SAFETY: a fresh anonymous mapping, of which nobody else knows; unmapped again unless it is published, once.
    unsafe {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let page = libc::mmap(ptr::null_mut(), size, prot, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        let emptied = libc::madvise(page, size, libc::MADV_WIPEONFORK) == 0;
        let published = emptied
            && place.compare_exchange(ptr::null_mut(), page.cast(), Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !published {
            libc::munmap(page, size);
        }
        place.load(Ordering::Acquire).as_ref()
    }
}

#[cfg(not(target_os = "linux"))]
fn emptied_by_fork(_place: &AtomicPtr<AtomicU32>) -> Option<&'static AtomicU32> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::range_lock::{self, Kind, Range};

    /// What a forked child answers, by its exit code.
    fn in_child(answer: impl Fn() -> bool) -> bool {
        // SAFETY: the child calls only what a forked child may call, and ends by `_exit`.
        unsafe {
            let child = libc::fork();
            assert_ne!(child, -1, "a child");
            if child == 0 {
                libc::_exit(i32::from(!answer()));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
        }
    }

    #[test]
    fn a_child_has_a_number_of_its_own() {
        let parent = own_pid();
        assert_eq!((parent, own_pid()), (std::process::id(), parent));
        assert!(in_child(|| own_pid() != parent && own_pid() == std::process::id()));
        assert_eq!(own_pid(), parent);
    }

    /// Lets this process have as many descriptors as it may, and tells how many.
    fn as_many_as_may_be() -> usize {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a whole structure that outlives the calls.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
        usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
    }

    #[test]
    fn a_child_keeps_none_of_thousands() {
        let named = tempfile::NamedTempFile::new().expect("a file");
        let limit = as_many_as_may_be();
        let count = limit.min(3000) - 200;
        let open = || open_private(|| File::open(named.path())).expect("a descriptor");
        let files: Vec<File> = (0..count).map(|_| open()).collect();
        let kept = File::open(named.path()).expect("a descriptor");
        // SAFETY: asks about a number.
        let is_open = |file: &File| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) } != -1;
        assert!(files.iter().all(is_open));
        assert!(in_child(|| is_open(&kept) && !files.iter().any(is_open)), "of {count}");
        for file in files {
            forget(file.as_raw_fd());
        }
        assert!(in_child(|| is_open(&kept)));
    }

    /// Children that live on, until this is dropped.
    struct Children(Vec<libc::pid_t>);

    impl Drop for Children {
        fn drop(&mut self) {
            for child in &self.0 {
                // SAFETY: our own children, each ended and waited for once.
                unsafe {
                    libc::kill(*child, libc::SIGKILL);
                    libc::waitpid(*child, ptr::null_mut(), 0);
                }
            }
        }
    }

    /// Another library's handler, which takes its time between ours and the fork.
    extern "C" fn dawdle() {
        spin(Duration::from_micros(100));
    }

    fn spin(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn a_child_keeps_no_lock_of_a_file_that_was_opened_while_it_was_forked() {
        const ROUNDS: usize = 100;
        const EACH: usize = 8;
        // Handlers run in the order opposite to that in which they came: this one after ours, which comes with the first file.
        // SAFETY: it does what may be done before a fork.
        unsafe { libc::pthread_atfork(Some(dawdle), None, None) };
        assert!(as_many_as_may_be() > 3 * ROUNDS * EACH, "descriptors");
        let directory = tempfile::tempdir().expect("a directory");
        let path = |number: u64| directory.path().join(number.to_string());
        let count = 4 * ROUNDS * EACH;
        (0..count as u64).for_each(|number| drop(File::create_new(path(number)).expect("a new file")));
        // As if it were interrupted before it knows the descriptor's number.
        let open_slowly = |path: &std::path::Path| {
            let file = File::open(path)?;
            spin(Duration::from_micros(50));
            Ok(file)
        };
        // With it come the handlers.
        let first = open_private(|| File::open(path(next_number()))).expect("a descriptor");
        let round = AtomicU64::new(0);
        let mut children = Children(Vec::new());
        let locked: Vec<File> = std::thread::scope(|scope| {
            let opens = || {
                let mut opened = Vec::new();
                for number in 1..=ROUNDS as u64 {
                    while round.load(Ordering::Relaxed) < number {
                        std::hint::spin_loop();
                    }
                    for _ in 0..EACH {
                        let own = path(next_number());
                        let file = open_private(|| open_slowly(&own)).expect("a descriptor");
                        assert!(range_lock::try_lock(&file, 0, Kind::Shared).expect("a lock"), "nobody else has it");
                        opened.push(file);
                    }
                }
                opened
            };
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(opens)).collect();
            for number in 1..=ROUNDS as u64 {
                round.store(number, Ordering::Relaxed);
                // SAFETY: the child calls only what a forked child may call.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: as above.
                    unsafe {
                        libc::sleep(60);
                        libc::_exit(0);
                    }
                }
                assert_ne!(child, -1, "a child");
                children.0.push(child);
            }
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(locked.len(), 2 * ROUNDS * EACH);
        for file in locked.into_iter().chain([first]) {
            forget(file.as_raw_fd());
        }
        let mut kept = 0;
        for entry in std::fs::read_dir(directory.path()).expect("a directory") {
            let file = File::open(entry.expect("an entry").path()).expect("a file");
            kept += usize::from(!range_lock::is_free(&file, Range::byte(0), Kind::Exclusive).expect("an answer"));
        }
        assert_eq!(kept, 0, "locks that a child keeps");
    }

    fn next_number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}
