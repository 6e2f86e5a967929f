//! A forked child that lives on does not keep its parent's lock.
#![expect(unsafe_code, reason = "a fork without exec is what is tested, and nothing safe forks")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use dbmux_lock::{Lock, LockName, Mode, Request, Wait};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{Worker, worker::LOCK};

/// The worker: holds the lock and forks a child that sleeps on.
pub(crate) fn hold_and_fork(directory: &Path) {
    let lock = Lock::open(&directory.join(LOCK), LockName::Plain).unwrap();
    let _guard = lock.acquire(&Request::new(Mode::Exclusive)).unwrap();
    // SAFETY: the child calls nothing but `sleep` and `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: both are async-signal-safe.
        unsafe {
            libc::sleep(30);
            libc::_exit(0);
        }
    }
    // In one step: whoever sees the file sees the number.
    std::fs::write(directory.join("child.new"), child.to_string()).unwrap();
    std::fs::rename(directory.join("child.new"), directory.join("child")).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

/// The worker: threads take, wait for and give back the lock as fast as they can, and meanwhile children are forked that do
/// the same once. None of them has its parent's threads, which may hold anything.
pub(crate) fn fork_in_the_middle(directory: &Path) {
    const CHILDREN: usize = 150;
    // One for all, the children included.
    let lock = Lock::open(&directory.join(LOCK), LockName::Plain).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    let take = |wait| match lock.acquire(&Request::new(Mode::Exclusive).wait(Wait::For(wait))) {
        Ok(guard) => drop(guard),
        Err(dbmux_lock::LockError::TimedOut { .. }) => {}
        Err(error) => panic!("{error}"),
    };
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (take, over) = (&take, &over);
            scope.spawn(move || {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    take(Duration::from_micros(50 * thread));
                }
            });
        }
        for _ in 0..CHILDREN {
            // SAFETY: the child runs this thread only, takes no lock of the C library's that `fork` does not free, and
            // ends by `_exit`; should it hang, the alarm ends it, and the parent says so.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: as above.
                unsafe { libc::alarm(20) };
                let taken = lock.acquire(&Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(10))));
                let said = |error| std::fs::write(directory.join("failed"), format!("{error:?}"));
                let failed = taken.map(drop).map_err(said).is_err();
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(failed)) };
            }
            let mut status = -1;
            // SAFETY: our own child, waited for once.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            if status != 0 {
                // The threads end first: nobody else lets them.
                over.store(true, std::sync::atomic::Ordering::Relaxed);
                let why = std::fs::read_to_string(directory.join("failed"));
                panic!("a child failed, or hung until its alarm: {status}, {why:?}");
            }
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_forked_child_that_lives_on_does_not_hold() {
    let directory = tempfile::tempdir().unwrap();
    let worker = Worker::start("fork", directory.path(), 0);
    let until = Instant::now() + Duration::from_secs(10);
    let child = loop {
        if let Ok(text) = std::fs::read_to_string(directory.path().join("child")) {
            break Pid::from_raw(text.parse().unwrap()).unwrap();
        }
        assert!(Instant::now() < until, "the worker never forked");
        std::thread::sleep(Duration::from_millis(2));
    };
    let lock = Lock::open(&directory.path().join(LOCK), LockName::Plain).unwrap();
    let never = Request::new(Mode::Exclusive).wait(Wait::Never);
    assert!(lock.acquire(&never).is_err(), "the parent holds it");
    drop(worker);
    let taken = lock.acquire(&Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(5))));
    let lives = test_kill_process(child).is_ok();
    kill_process(child, Signal::KILL).unwrap();
    assert!(lives, "the child must have outlived the parent");
    drop(taken.unwrap());
}
