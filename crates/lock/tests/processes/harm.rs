//! What people do to a sidecar: empty it, delete it, replace it. And what a process that is stopped in the gate does.

use std::{
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use dbmux_lock::{Guard, Lock, LockError, LockName, Mode, Request, Wait};
use rustix::process::{Signal, kill_process};

use crate::{
    Worker,
    storm::{holder, pid, wait_for},
    worker::LOCK,
};

/// How far behind its deadline an answer may come.
const LATE: Duration = Duration::from_millis(100);

fn exclusive(wait: Duration) -> Request {
    Request::new(Mode::Exclusive).wait(Wait::For(wait))
}

fn never() -> Request {
    Request::new(Mode::Exclusive).wait(Wait::Never)
}

fn lock(directory: &Path) -> Lock {
    Lock::open(&directory.join(LOCK), LockName::Plain).unwrap()
}

fn empty(directory: &Path) {
    std::fs::File::create(directory.join(LOCK)).unwrap();
}

/// A thread that waits for the lock, once it is in the table.
fn waiter(lock: &Lock, wait: Wait) -> mpsc::Receiver<(Result<Guard, LockError>, Instant)> {
    let (sender, receiver) = mpsc::channel();
    let theirs = lock.clone();
    std::thread::spawn(move || {
        let taken = theirs.acquire(&Request::new(Mode::Exclusive).wait(wait));
        let _ = sender.send((taken, Instant::now()));
    });
    let until = Instant::now() + Duration::from_secs(10);
    while lock.waiting().unwrap() == 0 {
        assert!(Instant::now() < until, "it never asked");
        std::thread::sleep(Duration::from_millis(1));
    }
    receiver
}

#[test]
fn an_emptied_sidecar_lets_nobody_in_while_its_holder_lives() {
    let directory = tempfile::tempdir().unwrap();
    let worker = holder(directory.path());
    empty(directory.path());
    for _ in 0..3 {
        let taken = lock(directory.path()).acquire(&exclusive(Duration::from_secs(1)));
        assert!(matches!(taken, Err(LockError::Emptied { .. })), "{taken:?}");
    }
    drop(worker);
    let guard = lock(directory.path()).acquire(&never()).unwrap();
    guard.verify().unwrap();
}

#[test]
fn a_holder_and_a_waiter_notice_that_the_sidecar_was_emptied() {
    let directory = tempfile::tempdir().unwrap();
    let lock = lock(directory.path());
    let guard = lock.acquire(&never()).unwrap();
    let waits = waiter(&lock, Wait::Forever);
    guard.verify().unwrap();
    empty(directory.path());
    assert!(matches!(guard.verify(), Err(LockError::Emptied { .. })));
    drop(guard);
    let (taken, _) = waits.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(matches!(taken, Err(LockError::Emptied { .. })), "{taken:?}");
    lock.acquire(&never()).unwrap().verify().unwrap();
}

#[test]
fn a_sidecar_that_another_one_has_replaced_is_noticed_by_all() {
    let directory = tempfile::tempdir().unwrap();
    let lock = lock(directory.path());
    let old = lock.acquire(&never()).unwrap();
    let waits = waiter(&lock, Wait::Forever);
    std::fs::write(directory.path().join("other"), b"").unwrap();
    std::fs::rename(directory.path().join("other"), directory.path().join(LOCK)).unwrap();
    assert!(matches!(old.verify(), Err(LockError::Replaced { .. })));
    assert_eq!(lock.waiting().unwrap(), 0, "it is the new one that is looked at");
    assert!(lock.snapshot().unwrap().holders.is_empty());
    drop(old);
    let (taken, _) = waits.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(matches!(taken, Err(LockError::Replaced { .. })), "{taken:?}");
    let new = lock.acquire(&never()).unwrap();
    new.verify().unwrap();
    assert_eq!(lock.snapshot().unwrap().holders.len(), 1);
}

#[test]
fn a_look_at_a_deleted_sidecar_makes_no_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let lock = lock(directory.path());
    drop(lock.acquire(&never()).unwrap());
    std::fs::remove_file(lock.path()).unwrap();
    assert_eq!(lock.waiting().unwrap(), 0);
    assert_eq!(lock.snapshot().unwrap().statistics.acquisitions, 0);
    assert!(Lock::peek(lock.path(), LockName::Plain).unwrap().is_none());
    assert!(!lock.path().exists());
}

#[test]
fn one_that_is_stopped_in_the_gate_is_named_and_never_robbed() {
    let directory = tempfile::tempdir().unwrap();
    let worker = wait_for("stop in the gate", directory.path());
    let lock = lock(directory.path());
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let began = Instant::now();
        match lock.acquire(&exclusive(wait)) {
            Err(LockError::GateHeld { holder: Some(holder), .. }) => {
                assert_eq!(holder.id.pid, worker.0.id());
                assert!(holder.stopped, "{holder:?}");
            }
            other => panic!("{other:?}"),
        }
        let took = began.elapsed();
        assert!(took >= wait && took < wait + LATE, "{took:?} for a deadline of {wait:?}");
    }
    drop(worker);
    let guard = lock.acquire(&never()).unwrap();
    assert_eq!(guard.previous_holder_died(), None, "it had no ticket yet");
}

#[test]
fn deadlines_and_releases_do_not_wait_for_one_that_is_stopped_in_the_gate() {
    let directory = tempfile::tempdir().unwrap();
    let lock = lock(directory.path());
    let guard = lock.acquire(&never()).unwrap();
    let (wait, asked) = (Duration::from_millis(1500), Instant::now());
    let waits = waiter(&lock, Wait::For(wait));
    let worker = wait_for("stop in the gate", directory.path());
    let (taken, ended) = waits.recv_timeout(Duration::from_secs(10)).unwrap();
    let took = ended - asked;
    assert!(took >= wait && took < wait + LATE, "{took:?} for a deadline of {wait:?}");
    match taken {
        Err(LockError::TimedOut { holder: Some(holder), .. }) => assert_eq!(holder.process.pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    let began = Instant::now();
    drop(guard);
    assert!(began.elapsed() < LATE, "a release took {:?}", began.elapsed());
    kill_process(pid(&worker), Signal::KILL).unwrap();
    let guard = lock.acquire(&exclusive(Duration::from_secs(5))).unwrap();
    assert_eq!(guard.previous_holder_died(), None, "who gives back outside the gate has not died");
    drop((guard, worker));
    let snapshot = lock.snapshot().unwrap();
    assert!(snapshot.holders.is_empty() && snapshot.waiters.is_empty(), "{snapshot:?}");
}

/// Whoever may only read the sidecar may see who has the lock.
#[test]
#[expect(unsafe_code, reason = "root may write everywhere; only a system call takes that away from one thread")]
fn a_peek_needs_no_right_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(directory.path(), 0o755);
    let lock = lock(directory.path());
    let _guard = lock.acquire(&never()).unwrap();
    mode(lock.path(), 0o444);
    let path = lock.path().to_owned();
    let looked = std::thread::spawn(move || {
        // SAFETY: only this thread's rights to files change, and it ends.
        unsafe { libc::setfsuid(65534) };
        assert!(std::fs::File::options().write(true).open(&path).is_err(), "this thread may not write");
        Lock::peek(&path, LockName::Plain).unwrap().unwrap().holders.len()
    });
    assert_eq!(looked.join().unwrap(), 1);
}

/// Children that are forked while other threads are in the middle of everything take and give back the lock themselves.
#[test]
fn forked_children_find_nothing_locked_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut worker = Worker::start("forks", directory.path(), 0);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = worker.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        assert!(Instant::now() < until, "a child hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
    let snapshot = lock(directory.path()).snapshot().unwrap();
    assert!(snapshot.holders.is_empty() && snapshot.waiters.is_empty(), "{snapshot:?}");
}
