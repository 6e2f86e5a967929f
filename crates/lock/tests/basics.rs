//! One process, several threads: each acquisition has an open file of its own, so threads are as strangers.
#![expect(clippy::unwrap_used, reason = "a test's own way to fail")]

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use dbmux_lock::{CancelFlag, Lock, LockError, LockName, Mode, Priority, Request, Scope, State, Wait};

fn lock() -> (tempfile::TempDir, Lock) {
    let directory = tempfile::tempdir().unwrap();
    let lock = Lock::open(&directory.path().join("a.lock"), LockName::Plain).unwrap();
    (directory, lock)
}

fn exclusive() -> Request {
    Request::new(Mode::Exclusive)
}

fn at_once(mode: Mode) -> Request {
    Request::new(mode).wait(Wait::Never)
}

/// Waits for what must come, without a guess at how long that takes.
fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn writers_are_alone_and_readers_are_not() {
    let (_directory, lock) = lock();
    let first = lock.acquire(&at_once(Mode::Shared)).unwrap();
    let second = lock.acquire(&at_once(Mode::Shared)).unwrap();
    assert!(matches!(lock.acquire(&at_once(Mode::Exclusive)), Err(LockError::TimedOut { .. })));
    drop((first, second));
    let writer = lock.acquire(&at_once(Mode::Exclusive)).unwrap();
    assert!(matches!(lock.acquire(&at_once(Mode::Shared)), Err(LockError::TimedOut { .. })));
    drop(writer);
    drop(lock.acquire(&at_once(Mode::Shared)).unwrap());
}

#[test]
fn fence_grows_with_every_writer_and_never_shrinks() {
    let (_directory, lock) = lock();
    let mut last = lock.snapshot().unwrap().fence;
    for _ in 0..10 {
        let guard = lock.acquire(&exclusive()).unwrap();
        assert!(guard.fence() > last);
        last = guard.fence();
    }
    assert_eq!(lock.acquire(&at_once(Mode::Shared)).unwrap().fence(), last);
    assert_eq!(Lock::peek(lock.path(), LockName::Plain).unwrap().unwrap().fence, last);
}

#[test]
fn whoever_waits_is_told_for_whom_and_gives_up_for_good() {
    let (_directory, lock) = lock();
    let holder = lock.acquire(&exclusive().command("the holder")).unwrap();
    let mut seen = Vec::new();
    let request = exclusive().wait(Wait::For(Duration::from_millis(50)));
    let began = Instant::now();
    let error = lock.acquire_observed(&request, &mut |state| seen.push(state.clone())).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].holder.as_ref().unwrap().command, "the holder");
    let LockError::TimedOut { holder: Some(told), ahead: 0, .. } = error else { panic!("{error:?}") };
    assert_eq!(told.process.pid, std::process::id());
    assert_eq!(lock.waiting().unwrap(), 0);
    drop(holder);
    let statistics = lock.snapshot().unwrap().statistics;
    assert_eq!((statistics.acquisitions, statistics.failures), (1, 1));
    drop(lock.acquire(&at_once(Mode::Exclusive)).unwrap());
}

#[test]
fn a_wait_is_cancelled_from_another_thread() {
    let (_directory, lock) = lock();
    let _holder = lock.acquire(&exclusive()).unwrap();
    let cancel = CancelFlag::new();
    let request = exclusive().wait(Wait::Forever).cancel(cancel.clone());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| lock.acquire(&request).map(drop));
        until(|| lock.waiting().unwrap() == 1);
        cancel.cancel();
        assert!(matches!(waits.join().unwrap(), Err(LockError::Cancelled { .. })));
    });
    assert_eq!(lock.waiting().unwrap(), 0);
}

/// Three waiters of three priorities, asked for in the wrong order, are granted in the right one.
#[test]
fn priorities_and_order_decide_who_is_next() {
    let (_directory, lock) = lock();
    let holder = lock.acquire(&exclusive()).unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let asked = [Priority::Low, Priority::Normal, Priority::Normal, Priority::High];
        for (number, priority) in asked.into_iter().enumerate() {
            let (lock, order) = (&lock, &order);
            scope.spawn(move || {
                let guard = lock.acquire(&exclusive().priority(priority)).unwrap();
                order.lock().unwrap().push(number);
                drop(guard);
            });
            until(|| lock.waiting().unwrap() == number + 1);
        }
        let waiting = lock.snapshot().unwrap().waiters;
        assert_eq!(waiting[0].priority, Priority::High);
        assert!(waiting.iter().all(|ticket| ticket.state == State::Waiting));
        drop(holder);
    });
    assert_eq!(*order.lock().unwrap(), [3, 1, 2, 0]);
}

#[test]
fn readers_do_not_starve_a_writer() {
    let (_directory, lock) = lock();
    let turns = AtomicUsize::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let guard = lock.acquire(&Request::new(Mode::Shared)).unwrap();
                    turns.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                    drop(guard);
                }
            });
        }
        until(|| turns.load(Ordering::Relaxed) > 10);
        for _ in 0..5 {
            let before = turns.load(Ordering::Relaxed);
            drop(lock.acquire(&exclusive()).unwrap());
            assert!(turns.load(Ordering::Relaxed) - before < 30, "readers overtook the writer again and again");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn locks_in_one_file_are_strangers() {
    let (directory, plain) = lock();
    let path = directory.path().join("a.lock");
    let _owner = Lock::open(&path, LockName::Owner).unwrap().acquire(&at_once(Mode::Exclusive)).unwrap();
    let _file = Lock::open(&path, LockName::File).unwrap().acquire(&at_once(Mode::Exclusive)).unwrap();
    let _plain = plain.acquire(&at_once(Mode::Exclusive)).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 64 << 10);
    assert_eq!(Lock::peek(&path, LockName::Owner).unwrap().unwrap().holders.len(), 1);
}

#[test]
fn a_deleted_sidecar_is_noticed_and_a_new_one_is_used() {
    let (_directory, lock) = lock();
    let old = lock.acquire(&exclusive()).unwrap();
    old.verify().unwrap();
    std::fs::remove_file(lock.path()).unwrap();
    assert!(matches!(old.verify(), Err(LockError::Replaced { .. })));
    if cfg!(feature = "portable") {
        // The tickets are files of their own, and still there: this ground is safe from a deleted table.
        assert!(matches!(lock.acquire(&at_once(Mode::Exclusive)), Err(LockError::Emptied { .. })));
        drop(old);
    }
    let new = lock.acquire(&at_once(Mode::Exclusive)).unwrap();
    new.verify().unwrap();
}

#[test]
fn a_table_that_is_full_is_said_so() {
    let (_directory, lock) = lock();
    let readers: Vec<_> = (0..96).map(|_| lock.acquire(&at_once(Mode::Shared)).unwrap()).collect();
    assert!(matches!(lock.acquire(&at_once(Mode::Shared)), Err(LockError::Full { limit: 96, .. })));
    drop(readers);
    drop(lock.acquire(&at_once(Mode::Shared)).unwrap());
}

#[test]
fn strange_files_and_names_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("strange");
    std::fs::write(&path, [b'x'; 4096]).unwrap();
    let lock = Lock::open(&path, LockName::Owner).unwrap();
    assert!(matches!(lock.acquire(&exclusive()), Err(LockError::NotALock { .. })));
    assert!(Lock::peek(&directory.path().join("nowhere"), LockName::Plain).unwrap().is_none());
    let scope = Scope::Project(directory.path().to_owned());
    for name in ["", "../up", ".hidden", "a/b", "ü"] {
        assert!(matches!(Lock::named(name, &scope), Err(LockError::Name { .. })), "{name}");
    }
    drop(Lock::named("nightly-1.x", &scope).unwrap().acquire(&exclusive()).unwrap());
}

#[test]
fn a_sidecar_takes_the_mode_of_its_database() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("a.duckdb");
    std::fs::write(&database, "").unwrap();
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o640)).unwrap();
    let lock = Lock::open_for_database(&database, LockName::Owner).unwrap();
    assert_eq!(std::fs::metadata(lock.path()).unwrap().permissions().mode() & 0o777, 0o640);
}
